//! Which packages are published, and which cargo features each has, read from their manifests:
//! nobody has to keep a list.

use std::fs;
use std::path::Path;

/// A package that is published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Without `default`.
    pub(crate) features: Vec<String>,
}

/// All of them, that of the root first.
pub(crate) fn published() -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    let mut folders = vec![Path::new(".").to_owned()];
    while let Some(folder) = folders.pop() {
        let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut inner = Vec::new();
        for entry in fs::read_dir(&folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_folder = entry.file_type().map_err(fault)?.is_dir();
            if is_folder && name != "target" && !name.starts_with('.') {
                inner.push(entry.path());
            } else if name == "Cargo.toml" {
                packages.extend(package(&fs::read_to_string(entry.path()).map_err(fault)?));
            }
        }
        inner.sort_by(|a, b| b.cmp(a));
        folders.append(&mut inner);
    }
    if packages.is_empty() {
        Err("no package is published".to_owned())
    } else {
        Ok(packages)
    }
}

/// The package of a manifest, if it is one that is published. Reads the subset of TOML that this
/// repository's manifests keep to: each key of `[package]` and `[features]` begins a line.
fn package(manifest: &str) -> Option<Package> {
    let mut table = "";
    let (mut name, mut features) = (None, Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            table = line.trim_end();
        }
        let Some((key, value)) = line
            .split_once('=')
            .map(|(key, value)| (key.trim_end(), value.trim()))
        else {
            continue;
        };
        let is_key = key.starts_with(|c: char| c.is_ascii_alphanumeric());
        match (table, key) {
            ("[package]", "name") => name = Some(value.trim_matches('"').to_owned()),
            ("[package]", "publish") if value == "false" => return None,
            ("[features]", key) if is_key && key != "default" => features.push(key.to_owned()),
            _ => {}
        }
    }
    Some(Package {
        name: name?,
        features,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_features_of_a_package() {
        let manifest = r#"
[workspace]
members = ["a"]

[package]
name = "lock"
version = "0.1.0"

[features]
default = []
## A comment = ignored.
one = ["dep:one"]
two-b = [
    "one/x",
    "three",
]

[dependencies]
four = "1"
"#;
        let expected = Package {
            name: "lock".to_owned(),
            features: vec!["one".to_owned(), "two-b".to_owned()],
        };
        assert_eq!(package(manifest), Some(expected));
    }

    #[test]
    fn leaves_out_what_is_not_published() {
        assert_eq!(
            package("[package]\nname = \"x\"\npublish = false\n[features]\na = []"),
            None
        );
        assert_eq!(package("[workspace]\nmembers = []"), None);
    }

    #[test]
    fn finds_the_packages_of_this_repository() {
        std::env::set_current_dir(crate::root()).unwrap();
        let packages = published().unwrap();
        assert_eq!(packages[0].name, "distlock");
        assert!(
            packages[0]
                .features
                .iter()
                .any(|feature| feature == "sqlite"),
            "{packages:?}"
        );
        for name in [
            "distlock-core",
            "distlock-etcd",
            "distlock-memory",
            "distlock-postgres",
            "distlock-redis",
            "distlock-sqlite",
            "distlock-zookeeper",
            "distlock-conformance",
        ] {
            assert!(
                packages.iter().any(|package| package.name == name),
                "{name}: {packages:?}"
            );
        }
        assert!(
            packages.iter().all(|package| package.name != "xtask"),
            "{packages:?}"
        );
    }
}
