//! `CasBackend` over a store whose answers are lost, and whose swaps come late.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Patience, Released, Renewal};
use distlock_core::queue::{LockQueue, StoreTime};
use distlock_core::{
    Capabilities, CasBackend, CasStore, Deadline, ErrorKind, Mode, Moment, Name, Result, Swap, Ttl,
    Version,
};
use tokio::runtime::Handle;

const SECOND: Duration = Duration::from_secs(1);
const REQUEST: Duration = SECOND;

/// A map whose swaps can be made to take effect long after whoever asked has given up.
#[derive(Debug)]
struct Slow {
    capabilities: Capabilities,
    began: Moment,
    records: Arc<Mutex<HashMap<Name, (LockQueue, u64)>>>,
    /// The next swap takes so many milliseconds.
    delay: AtomicU64,
    /// The next swap is answered so many milliseconds after it was made.
    answer_delay: AtomicU64,
    swaps: AtomicU64,
}

impl Slow {
    fn new() -> Arc<Self> {
        let mut capabilities = Capabilities::new("slow", SECOND..=60 * SECOND);
        capabilities.shared = true;
        capabilities.permits = true;
        Arc::new(Self {
            capabilities,
            began: Moment::now(),
            records: Arc::default(),
            delay: AtomicU64::new(0),
            answer_delay: AtomicU64::new(0),
            swaps: AtomicU64::new(0),
        })
    }

    /// Delays the next swap.
    fn delay(&self, millis: u64) {
        self.delay.store(millis, Ordering::SeqCst);
    }

    /// Delays the answer to the next swap.
    fn delay_answer(&self, millis: u64) {
        self.answer_delay.store(millis, Ordering::SeqCst);
    }

    fn holders(&self, name: &Name) -> usize {
        let records = self.records.lock().unwrap();
        let now = self.now().unwrap();
        records
            .get(name)
            .map_or(0, |(queue, _)| queue.state(&now).holders.len())
    }
}

#[async_trait]
impl CasStore for Slow {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, name: &Name, _by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let records = self.records.lock().unwrap();
        let record = records.get(name);
        Ok(record.map(|(queue, version)| (queue.clone(), Version::new(version.to_string()))))
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        let delay = Duration::from_millis(self.delay.swap(0, Ordering::SeqCst));
        let answer_delay = Duration::from_millis(self.answer_delay.swap(0, Ordering::SeqCst));
        let version = self.swaps.fetch_add(1, Ordering::SeqCst) + 1;
        let (name, queue, expected) = (name.clone(), queue.clone(), expected.cloned());
        let records = Arc::clone(&self.records);
        // On its way, whoever waits for it.
        let swap = Handle::current().spawn(async move {
            tokio::time::sleep(delay).await;
            let mut records = records.lock().unwrap();
            let present = records
                .get(&name)
                .map(|(_, version)| Version::new(version.to_string()));
            if present != expected {
                return Swap::Stale;
            }
            records.insert(name, (queue, version));
            Swap::Stored(Version::new(version.to_string()))
        });
        by.bound(async {
            let swapped = swap.await.unwrap();
            tokio::time::sleep(answer_delay).await;
            Ok(swapped)
        })
        .await
    }

    fn now(&self) -> Result<StoreTime> {
        Ok(StoreTime::new(
            "test",
            self.began.elapsed().as_micros() as u64,
        ))
    }
}

fn name() -> Name {
    Name::new("x").unwrap()
}

fn claim(backend: &CasBackend<Arc<Slow>>, mode: Mode) -> Box<dyn Claim> {
    let ttl = Ttl::new(20 * SECOND, backend.capabilities()).unwrap();
    backend.claim(ClaimRequest::new(name(), mode, ttl)).unwrap()
}

fn by() -> Deadline {
    Deadline::within(REQUEST)
}

