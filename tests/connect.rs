//! What `connect` and `open` make of a URL.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use distlock::{Error, ErrorKind, Locks};

async fn refused(url: &str) -> Error {
    distlock::connect(url).await.expect_err(url)
}

/// That the URL is refused as invalid, by `connect` and by `open`, with a message that has all of
/// these.
async fn assert_invalid(url: &str, message: &[&str]) {
    let opened = distlock::open(url).await.expect_err(url);
    for error in [refused(url).await, opened] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
        for part in message {
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }
}

#[tokio::test]
async fn memory_is_a_new_store_each_time() {
    let one = distlock::connect("memory:").await.unwrap();
    let other = distlock::connect("memory://").await.unwrap();
    assert_eq!(one.capabilities().store, "memory");
    let _held = one.lock("x").acquire().await.unwrap();
    assert!(one.lock("x").try_acquire().await.unwrap().is_none());
    assert!(other.lock("x").try_acquire().await.unwrap().is_some());
}

#[tokio::test]
async fn options_reach_the_locks() {
    let locks = distlock::connect("memory:?ttl=1m%2030s&namespace=shop%F0%9F%94%92&label=a+b")
        .await
        .unwrap();
    let guard = locks.lock("x").acquire().await.unwrap();
    assert_eq!(guard.name().namespace(), "shop🔒");
    let valid_for = guard.valid_for();
    assert!(
        (Duration::from_secs(80)..Duration::from_secs(90)).contains(&valid_for),
        "{valid_for:?}"
    );
    let state = locks.inspect("x").await.unwrap();
    assert_eq!(state.holders[0].label.as_deref(), Some("a+b"));
}

#[tokio::test]
async fn a_scheme_is_a_store_s() {
    assert_invalid("consul://localhost", &["`consul:`", "`memory:`, `redis:`"]).await;
    for no_url in ["", "locks.db", "/var/lib/locks.db", "://", "sqlite"] {
        assert_invalid(no_url, &["begins with `memory:`, `redis:`"]).await;
    }
    assert!(
        distlock::connect("MEMORY:").await.is_ok(),
        "schemes have no case"
    );
}

#[tokio::test]
async fn an_unknown_option_is_named_beside_those_there_are() {
    assert_invalid("memory:?tll=5s", &["`tll`", "`ttl`, `namespace`, `label`"]).await;
    assert_invalid("memory:?machine=a", &["`machine`", "memory store"]).await;
    assert_invalid("memory:?TTL=5s", &["`TTL`"]).await;
    assert_invalid("memory:?=5s", &["no URL option"]).await;
    assert_invalid("sqlite:locks.db?mode=ro", &["`mode`", "`machine`"]).await;
}

#[tokio::test]
async fn an_option_is_given_once_and_with_a_value() {
    assert_invalid("memory:?ttl=5s&ttl=6s", &["`ttl`", "twice"]).await;
    for url in [
        "memory:?label=",
        "memory:?label",
        "memory:?namespace=&ttl=5s",
    ] {
        assert_invalid(url, &["has no value"]).await;
    }
}

#[tokio::test]
async fn a_ttl_is_a_duration_that_the_store_takes() {
    for bad in ["abc", "10", "-5s", "5%20parsecs", "1e3s"] {
        let error = refused(&format!("memory:?ttl={bad}")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("such as `10s`"), "{error}");
        assert!(error.source().is_some(), "{error:?}");
    }
    for bad in ["0s", "1ms", "1000y"] {
        let error = refused(&format!("memory:?ttl={bad}")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("on the memory store"), "{error}");
    }
}

#[tokio::test]
async fn percent_encoding_is_read_strictly() {
    for bad in ["%ff", "%", "%4", "%zz", "%00"] {
        assert_invalid(&format!("memory:?label=a{bad}"), &["`label`"]).await;
    }
    let too_long = refused(&format!("memory:?namespace={}", "n".repeat(129))).await;
    assert!(
        too_long.to_string().contains("1 to 128 bytes"),
        "{too_long}"
    );
}

#[tokio::test]
async fn nothing_in_a_url_is_ignored() {
    assert_invalid("memory:#x", &["`#`"]).await;
    for url in [
        "memory:x",
        "memory:/x",
        "memory://host",
        "memory://user@host:1/",
    ] {
        assert_invalid(url, &["`memory:`", "no host and no path"]).await;
    }
    for url in [" memory:", "memory:\n", "mem\tory:", "memory:?label=a\u{1}"] {
        assert_invalid(url, &["control characters"]).await;
    }
}

