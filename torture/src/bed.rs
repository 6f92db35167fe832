//! The store that is tortured, and what can be done to it.

mod harm;
mod net;
mod store;

use anyhow::Result;
use distlock_conformance::history::Effect;
use fastrand::Rng;
use tokio::time::{Duration, sleep};

use crate::options::Options;
pub(crate) use harm::Harm;
use net::Net;
use store::Store;

/// A store, and the network in front of it.
#[derive(Debug)]
pub(crate) struct Bed {
    store: Store,
    /// Not where the store itself tells its clients where to go.
    net: Option<Net>,
}

/// Something to break.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) harm: Harm,
    pub(crate) target: String,
    pub(crate) effect: Effect,
    /// Which member, or which client's network.
    number: usize,
}

impl Bed {
    pub(crate) async fn started(options: &Options) -> Result<Self> {
        let store = Store::started(options).await?;
        let net = match store.addresses() {
            Some(members) => Some(Net::started(&members, options.workers).await?),
            None => None,
        };
        Ok(Self { store, net })
    }

    /// How the clients of a slot reach the store; nothing, if they are tasks of this process.
    pub(crate) fn url(&self, slot: usize) -> String {
        match &self.net {
            Some(net) => self.store.url_at(&net.addresses(slot)),
            None => self.store.url(),
        }
    }

    /// How it is reached when nothing is wrong.
    pub(crate) fn own_url(&self) -> String {
        self.store.url()
    }

    /// What to break next, if anything can be broken.
    pub(crate) fn draw(&self, chance: &mut Rng) -> Option<Fault> {
        let mut harms = self.store.harms().to_vec();
        if self.net.is_some() {
            harms.extend_from_slice(Net::HARMS);
        }
        let harm = *harms.get(chance.usize(..harms.len().max(1)))?;
        let (target, number) = match &self.net {
            Some(net) if harm.is_of_network() => match chance.usize(..=net.slots()) {
                all if all == net.slots() => ("all clients".to_owned(), all),
                slot => (format!("clients of slot {slot}"), slot),
            },
            _ => {
                let member = chance.usize(..self.store.members().len().max(1));
                (format!("member {member}"), member)
            }
        };
        let effect = self.store.effect(harm);
        Some(Fault {
            harm,
            target,
            effect,
            number,
        })
    }

    /// Breaks it for so long, and mends it.
    pub(crate) async fn strike(&self, fault: &Fault, lasts: Duration) -> Result<()> {
        match &self.net {
            Some(net) if fault.harm.is_of_network() => {
                net.begin(fault.harm, fault.number).await?;
                sleep(lasts).await;
                net.heal().await
            }
            _ => self.store.strike(fault.harm, fault.number, lasts).await,
        }
    }
}
