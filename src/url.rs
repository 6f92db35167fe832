//! A store's URL, taken apart so that nothing in it is ignored.
//!
//! Errors quote the part that is at fault, never the whole URL: it may hold a password.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::backend::Backend;
use crate::connect::LOCKS_OPTIONS;
use crate::stores::{OF_SEVERAL_HOSTS, STORES, Store};
use crate::{Error, ErrorKind, Result};

/// The URL of a store that there is, with options that the store has.
pub(crate) struct StoreUrl {
    store: &'static Store,
    /// With its first host alone.
    url: Url,
    /// Those that follow the first, each with a comma before it.
    #[cfg_attr(
        not(any(
            feature = "etcd",
            feature = "postgres",
            feature = "redis",
            feature = "zookeeper"
        )),
        expect(dead_code, reason = "no store that has hosts is built in")
    )]
    other_hosts: String,
    options: Vec<(&'static str, String)>,
}

impl StoreUrl {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        // The parser would leave these out without a word.
        if text.trim() != text || text.contains(char::is_control) {
            return Err(invalid(
                "a store's URL has no control characters, and no spaces around it; encode them",
            ));
        }
        let (text, other_hosts) = without_other_hosts(text);
        let url = Url::parse(&text).map_err(|error| {
            invalid(format!(
                "a store's URL begins with {}; this one cannot be read: {error}",
                schemes()
            ))
        })?;
        let store = STORES
            .iter()
            .find(|store| store.scheme == url.scheme())
            .ok_or_else(|| {
                invalid(format!(
                    "no store has URLs that begin with `{}:`; there are {}",
                    url.scheme(),
                    schemes()
                ))
            })?;
        if url.fragment().is_some() {
            return Err(invalid(
                "a store's URL has no `#`; within a path or value write it as `%23`",
            ));
        }
        let query = url.query().unwrap_or_default();
        // Of a password with a `?` that was not encoded, the rest would be taken for options, and
        // told.
        if query.contains('@') {
            return Err(invalid(
                "a store's URL has no `@` in its options; within a value write it as `%40`, \
                 and a `?` within a password as `%3F`",
            ));
        }
        let options = options(store, query)?;
        Ok(Self {
            store,
            url,
            other_hosts,
            options,
        })
    }

    /// Opens the store.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Backend>> {
        match self.store.open {
            Ok(open) => open(self).await,
            Err(feature) => Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the {} store is not built into this program; \
                     turn on the cargo feature `{feature}` of `distlock`",
                    self.store.scheme,
                ),
            )),
        }
    }

    /// The value of an option, if it was given. It is not empty.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let (_, value) = self.options.iter().find(|(option, _)| *option == name)?;
        Some(value)
    }

    /// The value of an option that is a duration.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>> {
        let parse = |value| {
            humantime::parse_duration(value).map_err(|error| {
                invalid(format!(
                    "the URL option `{name}` is a duration such as `10s`, `500ms` or `1m 30s`; \
                     it is `{value}`"
                ))
                .with_source(error)
            })
        };
        self.option(name).map(parse).transpose()
    }

    /// The path of a store that is a file.
    #[cfg(feature = "sqlite")]
    pub(crate) fn file_path(&self) -> Result<String> {
        let scheme = self.store.scheme;
        let wanted = |fault| {
            invalid(format!(
                "{fault}; write `{scheme}:///absolute/path` with three slashes, \
                 or `{scheme}:relative/path`"
            ))
        };
        // With two slashes, the first folder of the path stands where a host does.
        if !self.url.authority().is_empty() {
            return Err(wanted("the URL of a file names no host"));
        }
        let path = decode(self.url.path(), "the path")?;
        if path.is_empty() || path.ends_with('/') {
            return Err(wanted("the URL names no file"));
        }
        Ok(path)
    }

    /// The URL as its store reads it, which knows nothing of the options that all stores have.
    #[cfg(any(
        feature = "etcd",
        feature = "postgres",
        feature = "redis",
        feature = "zookeeper"
    ))]
    pub(crate) fn for_its_store(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        let options = self.options.iter();
        for (name, value) in options.filter(|(name, _)| self.store.options.contains(name)) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut url = String::from(url);
        if let Some(hosts) = hosts(&url) {
            url.insert_str(hosts.end, &self.other_hosts);
        }
        url
    }

    /// Checks that a store which is nowhere is not said to be somewhere.
    pub(crate) fn expect_no_path(&self) -> Result<()> {
        if self.url.authority().is_empty() && self.url.path().is_empty() {
            return Ok(());
        }
        let scheme = self.store.scheme;
        Err(invalid(format!(
            "the {scheme} store has no host and no path; its URL is `{scheme}:`"
        )))
    }
}

