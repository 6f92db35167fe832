use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::session::{Member, Session, Sessions};
use distlock_core::{Deadline, Error, Mode, Result};
use tokio::time::timeout;

use crate::error::{self, unavailable};
use crate::keys::Keys;
use crate::lease::Leases;
use crate::line::{Details, Position};
use crate::places::Place;
use crate::requests::{self, Outcome};
use crate::seat::Seat;
use crate::watches::Listening;
use crate::write::{Put, Write, Written};

/// A claim on a name in etcd: a key under a lease of its client.
#[derive(Debug)]
pub(crate) struct EtcdClaim {
    sessions: Arc<Sessions<Leases>>,
    request: ClaimRequest,
    keys: Keys,
    value: String,
    standing: Option<Standing>,
}

/// Where a claim stands, or may stand.
struct Standing {
    seat: Arc<Seat>,
    listening: Option<Listening>,
    /// Requests that would put its key, and of which it is not known what came of them.
    unanswered: Vec<Putting>,
    /// Whether each request that would put or remove its key was answered.
    is_answered: bool,
    /// Drops before another may have the same place.
    member: Member<Leases>,
    place: Place,
}

impl Standing {
    /// Whether it waits, and the server will tell when that changes.
    fn is_told(&self) -> bool {
        let listening = self.listening.as_ref();
        listening.is_some_and(Listening::is_open_now) && self.seat.waits()
    }
}

type Putting = Pin<Box<dyn Future<Output = Result<Written>> + Send>>;

impl EtcdClaim {
    pub(crate) fn new(sessions: &Arc<Sessions<Leases>>, request: ClaimRequest) -> Self {
        Self {
            sessions: Arc::clone(sessions),
            keys: Keys::of(&request.name, request.mode),
            value: Details::of(&request).to_json(),
            request,
            standing: None,
        }
    }

    fn mode(&self) -> Mode {
        self.request.mode
    }

    /// Where it stands, under a lease that lives and has been confirmed lately.
    ///
    /// A claim whose lease is over is put under another when it is asked for again, not now: it has
    /// been told that it is gone, and that must not be taken to mean the new one.
    async fn keep(&mut self, by: Deadline) -> Result<&mut Standing> {
        let standing = match self.standing.take() {
            Some(standing) => standing,
            None => {
                let session = self.sessions.session(self.request.ttl.get(), by).await?;
                self.under(session)
            }
        };
        let standing = self.standing.insert(standing);
        if standing.member.keep(by).await? {
            return self.standing.as_mut().ok_or_else(over);
        }
        if standing.member.is_over(by).await? {
            self.standing = None;
        }
        Err(over())
    }

    /// An entry of an earlier lease is another one, even of the same claim.
    fn under(&mut self, session: Arc<Session<Leases>>) -> Standing {
        let lease = session.handle();
        let new = self.request.id ^ (u128::from(lease.id.unsigned_abs()) << 64);
        let (place, key) = lease.places.take(&self.keys, new);
        let signals = self.request.signals.clone();
        Standing {
            seat: Arc::new(Seat::new(key, self.mode(), signals.clone())),
            listening: None,
            unanswered: Vec::new(),
            is_answered: true,
            member: Member::new(session, place.entry(), signals),
            place,
        }
    }

    /// Whether the claim waits, and knows without a look that it still does.
    async fn rests(&mut self, by: Deadline) -> Result<bool> {
        let Some(standing) = self.standing.as_mut().filter(|it| it.is_told()) else {
            return Ok(false);
        };
        self.sessions.store().watches.serve();
        Ok(standing.member.rests(by).await? && standing.is_told())
    }

