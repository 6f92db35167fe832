use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::session::{Alive, Beat, Opened, SessionStore};
use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zookeeper_client::{Acl, Acls, Client, CreateMode, Error as ZooKeeper, Permission};

use crate::error;
use crate::folder::Folder;
use crate::node::Node;
use crate::options::ZooKeeperOptions;
use crate::session::{self, Session};

/// The servers, to whoever opens sessions with them.
#[derive(Debug)]
pub(crate) struct Ensemble {
    options: ZooKeeperOptions,
    /// Sessions, by time-out, that nobody has waited for to the end.
    opening: Mutex<HashMap<Duration, Opening>>,
    /// A client under whose session no claim stands.
    observer: tokio::sync::Mutex<Option<Client>>,
    /// Had by claims that ask for something.
    turns: Arc<Semaphore>,
}

type Opening = JoinHandle<Result<Opened<Arc<Session>>>>;

/// How many claims ask at a time. All requests of a session stand in one line, also its heartbeats:
/// those of ten thousand claims would not be answered in time.
const TURNS: usize = 256;

/// Below this node, sessions have one each. No namespace is called so.
const SESSIONS: &str = "~sessions";

/// Anybody may have a session and see those of others, and nobody may end one.
static SESSIONS_ACL: [Acl; 2] = [
    Acl::new_const(Permission::READ, "world", "anyone"),
    Acl::new_const(Permission::CREATE, "world", "anyone"),
];

impl Ensemble {
    pub(crate) fn new(options: ZooKeeperOptions) -> Self {
        Self {
            options,
            opening: Mutex::default(),
            observer: tokio::sync::Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// A claim's turn to ask, until it is dropped. `None`: it has not come by then.
    pub(crate) async fn turn(&self, by: Deadline) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        timeout(by.remaining(), turn).await.ok()?.ok()
    }

    /// The folder of this name.
    pub(crate) fn folder(&self, name: &distlock_core::Name) -> Folder {
        Folder::of(&self.options.root, name)
    }

    /// Who may do what with the nodes of locks.
    pub(crate) fn acls(&self) -> Acls<'static> {
        self.options.acls()
    }