/// P9, P11: a claim withdraws while its own join is still on its way. That join comes too late
/// for good.
#[tokio::test(start_paused = true)]
async fn a_swap_that_comes_after_the_withdrawal_makes_no_ghost() {
    for there_is_a_record in [false, true] {
        let store = Slow::new();
        let backend = CasBackend::new(Arc::clone(&store));
        if there_is_a_record {
            let mut earlier = claim(&backend, Mode::Exclusive);
            earlier.attempt(&Patience::none(REQUEST)).await.unwrap();
            earlier.release(by()).await.unwrap();
        }
        let mut late = claim(&backend, Mode::Exclusive);
        store.delay(5000);
        let unknown = late.attempt(&Patience::none(REQUEST)).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Unavailable);
        assert_eq!(late.release(by()).await.unwrap(), Released::NotHeld);
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(store.holders(&name()), 0, "a hold that nobody knows of");
    }
}

/// What several claims of one client want of a record goes out in few swaps, and each gets its own
/// answer.
#[tokio::test(start_paused = true)]
async fn changes_of_one_name_go_out_together() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mut reader = claim(&backend, Mode::Shared);
        assert!(matches!(
            reader.attempt(&Patience::none(REQUEST)).await,
            Ok(Attempt::Held(_))
        ));
        readers.push(reader);
    }
    let before = store.swaps.load(Ordering::SeqCst);
    let mut renewals = tokio::task::JoinSet::new();
    for mut reader in readers {
        renewals.spawn(async move { (reader.renew(by()).await, reader) });
    }
    // One whose mode does not fit is refused, and spoils nothing for the others.
    let mut misfit = claim(&backend, Mode::Permit { limit: 3 });
    let refused = misfit.attempt(&Patience::none(REQUEST)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    for (renewed, mut reader) in renewals.join_all().await {
        assert!(matches!(renewed, Ok(Renewal::Extended(_))));
        assert_eq!(reader.release(by()).await.unwrap(), Released::Held);
    }
    let swaps = store.swaps.load(Ordering::SeqCst) - before;
    assert!(
        swaps <= 50 + 5,
        "{swaps} swaps for fifty renewals together and fifty releases apart"
    );
}

/// A swap that takes too long costs those who went with it an error, and nobody else anything.
#[tokio::test(start_paused = true)]
async fn a_slow_swap_is_unavailable_and_asking_again_tells() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let mut holder = claim(&backend, Mode::Exclusive);
    store.delay(1500);
    assert!(holder.attempt(&Patience::none(REQUEST)).await.is_err());
    tokio::time::sleep(SECOND).await;
    assert!(matches!(
        holder.attempt(&Patience::none(REQUEST)).await,
        Ok(Attempt::Held(_))
    ));
    assert_eq!(store.holders(&name()), 1);
    assert_eq!(holder.release(by()).await.unwrap(), Released::Held);
    assert_eq!(holder.release(by()).await.unwrap(), Released::NotHeld);
}

/// P11: a try that was not answered asks again, finds the name held, and goes for good. What it
/// asked for first comes too late.
#[tokio::test(start_paused = true)]
async fn a_try_in_doubt_leaves_no_ghost() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let mut holder = claim(&backend, Mode::Exclusive);
    let mut waiting = claim(&backend, Mode::Exclusive);
    let mut trying = claim(&backend, Mode::Exclusive);
    holder.attempt(&Patience::none(REQUEST)).await.unwrap();
    let (patience, _end) = Patience::unlimited(REQUEST);
    waiting.attempt(&patience).await.unwrap();
    // While one swap is under way, the holder's release and the try wait for the next, which takes
    // both, and arrives late.
    store.delay(300);
    let leaves = Handle::current().spawn(async move { waiting.release(by()).await.is_ok() });
    tokio::task::yield_now().await;
    store.delay(5000);
    let none = Patience::none(REQUEST);
    let (released, tried) = tokio::join!(holder.release(by()), trying.attempt(&none));
    assert!(leaves.await.unwrap());
    assert!(released.is_err(), "{released:?}");
    assert!(!matches!(tried, Ok(Attempt::Held(_))), "{tried:?}");
    let again = trying.attempt(&Patience::none(REQUEST)).await.unwrap();
    assert!(matches!(again, Attempt::Blocked(_)), "{again:?}");
    tokio::time::sleep(10 * SECOND).await;
    holder.release(by()).await.unwrap();
    assert_eq!(store.holders(&name()), 0, "a hold that nobody knows of");
}

