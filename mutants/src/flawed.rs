//! [`Flawed`]: any backend with something wrong about it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Backend, Claim, ClaimRequest, Hold, Patience, Released, Renewal, Signals,
};
use distlock_core::{Capabilities, Deadline, Error, ErrorKind, LockState, Name, Result};
use tokio::sync::Semaphore;

/// A client of a store, with a flaw.
#[derive(Debug)]
pub(crate) struct Flawed<B> {
    inner: Arc<B>,
    flaw: Flaw,
    capabilities: Capabilities,
    client: Arc<Client>,
}

/// What the claims of one client share.
#[derive(Debug)]
pub(crate) struct Client {
    /// Counts whatever they count together.
    pub(crate) count: AtomicU64,
    pub(crate) connections: Arc<Semaphore>,
    closed: AtomicBool,
}

/// What a [`Flawed`] backend does instead of handing on what it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Flaw {
    /// What it makes of its capabilities.
    pub(crate) capabilities: fn(&mut Capabilities),
    /// What it makes of a name.
    pub(crate) name: fn(&Name) -> Result<Name>,
    /// What it makes of a claim that is asked for.
    pub(crate) request: fn(&mut ClaimRequest),
    /// [`Claim::attempt`].
    pub(crate) attempt: for<'a> fn(&'a mut FlawedClaim, &'a Patience) -> Answer<'a, Attempt>,
    /// [`Claim::renew`].
    pub(crate) renew: fn(&mut FlawedClaim, Deadline) -> Answer<'_, Renewal>,
    /// [`Claim::release`].
    pub(crate) release: fn(&mut FlawedClaim, Deadline) -> Answer<'_, Released>,
    /// What it makes of a state that is to be shown.
    pub(crate) inspected: fn(&mut LockState),
    /// Whether those who watch are told of changes.
    pub(crate) tells_watchers: bool,
    /// Whether its end is that of all who share it.
    pub(crate) closes: bool,
}

/// What comes of a request.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A claim of a [`Flawed`] backend.
pub(crate) struct FlawedClaim {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) request: ClaimRequest,
    /// The claim as the store behind it knows it.
    pub(crate) inner: Box<dyn Claim>,
    /// How often each verb was asked for.
    pub(crate) attempts: u32,
    pub(crate) renewals: u32,
    pub(crate) releases: u32,
    /// The hold, as it was told.
    pub(crate) held: Option<Hold>,
    pub(crate) client: Arc<Client>,
    /// Something to keep as long as the claim.
    pub(crate) kept: Option<Box<dyn Send + Sync>>,
    /// Where the engine listens.
    pub(crate) signals: Signals,
    flaw: Flaw,
}

impl Flaw {
    /// None.
    pub(crate) const NONE: Self = Self {
        capabilities: |_| {},
        name: |name| Ok(name.clone()),
        request: |_| {},
        attempt: |claim, patience| claim.inner.attempt(patience),
        renew: |claim, by| claim.inner.renew(by),
        release: |claim, by| claim.inner.release(by),
        inspected: |_| {},
        tells_watchers: true,
        closes: false,
    };
}

impl<B: Backend> Flawed<B> {
    /// This backend, with this flaw.
    pub(crate) fn new(inner: B, flaw: Flaw) -> Self {
        let mut capabilities = inner.capabilities().clone();
        (flaw.capabilities)(&mut capabilities);
        Self {
            inner: Arc::new(inner),
            flaw,
            capabilities,
            client: Arc::new(Client {
                count: AtomicU64::new(0),
                connections: Arc::new(Semaphore::new(100)),
                closed: AtomicBool::new(false),
            }),
        }
    }
}

#[async_trait]
impl<B: Backend> Backend for Flawed<B> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let signals = request.signals.clone();
        request.name = (self.flaw.name)(&request.name)?;
        (self.flaw.request)(&mut request);
        Ok(Box::new(FlawedClaim {
            backend: Arc::clone(&self.inner) as Arc<dyn Backend>,
            inner: self.inner.claim(request.clone())?,
            request,
            attempts: 0,
            renewals: 0,
            releases: 0,
            held: None,
            client: Arc::clone(&self.client),
            kept: None,
            signals,
            flaw: self.flaw,
        }))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let mut state = self.inner.inspect(&(self.flaw.name)(name)?, by).await?;
        (self.flaw.inspected)(&mut state);
        Ok(state)
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        if !self.flaw.tells_watchers {
            return Some(Box::new(()));
        }
        let name = (self.flaw.name)(name).ok()?;
        self.inner.subscribe(&name, signals)
    }

    async fn close(&self, by: Deadline) {
        if self.flaw.closes {
            self.client.closed.store(true, Ordering::SeqCst);
        }
        self.inner.close(by).await;
    }
}

impl FlawedClaim {
    fn check_open(&self) -> Result<()> {
        if self.client.closed.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the connection is closed",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl Claim for FlawedClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        self.check_open()?;
        self.attempts += 1;
        let result = (self.flaw.attempt)(self, patience).await;
        if let Ok(Attempt::Held(hold)) = result {
            self.held = Some(hold);
        }
        result
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        self.check_open()?;
        self.renewals += 1;
        (self.flaw.renew)(self, by).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.check_open()?;
        self.releases += 1;
        (self.flaw.release)(self, by).await
    }
}

impl fmt::Debug for FlawedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlawedClaim")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flaw").finish_non_exhaustive()
    }
}
