use anyhow::{Result, ensure};

use super::{Redis, url_of_all};
use crate::place::Place;
use crate::port::Port;
use crate::server::Server;
use crate::wait::until;

/// A Redis Cluster of three primaries, each with a third of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    /// Its members, in the order of their slots.
    pub members: Vec<Server<Redis>>,
}

const SIZE: usize = 3;
const SLOTS: usize = 16_384;
/// The port at which members talk to each other is this much above that of the clients; older
/// servers know no other.
const TO_BUS: u16 = 10_000;

impl RedisCluster {
    /// One with these settings, once all members agree that it is whole.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(recipe: impl Fn() -> Redis) -> Result<Self> {
        let mut members = Vec::with_capacity(SIZE);
        for number in 0..SIZE {
            members.push(member(recipe(), number).await?);
        }
        let cluster = Self { members };
        let first = cluster.members[0].address();
        let (host, port) = (first.ip().to_string(), first.port().to_string());
        for member in &cluster.members[1..] {
            let () = member.command(&["CLUSTER", "MEET", &host, &port]).await?;
        }
        cluster.whole().await?;
        Ok(cluster)
    }

    /// How clients reach all members.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(Server::url).collect()
    }

    /// The same in one.
    #[must_use]
    pub fn url(&self) -> String {
        url_of_all("cluster", &self.urls(), "")
    }

    /// Waits until all members know all others, and all slots are served.
    ///
    /// # Errors
    /// That does not happen.
    pub async fn whole(&self) -> Result<()> {
        for member in &self.members {
            until("the cluster to be whole", || async {
                let info: String = member.command(&["CLUSTER", "INFO"]).await?;
                for part in [
                    "cluster_state:ok".to_owned(),
                    format!("cluster_slots_ok:{SLOTS}"),
                    format!("cluster_known_nodes:{SIZE}"),
                ] {
                    ensure!(info.lines().any(|line| line == part), "no {part} in {info}");
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// One with its share of the slots, that knows no other yet.
async fn member(recipe: Redis, number: usize) -> Result<Server<Redis>> {
    let (port, bus) = Port::reserve_pair(TO_BUS)?;
    let mut recipe = recipe
        .setting("cluster-enabled yes")
        .setting("cluster-node-timeout 2000");
    recipe._bus = Some(bus);
    let member = Server::started_at(Place::at::<Redis>(port)?, recipe).await?;
    let slots = SLOTS * number / SIZE..SLOTS * (number + 1) / SIZE;
    let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
    let words = ["CLUSTER", "ADDSLOTS"].into_iter();
    let words: Vec<_> = words.chain(slots.iter().map(String::as_str)).collect();
    let () = member.command(&words).await?;
    // Else the members would find out one by one that they claim the same.
    let epoch = (number + 1).to_string();
    let () = member
        .command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
        .await?;
    Ok(member)
}
