//! What must hold of the changes that the claims of one client make together, in whatever order
//! their tasks take their steps.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shuttle::future::{JoinHandle, spawn, yield_now};

use super::CasBackend;
use super::record::Records;
use crate::backend::{Attempt, Backend, Claim, ClaimRequest, Patience, Released};
use crate::clock::Deadline;
use crate::error::Result;
use crate::mode::Mode;
use crate::name::Name;
use crate::sync::explore;
use crate::ttl::Ttl;

use store::Store;

const TTL: Duration = Duration::from_secs(60);
const REQUEST: Duration = Duration::from_secs(1);

#[test]
fn what_is_wanted_at_the_same_time_is_done_once_each() {
    explore(|_| async move {
        let store = Arc::new(Store::default());
        let clients = ["a", "b"].map(|owner| Client::new(owner, &store));
        let asked = [0, 0, 1, 1].map(|client| ask(clients[client].claim()));
        let mut claims = Vec::new();
        let mut held = 0;
        for asked in asked {
            let (claim, attempt) = asked.await.unwrap();
            held += usize::from(is_held(&attempt));
            claims.push(claim);
        }
        assert_eq!(held, 1);
        assert_eq!(store.contenders(), (1, 3));

        let released: Vec<_> = claims.into_iter().map(release).collect();
        let mut held = 0;
        for released in released {
            held += usize::from(released.await.unwrap().unwrap() == Released::Held);
        }
        assert!(held > 0);
        assert_eq!(store.contenders(), (0, 0));
    });
}

#[test]
fn a_swap_that_hangs_comes_too_late() {
    explore(|clock| async move {
        let store = Arc::new(Store::default());
        let client = Client::new("a", &store);
        store.next_swap_takes(4 * REQUEST);
        let asked = [(); 2].map(|()| ask(client.claim()));
        let answered = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&answered);
        let asking = Arc::clone(&store);
        let time = spawn(async move {
            asking.has_under_way(1).await;
            while !over.load(Ordering::SeqCst) {
                clock.advance(REQUEST / 4);
                // Not before all others for ever.
                yield_now().await;
            }
        });
        let mut claims = Vec::new();
        for asked in asked {
            let (claim, _) = asked.await.unwrap();
            claims.push(claim);
        }
        answered.store(true, Ordering::SeqCst);
        time.await.unwrap();

        // From here on the store answers at once.
        for released in claims.into_iter().map(release).collect::<Vec<_>>() {
            released.await.unwrap().unwrap();
        }
        clock.advance(8 * REQUEST);
        store.has_under_way(0).await;
        assert_eq!(
            store.contenders(),
            (0, 0),
            "a late swap has brought it back"
        );
    });
}

#[test]
fn a_swap_that_hangs_is_overtaken() {
    explore(|clock| async move {
        let store = Arc::new(Store::default());
        let client = Client::new("a", &store);
        store.next_swap_takes(4 * REQUEST);
        clock.run(REQUEST / 8);
        let mut answered = 0;
        for asked in [(); 2].map(|()| ask(client.claim())) {
            answered += usize::from(asked.await.unwrap().1.is_ok());
        }
        assert_eq!(answered, 1, "but for the one whose swap it is");
    });
}

#[test]
fn all_claims_of_one_name_have_one_record() {
    explore(|_| async move {
        let records = Records::<Store>::default();
        let store = Arc::new(Store::default());
        let before = records.of(&name(), &store);
        let ends = spawn(async move { drop(before) });
        let now = records.of(&name(), &store);
        ends.await.unwrap();
        assert!(Arc::ptr_eq(&now, &records.of(&name(), &store)));
        drop(now);
        assert_eq!(format!("{records:?}"), "Records { names: 0 }");
    });
}

type Asked = (Box<dyn Claim>, Result<Attempt>);

/// Asks in a task, and gives the claim back with the answer.
fn ask(mut claim: Box<dyn Claim>) -> JoinHandle<Asked> {
    spawn(async move {
        let (patience, _end) = Patience::unlimited(REQUEST);
        let attempt = claim.attempt(&patience).await;
        (claim, attempt)
    })
}

fn release(mut claim: Box<dyn Claim>) -> JoinHandle<Result<Released>> {
    spawn(async move { claim.release(Deadline::within(REQUEST)).await })
}

fn is_held(attempt: &Result<Attempt>) -> bool {
    matches!(attempt, Ok(Attempt::Held(_)))
}

/// One client of the store.
struct Client {
    backend: CasBackend<Arc<Store>>,
    owner: Arc<str>,
}

impl Client {
    fn new(owner: &str, store: &Arc<Store>) -> Self {
        Self {
            backend: CasBackend::new(Arc::clone(store)),
            owner: owner.into(),
        }
    }

    fn claim(&self) -> Box<dyn Claim> {
        let ttl = Ttl::new(TTL, self.backend.capabilities()).unwrap();
        let mut request = ClaimRequest::new(name(), Mode::Exclusive, ttl);
        request.owner = Arc::clone(&self.owner);
        self.backend.claim(request).unwrap()
    }
}

fn name() -> Name {
    Name::new("x").unwrap()
}
