//! ZooKeeper: this library beside the two bare requests of the same client, and beside that
//! client's own lock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use distlock::Locks;
use distlock_load::{
    Clients, Kind, Locker, Lockers, Mode, Names, Seat, Workload, async_trait, round,
};
use distlock_testbed::{Server, ZooKeeper};
use tokio::time::sleep;
use zookeeper_client::{Acls, Client, CreateMode, LockPrefix, OwnedLockClient};

use super::{AnyServer, Arena};
use crate::contestant::{Contestant, here};
use crate::distlock::Place;
use crate::extras::Extras;
use crate::options::Effort;
use crate::plan::{CONTENDED, ONE_TASK, TASKS_64};
use crate::ratio::{BARE, DISTLOCK, Ratio};

const IN_LINE: &str = "bare commands, in line";
const LOCK: &str = "zookeeper-client 0.11";

pub(crate) struct OfZooKeeper(Server<ZooKeeper>);

/// One that has worked for a while: of the server's Java, what runs often is compiled late.
pub(crate) async fn started(warm: Duration) -> Result<OfZooKeeper> {
    let arena = OfZooKeeper(server().await?);
    let bare = arena.bare_requests();
    let began = Instant::now();
    while began.elapsed() < warm {
        round(&bare, Workload::apart(64), Duration::from_millis(200)).await?;
    }
    Ok(arena)
}

/// One that lets in so many clients of one address.
async fn server() -> Result<Server<ZooKeeper>> {
    Server::started(ZooKeeper::new().setting("maxClientCnxns=0")).await
}

fn place(server: &Server<ZooKeeper>) -> Place {
    let (url, tick) = (server.url(), ZooKeeper::TICK);
    Place::Url(format!("{url}?tick_time={tick}ms&max_session_timeout=1m"))
}

#[async_trait]
impl Arena for OfZooKeeper {
    fn place(&self) -> Place {
        place(&self.0)
    }

    fn server(&self) -> Option<&dyn AnyServer> {
        Some(&self.0)
    }

    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        let in_line = InLine(self.at(), Clients::default());
        Ok(vec![
            here(BARE, self.bare_requests()),
            here(IN_LINE, in_line),
        ])
    }

    async fn others(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(vec![here(LOCK, ByClient(self.at(), Clients::default()))])
    }

    fn ratios(&self) -> Vec<Ratio> {
        vec![
            Ratio::times(
                "time of a pair / of a bare pair",
                (ONE_TASK, DISTLOCK),
                (ONE_TASK, BARE),
            ),
            Ratio::times(
                "time of a pair / of a bare pair in line",
                (ONE_TASK, DISTLOCK),
                (ONE_TASK, IN_LINE),
            ),
            Ratio::rates(
                "rate of 64 tasks / of bare pairs",
                (TASKS_64, DISTLOCK),
                (TASKS_64, BARE),
            ),
            Ratio::rates(
                "rate of 64 tasks / of bare pairs in line",
                (TASKS_64, DISTLOCK),
                (TASKS_64, IN_LINE),
            ),
            Ratio::rates(
                "rate of changes of owner / of those by the client",
                (CONTENDED, DISTLOCK),
                (CONTENDED, LOCK),
            ),
            Ratio::SHARE,
        ]
    }

    async fn work(&self) -> Result<Option<(&'static str, u64)>> {
        Ok(Some(("requests", self.0.received().await?)))
    }

    async fn scarce(&self) -> Result<Vec<(&'static str, u64)>> {
        // Who asks has none.
        let connections = self.sessions().await?.len();
        let sessions = self.0.ask("dump").await?;
        let sessions = sessions.split_once("Sessions with Ephemerals (");
        let (_, sessions) = sessions.context("no count")?;
        let (sessions, _) = sessions.split_once(')').context("no count")?;
        Ok(vec![
            ("connections", connections as u64),
            ("sessions with nodes", sessions.parse()?),
        ])
    }

    async fn revoke(&self) -> Result<Option<&'static str>> {
        for session in self.sessions().await? {
            self.0.end_session(session).await?;
        }
        Ok(Some("all sessions are ended"))
    }

    async fn more(&self, effort: Effort, extras: &mut Extras) -> Result<()> {
        const OF_WAITER: &str = "requests of a waiter in a third of its TTL";
        match effort.quick {
            true => extras.leave_out(OF_WAITER, "takes longer than a quick run has"),
            false => extras.add(OF_WAITER, requests_of_a_waiter().await?),
        }
        Ok(())
    }
}

impl OfZooKeeper {
    fn at(&self) -> String {
        self.0.address().to_string()
    }

    fn bare_requests(&self) -> Bare {
        Bare(self.at(), Clients::default())
    }