    /// Joins the line, or looks where it stands in it. The server tells from then on what changes.
    async fn enter(&mut self, patience: &Patience) -> Result<()> {
        let watches = self.sessions.store().watches.clone();
        let folder = self.keys.name.clone();
        let standing = self.keep(patience.deadline()).await?;
        match standing.listening {
            Some(_) => watches.serve(),
            None => standing.listening = watches.listen_if_open(&folder, &standing.seat),
        }
        loop {
            let listening = self.standing.as_ref().and_then(|it| it.listening.as_ref());
            let is_told = listening.is_some_and(Listening::is_open_now);
            self.look(patience.deadline()).await?;
            let standing = self.standing.as_mut().ok_or_else(over)?;
            if !standing.seat.waits() {
                return Ok(());
            }
            if is_told {
                standing.member.waits();
                return Ok(());
            }
            // To be told of what happens from now on, it has to look again once it listens.
            let listening = standing
                .listening
                .get_or_insert_with(|| watches.listen(&folder, &standing.seat, None));
            listening.is_open(patience.deadline()).await?;
        }
    }

    async fn look(&mut self, by: Deadline) -> Result<()> {
        let seat = self.seat()?;
        let stands = seat.waits();
        seat.looks();
        if stands {
            // Which takes no write.
            if let Some(position) = self.shown(&seat, by).await? {
                seat.has_found(position);
                return Ok(());
            }
        }
        let join = Write::Join(self.entry(&seat)?);
        let line = self.put(join, by).await?.line;
        if let Some(position) = line.position(seat.key().as_bytes()) {
            seat.has_found(position);
            return Ok(());
        }
        line.expect_mixes_with(self.mode())?;
        Err(unavailable("the place in line was removed"))
    }

    /// Where it stands, if it does.
    async fn shown(&mut self, seat: &Seat, by: Deadline) -> Result<Option<Position>> {
        let link = &self.sessions.store().link;
        let line = requests::look(link, &self.keys.kind, by).await?;
        Ok(line.position(seat.key().as_bytes()))
    }

    /// Takes the lock if that can be had at once, and leaves nothing behind if not.
    async fn try_once(&mut self, by: Deadline) -> Result<()> {
        self.keep(by).await?;
        let mut latest = 0;
        loop {
            let seat = self.seat()?;
            seat.looks();
            let put = Write::Try(self.entry(&seat)?, latest);
            let Outcome {
                is_done,
                revision,
                line,
            } = self.put(put, by).await?;
            if is_done {
                seat.has_found(Position::at_once(revision));
                return Ok(());
            }
            if let Some(position) = line.position(seat.key().as_bytes()) {
                if position.ahead.allows(self.mode()) {
                    seat.has_found(position);
                } else {
                    self.leave(by).await?;
                }
                return Ok(());
            }
            line.expect_mixes_with(self.mode())?;
            if !line.admits(self.mode()) {
                return self.leave_nothing(by).await;
            }
            latest = revision;
        }
    }

    /// What was not answered may yet put the key.
    async fn leave_nothing(&mut self, by: Deadline) -> Result<()> {
        let unanswered = self.standing.as_ref().map(|standing| &standing.unanswered);
        if unanswered.is_some_and(|unanswered| !unanswered.is_empty()) {
            self.leave(by).await?;
        }
        Ok(())
    }

    /// Has the key put, if the conditions are met. What is not answered in time is kept: it may yet
    /// be done.
    async fn put(&mut self, put: Write, by: Deadline) -> Result<Outcome> {
        let link = Arc::clone(&self.sessions.store().link);
        let _turn = link.turn(by).await?;
        let connection = by.bound(link.connection()).await?;
        let mut putting: Putting = Box::pin(connection.writes.clone().write(put, by));
        let answer = link.answer(&connection, &mut putting, by).await;
        let standing = self.standing.as_mut().ok_or_else(over)?;
        // A server may say that something timed out, and do it later.
        standing.is_answered &= matches!(answer, Ok(Ok(_)));
        match answer {
            Ok(Err(error)) if error::is_of_no_lease(&error) => {
                standing.member.session().has_ended();
                Err(over())
            }
            Ok(answer) => Outcome::of(&answer?),
            Err(error) => {
                standing.unanswered.push(putting);
                Err(error)
            }
        }
    }

