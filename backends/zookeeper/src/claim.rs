use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::session::{Member, Sessions};
use distlock_core::{Deadline, Error, ErrorKind, Mode, Result};
use zookeeper_client::{Client, CreateMode, CreateSequence, Error as ZooKeeper, Stat};

use crate::details::Details;
use crate::ensemble::Ensemble;
use crate::error;
use crate::folder::Folder;
use crate::line::{Line, Standing};
use crate::node::Node;
use crate::nursery;
use crate::quiet::{Last, Numbers};
use crate::watch::{self, Watch};

/// A claim: a node in the folder of its name, under the session of its TTL.
pub(crate) struct ZooKeeperClaim {
    sessions: Arc<Sessions<Ensemble>>,
    request: ClaimRequest,
    folder: Folder,
    member: Option<Member<Ensemble>>,
    place: Place,
    /// What tells when to look again, or that the hold is gone.
    watch: Option<Arc<Watch>>,
    /// Whether the last attempt was answered that it holds.
    held: bool,
    /// Whether its node follows the last of this session on a name that nobody else asked for.
    follows: bool,
    /// Whether nobody stood before it when it came to hold.
    was_first: bool,
}

/// What is known of the claim's node.
enum Place {
    /// There is none.
    None,
    /// It has been asked for, and nothing answered yet.
    Asked(Joining),
    /// The answer was lost.
    Unknown,
    /// It is there, or has been removed by somebody else.
    There { path: String, numbers: Numbers },
    /// It was asked to be removed, and the answer was lost.
    Leaving { path: String },
}

type Joining = Pin<Box<dyn Future<Output = Joined> + Send>>;

/// The answers to the request for a node, and to the one for a list if that went out with it.
struct Joined {
    created: Result<(Stat, CreateSequence), ZooKeeper>,
    listed: Option<Result<Vec<String>, ZooKeeper>>,
    /// What was known of the name when it was asked.
    last: Option<Last>,
}

/// When a claim stands in line for its turn again that has not had it.
const AGAIN: Duration = Duration::from_millis(10);

/// How often things may change under a claim that looks, within one attempt.
const LOOKS: usize = 8;

impl ZooKeeperClaim {
    pub(crate) fn new(sessions: &Arc<Sessions<Ensemble>>, request: ClaimRequest) -> Self {
        Self {
            sessions: Arc::clone(sessions),
            folder: sessions.store().folder(&request.name),
            request,
            member: None,
            place: Place::None,
            watch: None,
            held: false,
            follows: false,
            was_first: false,
        }
    }

    fn ttl(&self) -> Duration {
        self.request.ttl.get()
    }

    fn mode(&self) -> Mode {
        self.request.mode
    }

    /// Sees to it that the claim is under a session, which has been confirmed lately.
    ///
    /// A claim whose session is over is put under another when it is asked for again, not now: it
    /// has been told that it is gone, and that must not be taken to mean the new one.
    async fn keep(&mut self, by: Deadline) -> Result<(Client, u128)> {
        let member = match self.member.take() {
            Some(member) => member,
            None => {
                let session = self.sessions.session(self.ttl(), by).await?;
                // A node of an earlier session is another one, even of the same claim.
                let id = session.handle().client()?.session_id().0.cast_unsigned();
                let entry = self.request.id ^ u128::from(id);
                Member::new(session, entry, self.request.signals.clone())
            }
        };
        let member = self.member.insert(member);
        if member.session().handle().has_ended() {
            // Which the server has said, or else a heartbeat would find out.
            member.session().has_ended();
        }
        if member.keep(by).await? {
            return Ok((member.session().handle().client()?, member.entry()));
        }
        if member.is_over(by).await? {
            self.forget();
        }
        Err(error::over())
    }

    /// The session has ended, and with it the node.
    fn forget(&mut self) {
        self.member = None;
        self.place = Place::None;
        self.watch = None;
    }

    /// Asks for a node and, in one go, for a list of all, unless that is hardly needed.
    fn ask(&self, client: &Client, member: &Member<Ensemble>) -> Joining {
        let last = member.session().handle().quiet().last(&self.folder.path);
        let is_quiet = last.is_some_and(|last| last.is_quiet());
        let prefix = Node::prefix(self.mode(), member.entry());
        let prefix = self.folder.join(&prefix);
        let data = Details::of(&self.request).to_json();
        let acls = self.sessions.store().acls();
        let (client, folder) = (client.clone(), self.folder.path.clone());
        Box::pin(async move {
            let options = CreateMode::EphemeralSequential.with_acls(acls);
            let creating = client.create(&prefix, &data, &options);
            let listing = (!is_quiet).then(|| client.list_children(&folder));
            Joined {
                created: creating.await,
                listed: match listing {
                    Some(listing) => Some(listing.await),
                    None => None,
                },
                last,
            }
        })
    }

