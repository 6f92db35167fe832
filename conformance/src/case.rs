use std::any::type_name;
use std::fmt;
use std::pin::Pin;

use distlock_core::{Capabilities, Expiry, Fair};

use crate::context::Context;
use crate::failure::Outcome;
use crate::harness::Harness;

/// One thing that a promise says, and the function that tries it on a store.
pub(crate) struct Case {
    /// `promise::case`.
    pub(crate) name: String,
    /// The number of the promise, if it is filed under one.
    pub(crate) promise: Option<u8>,
    /// Whether it lasts for many TTLs, most of which it sleeps. Then it begins before those that do
    /// not, so that nobody waits for it alone in the end.
    pub(crate) is_long: bool,
    /// Whether it is many small ones, each with a limit of its own: how long they take together
    /// tells how fast the store is, and nothing else.
    pub(crate) is_sweep: bool,
    needs: Vec<Need>,
    body: Box<dyn Fn(Context) -> Running + Send + Sync>,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What a store must have for a case to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Shared,
    Permits,
    /// A mode that the store does *not* have.
    MissingMode,
    Fair,
    Push,
    /// Claims expire one by one, not with a session that others may keep alive.
    ClaimsExpire,
    /// Waiters stand in line and ask again when told to.
    StandsInLine,
    Processes,
}

impl Case {
    /// The case that this function is: `promise::case`, in whichever module of `cases::promise` it
    /// stands.
    pub(crate) fn of<F, R>(body: F) -> Self
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let path = type_name::<F>().split("::");
        let mut path = path.skip_while(|module| *module != "cases").skip(1);
        let ends = [path.next(), path.last()];
        Self {
            name: ends.map(Option::unwrap_or_default).join("::"),
            promise: None,
            is_long: false,
            is_sweep: false,
            needs: Vec::new(),
            body: Box::new(move |context| Box::pin(body(context))),
        }
    }

    pub(crate) fn needs<const N: usize>(mut self, needs: [Need; N]) -> Self {
        self.needs.extend(needs);
        self
    }

    pub(crate) fn long(self) -> Self {
        Self {
            is_long: true,
            ..self
        }
    }

    pub(crate) fn sweep(self) -> Self {
        Self {
            is_sweep: true,
            ..self
        }
    }

    pub(crate) fn of_promise(self, promise: u8) -> Self {
        Self {
            promise: Some(promise),
            ..self
        }
    }

    /// The first thing that the case needs and the store lacks.
    pub(crate) fn lacks(&self, harness: &dyn Harness) -> Option<Need> {
        let capabilities = harness.capabilities();
        self.needs
            .iter()
            .copied()
            .find(|need| !need.is_met(&capabilities, harness))
    }

    /// Whether it starts this executable once more.
    pub(crate) fn starts_processes(&self) -> bool {
        self.needs.contains(&Need::Processes)
    }

    pub(crate) fn start(&self, context: Context) -> Running {
        (self.body)(context)
    }
}

impl Need {
    fn is_met(self, store: &Capabilities, harness: &dyn Harness) -> bool {
        match self {
            Self::Shared => store.shared,
            Self::Permits => store.permits,
            Self::MissingMode => !(store.shared && store.permits),
            // No case has more than a handful of waiters whose order it looks at.
            Self::Fair => match store.fair {
                Fair::Yes => true,
                Fair::UpTo(waiters) => waiters >= 8,
                _ => false,
            },
            Self::Push => store.push,
            Self::ClaimsExpire => store.expiry == Expiry::PerClaim,
            Self::StandsInLine => !store.waits_on_server,
            Self::Processes => harness.address().is_some(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "needs shared locks",
            Self::Permits => "needs permits",
            Self::MissingMode => "needs a mode that the store lacks",
            Self::Fair => "needs fairness",
            Self::Push => "needs push",
            Self::ClaimsExpire => "needs claims that expire one by one",
            Self::StandsInLine => "needs waiters that stand in line",
            Self::Processes => "in-process store",
        })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}