/// Takes out the hosts that follow the first, where there may be several: what reads a URL knows of
/// one.
fn without_other_hosts(text: &str) -> (Cow<'_, str>, String) {
    let (scheme, _) = text.split_once(':').unwrap_or_default();
    let may_be_several = OF_SEVERAL_HOSTS
        .iter()
        .any(|several| several.eq_ignore_ascii_case(scheme));
    let hosts = hosts(text).filter(|_| may_be_several);
    let others = hosts.and_then(|hosts| {
        let first = text[hosts.clone()].find(',')?;
        Some(hosts.start + first..hosts.end)
    });
    match others {
        Some(others) => {
            let mut text = text.to_owned();
            let others = text.drain(others).collect();
            (text.into(), others)
        }
        None => (text.into(), String::new()),
    }
}

/// Where in a URL its hosts are.
fn hosts(url: &str) -> Option<Range<usize>> {
    let begins = url.find("://")? + "://".len();
    let length = url[begins..].find(['/', '?', '#']);
    let ends = length.map_or(url.len(), |length| begins + length);
    let user = url[begins..ends].rfind('@');
    Some(user.map_or(begins, |user| begins + user + 1)..ends)
}

/// Reads the options, each of which the store must have, once at most, and with a value.
fn options(store: &Store, query: &str) -> Result<Vec<(&'static str, String)>> {
    let mut options = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut known = LOCKS_OPTIONS.iter().chain(store.options).copied();
        let name = known
            .find(|known| *known == name)
            .ok_or_else(|| unknown_option(store, name))?;
        if options.iter().any(|(other, _)| *other == name) {
            return Err(invalid(format!(
                "the URL option `{name}` is given twice; give it once"
            )));
        }
        let value = decode(value, &format!("the value of the URL option `{name}`"))?;
        if value.is_empty() {
            return Err(invalid(format!(
                "the URL option `{name}` has no value; write `{name}=value`, or leave it out"
            )));
        }
        options.push((name, value));
    }
    Ok(options)
}

fn unknown_option(store: &Store, name: &str) -> Error {
    // Anything may stand here; only what looks like an option is told.
    let is_word = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let named = if is_word {
        format!(" `{name}`")
    } else {
        " of that name".to_owned()
    };
    let allowed: Vec<_> = LOCKS_OPTIONS
        .iter()
        .chain(store.options)
        .map(|option| format!("`{option}`"))
        .collect();
    invalid(format!(
        "the {} store has no URL option{named}; there are {}",
        store.scheme,
        allowed.join(", ")
    ))
}

/// Undoes percent-encoding, strictly: neither a lone `%` nor bytes that are no UTF-8 are guessed
/// at.
fn decode(text: &str, what: &str) -> Result<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            let (byte, after) = hex_byte(after).ok_or_else(|| {
                invalid(format!(
                    "{what} has a `%` without two hexadecimal digits; a percent sign is `%25`"
                ))
            })?;
            decoded.push(byte);
            rest = after;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(decoded)
        .ok()
        .filter(|decoded| !decoded.contains('\0'))
        .ok_or_else(|| {
            invalid(format!(
                "{what} is percent-encoded UTF-8 without `%00`; this is not"
            ))
        })
}

/// The byte that two hexadecimal digits say, and what follows them.
fn hex_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, after @ ..] = text else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = digit(*high)? * 16 + digit(*low)?;
    Some((u8::try_from(byte).ok()?, after))
}