    /// Waits for what a request for a node comes to. `None`: there is no folder to make it in.
    async fn settle(&mut self, client: &Client, by: Deadline) -> Result<Option<Line>> {
        let Place::Asked(joining) = &mut self.place else {
            return Ok(None);
        };
        let joined = by.bound(async { Ok(joining.as_mut().await) }).await?;
        match joined.created {
            Ok((stat, sequence)) => {
                let Some(member) = &self.member else {
                    return Err(error::over());
                };
                let prefix = Node::prefix(self.mode(), member.entry());
                let node = format!("{prefix}{sequence}");
                let numbers = Numbers {
                    sequence: sequence.into_i64(),
                    transaction: stat.czxid.cast_unsigned(),
                };
                let path = self.folder.join(&node);
                self.place = Place::There { path, numbers };
                let last = joined.last;
                self.follows = last.is_some_and(|last| last.is_followed_by(numbers));
                Ok(Some(match joined.listed {
                    Some(listed) => Line::of(&listed.map_err(error::of)?),
                    None if self.follows => Line::of(&[node]),
                    None => by.bound(Line::seen(client, &self.folder)).await?,
                }))
            }
            Err(ZooKeeper::NoNode) => {
                self.place = Place::None;
                Ok(None)
            }
            Err(error) => {
                let failed = error::of(error);
                self.place = match failed.kind() {
                    ErrorKind::Unavailable => Place::Unknown,
                    _ => Place::None,
                };
                Err(failed)
            }
        }
    }

    /// Finds out whether there is a node, after an answer was lost. What was asked for on another
    /// connection is done by the time this is answered, or never.
    async fn find(&mut self, client: &Client, entry: u128, by: Deadline) -> Result<()> {
        let folder = &self.folder;
        let found = by
            .bound(async {
                let Some(node) = Line::now(client, folder).await?.node(entry) else {
                    return Ok(None);
                };
                let path = folder.join(&node.to_string());
                let stat = client.check_stat(&path).await.map_err(error::of)?;
                Ok(stat.map(|stat| {
                    let numbers = Numbers {
                        sequence: node.sequence.into(),
                        transaction: stat.czxid.cast_unsigned(),
                    };
                    Place::There { path, numbers }
                }))
            })
            .await?;
        self.place = found.unwrap_or(Place::None);
        self.follows = false;
        Ok(())
    }

    /// Joins the line, or looks where the claim stands in it.
    async fn look(&mut self, by: Deadline) -> Result<Standing> {
        // What was told of, the client's own server knows; of what was not, another may know more.
        let mut is_told = self.watch.as_ref().is_some_and(|it| it.has_told());
        for _ in 0..LOOKS {
            let (client, entry) = self.keep(by).await?;
            let line = match &self.place {
                Place::Unknown => {
                    self.find(&client, entry, by).await?;
                    continue;
                }
                Place::Leaving { .. } => {
                    self.leave(&client, by).await?;
                    continue;
                }
                Place::None => {
                    let Some(member) = &self.member else {
                        return Err(error::over());
                    };
                    self.place = Place::Asked(self.ask(&client, member));
                    continue;
                }
                Place::Asked(_) => match self.settle(&client, by).await? {
                    Some(line) => line,
                    None => {
                        let store = self.sessions.store();
                        let made = store.make(&client, &self.folder);
                        by.bound(async { made.await.map_err(error::of) }).await?;
                        continue;
                    }
                },
                Place::There { .. } if is_told => {
                    by.bound(Line::seen(&client, &self.folder)).await?
                }
                Place::There { .. } => by.bound(Line::now(&client, &self.folder)).await?,
            };
            match line.standing(entry) {
                Standing::Absent => self.place = Place::None,
                Standing::Behind(nodes) => {
                    let paths = nodes.iter().map(|node| self.folder.join(&node.to_string()));
                    let paths: Vec<_> = paths.collect();
                    if self.will_be_told() && self.watch.as_ref().is_some_and(|it| it.is_of(&paths))
                    {
                        return Ok(Standing::Behind(nodes));
                    }
                    let signals = self.request.signals.clone();
                    let watching = watch::changes(&client, paths, signals);
                    // One that is gone by now may be the turn of this claim.
                    if let Some(watch) = by.bound(watching).await? {
                        self.watch = Some(watch);
                        return Ok(Standing::Behind(nodes));
                    }
                    is_told = true;
                }
                standing => {
                    self.was_first = line.is_first(entry);
                    return Ok(standing);
                }
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the line changes too fast to be looked at",
        ))
    }

    /// Whether the server will tell when there is something to look at.
    fn will_be_told(&self) -> bool {
        self.watch.as_ref().is_some_and(|it| it.is_on())
    }

    /// Whether the claim waits, and knows without a look that it still does.
    async fn rests(&mut self, by: Deadline) -> Result<bool> {
        let Some(member) = self.member.as_ref().filter(|_| self.will_be_told()) else {
            return Ok(false);
        };
        Ok(member.rests(by).await? && self.will_be_told())
    }