/// P5: a claim whose request hangs, and which has long to wait for it, does not keep its neighbours
/// waiting.
#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_holds_up_no_neighbour() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let (mut patient, mut hasty) = (claim(&backend, Mode::Shared), claim(&backend, Mode::Shared));
    assert!(matches!(
        hasty.attempt(&Patience::none(REQUEST)).await,
        Ok(Attempt::Held(_))
    ));
    store.delay(60_000);
    let long = Handle::current()
        .spawn(async move { patient.attempt(&Patience::none(30 * SECOND)).await.is_err() });
    tokio::task::yield_now().await;
    let began = Moment::now();
    for _ in 0..3 {
        assert!(matches!(hasty.renew(by()).await, Ok(Renewal::Extended(_))));
    }
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert!(long.await.unwrap());
}

/// P10: a release goes out with the swap of a neighbour, whose answer is so late that the release
/// is asked for again. What that finds is its own doing.
#[tokio::test(start_paused = true)]
async fn a_release_that_overtakes_itself_is_no_loss() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let [mut first, mut second, mut leaving] = [(); 3].map(|()| claim(&backend, Mode::Shared));
    for reader in [&mut first, &mut second, &mut leaving] {
        reader.attempt(&Patience::none(REQUEST)).await.unwrap();
    }
    // At another time, so that a renewal changes something.
    tokio::time::advance(SECOND).await;
    store.delay(100);
    let under_way = Handle::current().spawn(async move { first.renew(by()).await.is_ok() });
    tokio::task::yield_now().await;
    store.delay_answer(5000);
    // The second waits for its turn before the third, and does what that wants too.
    let (renewed, released) = tokio::join!(second.renew(by()), leaving.release(by()));
    assert!(under_way.await.unwrap());
    assert!(renewed.is_err(), "{renewed:?}");
    assert_eq!(released.unwrap(), Released::Held);
    assert_eq!(store.holders(&name()), 2);
}

/// P10, P11: a claim cannot wait for the swap that was to let it in, gets in and leaves by others.
/// That swap is then stale, and what goes out in its place does not let the claim in once more.
#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let [mut first, mut patient, mut hasty] = [(); 3].map(|()| claim(&backend, Mode::Shared));
    store.delay(300);
    let under_way =
        Handle::current().spawn(async move { first.attempt(&Patience::none(REQUEST)).await });
    tokio::task::yield_now().await;
    // Takes what the hasty one wants as well.
    store.delay(5000);
    let long = Handle::current().spawn(async move {
        let asked = patient.attempt(&Patience::none(30 * SECOND)).await;
        (asked, patient)
    });
    tokio::task::yield_now().await;
    let asked = hasty.attempt(&Patience::none(REQUEST)).await;
    assert!(matches!(asked, Ok(Attempt::Held(_))), "{asked:?}");
    assert_eq!(hasty.release(by()).await.unwrap(), Released::Held);
    assert!(!long.is_finished());

    let (asked, _patient) = long.await.unwrap();
    for held in [under_way.await.unwrap(), asked] {
        assert!(matches!(held, Ok(Attempt::Held(_))), "{held:?}");
    }
    assert_eq!(store.holders(&name()), 2, "a hold that nobody knows of");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_was_lost_and_made_anew_is_not_the_one_that_was_granted() {
    let store = Slow::new();
    let backend = CasBackend::new(Arc::clone(&store));
    let ttl = Ttl::new(20 * SECOND, backend.capabilities()).unwrap();
    let request = ClaimRequest::new(name(), Mode::Exclusive, ttl);
    let mut claim = backend.claim(request.clone()).unwrap();
    claim.attempt(&Patience::none(REQUEST)).await.unwrap();

    let now = store.now().unwrap();
    let mut anew = LockQueue::new(&now);
    anew.enter(&request, true, &now, u64::from(u32::MAX))
        .unwrap();
    store.records.lock().unwrap().insert(name(), (anew, 1_000));
    let renewed = claim.renew(Deadline::within(REQUEST)).await.unwrap();
    assert!(matches!(renewed, Renewal::Lost), "{renewed:?}");
    claim.release(Deadline::within(REQUEST)).await.unwrap();
    assert_eq!(store.holders(&name()), 0);
}