    /// Of all clients that are connected.
    async fn sessions(&self) -> Result<Vec<i64>> {
        let connections = self.0.ask("cons").await?;
        let sessions = connections.split("sid=0x").skip(1);
        let numbers = sessions.map(|rest| {
            let digits = rest.split(',').next().unwrap_or_default();
            Ok(u64::from_str_radix(digits, 16)?.cast_signed())
        });
        numbers.collect()
    }
}

async fn connect(at: &str) -> Result<Client> {
    Ok(Client::connect(at).await?)
}

/// No node has a slash in its name.
fn node(name: &str) -> String {
    name.replace('/', "-")
}

/// A creation and a deletion.
struct Bare(String, Clients<Client>);

#[async_trait]
impl Lockers for Bare {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let client = self.1.get(seat.client, || connect(&self.0)).await?;
        let path = format!("/bare-{}", node(&seat.name));
        Ok(Box::new(Node { client, path }))
    }
}

struct Node {
    client: Client,
    path: String,
}

#[async_trait]
impl Locker for Node {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        self.client.create(&self.path, b"me", &ephemeral).await?;
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        Ok(self.client.delete(&self.path, None).await?)
    }
}

/// What a lock takes that serves in order: a numbered creation, with which a list goes out, and a
/// deletion.
struct InLine(String, Clients<Client>);

#[async_trait]
impl Lockers for InLine {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart && workload.tasks <= 256
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let client = self.1.get(seat.client, || connect(&self.0)).await?;
        let folder = format!("/in-line-{}", node(&seat.name));
        client.mkdir(&folder, &container()).await?;
        let node = String::new();
        Ok(Box::new(Numbered {
            client,
            folder,
            node,
        }))
    }
}

fn container() -> zookeeper_client::CreateOptions<'static> {
    CreateMode::Container.with_acls(Acls::anyone_all())
}

struct Numbered {
    client: Client,
    folder: String,
    /// Of its place in line.
    node: String,
}

#[async_trait]
impl Locker for Numbered {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let ephemeral = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        let prefix = format!(
            "{}/exclusive-0123456789abcdef0123456789abcdef-",
            self.folder
        );
        let creating = self.client.create(&prefix, b"me", &ephemeral);
        let listing = self.client.list_children(&self.folder);
        let (_, sequence) = creating.await?;
        listing.await?;
        self.node = format!("{prefix}{sequence}");
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        Ok(self.client.delete(&self.node, None).await?)
    }
}

/// By the lock that the client has itself, which releases in the background.
struct ByClient(String, Clients<Client>);

#[async_trait]
impl Lockers for ByClient {
    fn can(&self, workload: &Workload) -> bool {
        workload.kind == Kind::Mutex
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let client = self.1.get(seat.client, || connect(&self.0)).await?;
        let folder = format!("/by-client-{}", node(&seat.name));
        client.mkdir(&folder, &container()).await?;
        let held = None;
        Ok(Box::new(Recipe {
            client,
            folder,
            held,
        }))
    }
}

struct Recipe {
    client: Client,
    folder: String,
    held: Option<OwnedLockClient>,
}

#[async_trait]
impl Locker for Recipe {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let prefix = LockPrefix::new_curator(&self.folder, "lock-")?;
        let held = self.client.lock(prefix, b"me", Acls::anyone_all()).await?;
        self.held = Some(held.into_owned());
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        self.held = None;
        Ok(())
    }
}

/// What a client sends more for each name that it only waits for.
async fn requests_of_a_waiter() -> Result<f64> {
    const TTL: Duration = Duration::from_millis(3200);
    const WAITERS: u32 = 32;
    const THIRDS: u32 = 12;
    let server = server().await?;
    let place = place(&server);
    let locks = Locks::builder().ttl(TTL);
    let holder = locks.clone().build(place.open().await?)?;
    let waiter = locks.build(place.open().await?)?;
    let names: Vec<_> = (0..=WAITERS).map(|number| number.to_string()).collect();
    let mut held = Vec::new();
    let mut waiting = Vec::new();
    let mut requests = Vec::new();
    for name in &names {
        held.push(holder.lock(name).acquire().await?);
    }
    for names in [&names[..1], &names[1..]] {
        let acquire = |name| tokio::spawn(waiter.lock(name).acquire());
        waiting.extend(names.iter().map(acquire));
        // Until they are idle.
        sleep(TTL).await;
        let before = server.received().await?;
        sleep(TTL / 3 * THIRDS).await;
        requests.push(server.received().await? - before);
    }
    drop(held);
    for waiting in waiting {
        waiting.await??.release().await?;
    }
    Ok((requests[1] as f64 - requests[0] as f64) / f64::from(WAITERS * THIRDS))
}
