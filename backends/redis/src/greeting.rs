use distlock_core::{Error, ErrorKind, Result};
use redis::Value;

/// Checks what a server says of itself in answer to `HELLO`: whether locks can be taken there.
pub(crate) fn check(greeting: &Value) -> Result<()> {
    let said = |key| said(greeting, key);
    let fault = match (said("mode"), said("role"), said("version")) {
        (Some("sentinel"), _, _) => {
            "the server is a sentinel; use a URL that begins with `redis-sentinel:`".to_owned()
        }
        (Some("cluster"), _, _) => {
            "the server is one of a cluster; use a URL that begins with `redis-cluster:`".to_owned()
        }
        (_, Some("replica" | "slave"), _) => {
            "the server is a read-only replica; locks are taken at the primary".to_owned()
        }
        (_, _, Some(version)) if is_too_old(version) => {
            format!("the server is Redis {version}; locks take Redis 6.2 or newer, or Valkey")
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Misconfigured, fault))
}

/// Whether it is of before Redis 6.2, which knows no rights to channels yet. A version that cannot
/// be read is none that is known to be too old.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
        _ => false,
    }
}

fn said<'a>(greeting: &'a Value, key: &str) -> Option<&'a str> {
    let Value::Map(said) = greeting else {
        return None;
    };
    let (_, value) = said.iter().find(|(it, _)| text(it) == Some(key))?;
    text(value)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted(said: &[(&str, &str)]) -> Result<()> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let said = said.iter().map(|(key, value)| (text(key), text(value)));
        check(&Value::Map(said.collect()))
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in [
            "6.2.0",
            "6.2",
            "7.0.15",
            "8.1",
            "10.0.0",
            "255.255.255",
            "?",
        ] {
            greeted(&[("version", version)]).unwrap();
        }
        for version in ["5.0.14", "6.0.16", "6.1.9"] {
            let error = greeted(&[("version", version)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(version), "{error}");
        }
    }

    #[test]
    fn who_takes_no_locks_is_told() {
        for (key, value) in [
            ("mode", "sentinel"),
            ("mode", "cluster"),
            ("role", "replica"),
        ] {
            let error = greeted(&[("version", "7.0.0"), (key, value)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{value}");
        }
        greeted(&[("mode", "standalone"), ("role", "master")]).unwrap();
    }
}
