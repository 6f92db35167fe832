use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{ClaimRequest, Hold, Released, Renewal};
use distlock_core::queue::Place;
use distlock_core::session::{Alive, Beat, Member, Opened, Session, SessionStore, Sessions};
use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};

use crate::request::{Reply, Request};
use crate::wire::Wire;

/// What claims of both families do in the same way: be under a session, be renewed with it, leave.
#[derive(Debug)]
pub(crate) struct Membership<W: Wire> {
    sessions: Arc<Sessions<Client<W>>>,
    request: ClaimRequest,
    member: Option<Member<Client<W>>>,
}

/// The sessions of a client, as its server knows them.
#[derive(Debug)]
pub(crate) struct Client<W>(pub(crate) W);

impl<W: Wire> Membership<W> {
    pub(crate) fn new(sessions: &Arc<Sessions<Client<W>>>, request: ClaimRequest) -> Self {
        Self {
            sessions: Arc::clone(sessions),
            request,
            member: None,
        }
    }

    /// The TTL of the session.
    pub(crate) fn ttl(&self) -> Duration {
        self.request.ttl.get()
    }

    /// Joins the line under a session that lives, or looks where the claim stands in it.
    pub(crate) async fn enter(&mut self, wait: bool, by: Deadline) -> Result<Place> {
        self.keep(by).await?;
        let Some(member) = &self.member else {
            return Err(over());
        };
        let mut claim = self.request.clone();
        claim.id = member.entry();
        let request = Request::Enter {
            session: *member.session().handle(),
            claim,
            wait,
        };
        match self.ask(request, by).await? {
            Reply::Place(Place::Absent) => {
                self.member = None;
                Ok(Place::Absent)
            }
            Reply::Place(place) => Ok(place),
            Reply::NoSession => {
                member.session().has_ended();
                Err(over())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The hold that the server has granted under this number.
    pub(crate) fn hold(&mut self, number: u64) -> Result<Hold> {
        let member = self.member.as_mut();
        let held = member.and_then(|member| member.hold(number));
        held.ok_or_else(over)
    }

    pub(crate) async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        match &mut self.member {
            Some(member) => member.renew(by).await,
            None => Ok(Renewal::Lost),
        }
    }

    pub(crate) async fn leave(&mut self, by: Deadline) -> Result<Released> {
        let Some(member) = &self.member else {
            return Ok(Released::NotHeld);
        };
        let mut released = Released::NotHeld;
        if !member.is_over(by).await? {
            let request = Request::Leave {
                session: *member.session().handle(),
                entries: vec![member.entry()],
            };
            if let Reply::Place(Place::Held { .. }) = self.ask(request, by).await? {
                released = Released::Held;
            }
        }
        self.member = None;
        Ok(released)
    }

    /// Resolves when the server says that the place in line has come to something.
    pub(crate) async fn waited(&self) -> Result<()> {
        let Some(member) = &self.member else {
            return Ok(());
        };
        let entry = member.entry();
        self.sessions
            .store()
            .0
            .ask(Request::Wait { entry })
            .await
            .map(drop)
    }

    async fn ask(&self, request: Request, by: Deadline) -> Result<Reply> {
        self.sessions.store().ask(request, by).await
    }

    /// Sees to it that the claim is under a session, which has been confirmed lately.
    ///
    /// A claim whose session is over is put under another when it is asked for again, not now: it
    /// has been told that it is gone, and that must not be taken to mean the new one.
    async fn keep(&mut self, by: Deadline) -> Result<()> {
        let member = match self.member.take() {
            Some(member) => member,
            None => self.under(self.sessions.session(self.request.ttl.get(), by).await?),
        };
        let member = self.member.insert(member);
        if member.keep(by).await? {
            return Ok(());
        }
        if member.is_over(by).await? {
            self.member = None;
        }
        Err(over())
    }

    /// An entry of an earlier session is another one, even of the same claim.
    fn under(&self, session: Arc<Session<Client<W>>>) -> Member<Client<W>> {
        let entry = self.request.id ^ (u128::from(*session.handle()) << 64);
        Member::new(session, entry, self.request.signals.clone())
    }
}

impl<W: Wire> Client<W> {
    pub(crate) async fn ask(&self, request: Request, by: Deadline) -> Result<Reply> {
        by.bound(self.0.ask(request)).await
    }
}

#[async_trait]
impl<W: Wire> SessionStore for Client<W> {
    type Handle = u64;

    async fn open(&self, ttl: Duration, by: Deadline) -> Result<Opened<u64>> {
        let as_of = Moment::now();
        match self.ask(Request::Open { ttl }, by).await? {
            Reply::Opened { session } => Ok(Opened::new(session, ttl, as_of)),
            other => Err(unexpected(&other)),
        }
    }

    async fn beat(&self, session: &u64, by: Deadline) -> Result<Beat> {
        let as_of = Moment::now();
        match self.ask(Request::Beat { session: *session }, by).await? {
            Reply::Alive { entries } => Ok(Beat::Alive(Alive::new(as_of, Some(entries)))),
            Reply::NoSession => Ok(Beat::Ended),
            other => Err(unexpected(&other)),
        }
    }

    async fn remove(&self, session: &u64, entries: &[u128], by: Deadline) -> Result<()> {
        let request = Request::Leave {
            session: *session,
            entries: entries.to_vec(),
        };
        self.ask(request, by).await.map(drop)
    }

    async fn end(&self, session: &u64, by: Deadline) -> Result<()> {
        self.ask(Request::End { session: *session }, by)
            .await
            .map(drop)
    }
}

pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::new(
        ErrorKind::Unexpected,
        format!("the server answered what was not asked: {reply:?}"),
    )
}

fn over() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session of this claim has ended; asking again opens another",
    )
}
