use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::queue::{StoreTime, wall_clock_floor};
use distlock_core::{Error, ErrorKind, Moment, Result};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::request::{Reply, Request};
use crate::server::{Served, Server};

/// What carries the requests of a client to the server, and the answers back.
#[async_trait]
pub trait Wire: fmt::Debug + Send + Sync + 'static {
    /// Asks. Whoever drops the future does not know whether it was done.
    ///
    /// # Errors
    /// What the server says; `Unavailable` if it is not known whether it was done.
    async fn ask(&self, request: Request) -> Result<Reply>;
}

/// A server in this process, a function call away. Clones are wires to the same one.
#[derive(Clone, Debug)]
pub struct Direct(Arc<Mutex<Local>>);

#[derive(Debug)]
struct Local {
    server: Server,
    began: Moment,
    tickets: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Reply>>>,
}

impl Direct {
    /// A server without sessions.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Local {
            server: Server::new(|_| wall_clock_floor()),
            began: Moment::now(),
            tickets: 0,
            waiting: HashMap::new(),
        })))
    }

    /// Counts the TTL of every session anew, as a new leader of a cluster does.
    pub fn restart_ttls(&self) {
        let mut local = self.local();
        let now = local.now();
        local.server.restart_ttls(&now);
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Direct {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Wire for Direct {
    async fn ask(&self, request: Request) -> Result<Reply> {
        let mut answer = self.local().serve(request);
        loop {
            // While an answer has to wait, sessions end.
            let pause = self.local().until_expiry();
            tokio::select! {
                biased;
                reply = &mut answer => return reply.unwrap_or_else(|_| Err(hung_up())),
                () = sleep(pause) => self.local().expire(),
            }
        }
    }
}

impl Local {
    fn serve(&mut self, request: Request) -> oneshot::Receiver<Result<Reply>> {
        let (answer, answered) = oneshot::channel();
        self.tickets += 1;
        self.waiting.retain(|_, answer| !answer.is_closed());
        self.waiting.insert(self.tickets, answer);
        let served = self.server.serve(self.tickets, request, &self.now());
        self.tell(served);
        answered
    }

    fn expire(&mut self) {
        let served = self.server.expire(&self.now());
        self.tell(served);
    }

    fn tell(&mut self, served: Served) {
        for (ticket, reply) in served.replies {
            if let Some(answer) = self.waiting.remove(&ticket) {
                // Whoever has hung up does not wait for it.
                drop(answer.send(reply));
            }
        }
        for (_, signals) in served.told {
            signals.look();
        }
    }

    fn now(&self) -> StoreTime {
        let micros = Moment::now().since(self.began).as_micros();
        StoreTime::new("miniature", u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn until_expiry(&self) -> Duration {
        let now = self.now().micros();
        let expires = self.server.next_expiry();
        let pause = expires.map_or(u64::MAX, |expires| expires.saturating_sub(now));
        // A millisecond more, for a timer that is early.
        Duration::from_micros(pause).saturating_add(Duration::from_millis(1))
    }
}

fn hung_up() -> Error {
    Error::new(ErrorKind::Unavailable, "the server has dropped the request")
}
