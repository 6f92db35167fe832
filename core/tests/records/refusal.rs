//! A store in which a record is refused: each verb says so, and none of them writes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Patience};
use distlock_core::queue::{LockQueue, StoreTime};
use distlock_core::{
    Capabilities, CasBackend, CasStore, Deadline, ErrorKind, Mode, Name, Result, Swap, Ttl, Version,
};

use crate::damage;

const SECOND: Duration = Duration::from_secs(1);

/// One text, whatever the name. Its version is the text itself: it has no history to tell.
#[derive(Debug)]
struct Text {
    capabilities: Capabilities,
    text: Mutex<String>,
}

impl Text {
    fn new(text: String) -> Arc<Self> {
        let mut capabilities = Capabilities::new("text", SECOND..=60 * SECOND);
        capabilities.shared = true;
        Arc::new(Self {
            capabilities,
            text: Mutex::new(text),
        })
    }

    fn read(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

#[async_trait]
impl CasStore for Text {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, _name: &Name, _by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let text = self.read();
        let queue = LockQueue::from_json(&text)?;
        Ok(Some((queue, Version::new(text))))
    }

    async fn store(
        &self,
        _name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        _by: Deadline,
    ) -> Result<Swap> {
        let mut text = self.text.lock().unwrap();
        if expected.map(Version::as_str) != Some(&text) {
            return Ok(Swap::Stale);
        }
        *text = queue.to_json();
        Ok(Swap::Stored(Version::new(text.clone())))
    }

    fn now(&self) -> Result<StoreTime> {
        Ok(StoreTime::new("boot", 13_000_000))
    }
}

fn name() -> Name {
    Name::new("x").unwrap()
}

fn by() -> Deadline {
    Deadline::within(SECOND)
}

fn claim(backend: &CasBackend<Arc<Text>>) -> Box<dyn Claim> {
    let ttl = Ttl::new(10 * SECOND, backend.capabilities()).unwrap();
    let request = ClaimRequest::new(name(), Mode::Exclusive, ttl);
    backend.claim(request).unwrap()
}

/// Has every verb asked; each must be refused with an error of this kind.
async fn ask_everything(
    backend: &CasBackend<Arc<Text>>,
    claim: &mut dyn Claim,
    kind: ErrorKind,
    what: &str,
) {
    let (patience, _end) = Patience::unlimited(SECOND);
    for (verb, result) in [
        ("attempt", claim.attempt(&patience).await.map(drop)),
        (
            "try",
            claim.attempt(&Patience::none(SECOND)).await.map(drop),
        ),
        ("renew", claim.renew(by()).await.map(drop)),
        ("release", claim.release(by()).await.map(drop)),
        ("inspect", backend.inspect(&name(), by()).await.map(drop)),
    ] {
        let error = result.expect_err(&format!("{verb} on {what}"));
        assert_eq!(error.kind(), kind, "{verb} on {what}: {error}");
    }
}

/// As every verb of one who comes to it, and of one who has stood in it since it was whole.
#[tokio::test]
async fn what_is_refused_is_never_overwritten() {
    let readers = damage::samples().remove(2).to_json();
    let mut refused: Vec<_> = damage::foreign()
        .into_iter()
        .map(|text| (text, ErrorKind::Unexpected))
        .collect();
    refused.extend([
        (readers[..200].to_owned(), ErrorKind::Unexpected),
        (readers.replace("last", "least"), ErrorKind::Unexpected),
        (
            readers.replace(r#""shared""#, r#""exclusive""#),
            ErrorKind::Unexpected,
        ),
        (
            readers.replace(r#""version":1"#, r#""version":2"#),
            ErrorKind::Misconfigured,
        ),
    ]);
    for (text, kind) in refused {
        let what = &text[..text.len().min(80)];
        let store = Text::new(text.clone());
        let backend = CasBackend::new(Arc::clone(&store));
        let mut newcomer = claim(&backend);
        ask_everything(&backend, &mut *newcomer, kind, what).await;
        assert_eq!(store.read(), text);

        *store.text.lock().unwrap() = LockQueue::new(&store.now().unwrap()).to_json();
        let mut present = claim(&backend);
        present.attempt(&Patience::none(SECOND)).await.unwrap();
        *store.text.lock().unwrap() = text.clone();
        ask_everything(&backend, &mut *present, kind, what).await;
        assert_eq!(store.read(), text);
    }
}
