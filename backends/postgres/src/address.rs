//! URLs of databases.

use distlock_core::{Error, ErrorKind, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The options that may follow in a URL, as libpq has them.
const OPTIONS: [&str; 5] = ["host", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// What a URL says. Errors quote nothing of it but the names of options: it may hold a password.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions> {
    let url = Url::parse(url).map_err(|error| {
        invalid("the URL of a database cannot be read".to_owned()).with_source(error)
    })?;
    if !["postgres", "postgresql"].contains(&url.scheme()) {
        return Err(invalid(
            "the URL of a database begins with `postgres:` or `postgresql:`".to_owned(),
        ));
    }
    // The client would log the values of those that it does not know.
    if !url.query_pairs().all(|(name, _)| OPTIONS.contains(&&*name)) {
        return Err(invalid(format!(
            "the options in the URL of a database are `{}`; for others, connect by options of the \
             client",
            OPTIONS.join("`, `")
        )));
    }
    PgConnectOptions::from_url(&url).map_err(|error| {
        invalid("the URL of a database, or one of its options, cannot be used".to_owned())
            .with_source(error)
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_read() {
        for scheme in ["postgres", "postgresql"] {
            let url = format!("{scheme}://shop:hush@db.example.com:6432/orders?sslmode=require");
            let options = options(&url).unwrap();
            assert_eq!(options.get_host(), "db.example.com");
            assert_eq!(options.get_port(), 6432);
            assert_eq!(options.get_username(), "shop");
            assert_eq!(options.get_database(), Some("orders"));
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_without_secrets() {
        for url in [
            "",
            "postgres",
            "mysql://shop:hush@host/db",
            "postgres://shop:hush@host:port/db",
            "postgres://shop:hush%ff@host/db",
            "postgres://shop:hush@host/db?sslpassword=hush",
            "postgres://shop:hush@host/db?sslmode=hardly",
        ] {
            let error = options(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
}
