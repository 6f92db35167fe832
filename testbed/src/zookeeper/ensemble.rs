use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Role, ZooKeeper};
use crate::port::Port;
use crate::proxy::{Proxy, Way};
use crate::room::Room;
use crate::server::Server;
use crate::wait::until;

/// Three servers that elect a leader. Each reaches the others by proxies, so that it can be cut off
/// from them while its clients still reach it.
#[derive(Debug)]
pub struct ZooKeeperEnsemble {
    /// Its members.
    pub members: Vec<Server<ZooKeeper>>,
    links: Vec<Link>,
    /// Where members reach each other; only held.
    _ports: Vec<Peer>,
    /// Only held.
    _room: Room,
}

const SIZE: usize = 3;

/// Where a member is reached by others: as their leader, and to elect one.
#[derive(Debug)]
struct Peer {
    lead: Port,
    elect: Port,
}

/// How one member reaches another.
#[derive(Debug)]
struct Link {
    ends: [usize; 2],
    lead: Proxy,
    elect: Proxy,
}

impl ZooKeeperEnsemble {
    /// One with these settings, once it has a leader that all others follow.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(recipe: impl Fn() -> ZooKeeper) -> Result<Self> {
        let room = Room::free().await?;
        let peers: Vec<_> = (0..SIZE).map(|_| Peer::new()).collect::<Result<_>>()?;
        let mut links = Vec::new();
        let mut recipes = Vec::new();
        for from in 0..SIZE {
            // A leader to be whom nobody follows in time, since a proxy has taken the connections
            // before it listened, soon lets them elect another.
            let mut member = recipe();
            member
                .settings
                .insert_str(0, "initLimit=10\nsyncLimit=10\n");
            for (to, peer) in peers.iter().enumerate() {
                let mut at = [peer.lead.address(), peer.elect.address()];
                if from != to {
                    let link = Link::started([from, to], at).await?;
                    at = [link.lead.address(), link.elect.address()];
                    links.push(link);
                }
                let [lead, elect] = at;
                let line = format!("server.{}={lead}:{}", to + 1, elect.port());
                member = member.setting(&line);
            }
            member.number = Some(from + 1);
            recipes.push(member);
        }
        let mut members = Vec::with_capacity(SIZE);
        for member in recipes {
            members.push(Server::started(member).await?);
        }
        let ensemble = Self {
            members,
            links,
            _ports: peers,
            _room: room,
        };
        ensemble.whole().await?;
        Ok(ensemble)
    }

    /// How clients reach all members.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts = self.members.iter().map(|it| it.address().to_string());
        format!("zookeeper://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Waits until there is a leader that all others follow.
    ///
    /// # Errors
    /// There is none.
    pub async fn whole(&self) -> Result<()> {
        until("the ensemble to be whole", || async {
            for member in &self.members {
                let role = member.role().await?;
                ensure!(matches!(role, Role::Leader | Role::Follower), "{role:?}");
            }
            Ok(())
        })
        .await?;
        self.leader().await.map(drop)
    }

    /// Which member leads, once one does and has followers.
    ///
    /// # Errors
    /// None does.
    pub async fn leader(&self) -> Result<usize> {
        until("a leader", || self.member_in(Role::Leader)).await
    }

    /// Which member follows, once one does.
    ///
    /// # Errors
    /// None does.
    pub async fn follower(&self) -> Result<usize> {
        until("a follower", || self.member_in(Role::Follower)).await
    }

    async fn member_in(&self, role: Role) -> Result<usize> {
        for (number, member) in self.members.iter().enumerate() {
            if member.role().await.is_ok_and(|it| it == role) {
                return Ok(number);
            }
        }
        None.with_context(|| format!("no member is a {role:?}"))
    }

    /// Lets nothing through between this member and the others. Its clients reach it as before.
    pub fn part(&self, member: usize) {
        for link in self.links_of(member) {
            link.lead.black_hole();
            link.elect.black_hole();
        }
    }

    /// Lets what the leader tells this follower arrive so much later.
    pub fn delay(&self, leader: usize, follower: usize, by: Duration) {
        let links = self.links.iter();
        for link in links.filter(|link| link.ends == [follower, leader]) {
            link.lead.delay(Way::ToClient, by);
        }
    }

    /// Lets everything through again.
    ///
    /// # Errors
    /// A proxy has broken.
    pub async fn heal(&self) -> Result<()> {
        for link in &self.links {
            link.lead.heal().await?;
            link.elect.heal().await?;
        }
        Ok(())
    }

    fn links_of(&self, member: usize) -> impl Iterator<Item = &Link> {
        let links = self.links.iter();
        links.filter(move |link| link.ends.contains(&member))
    }
}

impl Peer {
    fn new() -> Result<Self> {
        Ok(Self {
            lead: Port::reserve()?,
            elect: Port::reserve()?,
        })
    }
}

impl Link {
    async fn started(ends: [usize; 2], [lead, elect]: [SocketAddr; 2]) -> Result<Self> {
        Ok(Self {
            ends,
            lead: Proxy::started(lead).await?,
            elect: Proxy::started(elect).await?,
        })
    }
}
