//! etcd: this library beside the two bare transactions of the same client, and beside the lock of
//! the server itself.

use anyhow::{Context, Result, ensure};
use distlock_load::{Clients, Kind, Locker, Lockers, Mode, Names, Seat, Workload, async_trait};
use distlock_testbed::{Etcd, Server};
use etcd_client::{Client, Compare, CompareOp, LockOptions, PutOptions, Txn, TxnOp};

use super::{AnyServer, Arena};
use crate::contestant::{Contestant, here};
use crate::distlock::Place;
use crate::plan::{CONTENDED, ONE_TASK, TASKS_64};
use crate::ratio::{BARE, DISTLOCK, Ratio};

const LOCK: &str = "etcd-client 0.21, Lock RPC";
/// Of all leases, which are not renewed, in seconds.
const TTL: i64 = 3600;

pub(crate) struct OfEtcd(Server<Etcd>);

pub(crate) async fn started() -> Result<OfEtcd> {
    Ok(OfEtcd(Server::started(Etcd::new()).await?))
}

#[async_trait]
impl Arena for OfEtcd {
    fn place(&self) -> Place {
        Place::Url(self.0.url())
    }

    fn server(&self) -> Option<&dyn AnyServer> {
        Some(&self.0)
    }

    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(vec![here(BARE, Bare(self.session().await?))])
    }

    async fn others(&self) -> Result<Vec<Box<dyn Contestant>>> {
        let at = self.0.address().to_string();
        Ok(vec![here(LOCK, ByServer(at, Clients::default()))])
    }

    fn ratios(&self) -> Vec<Ratio> {
        vec![
            Ratio::times(
                "time of a pair / of a bare pair",
                (ONE_TASK, DISTLOCK),
                (ONE_TASK, BARE),
            ),
            Ratio::rates(
                "rate of 64 tasks / of bare pairs",
                (TASKS_64, DISTLOCK),
                (TASKS_64, BARE),
            ),
            Ratio::rates(
                "rate of changes of owner / of those by the server",
                (CONTENDED, DISTLOCK),
                (CONTENDED, LOCK),
            ),
            Ratio::SHARE,
        ]
    }

    async fn work(&self) -> Result<Option<(&'static str, u64)>> {
        let status = self.0.client().await?.status().await?;
        Ok(Some(("writes to the log", status.raft_index())))
    }

    async fn scarce(&self) -> Result<Vec<(&'static str, u64)>> {
        let leases = self.0.client().await?.leases().await?;
        Ok(vec![("leases", leases.leases().len() as u64)])
    }

    async fn revoke(&self) -> Result<Option<&'static str>> {
        let mut client = self.0.client().await?;
        for lease in client.leases().await?.leases() {
            client.lease_revoke(lease.id()).await?;
        }
        Ok(Some("all leases are revoked"))
    }
}

impl OfEtcd {
    async fn session(&self) -> Result<Session> {
        session(self.0.client().await?).await
    }
}

/// A client and its lease.
#[derive(Clone)]
struct Session(Client, i64);

async fn session(mut client: Client) -> Result<Session> {
    let lease = client.lease_grant(TTL, None).await?.id();
    Ok(Session(client, lease))
}

/// A put if there is none, and a delete.
struct Bare(Session);

#[async_trait]
impl Lockers for Bare {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let session = self.0.clone();
        let name = format!("bare/{}", seat.name);
        Ok(Box::new(Key { session, name }))
    }
}

struct Key {
    session: Session,
    name: String,
}

#[async_trait]
impl Locker for Key {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let Session(client, lease) = &mut self.session;
        let under = PutOptions::new().with_lease(*lease);
        let take = Txn::new()
            .when([Compare::create_revision(&*self.name, CompareOp::Equal, 0)])
            .and_then([TxnOp::put(&*self.name, "me", Some(under))]);
        ensure!(client.txn(take).await?.succeeded(), "it is free");
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        self.session.0.delete(&*self.name, None).await?;
        Ok(())
    }
}

/// By the lock that the server has itself, each client under a lease of its own.
struct ByServer(String, Clients<Session>);

#[async_trait]
impl Lockers for ByServer {
    fn can(&self, workload: &Workload) -> bool {
        workload.kind == Kind::Mutex
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let make = async || session(Client::connect([&self.0], None).await?).await;
        Ok(Box::new(Queued {
            session: self.1.get(seat.client, make).await?,
            name: format!("by-server/{}", seat.name),
            key: None,
        }))
    }
}

struct Queued {
    session: Session,
    name: String,
    /// Of its place in line.
    key: Option<Vec<u8>>,
}

#[async_trait]
impl Locker for Queued {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let Session(client, lease) = &mut self.session;
        let options = LockOptions::new().with_lease(*lease);
        let held = client.lock(&*self.name, Some(options)).await?;
        self.key = Some(held.key().to_vec());
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        let key = self.key.take().context("nothing is held")?;
        self.session.0.unlock(key).await?;
        Ok(())
    }
}
