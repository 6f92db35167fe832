use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use distlock_testbed::{Proxy, Way};

use super::Harm;

/// A proxy in front of each member for the clients of each slot.
#[derive(Debug)]
pub(super) struct Net {
    slots: Vec<Vec<Proxy>>,
}

impl Net {
    pub(super) const HARMS: &[Harm] = &[
        Harm::Cut,
        Harm::BlackHole,
        Harm::LoseRequests,
        Harm::LoseAnswers,
        Harm::Delay,
        Harm::Throttle,
        Harm::Break,
    ];

    pub(super) async fn started(members: &[SocketAddr], slots: u32) -> Result<Self> {
        let mut net = Self { slots: Vec::new() };
        for _ in 0..slots {
            let mut proxies = Vec::new();
            for member in members {
                proxies.push(Proxy::started(*member).await?);
            }
            net.slots.push(proxies);
        }
        Ok(net)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn addresses(&self, slot: usize) -> Vec<SocketAddr> {
        self.slots[slot].iter().map(Proxy::address).collect()
    }

    /// Does it to all proxies of this slot, or of all slots if there is none of this number.
    pub(super) async fn begin(&self, harm: Harm, slot: usize) -> Result<()> {
        let slots = match self.slots.get(slot) {
            Some(slot) => std::slice::from_ref(slot),
            None => &self.slots[..],
        };
        for proxy in slots.iter().flatten() {
            match harm {
                Harm::Cut => proxy.cut().await?,
                Harm::BlackHole => proxy.black_hole(),
                Harm::LoseRequests => proxy.stall(Way::ToServer),
                Harm::LoseAnswers => proxy.stall(Way::ToClient),
                Harm::Delay => {
                    proxy.delay(Way::ToServer, Duration::from_millis(80));
                    proxy.delay(Way::ToClient, Duration::from_millis(80));
                }
                Harm::Throttle => proxy.throttle(Way::ToClient, 2_000),
                _ => {
                    proxy.break_after(Way::ToServer, 300);
                    proxy.break_after(Way::ToClient, 500);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn heal(&self) -> Result<()> {
        for proxy in self.slots.iter().flatten() {
            proxy.heal().await?;
        }
        Ok(())
    }
}
