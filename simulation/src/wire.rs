use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::queue::StoreTime;
use distlock_core::{Deadline, Error, ErrorKind, Result};
use tokio::time::{sleep, timeout};

use crate::event::What;
use crate::journey::{Journey, Mailbox, PROMPT};
use crate::network::Network;
use crate::plan::disaster::Disaster;
use crate::server::{Done, Hint, Server};
use crate::world::World;

/// The store, and the network between it and its clients.
#[derive(Debug)]
pub(crate) struct Wire<S: Server> {
    pub(crate) world: Arc<World>,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S: Server> {
    network: Network,
    server: S,
    /// How many requests have come.
    tickets: u64,
    /// Those that have not been answered, some of which never are.
    unanswered: HashMap<u64, Message<S>>,
}

/// A request on its way.
#[derive(Debug)]
struct Message<S: Server> {
    client: usize,
    request: S::Request,
    label: Arc<str>,
    /// How long its sender waits for the reply.
    allowed: Duration,
    mailbox: Mailbox<S::Reply>,
}

impl<S: Server> Clone for Message<S> {
    fn clone(&self) -> Self {
        Self {
            client: self.client,
            request: self.request.clone(),
            label: Arc::clone(&self.label),
            allowed: self.allowed,
            mailbox: self.mailbox.clone(),
        }
    }
}

impl<S: Server> Wire<S> {
    pub(crate) fn new(world: &Arc<World>, server: S) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            state: Mutex::new(State {
                network: Network::new(&world.plan),
                server,
                tickets: 0,
                unanswered: HashMap::new(),
            }),
        })
    }

    /// Sends a request, and waits until then for what comes into the mailbox. A client that is
    /// paused then reads what has come meanwhile before it sees how late it is.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        client: usize,
        request: S::Request,
        mailbox: &Mailbox<S::Reply>,
        by: Deadline,
    ) -> Result<S::Reply> {
        let exchange = self.exchange(client, request, mailbox, by.remaining());
        let mut exchange = pin!(exchange);
        if let Ok(reply) = timeout(by.remaining(), exchange.as_mut()).await {
            return reply;
        }
        if self.is_paused(client) {
            self.reach_client(client).await;
            if let Ok(reply) = timeout(PROMPT, exchange).await {
                return reply;
            }
        }
        by.bound(pending()).await
    }

    /// Sends a request, and waits for what comes into the mailbox: as long as `allowed`, of which
    /// the caller takes care.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        client: usize,
        request: S::Request,
        mailbox: &Mailbox<S::Reply>,
        allowed: Duration,
    ) -> Result<S::Reply> {
        let reply = mailbox.open();
        self.send(Message {
            client,
            label: request.to_string().into(),
            request,
            allowed,
            mailbox: mailbox.clone(),
        });
        match reply.await {
            Ok(reply) => reply,
            // Lost, of which nobody tells.
            Err(_) => pending().await,
        }
    }

    /// Looks at the store, or changes it, behind the network's back.
    pub(crate) fn with_server<T>(&self, with: impl FnOnce(&mut S) -> T) -> T {
        with(&mut self.state().server)
    }

    fn send(self: &Arc<Self>, message: Message<S>) {
        let Message {
            client, allowed, ..
        } = message;
        let now = self.world.now();
        let network = &mut self.state().network;
        let journey = network.request(&message.label, client, now, allowed);
        self.world.record(What::Sent {
            client,
            request: Arc::clone(&message.label),
            journey: journey.clone(),
        });
        match journey {
            Journey::Arrives(after) => {
                for after in after {
                    let (wire, message) = (Arc::clone(self), message.clone());
                    tokio::spawn(async move {
                        sleep(after).await;
                        wire.arrive(message).await;
                    });
                }
            }
            Journey::Refused(after) => {
                tokio::spawn(async move {
                    sleep(after).await;
                    message.mailbox.deliver(Err(refused()));
                });
            }
            Journey::Lost => {}
        }
    }

    /// A request reaches the store.
    async fn arrive(self: Arc<Self>, message: Message<S>) {
        self.reach_server().await;
        let mut state = self.state();
        // Done again, where requests are not known again.
        let is_done_again = self.world.plan.family.has_sessions() && message.mailbox.is_answered();
        state.network.was_late |= is_done_again || message.mailbox.is_abandoned();
        state.tickets += 1;
        let ticket = state.tickets;
        let mut done = state
            .server
            .serve(ticket, &message.request, &self.store_time());
        if let Some(mut rng) = state.network.false_hint(&message.label) {
            done.hints.extend(state.server.false_hint(&mut rng));
        }
        state.unanswered.insert(ticket, message);
        self.note(&mut state, done);
    }

    /// The store answers a request.
    fn reply(self: &Arc<Self>, network: &mut Network, message: Message<S>, reply: S::Reply) {
        let Message {
            client,
            label,
            allowed,
            mailbox,
            ..
        } = message;
        let journey = network.reply(&label, client, self.world.now(), allowed);
        self.world.record(What::Replied {
            client,
            request: label,
            reply: reply.to_string(),
            journey: journey.clone(),
        });
        let (after, reply) = match journey {
            Journey::Arrives(after) => (after, Ok(reply)),
            Journey::Refused(after) => (vec![after], Err(refused())),
            Journey::Lost => return,
        };
        for after in after {
            let (wire, mailbox, reply) = (Arc::clone(self), mailbox.clone(), reply.clone());
            tokio::spawn(async move {
                sleep(after).await;
                wire.return_to(client, &mailbox, reply).await;
            });
        }
    }

    /// A reply reaches the client.
    async fn return_to(&self, client: usize, mailbox: &Mailbox<S::Reply>, reply: Result<S::Reply>) {
        self.reach_client(client).await;
        self.state().network.was_late |= mailbox.is_abandoned();
        mailbox.deliver(reply);
        // A moment later the client has made of it what it makes of it.
        sleep(Duration::from_millis(1)).await;
        self.hold_guards_against(&self.state().server);
    }

    pub(crate) fn befall(self: &Arc<Self>, disaster: Disaster) {
        let now = self.world.now();
        // Nothing is to outlast the healing.
        let until = |length| (now + length).min(self.world.plan.heals_at);
        let mut state = self.state();
        match disaster {
            Disaster::ServerPauses(length) => self.pause_server(&mut state, until(length)),
            Disaster::ClientPauses(client, length) => {
                let until = until(length);
                state.network.pause_client(client, until);
                self.world.record(What::ClientPaused { client, until });
            }
            Disaster::CutsOff(client, length) => {
                let until = until(length);
                state.network.cut_off(client, until);
                self.world.record(What::CutOff { client, until });
            }
            Disaster::Crashes(client) => {
                state.network.crash(client);
                self.world.record(What::Crashed { client });
                drop(state);
                self.world.drop_guards_of(client);
            }
            Disaster::Forgets { name, tells, away } => {
                self.pause_server(&mut state, until(away));
                let mut done = state.server.forget(name, &self.store_time());
                if !tells {
                    done.hints.clear();
                    done.replies.clear();
                }
                self.note(&mut state, done);
            }
            Disaster::RestartsTtls { away } => {
                self.pause_server(&mut state, until(away));
                self.world.record(What::Restarted);
                // What clients take to be over stands for longer.
                state.network.was_late = true;
                let done = state.server.restart_ttls(&self.store_time());
                self.note(&mut state, done);
            }
        }
    }

    fn pause_server(&self, state: &mut State<S>, until: Duration) {
        state.network.pause_server(until);
        self.world.record(What::ServerPaused { until });
    }

    pub(crate) fn heal(&self) {
        self.state().network.heal();
        self.world.record(What::Healed);
    }

    pub(crate) fn has_crashed(&self, client: usize) -> bool {
        self.state().network.has_crashed(client)
    }

    /// Whether nothing in the run can have left anything in the store that is not yet due to go:
    /// nothing came late, and nobody crashed.
    pub(crate) fn was_prompt(&self) -> bool {
        let network = &self.state().network;
        !network.was_late && !network.has_any_crashed()
    }

    /// Whether nothing was lost either.
    pub(crate) fn was_lossless(&self) -> bool {
        self.was_prompt() && !self.state().network.has_lost
    }

    /// Records what the store still shows.
    pub(crate) fn look_for_residue(self: &Arc<Self>) {
        let mut state = self.state();
        let done = state.server.expire(&self.store_time());
        self.note(&mut state, done);
        for name in 0..self.world.plan.names {
            let entries = state.server.entries(name);
            if entries > 0 {
                self.world.record(What::Residue { name, entries });
            }
        }
    }

    /// The store's clock.
    pub(crate) fn store_time(&self) -> StoreTime {
        let now = self.world.now().mul_f64(self.world.plan.server_rate);
        StoreTime::new("one", u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
    }

    /// Notes what was done, and sends what is to be told of it.
    fn note(self: &Arc<Self>, state: &mut State<S>, done: Done<S::Reply>) {
        for what in done.happened {
            self.world.record(what);
        }
        self.hold_guards_against(&state.server);
        for hint in done.hints {
            self.tell(&state.network, hint);
        }
        for (ticket, reply) in done.replies {
            if let Some(message) = state.unanswered.remove(&ticket) {
                self.reply(&mut state.network, message, reply);
            }
        }
    }

    fn tell(self: &Arc<Self>, network: &Network, hint: Hint) {
        let Hint { client, label, .. } = &hint;
        let ttl = self.world.plan.clients[*client].ttl;
        let journey = network.hint(label, *client, self.world.now(), ttl);
        self.world.record(What::Hinted {
            client: *client,
            hint: label.clone(),
            gone: hint.gone,
            journey: journey.clone(),
        });
        let Journey::Arrives(after) = journey else {
            return;
        };
        for after in after {
            let (wire, hint) = (Arc::clone(self), hint.clone());
            tokio::spawn(async move {
                sleep(after).await;
                wire.reach_client(hint.client).await;
                (hint.arrive)();
            });
        }
    }

    /// No guard may count itself valid for longer than its hold stands in the store.
    fn hold_guards_against(&self, server: &S) {
        let now = self.store_time();
        // The store counts in whole microseconds of its own.
        let resolution = Duration::from_micros(2);
        self.world.hold_against(|name, number| {
            let backing = server.backing(name, number, &now);
            match backing.div_f64(self.world.plan.server_rate) {
                Duration::ZERO => Duration::ZERO,
                backing => backing + resolution,
            }
        });
    }

    /// Waits until the store does something.
    async fn reach_server(&self) {
        loop {
            let pause = self.state().network.server_pause(self.world.now());
            if pause.is_zero() {
                return;
            }
            sleep(pause).await;
        }
    }

    fn is_paused(&self, client: usize) -> bool {
        let now = self.world.now();
        !self.state().network.client_pause(client, now).is_zero()
    }

    /// Waits until the client can hear.
    async fn reach_client(&self, client: usize) {
        loop {
            let now = self.world.now();
            let pause = self.state().network.client_pause(client, now);
            if pause.is_zero() {
                return;
            }
            sleep(pause).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was reset")
}
