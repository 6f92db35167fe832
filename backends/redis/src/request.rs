use std::sync::Arc;

use crate::keys::Keys;
use crate::script::{BATCH, ENTER, Invocation, LEAVE, RENEW};

/// What a claim asks of its name's queue.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    pub(crate) asker: Arc<Asker>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Enter { wait: bool },
    Renew,
    Leave { unsure: bool },
}

/// A claim, as the server is told of it.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) keys: Keys,
    pub(crate) id: String,
    /// What the server keeps of it: "ttl mode channel details".
    pub(crate) entry: String,
}

impl Request {
    /// By itself.
    pub(crate) fn alone(&self) -> Invocation<'_> {
        let script = match self.verb {
            Verb::Enter { .. } => &ENTER,
            Verb::Renew => &RENEW,
            Verb::Leave { .. } => &LEAVE,
        };
        script.invocation([&self.asker.keys], self.arguments())
    }

    /// All of these in one step, of which each has an answer of its own.
    pub(crate) fn together<'a>(requests: impl Iterator<Item = &'a Self> + Clone) -> Invocation<'a> {
        let keys = requests.clone().map(|request| &request.asker.keys);
        let arguments = requests.flat_map(|request| {
            let [first, second, third] = request.arguments();
            [request.name(), first, second, third]
        });
        BATCH.invocation(keys, arguments)
    }

    fn name(&self) -> &'static str {
        match self.verb {
            Verb::Enter { .. } => "enter",
            Verb::Renew => "renew",
            Verb::Leave { .. } => "leave",
        }
    }

    fn arguments(&self) -> [&str; 3] {
        let Asker { id, entry, .. } = &*self.asker;
        let flag = |flag| if flag { "1" } else { "0" };
        match self.verb {
            Verb::Enter { wait } => [id, entry, flag(wait)],
            Verb::Renew => [id, "", ""],
            Verb::Leave { unsure } => [id, flag(unsure), ""],
        }
    }
}