    /// Whether somebody is in the way of a claim that would not wait.
    async fn is_blocked(&mut self, by: Deadline) -> Result<bool> {
        if !matches!(self.place, Place::None) {
            return Ok(false);
        }
        let (client, _) = self.keep(by).await?;
        let line = by.bound(Line::now(&client, &self.folder)).await?;
        match line.end(self.mode()) {
            Standing::Conflicts(other) => Err(self.conflict(other)),
            standing => Ok(standing != Standing::Holds),
        }
    }

    fn conflict(&self, other: Mode) -> Error {
        let mode = self.mode();
        Error::new(
            ErrorKind::Conflict,
            format!("asked for as {mode}, in use as {other}; use another name"),
        )
    }

    /// The hold, of which the server has told.
    fn hold(&mut self) -> Result<Hold> {
        let (Some(member), Place::There { path, numbers }) = (&mut self.member, &self.place) else {
            return Err(error::over());
        };
        let (session, signals) = (member.session().handle(), self.request.signals.clone());
        self.watch = Some(nursery::removal(session, path, signals));
        let hold = member.hold(numbers.transaction).ok_or_else(error::over)?;
        self.held = true;
        Ok(hold)
    }

    /// Removes the node, and tells whether it was there.
    async fn leave(&mut self, client: &Client, by: Deadline) -> Result<bool> {
        let (path, mut asked_before) = match &self.place {
            Place::There { path, .. } => (path.clone(), false),
            Place::Leaving { path } => (path.clone(), true),
            _ => return Ok(false),
        };
        self.place = Place::Leaving { path: path.clone() };
        let was_there = by
            .bound(async {
                let mut answer = client.delete(&path, None).await;
                if answer.as_ref().is_err_and(error::is_broken_connection) {
                    asked_before = true;
                    answer = client.delete(&path, None).await;
                }
                match answer {
                    Ok(()) => Ok(true),
                    // What was asked before may have done it.
                    Err(ZooKeeper::NoNode) => Ok(asked_before),
                    Err(error) => Err(error::of(error)),
                }
            })
            .await?;
        self.place = Place::None;
        self.watch = None;
        Ok(was_there)
    }
}

#[async_trait]
impl Claim for ZooKeeperClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let is_try = patience.has_ended();
        if patience.is_refresh() && self.rests(patience.deadline()).await? {
            return Ok(Attempt::Blocked(Blocked::default()));
        }
        self.held = false;
        if is_try && self.is_blocked(patience.deadline()).await? {
            return Ok(Attempt::Blocked(Blocked::default()));
        }
        let sessions = Arc::clone(&self.sessions);
        let Some(_turn) = sessions.store().turn(patience.deadline()).await else {
            return match is_try {
                true => Err(error::busy()),
                // By others of this client.
                false => Ok(Attempt::Blocked(Blocked::recheck(AGAIN))),
            };
        };
        let by = patience.deadline();
        match self.look(by).await? {
            Standing::Holds => self.hold().map(Attempt::Held),
            Standing::Conflicts(other) => {
                let (client, _) = self.keep(by).await?;
                self.leave(&client, by).await?;
                Err(self.conflict(other))
            }
            _ => {
                if is_try {
                    let (client, _) = self.keep(by).await?;
                    self.leave(&client, by).await?;
                } else if let Some(member) = &self.member {
                    member.waits();
                }
                Ok(Attempt::Blocked(Blocked::default()))
            }
        }
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        match &mut self.member {
            Some(member) => member.renew(by).await,
            None => Ok(Renewal::Lost),
        }
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        let Some(member) = &self.member else {
            return Ok(Released::NotHeld);
        };
        if member.is_over(by).await? {
            self.forget();
            return Ok(Released::NotHeld);
        }
        let (client, entry) = (member.session().handle().client()?, member.entry());
        if let Place::Asked(_) = self.place {
            // It has to be done before it can be undone.
            let settled = self.settle(&client, by).await;
            if let Place::Asked(_) = self.place {
                settled?;
            }
        }
        if let Place::Unknown = self.place {
            self.find(&client, entry, by).await?;
        }
        let numbers = match self.place {
            Place::There { numbers, .. } if self.held && self.was_first => Some(numbers),
            _ => None,
        };
        let was_there = self.leave(&client, by).await?;
        if let Some((member, numbers)) = self.member.take().zip(numbers) {
            let mut quiet = member.session().handle().quiet();
            quiet.left(&self.folder.path, numbers, self.follows);
        }
        Ok(match was_there && self.held {
            true => Released::Held,
            false => Released::NotHeld,
        })
    }
}

impl fmt::Debug for ZooKeeperClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperClaim")
            .field("request", &self.request)
            .field("member", &self.member)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}