    /// Makes the folder of a name. Where the servers can, it goes once it has been empty for long.
    pub(crate) async fn make(&self, client: &Client, folder: &Folder) -> Result<(), ZooKeeper> {
        let persistent = CreateMode::Persistent.with_acls(self.acls());
        let container = CreateMode::Container.with_acls(self.acls());
        let mut created = client.create(&folder.path, b"", &container).await;
        if let Err(ZooKeeper::NoNode) = created {
            client.mkdir(&folder.namespace, &persistent).await?;
            created = client.create(&folder.path, b"", &container).await;
        }
        match created {
            Err(ZooKeeper::Unimplemented) => client.mkdir(&folder.path, &persistent).await,
            Ok(_) | Err(ZooKeeper::NodeExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A client to look with.
    pub(crate) async fn observer(&self, by: Deadline) -> Result<Client> {
        by.bound(async {
            let mut observer = self.observer.lock().await;
            if let Some(client) = observer.as_ref().filter(|it| session::is_usable(it)) {
                return Ok(client.clone());
            }
            let patience = self.options.longest_session() / 2;
            let client = connect(&self.options, patience).await?;
            Ok(observer.insert(client).clone())
        })
        .await
    }

    pub(crate) async fn close_observer(&self) {
        *self.observer.lock().await = None;
    }

    async fn write(&self, session: &Session, client: &Client) -> Result<Alive, ZooKeeper> {
        let sent = Moment::now();
        let write = client.set_data(&session.node, b"", None);
        let list = client.list_ephemerals("/");
        match write.await {
            Err(ZooKeeper::NoNode) => {
                put(client, &self.options.root, &session.node, self.acls()).await?;
            }
            written => drop(written?),
        }
        let as_of = session.written(sent);
        let listed = list.await.ok();
        let entries = listed.map(|paths| claims(&paths).map(|(entry, _)| entry).collect());
        Ok(Alive::new(as_of, entries))
    }

    fn opening(&self) -> MutexGuard<'_, HashMap<Duration, Opening>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(options: &ZooKeeperOptions, session_timeout: Duration) -> Result<Client> {
    let connector = options.connector.clone();
    connector
        .with_session_timeout(session_timeout)
        .with_fail_eagerly()
        .connect(&options.servers)
        .await
        .map_err(error::of)
}

async fn open(options: ZooKeeperOptions, ttl: Duration) -> Result<Opened<Arc<Session>>> {
    let lag = options.ticks.lag();
    let asked = Moment::now();
    let client = connect(&options, ttl + lag).await?;
    let granted = client.session_timeout();
    session::check(granted, ttl + lag, options.ticks.0 + lag)?;
    let (root, id) = (&options.root, client.session_id().0);
    let node = format!("{root}/{SESSIONS}/{id:016x}");
    put(&client, root, &node, options.acls())
        .await
        .map_err(error::of)?;
    let ttl = granted - lag;
    let session = Session::opened(client, node, asked, ttl, options.ticks);
    Ok(Opened::new(session, ttl, asked))
}

/// Makes the session's own node.
async fn put(client: &Client, root: &str, node: &str, acls: Acls<'_>) -> Result<(), ZooKeeper> {
    let own = CreateMode::Ephemeral.with_acls(acls);
    let created = match client.create(node, b"", &own).await {
        Err(ZooKeeper::NoNode) => {
            if !root.is_empty() {
                let persistent = CreateMode::Persistent.with_acls(acls);
                client.mkdir(root, &persistent).await?;
            }
            let sessions = CreateMode::Persistent.with_acls(Acls::new(&SESSIONS_ACL));
            client
                .mkdir(&format!("{root}/{SESSIONS}"), &sessions)
                .await?;
            client.create(node, b"", &own).await
        }
        created => created,
    };
    match created {
        Ok(_) | Err(ZooKeeper::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The nodes of claims among these paths.
fn claims(paths: &[String]) -> impl Iterator<Item = (u128, &String)> {
    paths.iter().filter_map(|path| {
        let (_, name) = path.rsplit_once('/')?;
        Some((Node::parse(name)?.entry, path))
    })
}

#[async_trait]
impl SessionStore for Ensemble {
    type Handle = Arc<Session>;

    /// To open one may take longer than a request may. It goes on then, for whoever asks next.
    async fn open(&self, ttl: Duration, by: Deadline) -> Result<Opened<Arc<Session>>> {
        let begun = self.opening().remove(&ttl);
        let begin = || tokio::spawn(open(self.options.clone(), ttl));
        let mut opening = begun.unwrap_or_else(begin);
        match timeout(by.remaining(), &mut opening).await {
            Ok(Ok(Ok(opened))) if opened.as_of.elapsed() >= opened.ttl / 2 => {
                drop(opened);
                Err(error::over())
            }
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(error::over()),
            Err(_) => {
                self.opening().insert(ttl, opening);
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "the session with the ensemble is still being opened",
                ))
            }
        }
    }

    /// A write, which only servers that have a quorum answer.
    async fn beat(&self, session: &Arc<Session>, by: Deadline) -> Result<Beat> {
        if session.has_ended() {
            return Ok(Beat::Ended);
        }
        let client = session.client()?;
        by.bound(async {
            let mut beat = self.write(session, &client).await;
            if beat.as_ref().is_err_and(error::is_broken_connection) {
                beat = self.write(session, &client).await;
            }
            // What was written after a long silence may not yet count: another write shows it.
            let pause = self.options.ticks.to_leader();
            let is_stale = |alive: &Alive| alive.as_of.elapsed() > session.ttl / 8;
            if beat.as_ref().is_ok_and(is_stale) && by.remaining() > 2 * pause {
                sleep(pause).await;
                beat = self.write(session, &client).await.or(beat);
            }
            match beat {
                Err(error) if session::is_end(&error) => Ok(Beat::Ended),
                beat => beat.map(Beat::Alive).map_err(error::of),
            }
        })
        .await
    }

    async fn remove(&self, session: &Arc<Session>, entries: &[u128], by: Deadline) -> Result<()> {
        let client = session.client()?;
        let remove = async {
            let paths = client.list_ephemerals("/").await?;
            let strangers = claims(&paths).filter(|(entry, _)| entries.contains(entry));
            for (_, path) in strangers {
                match client.delete(path, None).await {
                    Ok(()) | Err(ZooKeeper::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        by.bound(async { remove.await.map_err(error::of) }).await
    }

    async fn end(&self, session: &Arc<Session>, by: Deadline) -> Result<()> {
        session.end(by).await
    }
}
