use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::session::{Member, Opened};
use distlock_core::{Deadline, Error, ErrorKind, Mode, Moment, Result};
use tokio::time::sleep;

use crate::client::Client;
use crate::connection::{Answer, Connection, ended};
use crate::key::Key;
use crate::places::Places;
use crate::seats::Seat;
use crate::statements::Ahead;
use crate::table::Shown;

/// A claim: it stands under the session of its TTL, or under a connection on which it has waited.
#[derive(Debug)]
pub(crate) struct PostgresClaim {
    places: Arc<Places>,
    request: ClaimRequest,
    wanted: Shown,
    member: Option<Member<Client>>,
    /// The connection of its own on which it holds.
    seat: Option<Seat>,
    /// One on which it has waited, of which it is not known what came of that.
    in_doubt: Option<Seat>,
}

impl PostgresClaim {
    pub(crate) fn new(places: Arc<Places>, request: ClaimRequest) -> Self {
        let wanted = Shown {
            key: Key::of(&request.name),
            shared: request.mode == Mode::Shared,
        };
        Self {
            places,
            request,
            wanted,
            member: None,
            seat: None,
            in_doubt: None,
        }
    }

    fn ttl(&self) -> Duration {
        self.request.ttl.get()
    }

    /// Sees to it that the claim is under a session, which has been confirmed lately.
    ///
    /// A claim whose session is over is put under another when it is asked for again, not now: it
    /// has been told that it is gone, and that must not be taken to mean the new one.
    async fn keep(&mut self, by: Deadline) -> Result<&mut Member<Client>> {
        let member = match self.member.take() {
            Some(member) => member,
            None => {
                let session = self.places.sessions.session(self.ttl(), by).await?;
                session.handle().serves(&session);
                Member::new(session, self.request.id, self.request.signals.clone())
            }
        };
        if member.keep(by).await? {
            return Ok(self.member.insert(member));
        }
        match member.is_over(by).await? {
            true => self.seat = None,
            false => self.member = Some(member),
        }
        Err(over())
    }

    /// The hold, if the claim has the lock under its session, or nobody else has it.
    async fn look(&mut self, by: Deadline) -> Result<Option<Hold>> {
        let (entry, wanted) = (self.request.id, self.wanted);
        let member = self.keep(by).await?;
        let connection = Arc::clone(member.session().handle());
        match connection.lock(entry, wanted, by).await? {
            Some(number) => member.hold(number).map(Some).ok_or_else(over),
            None => Ok(None),
        }
    }

    /// Ends those in line whose clients have died. Whether there were any.
    async fn bury(&mut self, by: Deadline) -> Result<bool> {
        let key = self.wanted.key;
        let connection = Arc::clone(self.keep(by).await?.session().handle());
        connection.bury(key, by).await
    }

    /// A connection of its own to wait on, and the one that says that its client lives. `None`: all
    /// are taken.
    async fn take_seat(&mut self, by: Deadline) -> Result<Option<(Seat, Arc<Connection>)>> {
        let ttl = self.ttl();
        let places = Arc::clone(&self.places);
        let voucher = Arc::clone(self.keep(by).await?.session().handle());
        let client = places.sessions.store();
        let key = self.wanted.key;
        let seat = places.seats.take(client, &voucher, ttl, key, by).await?;
        Ok(seat.map(|seat| (seat, voucher)))
    }

    /// Waits on the server.
    async fn wait(
        &mut self,
        seat: Seat,
        voucher: &Arc<Connection>,
        patience: &Patience,
    ) -> Result<Attempt> {
        let (places, entry, ttl) = (Arc::clone(&self.places), self.request.id, self.ttl());
        let mut answer = seat.connection.wait(entry, self.wanted);
        let connection = Arc::clone(&seat.connection);
        // Until its outcome is known.
        self.in_doubt = Some(seat);
        let waited = self
            .waited(&connection, voucher, &mut answer, patience)
            .await?;
        // Its place has expired with the session, though the server has not ended it.
        let is_alive = |member: &Member<Client>| member.session().is_alive();
        if !self.member.as_ref().is_some_and(is_alive) {
            return Err(over());
        }
        let seat = self.in_doubt.take();
        match waited {
            Some((number, as_of)) => {
                let opened = Opened::new(connection, ttl, as_of);
                let session = places.sessions.adopt(opened);
                session.handle().serves(&session);
                let signals = self.request.signals.clone();
                let member = self.member.insert(Member::new(session, entry, signals));
                self.seat = seat;
                // Whoever counts what this store tells unasked counts this.
                self.request.signals.look();
                member.hold(number).map(Attempt::Held).ok_or_else(over)
            }
            None => {
                seat.into_iter()
                    .for_each(|seat| places.seats.give_back(seat));
                match patience.has_ended() {
                    true => Ok(Attempt::Blocked(Blocked::default())),
                    false => Err(Error::new(
                        ErrorKind::Unavailable,
                        "the wait was cancelled on the server",
                    )),
                }
            }
        }
    }

