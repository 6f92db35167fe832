//! What is kept of names once there are thousands.

use std::time::Duration;

use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Patience};
use distlock_core::{Deadline, Mode, Name, Ttl};
use distlock_memory::MemoryBackend;
use tokio::time::advance;

const REQUEST: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// More than are kept without a look at which of them are still of use.
const MANY: usize = 5_000;

fn claim(store: &MemoryBackend, name: &str, mode: Mode, ttl: Duration) -> Box<dyn Claim> {
    let ttl = Ttl::new(ttl, store.capabilities()).unwrap();
    let request = ClaimRequest::new(Name::new(name).unwrap(), mode, ttl);
    store.claim(request).unwrap()
}

/// The number of the grant, if the name was free for this claim.
async fn tried(claim: &mut Box<dyn Claim>) -> Option<u64> {
    match claim.attempt(&Patience::none(REQUEST)).await.unwrap() {
        Attempt::Held(hold) => Some(hold.number),
        _ => None,
    }
}

/// P1, P2: what nobody uses any more is forgotten. A name that somebody holds is not, though one of
/// its holders is gone; and the numbers of one that was forgotten go on.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_not_forgotten_with_what_is_not() {
    let store = MemoryBackend::new();
    let mut dead = claim(&store, "held", Mode::Shared, MINUTE);
    let mut alive = claim(&store, "held", Mode::Shared, 60 * MINUTE);
    assert!(tried(&mut dead).await < tried(&mut alive).await);
    let mut before = claim(&store, "free", Mode::Exclusive, MINUTE);
    let number = tried(&mut before).await;
    before.release(Deadline::within(REQUEST)).await.unwrap();
    advance(10 * MINUTE).await;

    for other in 0..MANY {
        let name = format!("other {other}");
        let mut other = claim(&store, &name, Mode::Exclusive, MINUTE);
        assert!(tried(&mut other).await.is_some(), "{name}");
    }

    let mut writer = claim(&store, "held", Mode::Exclusive, MINUTE);
    assert_eq!(tried(&mut writer).await, None, "beside a reader");
    let mut after = claim(&store, "free", Mode::Exclusive, MINUTE);
    assert!(tried(&mut after).await > number);
}
