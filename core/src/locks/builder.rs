use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Defaults, Locks};
use crate::backend::Backend;
use crate::engine::{Drift, Engine, on_own_thread};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{self, DEFAULT_NAMESPACE, checked_namespace};
use crate::ttl::{DEFAULT_TTL, Ttl};

/// The longest label, in bytes.
const MAX_LABEL: usize = 256;

/// Options of [`Locks`]. Made by [`Locks::builder`].
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is built"]
pub struct LocksBuilder {
    namespace: String,
    ttl: Duration,
    label: Option<String>,
    drift: Drift,
}

impl LocksBuilder {
    pub(super) fn new() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            ttl: DEFAULT_TTL,
            label: None,
            drift: Drift::DEFAULT,
        }
    }

    /// What keeps these names apart from those of other users of the store. Default: `distlock`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The TTL of locks that choose none: for how long a crash keeps others waiting, and how long
    /// the store may be out of reach before a hold is lost. Default: 15 seconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// What [`Locks::inspect`] shows of their holders and waiters. Default: `host:pid`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How far the clocks of this machine and the store may drift apart during a TTL: a share of
    /// the TTL, and a constant. By so much a guard stops counting itself valid before the store
    /// does. Default: 0.01 and 2 milliseconds; clocks that NTP disciplines stay within 0.0005.
    pub fn drift(mut self, share: f64, constant: Duration) -> Self {
        self.drift = Drift { share, constant };
        self
    }

    /// Locks of this store, driven by the runtime in which this is called.
    ///
    /// That runtime must have its timers enabled. If something blocks all of its threads for longer
    /// than the TTL, the locks are lost (and say so);
    /// [`build_on_own_thread`](Self::build_on_own_thread) is for programs that do that.
    ///
    /// # Errors
    /// `Misconfigured` outside of a tokio runtime; `InvalidInput` if an option is not acceptable.
    pub fn build(self, backend: impl Backend) -> Result<Locks> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(
                ErrorKind::Misconfigured,
                "locks are driven by a tokio runtime: call this within one, \
                 or use `build_on_own_thread`",
            )
            .with_source(error)
        })?;
        let drift = self.checked_drift()?;
        let defaults = self.defaults()?;
        Ttl::new(defaults.ttl, backend.capabilities())?;
        drift.check(defaults.ttl)?;
        let engine = Engine::start(Arc::new(backend), drift, runtime, None);
        Ok(Locks {
            engine,
            defaults: Arc::new(defaults),
        })
    }

    /// Locks driven by a thread of their own, with a small tokio runtime in which the store is made
    /// too.
    ///
    /// They stay held while the application blocks its own runtime, and outlive the runtime that
    /// made them. The thread ends with the last of these locks and of what was
    /// made from them: guards, and futures such as [`Lost`](crate::Lost). It always keeps
    /// real time, also for a caller on tokio's paused time.
    ///
    /// # Errors
    /// Those of `make`; `InvalidInput` if an option is not acceptable; `Misconfigured` if the
    /// thread cannot be started.
    ///
    /// # Cancel safety
    /// Dropping the future ends the thread once `make` is done.
    pub async fn build_on_own_thread<S: Backend, F: Future<Output = Result<S>>>(
        self,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Locks> {
        let drift = self.checked_drift()?;
        let defaults = self.defaults()?;
        let engine = on_own_thread(drift, make).await?;
        Ttl::new(defaults.ttl, engine.backend.capabilities())?;
        drift.check(defaults.ttl)?;
        Ok(Locks {
            engine,
            defaults: Arc::new(defaults),
        })
    }

    fn checked_drift(&self) -> Result<Drift> {
        if (0.0..1.0).contains(&self.drift.share) {
            return Ok(self.drift);
        }
        Err(Error::invalid(format!(
            "a drift's share is 0 or more and less than 1; it is {}",
            self.drift.share
        )))
    }

    fn defaults(self) -> Result<Defaults> {
        let label = self
            .label
            .map_or_else(|| Ok(default_label()), |label| checked_label(&label))?;
        Ok(Defaults {
            namespace: checked_namespace(&self.namespace)?,
            ttl: self.ttl,
            label,
        })
    }
}

pub(super) fn checked_label(label: &str) -> Result<Arc<str>> {
    name::check("a label", label, MAX_LABEL)?;
    Ok(label.into())
}

fn default_label() -> Arc<str> {
    cfg_if::cfg_if! {
        if #[cfg(unix)] {
            let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
        } else {
            let host = std::env::var("COMPUTERNAME").ok();
        }
    }
    let host = host.filter(|host| checked_label(host).is_ok());
    format!(
        "{}:{}",
        host.as_deref().unwrap_or("unknown-host"),
        std::process::id()
    )
    .into()
}