#[tokio::test]
async fn open_leaves_the_locks_to_their_builder() {
    for (option, value) in [("ttl", "5s"), ("namespace", "shop"), ("label", "web")] {
        let error = distlock::open(&format!("memory:?{option}={value}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error
                .to_string()
                .contains(&format!("`Locks::builder().{option}(…)`")),
            "{error}"
        );
    }
    let store = distlock::open("memory:").await.unwrap();
    let one = Locks::new(Arc::clone(&store)).unwrap();
    let other = Locks::new(store).unwrap();
    let _held = one.lock("x").acquire().await.unwrap();
    assert!(other.lock("x").try_acquire().await.unwrap().is_none());
}

#[tokio::test]
async fn no_error_tells_a_password() {
    for url in [
        "redis://user:hunter2@host/0",
        "memory://user:hunter2@host",
        "memory://user:hunter2@host:port",
        "memory://user:hunter2@",
        "//user:hunter2@host",
        "sqlite://user:hunter2@host/locks.db",
        "sqlite://user:hunter2@host/locks.db#x",
        "sqlite://user:hunter2@host/locks.db?what=x",
        // A `?` or `#` in a password that is not encoded ends the host.
        "memory://user:?hunter2@host",
        "memory://user:#hunter2@host",
        "sqlite://user:a/hunter2@host",
    ] {
        let error = refused(url).await;
        let mut told = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            told += &format!(" {error} {error:?}");
            source = error.source();
        }
        assert!(!told.contains("hunter2"), "{url}: {told}");
    }
}

#[test]
fn the_futures_can_be_spawned_and_want_a_runtime() {
    fn spawnable<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    drop(spawnable(distlock::open("memory:")));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(spawnable(distlock::connect("memory:"))).poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Misconfigured),
        other => panic!("{other:?}"),
    }
}

#[cfg(not(feature = "sqlite"))]
#[tokio::test]
async fn a_store_that_is_not_built_in_tells_its_feature() {
    let error = refused("sqlite:///tmp/locks.db?ttl=5s&machine=m").await;
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(
        error.to_string().contains("cargo feature `sqlite`"),
        "{error}"
    );
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use std::path::Path;

    fn encoded(path: &Path) -> String {
        path.to_str()
            .unwrap()
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('#', "%23")
            .replace(' ', "%20")
    }

    #[tokio::test]
    async fn an_absolute_path_has_three_slashes_and_is_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("50% a#b?é.db");
        let url = format!("sqlite://{}?ttl=2s&label=web&machine=this", encoded(&file));
        let one = distlock::connect(&url).await.unwrap();
        assert!(file.exists());
        assert_eq!(one.capabilities().store, "sqlite");
        let guard = one.lock("x").acquire().await.unwrap();
        assert!(guard.valid_for() < Duration::from_secs(2));

        let other = distlock::connect(&url).await.unwrap();
        assert!(
            other.lock("x").try_acquire().await.unwrap().is_none(),
            "both URLs are one store"
        );
        assert_eq!(
            other.inspect("x").await.unwrap().holders[0]
                .label
                .as_deref(),
            Some("web")
        );
        guard.release().await.unwrap();
    }

    #[tokio::test]
    async fn the_machine_reaches_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite://{}/locks.db?machine=rack%207",
            encoded(folder.path())
        );
        let _open = distlock::open(&url).await.unwrap();
        // Refused would be another machine after a reboot, which no test can have; but the file
        // remembers.
        let mut files = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path());
        assert!(files.any(|file| {
            std::fs::read(file)
                .unwrap()
                .windows(6)
                .any(|bytes| bytes == b"rack 7")
        }));
    }

    #[tokio::test]
    async fn a_relative_path_starts_at_the_working_directory() {
        // Tests share a working directory, so the file gets a name that only this one uses.
        let folder = tempfile::tempdir_in(".").unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        distlock::open(&format!("sqlite:{name}/locks.db"))
            .await
            .unwrap();
        assert!(folder.path().join("locks.db").exists());
    }

    #[tokio::test]
    async fn a_url_that_names_no_file_says_how_to() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite:///",
            "sqlite://locks.db",
            "sqlite://host/locks.db",
            "sqlite:dir/",
        ] {
            assert_invalid(
                url,
                &["`sqlite:///absolute/path`", "`sqlite:relative/path`"],
            )
            .await;
        }
        assert_invalid(
            "sqlite:///tmp/%ff.db",
            &["the path is percent-encoded UTF-8"],
        )
        .await;
        assert_invalid(
            "sqlite:///tmp/%00.db",
            &["the path is percent-encoded UTF-8"],
        )
        .await;
    }

    #[tokio::test]
    async fn a_bad_option_is_told_before_the_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        for options in [
            "ttl=abc",
            "ttl=5s&ttl=5s",
            "namespace=",
            "label=%ff",
            "nonsense=1",
        ] {
            let error = refused(&format!(
                "sqlite://{}/locks.db?{options}",
                encoded(folder.path())
            ))
            .await;
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