fn schemes() -> String {
    let schemes: Vec<_> = STORES
        .iter()
        .map(|store| format!("`{}:`", store.scheme))
        .collect();
    schemes.join(", ")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_all_bytes_and_leaves_a_plus_alone() {
        for (text, decoded) in [
            ("", ""),
            ("a+b", "a+b"),
            ("%41%2f%2F", "A//"),
            ("%F0%9F%94%92", "🔒"),
            ("é", "é"),
        ] {
            assert_eq!(decode(text, "it").unwrap(), decoded);
        }
    }

    #[test]
    fn several_hosts_reach_the_store_that_may_have_them() {
        for (url, one) in [
            ("zookeeper://a", "zookeeper://a"),
            ("zookeeper://a:1,b,[::1]:2/x", "zookeeper://a:1/x"),
            (
                "zookeeper://u:p%40,q@a,b?tick_time=1s",
                "zookeeper://u:p%40,q@a?tick_time=1s",
            ),
        ] {
            let parsed = StoreUrl::parse(url).unwrap();
            assert_eq!(parsed.url.as_str(), one);
            #[cfg(any(feature = "postgres", feature = "redis", feature = "zookeeper"))]
            assert_eq!(parsed.for_its_store(), url);
        }
        assert!(StoreUrl::parse("redis://a:1,b").is_err());
    }

    #[test]
    fn guesses_at_nothing() {
        for text in ["%", "%4", "%zz", "%+1", "a%", "%ff", "%C3", "%00"] {
            assert_eq!(
                decode(text, "it").unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{text}"
            );
        }
    }

    fn encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    /// Text that is a URL to some extent.
    fn nearly_a_url() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("memory:".to_owned()),
            Just("sqlite:".to_owned()),
            prop::sample::select(vec![
                "?",
                "&",
                "=",
                "#",
                "/",
                "//",
                ":",
                "@",
                "[",
                "]",
                "%",
                "%2",
                "%41",
                "%ff",
                "+",
                "ttl",
                "ttl=5s",
                "label",
                "label=a",
                "namespace=b",
                "machine=c",
                "5",
                "s",
                "-",
                "é",
                "\\",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics_and_what_is_taken_is_understood(
            text in prop_oneof![nearly_a_url(), any::<String>()],
        ) {
            match StoreUrl::parse(&text) {
                Ok(url) => {
                    let scheme = format!("{}:", url.store.scheme);
                    prop_assert!(text.to_lowercase().starts_with(&scheme), "{text}");
                    prop_assert!(url.options.iter().all(|(_, value)| !value.is_empty()));
                    drop(url.duration("ttl"));
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    prop_assert!(!error.to_string().contains(char::is_control), "{error}");
                }
            }
        }

        #[test]
        fn what_is_encoded_comes_back(text in any::<String>()) {
            let decoded = decode(&encoded(&text), "it");
            if text.contains('\0') {
                prop_assert_eq!(decoded.unwrap_err().kind(), ErrorKind::InvalidInput);
            } else {
                prop_assert_eq!(decoded.unwrap(), text);
            }
        }

        #[test]
        fn a_value_reaches_its_option(label in "[^\0]{1,40}", secs in 0_u64..1_000_000) {
            let url = format!("memory:?ttl={secs}s&label={}", encoded(&label));
            let url = StoreUrl::parse(&url).unwrap();
            prop_assert_eq!(url.option("label"), Some(&*label));
            prop_assert_eq!(url.duration("ttl").unwrap(), Some(Duration::from_secs(secs)));
        }

        #[test]
        fn no_error_tells_a_password(
            store in prop::sample::select(vec!["memory", "sqlite", "redis", "zookeeper", "ftp"]),
            before in "([?&=#@/:%;,a5]|ttl=){0,5}",
            after in "[?&=#@/:%;,a5s]{0,5}",
        ) {
            let password = "hunter2";
            let url = format!("{store}://user:{before}{password}{after}@host/");
            let read = StoreUrl::parse(&url).and_then(|url| url.duration("ttl"));
            if let Err(error) = read {
                let told = format!("{error} {error:?}");
                prop_assert!(!told.contains(password), "{url}: {told}");
            }
        }
    }
}