    /// What the wait comes to: a number and from when its TTL counts, or nothing.
    async fn waited(
        &mut self,
        connection: &Connection,
        voucher: &Connection,
        answer: &mut Answer<Option<(u64, Moment)>>,
        patience: &Patience,
    ) -> Result<Option<(u64, Moment)>> {
        let mut look = Moment::now() + FIRST_LOOK;
        loop {
            let pause = look.remaining().min(self.ttl() / 3);
            tokio::select! {
                biased;
                answer = &mut *answer => return answer.unwrap_or_else(|_| Err(ended())),
                () = patience.ended() => break,
                () = sleep(pause) => {}
            }
            let by = patience.deadline();
            if look.remaining().is_zero() {
                let sent = Moment::now();
                let pause = match voucher.clear_before(connection, by).await? {
                    Ahead::NotKnown => FIRST_LOOK,
                    Ahead::Others => self.ttl(),
                    Ahead::Waiters(left) => left + SOON,
                };
                look = Moment::now() + pause;
                if let Some(member) = &self.member {
                    // Which spares a heartbeat.
                    member.session().has_answered(sent);
                }
            }
            // The session says that the client lives, so it has to live itself.
            self.keep(by).await?;
        }
        let by = patience.deadline();
        self.places.sessions.store().cancel(connection, by).await?;
        by.bound(async { answer.await.unwrap_or_else(|_| Err(ended())) })
            .await
    }

    /// Ends the connection of which it is not known what came of the wait on it.
    async fn settle(&mut self, by: Deadline) -> Result<()> {
        if let Some(seat) = &self.in_doubt {
            let client = self.places.sessions.store();
            client.terminate(&seat.connection, by).await?;
            self.in_doubt = None;
        }
        Ok(())
    }
}

#[async_trait]
impl Claim for PostgresClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let by = patience.deadline();
        self.settle(by).await?;
        let (seats, key) = (&self.places.seats, self.wanted.key);
        let is_new = self.member.is_none() && !patience.has_ended();
        let looks = !(is_new && seats.expect_to_wait(key));
        if looks && let Some(hold) = self.look(by).await? {
            return Ok(Attempt::Held(hold));
        }
        if let Some(seat) = self.seat.take() {
            // What it held there is gone, and it begins anew.
            self.member = None;
            self.places.seats.give_back(seat);
            return Err(over());
        }
        if !patience.has_ended()
            && let Some((mut seat, voucher)) = self.take_seat(patience.deadline()).await?
        {
            if looks {
                seat.found_taken(key);
            }
            return self.wait(seat, &voucher, patience).await;
        }
        // Nobody who waits may be there to see that those in the way are dead.
        if (self.bury(patience.deadline()).await? || !looks)
            && let Some(hold) = self.look(patience.deadline()).await?
        {
            return Ok(Attempt::Held(hold));
        }
        Ok(Attempt::Blocked(Blocked::recheck(poll(self.ttl()))))
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        match &mut self.member {
            Some(member) => member.renew(by).await,
            None => Ok(Renewal::Lost),
        }
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.settle(by).await?;
        let Some(member) = &self.member else {
            return Ok(Released::NotHeld);
        };
        if member.is_over(by).await? {
            (self.member, self.seat) = (None, None);
            return Ok(Released::NotHeld);
        }
        let connection = Arc::clone(member.session().handle());
        let was_held = connection.unlock(self.request.id, by).await?;
        self.member = None;
        if let Some(seat) = self.seat.take() {
            self.places.seats.give_back(seat);
        }
        Ok(match was_held {
            true => Released::Held,
            false => Released::NotHeld,
        })
    }
}

/// When to look who stands before one that has begun to wait. To tell that, the server goes through
/// the whole line: where all in a long one asked, it would do nothing else. So in a line that moves,
/// nobody is to wait for so long; one that the dead are in may stand still for that much longer.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// How long the server may take to end a connection.
const SOON: Duration = Duration::from_millis(20);

/// How often those ask who find no connection to wait on.
fn poll(ttl: Duration) -> Duration {
    (ttl / 50).clamp(Duration::from_millis(10), Duration::from_millis(250))
}

fn over() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session of this claim has ended; asking again opens another",
    )
}