    /// The hold, if it has come to that by now.
    fn granted(&mut self) -> Result<Option<Hold>> {
        let watches = &self.sessions.store().watches;
        let Some(standing) = &mut self.standing else {
            return Ok(None);
        };
        let Some(number) = standing.seat.take_grant() else {
            return Ok(None);
        };
        let hold = standing.member.hold(number.unsigned_abs());
        let hold = hold.ok_or_else(over)?;
        if standing.listening.is_none() {
            let (folder, seat) = (&self.keys.name, &standing.seat);
            standing.listening = Some(watches.listen(folder, seat, Some(number)));
        }
        Ok(Some(hold))
    }

    /// Removes the entry, and tells whether it held the name.
    async fn leave(&mut self, by: Deadline) -> Result<Released> {
        let Some(standing) = &mut self.standing else {
            return Ok(Released::NotHeld);
        };
        standing.listening = None;
        if standing.member.is_over(by).await? {
            self.standing = None;
            return Ok(Released::NotHeld);
        }
        settle(&mut standing.unanswered, by).await;
        let seat = Arc::clone(&standing.seat);
        let waited = match seat.held() {
            Some(_) => None,
            None => self.shown(&seat, by).await?,
        };
        let link = &self.sessions.store().link;
        let removed = requests::delete(link, &self.keys.name, seat.key(), by).await;
        if let Some(standing) = &mut self.standing {
            standing.is_answered &= removed.is_ok();
            if standing.is_answered {
                standing.place.is_free();
            }
        }
        let removed = removed?;
        let was_held = match seat.held() {
            Some(number) => removed == Some(number),
            // Who once is let in stays so.
            None => waited.is_some_and(|position| position.ahead.allows(self.mode())),
        };
        self.standing = None;
        Ok(match was_held {
            true => Released::Held,
            false => Released::NotHeld,
        })
    }

    fn seat(&self) -> Result<Arc<Seat>> {
        let standing = self.standing.as_ref().ok_or_else(over)?;
        Ok(Arc::clone(&standing.seat))
    }

    /// What is to be put for it.
    fn entry(&self, seat: &Seat) -> Result<Put> {
        let standing = self.standing.as_ref().ok_or_else(over)?;
        Ok(Put {
            keys: self.keys.clone(),
            key: seat.key().to_owned(),
            value: self.value.clone(),
            lease: standing.member.session().handle().id,
        })
    }
}

#[async_trait]
impl Claim for EtcdClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        if let Some(hold) = self.granted()? {
            return Ok(Attempt::Held(hold));
        }
        if patience.has_ended() {
            self.try_once(patience.deadline()).await?;
        } else if !(patience.is_refresh() && self.rests(patience.deadline()).await?) {
            self.enter(patience).await?;
        }
        Ok(match self.granted()? {
            Some(hold) => Attempt::Held(hold),
            None => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        match &mut self.standing {
            Some(standing) => standing.member.renew(by).await,
            None => Ok(Renewal::Lost),
        }
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.leave(by).await
    }
}

/// Waits for what comes of these requests: what comes late would put a key that nobody expects. Not
/// for as long as there is, since it may never come.
async fn settle(unanswered: &mut Vec<Putting>, by: Deadline) {
    let answers = async {
        for putting in unanswered.iter_mut() {
            // What it comes to, the next request finds out.
            let _ = putting.await;
        }
    };
    // What is left then is removed by a heartbeat.
    let _ = timeout(by.remaining() / 2, answers).await;
    unanswered.clear();
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("seat", &self.seat)
            .field("listening", &self.listening)
            .field("unanswered", &self.unanswered.len())
            .field("member", &self.member)
            .finish()
    }
}

fn over() -> Error {
    unavailable("the lease of this claim has ended; asking again opens another")
}
