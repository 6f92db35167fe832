use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use distlock_core::backend::Backend;
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, FencingToken, LockState, Locks, LocksBuilder, Mode,
    Name, Result, Ttl,
};
use tokio::sync::{OnceCell, oneshot};
use tokio::time::sleep;

use crate::bare::Bare;
use crate::failure::Unmet;
use crate::faults::{Faults, Faulty};
use crate::harness::Harness;
use crate::panics::Panics;
use crate::process::Child;

/// How long a thing may take that needs nothing but a few round trips: generous for a machine that
/// has other things to do, and far below the calm TTL, so that what happens within it is not an
/// expiry.
pub(crate) const SOON: Duration = Duration::from_secs(8);
/// What a loaded machine may add to a time that is measured.
pub(crate) const ALLOWANCE: Duration = Duration::from_millis(1500);
/// How often a state is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What a case gets: clients of the store, names that no other case uses, and ways to wait.
#[derive(Clone, Debug)]
pub(crate) struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    harness: Arc<dyn Harness>,
    capabilities: Capabilities,
    panics: Panics,
    ttl: Duration,
    namespace: String,
    case: String,
    names: AtomicU32,
    observer: OnceCell<Box<dyn Backend>>,
}

impl Context {
    pub(crate) fn new(harness: Arc<dyn Harness>, case: &str, panics: Panics) -> Self {
        let (capabilities, ttl) = (harness.capabilities(), harness.ttl());
        // The store may live longer than one run of the suite, which must not meet the locks of
        // another.
        let namespace = format!("conformance-{:016x}", fastrand::u64(..));
        let (case, names, observer) = (case.to_owned(), AtomicU32::default(), OnceCell::new());
        Self(Arc::new(Inner {
            harness,
            capabilities,
            panics,
            ttl,
            namespace,
            case,
            names,
            observer,
        }))
    }

    /// The capabilities that the store's author has pinned.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// A TTL short enough to wait for its end.
    pub(crate) fn ttl(&self) -> Duration {
        self.0.ttl
    }

    /// A TTL for holds that must not be lost: still short enough to see many renewals, and long
    /// enough that a loaded machine keeps up with them.
    ///
    /// Doubled twice, so that a store with a ladder of TTLs has it as well.
    pub(crate) fn steady(&self) -> Duration {
        4 * self.ttl()
    }

    /// A TTL so long that nothing expires while a case runs, unless a client's breach of promise
    /// lets it: what is gone [`SOON`] was released.
    pub(crate) fn calm(&self) -> Duration {
        let long = (32 * self.ttl()).max(Duration::from_secs(40));
        let longest = *self.capabilities().ttl.end();
        self.capabilities().ttl_in_force(long.min(longest))
    }

    /// By when the store must have dropped a claim of this TTL, counted from when it last heard of
    /// it, and have let the next one know.
    pub(crate) fn gone_by(&self, ttl: Duration) -> Duration {
        ttl + self.capabilities().slack + ALLOWANCE
    }

    /// How long the whole case may take.
    pub(crate) fn case_limit(&self) -> Duration {
        (60 * self.ttl()).max(Duration::from_secs(60))
    }

