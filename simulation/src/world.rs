use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::backend::Signals;
use distlock_core::queue::StoreTime;
use distlock_core::{Error, ErrorKind, Guard, Mode};
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::bug::Bug;
use crate::disaster::Disaster;
use crate::event::What;
use crate::guards::{Guards, Kept};
use crate::history::History;
use crate::message::{Journey, Message, Verb};
use crate::network::Network;
use crate::plan::Plan;
use crate::server::{Done, Server};

/// All there is in a run but the clients: the store, the network, chance, and the record of what
/// happens.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) bug: Option<Bug>,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    network: Network,
    server: Server,
    guards: Guards,
    history: History,
    claims: usize,
    ops: usize,
}

impl World {
    pub(crate) fn new(plan: Plan, rng: Rng, bug: Option<Bug>) -> Arc<Self> {
        let network = Network::new(plan.hazards, plan.longest_delay(), plan.ttls.len());
        let server = Server::new(plan.names.len(), &StoreTime::new("one", 0), bug);
        Arc::new(Self {
            plan,
            bug,
            began: Instant::now(),
            state: Mutex::new(State {
                rng,
                network,
                server,
                guards: Guards::default(),
                history: History::default(),
                claims: 0,
                ops: 0,
            }),
        })
    }

    /// The time since the run began, by the clock of the clients.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.now() >= self.plan.heals_at
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.state().rng)
    }

    pub(crate) fn record(&self, what: What) {
        self.state().history.record(self.now(), what);
    }

    pub(crate) fn take_history(&self) -> History {
        std::mem::take(&mut self.state().history)
    }

    /// The number of a new claim.
    pub(crate) fn number_claim(&self) -> usize {
        let mut state = self.state();
        state.claims += 1;
        state.claims
    }

    /// A client begins an acquisition.
    pub(crate) fn ask(&self, client: usize, name: usize, mode: Mode, waits: bool) -> usize {
        let mut state = self.state();
        state.ops += 1;
        let op = state.ops;
        state.history.record(
            self.now(),
            What::Asked {
                op,
                client,
                name,
                mode,
                waits,
            },
        );
        op
    }

    /// A user gets a guard.
    pub(crate) fn receive(&self, op: usize, client: usize, name: usize, guard: Guard) {
        let mut state = self.state();
        let beside = state.guards.valid(name).map(|(op, _)| op).collect();
        let received = What::Received {
            op,
            number: guard.token().number(),
            valid_for: guard.valid_for(),
            beside,
        };
        state.history.record(self.now(), received);
        let kept = Kept {
            client,
            name,
            guard,
            is_unbacked: false,
        };
        state.guards.add(op, kept);
    }

    /// Looks at a guard, if its user still has it.
    pub(crate) fn look_at<T>(&self, op: usize, look: impl FnOnce(&Guard) -> T) -> Option<T> {
        self.state().guards.get(op).map(look)
    }

    /// The user gives up its guard.
    pub(crate) fn give_up(&self, op: usize) -> Option<Guard> {
        let mut state = self.state();
        let guard = state.guards.take(op)?;
        let valid = guard.is_held();
        state
            .history
            .record(self.now(), What::GivenUp { op, valid });
        Some(guard)
    }

    /// A request sets out.
    pub(crate) fn send(self: &Arc<Self>, message: Message) {
        let now = self.now();
        let mut state = self.state();
        let State { network, rng, .. } = &mut *state;
        let journey = network.request(rng, message.client, now, message.allowed);
        state.history.record(
            now,
            What::Sent {
                claim: message.claim,
                client: message.client,
                sequence: message.sequence,
                verb: message.verb,
                journey: journey.clone(),
            },
        );
        drop(state);
        match journey {
            Journey::Arrives(after) => {
                for after in after {
                    let (world, message) = (Arc::clone(self), message.clone());
                    tokio::spawn(async move {
                        sleep(after).await;
                        world.arrive(message).await;
                    });
                }
            }
            Journey::Refused(after) => {
                tokio::spawn(async move {
                    sleep(after).await;
                    message.sender.reply(Err(refused()));
                });
            }
            Journey::Lost => {}
        }
    }

    pub(crate) fn befall(&self, disaster: Disaster) {
        let now = self.now();
        let mut state = self.state();
        // Nothing is to outlast the healing.
        let until = |length| (now + length).min(self.plan.heals_at);
        let (what, guards) = match disaster {
            Disaster::ServerPauses(length) => {
                let until = until(length);
                state.network.pause_server(until);
                (What::ServerPaused { until }, Vec::new())
            }
            Disaster::ClientPauses(client, length) => {
                let until = until(length);
                state.network.pause_client(client, until);
                (What::ClientPaused { client, until }, Vec::new())
            }
            Disaster::CutsOff(client, length) => {
                let until = until(length);
                state.network.cut_off(client, until);
                (What::CutOff { client, until }, Vec::new())
            }
            Disaster::Crashes(client) => {
                state.network.crash(client);
                (What::Crashed { client }, state.guards.take_of(client))
            }
        };
        state.history.record(now, what);
        for (op, guard) in &guards {
            let valid = guard.is_held();
            state.history.record(now, What::GivenUp { op: *op, valid });
        }
        // Their releases go nowhere: the client sends nothing any more.
        drop(state);
        drop(guards);
    }

    pub(crate) fn heal(&self) {
        self.state().network.heal();
        self.record(What::Healed);
    }

    pub(crate) fn has_crashed(&self, client: usize) -> bool {
        self.state().network.has_crashed(client)
    }

    /// Whether nothing in the run can have left anything in the store that is not yet due to go:
    /// nothing came late, and nobody crashed.
    pub(crate) fn was_prompt(&self) -> bool {
        let state = self.state();
        !state.network.was_late && !state.network.has_any_crashed()
    }

    /// Whether nothing was lost either.
    pub(crate) fn was_lossless(&self) -> bool {
        self.was_prompt() && !self.state().network.has_lost
    }

    /// Records what the store still shows.
    pub(crate) fn look_for_residue(self: &Arc<Self>) {
        let mut state = self.state();
        let done = state.server.expire(&self.store_time());
        self.settle(state, None, done);
        let mut state = self.state();
        for name in 0..self.plan.names.len() {
            let entries = state.server.entries(name);
            if entries > 0 {
                state
                    .history
                    .record(self.now(), What::Residue { name, entries });
            }
        }
    }

    /// The store's clock.
    fn store_time(&self) -> StoreTime {
        let micros = self.now().mul_f64(self.plan.server_rate).as_micros();
        StoreTime::new("one", u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// A request reaches the store.
    async fn arrive(self: Arc<Self>, message: Message) {
        loop {
            let pause = self.state().network.server_pause(self.now());
            if pause.is_zero() {
                break;
            }
            sleep(pause).await;
        }
        let mut state = self.state();
        state.network.was_late |= message.sender.has_given_up();
        let done = state.server.serve(&message, &self.store_time());
        self.settle(state, Some(&message), done);
    }

    /// Notes what was done, and sends what is to be told of it.
    fn settle(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: Option<&Message>,
        done: Done,
    ) {
        let now = self.now();
        let mut granted = done.granted;
        for what in done.happened {
            state.history.record(now, what);
        }
        let journey = match (message, &done.reply) {
            (Some(message), Some(reply)) => {
                let State { network, rng, .. } = &mut *state;
                let journey = network.reply(rng, message.client, now, message.allowed);
                state.history.record(
                    now,
                    What::Replied {
                        claim: message.claim,
                        sequence: message.sequence,
                        journey: journey.clone(),
                    },
                );
                if !matches!(journey, Journey::Arrives(_)) && message.verb != Verb::Leave {
                    let lost = state
                        .server
                        .reply_was_lost(message.claim, &self.store_time());
                    granted.extend(lost.granted);
                    for what in lost.happened {
                        state.history.record(now, what);
                    }
                }
                Some((message.clone(), reply.clone(), journey))
            }
            _ => None,
        };
        self.hold_against_store(&mut state);
        let pushes = self.pushes(&mut state, granted);
        drop(state);

        if let Some((message, reply, journey)) = journey {
            let (after, reply) = match journey {
                Journey::Arrives(after) => (after, reply),
                Journey::Refused(after) => (vec![after], Err(refused())),
                Journey::Lost => (Vec::new(), reply),
            };
            for after in after {
                let (world, message, reply) = (Arc::clone(self), message.clone(), reply.clone());
                tokio::spawn(async move {
                    sleep(after).await;
                    world.reach(message.client).await;
                    if message.sender.has_given_up() {
                        world.state().network.was_late = true;
                    }
                    message.sender.reply(reply);
                });
            }
        }
        for (client, signals, after) in pushes {
            let world = Arc::clone(self);
            tokio::spawn(async move {
                sleep(after).await;
                world.reach(client).await;
                signals.look();
            });
        }
    }

    /// Every guard that counts itself valid must stand in the store.
    fn hold_against_store(&self, state: &mut State) {
        let time = self.store_time();
        let State {
            guards,
            server,
            history,
            ..
        } = state;
        for name in 0..self.plan.names.len() {
            for (op, kept) in guards.valid(name) {
                let number = kept.guard.token().number();
                if !kept.is_unbacked && !server.backs(name, number, &time) {
                    kept.is_unbacked = true;
                    history.record(self.now(), What::Unbacked { op });
                }
            }
        }
    }

    /// Whom to tell, and when that reaches them.
    fn pushes(&self, state: &mut State, granted: Vec<usize>) -> Vec<(usize, Signals, Duration)> {
        let now = self.now();
        let State {
            network,
            server,
            rng,
            ..
        } = state;
        let mut told = granted;
        if network.pushes_nonsense(rng) {
            let name = rng.usize(0..self.plan.names.len());
            told.extend(server.any_of(name, rng));
        }
        let mut pushes = Vec::new();
        for claim in told {
            let Some((client, signals)) = server.signals(claim) else {
                continue;
            };
            let ttl = self.plan.ttls[client];
            if let Journey::Arrives(after) = network.push(rng, client, now, ttl) {
                pushes.extend(
                    after
                        .into_iter()
                        .map(|after| (client, signals.clone(), after)),
                );
            }
        }
        pushes
    }

    /// Waits until the client can hear.
    async fn reach(&self, client: usize) {
        loop {
            let pause = self.state().network.client_pause(client, self.now());
            if pause.is_zero() {
                return;
            }
            sleep(pause).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was reset")
}
