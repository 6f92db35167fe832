use distlock_core::Name;

/// Where the nodes of one name are: a node of its own, and those of no other name.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) namespace: String,
    pub(crate) path: String,
}

impl Folder {
    /// The folder of this name, below `root`, which is empty or the path of a node.
    pub(crate) fn of(root: &str, name: &Name) -> Self {
        let (namespace, name) = name.encoded();
        let namespace = format!("{root}/{}", node(namespace));
        Self {
            path: format!("{namespace}/{}", node(name)),
            namespace,
        }
    }

    /// The path of a node in it.
    pub(crate) fn join(&self, node: &str) -> String {
        format!("{}/{node}", self.path)
    }
}

/// Encoded text as the name of a node. `.` and `..` are none, and `/zookeeper` is the server's.
fn node(encoded: String) -> String {
    match &*encoded {
        "." | ".." | "zookeeper" => format!("%{:02X}{}", encoded.as_bytes()[0], &encoded[1..]),
        _ => encoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_folder_of_its_own() {
        for (namespace, name, path) in [
            ("shop", "a/b", "/root/shop/a%2Fb"),
            ("shop", "a%2Fb", "/root/shop/a%252Fb"),
            ("shop:eu", "ü", "/root/shop%3Aeu/%C3%BC"),
            ("zookeeper", "quota", "/root/%7Aookeeper/quota"),
            ("..", ".", "/root/%2E./%2E"),
            (".a", "...", "/root/.a/..."),
        ] {
            let name = Name::in_namespace(namespace, name).unwrap();
            assert_eq!(Folder::of("/root", &name).path, path);
        }
    }
}
