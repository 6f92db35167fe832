use std::time::Duration;

use anyhow::{Context, Result, bail};
use etcd_client::StatusResponse;
use tokio::time::timeout;
use tokio::try_join;

use super::between::Between;
use super::{Etcd, Peers};
use crate::place::Place;
use crate::port::Port;
use crate::room::Room;
use crate::server::Server;
use crate::wait::until;

/// Three members of one cluster, of which two are a quorum.
#[derive(Debug)]
pub struct EtcdCluster {
    /// In no order.
    pub members: [Server<Etcd>; 3],
    /// What they call themselves.
    ids: [u64; 3],
    between: Between,
    /// Only held.
    _room: Room,
}

impl EtcdCluster {
    /// One with these settings, once it has a leader.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(recipe: impl Fn() -> Etcd) -> Result<Self> {
        let room = Room::free().await?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let places = [
            Place::new::<Etcd>()?,
            Place::new::<Etcd>()?,
            Place::new::<Etcd>()?,
        ];
        let listening = ports.each_ref().map(Port::address);
        let folders = places.each_ref().map(|place| place.folder().to_owned());
        let between = Between::started(listening, folders).await?;
        let urls = (0..3).map(|number| format!("m{number}=http://{}", between.door(number)));
        let all = urls.collect::<Vec<_>>().join(",");
        let mut number = 0;
        let [one, two, three] = ports.map(|port| {
            let peers = Peers {
                name: format!("m{number}"),
                advertised: between.door(number),
                port,
                all: all.clone(),
            };
            number += 1;
            recipe().member(peers)
        });
        let [place, place_of_two, place_of_three] = places;
        // None of them answers before there are two.
        let (one, two, three) = try_join!(
            Server::started_at(place, one),
            Server::started_at(place_of_two, two),
            Server::started_at(place_of_three, three),
        )?;
        let ids = [id(&one).await?, id(&two).await?, id(&three).await?];
        Ok(Self {
            members: [one, two, three],
            ids,
            between,
            _room: room,
        })
    }

    /// How clients reach it, by all of its members.
    #[must_use]
    pub fn url(&self) -> String {
        let [first, others @ ..] = &self.members;
        let others = others.each_ref().map(|other| other.address().to_string());
        format!("{}?nodes={}", first.url(), others.join(","))
    }

    /// Cuts this member off from the others, without a word; clients reach it all the same.
    pub fn isolate(&self, member: usize) {
        self.between.isolate(member);
    }

    /// Has all members reach each other again.
    ///
    /// # Errors
    /// The network has broken.
    pub async fn heal(&self) -> Result<()> {
        self.between.heal().await
    }

    /// Which of the members leads, as most of them say.
    ///
    /// # Errors
    /// There is none for a minute.
    pub async fn leader(&self) -> Result<usize> {
        self.led_by("a leader", |_| true).await
    }

    /// The same once it is another than this.
    ///
    /// # Errors
    /// As for [`leader`](Self::leader).
    pub async fn other_leader(&self, than: usize) -> Result<usize> {
        self.led_by("another leader", |leader| leader != than).await
    }

    /// Has this member lead, in order.
    ///
    /// # Errors
    /// It does not come to that.
    pub async fn move_leader(&self, to: usize) -> Result<()> {
        let leader = self.leader().await?;
        if leader != to {
            let mut client = self.members[leader].client().await?;
            client.move_leader(self.ids[to]).await?;
        }
        self.led_by("the leader that was named", |leader| leader == to)
            .await
            .map(drop)
    }

    async fn led_by(
        &self,
        what: &str,
        is_it: impl Fn(usize) -> bool + Send + Sync,
    ) -> Result<usize> {
        until(what, || async {
            let mut votes = [0; 3];
            for member in &self.members {
                // One that does not answer has no vote.
                if let Ok(Ok(status)) = timeout(PROMPT, status(member)).await
                    && let Some(leader) = self.ids.iter().position(|id| *id == status.leader())
                {
                    votes[leader] += 1;
                }
            }
            let leader = votes.iter().position(|votes| *votes >= 2);
            match leader.filter(|leader| is_it(*leader)) {
                Some(leader) => Ok(leader),
                None => bail!("the votes are {votes:?}"),
            }
        })
        .await
    }
}

/// How long a member may take to say whom it follows.
const PROMPT: Duration = Duration::from_secs(1);

async fn status(member: &Server<Etcd>) -> Result<StatusResponse> {
    Ok(member.client().await?.status().await?)
}

async fn id(member: &Server<Etcd>) -> Result<u64> {
    let status = status(member).await?;
    Ok(status.header().context("no header")?.member_id())
}
