//! What is locked.

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result};

/// The namespace of locks whose user chose none.
pub(crate) const DEFAULT_NAMESPACE: &str = "distlock";

/// All bytes of ASCII that some store might take for more than text.
const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// What is locked: a name within a namespace, checked once and cheap to clone.
///
/// A name is UTF-8 text of 1 to [`Name::MAX_BYTES`] bytes without control characters. Different
/// names are different locks: case counts, nothing is trimmed, decoded or normalised, and no
/// separator means anything.
///
/// ```
/// use distlock_core::{ErrorKind, Name};
///
/// assert_ne!(Name::new("a/b")?, Name::new("a%2Fb")?);
/// assert_eq!(Name::new("").unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), distlock_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    namespace: Arc<str>,
    name: Arc<str>,
}

impl Name {
    /// The longest name, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 512;
    /// The longest namespace, in bytes of UTF-8.
    pub const MAX_NAMESPACE_BYTES: usize = 128;

    /// A name in the default namespace, `distlock`.
    ///
    /// # Errors
    /// `InvalidInput` if it is empty, longer than [`Name::MAX_BYTES`], or has a control character.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        Self::in_namespace(DEFAULT_NAMESPACE, name)
    }

    /// A name in a namespace of the caller's choice, so that several tenants can share a store.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Name::new`]; a namespace obeys the same rules up to
    /// [`Name::MAX_NAMESPACE_BYTES`].
    pub fn in_namespace(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Result<Self> {
        Self::in_checked(&checked_namespace(namespace.as_ref())?, name.as_ref())
    }

    /// The name in a namespace that has been checked before.
    pub(crate) fn in_checked(namespace: &Arc<str>, name: &str) -> Result<Self> {
        check("a lock's name", name, Self::MAX_BYTES)?;
        Ok(Self {
            namespace: Arc::clone(namespace),
            name: name.into(),
        })
    }

    /// The name, without its namespace.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The namespace and the name for a store where some characters have a meaning: all bytes but
    /// ASCII letters and digits, `.`, `_` and `-` are percent-encoded
    /// ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.1)), so that different ones
    /// stay different whatever is put between them.
    ///
    /// ```
    /// # use distlock_core::Name;
    /// let name = Name::in_namespace("shop:eu", "a/b%")?;
    /// assert_eq!(name.encoded(), ("shop%3Aeu".to_owned(), "a%2Fb%25".to_owned()));
    /// # Ok::<(), distlock_core::Error>(())
    /// ```
    pub fn encoded(&self) -> (String, String) {
        let encoded = |text| utf8_percent_encode(text, SPECIAL).to_string();
        (encoded(&self.namespace), encoded(&self.name))
    }
}

pub(crate) fn checked_namespace(namespace: &str) -> Result<Arc<str>> {
    check("a namespace", namespace, Name::MAX_NAMESPACE_BYTES)?;
    Ok(namespace.into())
}

/// The rule for all text that reaches a store: names, namespaces, labels.
pub(crate) fn check(what: &str, text: &str, max_bytes: usize) -> Result<()> {
    let fault = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > max_bytes {
        format!("it has {}", text.len())
    } else if let Some((at, control)) = text.char_indices().find(|(_, c)| c.is_control()) {
        format!("it has U+{:04X} at byte {at}", u32::from(control))
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "{what} has 1 to {max_bytes} bytes of UTF-8 without control characters; {fault}"
    )))
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_rule_allows_and_changes_nothing() {
        for text in [
            "a",
            " a ",
            "A",
            "a/b",
            "a%2Fb",
            "../..",
            "{}*",
            "🔒",
            "é",
            "e\u{301}",
            &"x".repeat(512),
        ] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let long = "é".repeat(257);
        for (text, fault) in [
            ("", "it is empty"),
            (long.as_str(), "it has 514"),
            ("a\nb", "it has U+000A at byte 1"),
            ("\0", "it has U+0000 at byte 0"),
            ("é\u{7f}", "it has U+007F at byte 2"),
            ("\u{85}", "it has U+0085 at byte 0"),
        ] {
            let error = Name::new(text).unwrap_err().to_string();
            assert!(error.ends_with(fault), "{error}");
            assert!(error.contains("1 to 512 bytes"), "{error}");
        }
    }

    #[test]
    fn the_namespace_is_part_of_the_name() {
        let a = Name::in_namespace("one", "x").unwrap();
        let b = Name::in_namespace("two", "x").unwrap();
        assert_ne!(a, b);
        assert!(Name::in_namespace("", "x").is_err());
        assert!(Name::in_namespace("n".repeat(129), "x").is_err());
    }
}