    /// The namespace of all clients of this case, and of no other.
    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// A name that nobody else uses.
    pub(crate) fn name(&self) -> String {
        format!(
            "{}/{}",
            self.0.case,
            self.0.names.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// A fresh client of the store.
    pub(crate) async fn backend(&self) -> Result<Box<dyn Backend>> {
        self.0.harness.backend().await
    }

    /// Options that all clients of the suite share.
    pub(crate) fn builder(&self) -> LocksBuilder {
        Locks::builder()
            .namespace(self.namespace())
            .ttl(self.calm())
    }

    /// Locks over a fresh client; their TTL is [calm](Self::calm) unless the lock says otherwise.
    pub(crate) async fn client(&self) -> Result<Locks> {
        self.builder().build(self.backend().await?)
    }

    /// So many clients, each fresh.
    pub(crate) async fn clients<const N: usize>(&self) -> Result<[Locks; N]> {
        self.several(|| self.builder()).await
    }

    async fn several<const N: usize>(
        &self,
        builder: impl Fn() -> LocksBuilder,
    ) -> Result<[Locks; N]> {
        let mut clients = Vec::with_capacity(N);
        for _ in 0..N {
            clients.push(builder().build(self.backend().await?)?);
        }
        clients
            .try_into()
            .map_err(|_| Error::new(ErrorKind::Unexpected, "not as many clients as were made"))
    }

    /// So many clients that contend hard. Their TTL is [calm](Self::calm): what a loaded machine
    /// needs for their work has nothing to do with how soon it renews. Only where the store cannot
    /// wake a waiter, theirs is a TTL at which waiters look often.
    pub(crate) async fn rivals<const N: usize>(&self) -> Result<[Locks; N]> {
        let ttl = match self.capabilities().push {
            true => self.calm(),
            false => 5 * self.ttl(),
        };
        self.several(|| self.builder().ttl(ttl)).await
    }

    /// A client whose requests and wake-ups can be tampered with.
    pub(crate) async fn faulty(&self) -> Result<(Locks, Faults)> {
        let (backend, faults) = Faulty::new(self.backend().await?);
        Ok((self.builder().build(backend)?, faults))
    }

    /// The same, with a thread of its own.
    pub(crate) async fn faulty_on_own_thread(&self) -> Result<(Locks, Faults)> {
        let (tell, told) = oneshot::channel();
        let context = self.clone();
        let make = async move || {
            let (backend, faults) = Faulty::new(context.backend().await?);
            // Whoever does not listen has given up the locks as well.
            drop(tell.send(faults));
            Ok(backend)
        };
        let locks = self.builder().build_on_own_thread(make).await?;
        let faults = told.await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, "locks without a backend").with_source(error)
        })?;
        Ok((locks, faults))
    }

    /// A claim without an engine, of a client that lives only while it is asked.
    pub(crate) async fn bare(&self, name: &str, mode: Mode, ttl: Duration) -> Result<Bare> {
        let name = Name::in_namespace(self.namespace(), name)?;
        let ttl = Ttl::new(ttl, self.capabilities())?;
        Bare::new(
            Arc::clone(&self.0.harness),
            self.0.panics.clone(),
            name,
            mode,
            ttl,
        )
        .await
    }

    /// A second process that waits for this lock and holds it.
    pub(crate) fn child(&self, name: &str, ttl: Duration) -> Result<Child, Unmet> {
        let address = self
            .0
            .harness
            .address()
            .ok_or_else(|| Unmet("the store has no address".to_owned()))?;
        Child::start(address, self.namespace(), name, ttl)
    }

    /// Runs a future on a thread with a runtime of its own, which ends with it; for what blocks its
    /// runtime.
    pub(crate) async fn elsewhere<T, R>(&self, work: impl FnOnce(Self) -> R + Send + 'static) -> T
    where
        T: Send + 'static,
        R: Future<Output = T>,
    {
        let context = self.clone();
        let running = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(work(context))
        });
        running.await.expect("the work elsewhere does not panic")
    }

    /// Has this thread's panics told with the case.
    pub(crate) fn note_panics_of_this_thread(&self) {
        self.0.panics.of_this_thread();
    }

    /// What the store shows of a name, by a client of its own.
    pub(crate) async fn state(&self, name: &str) -> Result<LockState> {
        let observer = self.0.observer.get_or_try_init(|| self.backend()).await?;
        let name = Name::in_namespace(self.namespace(), name)?;
        let state = observer.inspect(&name, Deadline::within(SOON)).await?;
        assert_eq!(
            state.is_free(),
            state.holders.is_empty() && state.waiters.is_empty(),
            "free is what nobody holds or waits for: {state:?}"
        );
        Ok(state)
    }

    /// Waits until the store shows this of a name; fails if it does not within `limit`.
    pub(crate) async fn until_within(
        &self,
        limit: Duration,
        name: &str,
        what: &str,
        wanted: impl Fn(&LockState) -> bool,
    ) -> Result<LockState, Unmet> {
        let by = Deadline::within(limit);
        loop {
            match self.state(name).await {
                Ok(state) if wanted(&state) => return Ok(state),
                seen if by.remaining().is_zero() => {
                    return Err(Unmet(format!(
                        "expected {what} within {limit:?}; the store shows {seen:?}"
                    )));
                }
                _ => sleep(LOOK).await,
            }
        }
    }

    /// Waits until the store shows this of a name, which should be [`SOON`].
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&LockState) -> bool,
    ) -> Result<LockState, Unmet> {
        self.until_within(SOON, name, what, wanted).await
    }

    /// Waits until nobody holds the name or waits for it, which should be [`SOON`].
    pub(crate) async fn until_free(&self, name: &str) -> Result<(), Unmet> {
        self.until(
            name,
            "that nobody holds the name or waits for it",
            LockState::is_free,
        )
        .await
        .map(drop)
    }

    /// Waits until so many wait for the name, which should be [`SOON`].
    pub(crate) async fn until_waiting(&self, name: &str, waiters: usize) -> Result<(), Unmet> {
        let what = format!("{waiters} waiters");
        self.until(name, &what, |state| state.waiters.len() == waiters)
            .await
            .map(drop)
    }

    /// Fails unless the store shows one holder, of this token, and nobody who waits.
    pub(crate) async fn only_holder(&self, name: &str, token: FencingToken) -> Result<(), Unmet> {
        let what = format!("one holder, with token {token}, and no waiters");
        let wanted = |state: &LockState| {
            let [holder] = &*state.holders else {
                return false;
            };
            state.waiters.is_empty() && holder.token.is_none_or(|shown| shown == token)
        };
        self.until(name, &what, wanted).await.map(drop)
    }
}

/// Awaits a thing that should come [`SOON`].
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> Result<F::Output, Unmet> {
    within(SOON, what, future).await
}

/// Awaits a thing that should come within `limit`.
pub(crate) async fn within<F: Future>(
    limit: Duration,
    what: &str,
    future: F,
) -> Result<F::Output, Unmet> {
    tokio::select! {
        biased;
        // First: what is ready only because the end of the limit has it polled comes too late.
        () = sleep(limit) => Err(Unmet(format!(
            "expected {what} within {limit:?}; it did not come"
        ))),
        output = future => Ok(output),
    }
}

/// The error that was expected, if it is of this kind.
pub(crate) fn refused<T>(kind: ErrorKind, result: Result<T>) -> Result<Error, Unmet> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Unmet(format!(
            "expected an error of kind {kind:?}; it is {:?}: {error}",
            error.kind()
        ))),
        Ok(_) => Err(Unmet(format!(
            "expected an error of kind {kind:?}; it succeeded"
        ))),
    }
}
