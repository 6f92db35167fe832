use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::{Deadline, Moment, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Client;
use crate::connection::Connection;

/// The connections of a client on which somebody waits, or holds what was waited for: so many at
/// most.
#[derive(Debug)]
pub(crate) struct Seats {
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

/// A connection on which one claim waits, or holds what it has waited for.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) connection: Arc<Connection>,
    _room: OwnedSemaphorePermit,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(Self::MOST as usize)),
            idle: Mutex::default(),
        }
    }
}

#[derive(Debug)]
struct Idle {
    seat: Seat,
    since: Moment,
}

impl Seats {
    /// How many there are.
    pub(crate) const MOST: u32 = 16;

    /// A connection to wait on, for whose client `voucher` vouches. `None`: all are taken.
    pub(crate) async fn take(
        &self,
        client: &Client,
        voucher: &Arc<Connection>,
        ttl: Duration,
        by: Deadline,
    ) -> Result<Option<Seat>> {
        if let Some(seat) = self.take_idle(voucher, ttl) {
            return Ok(Some(seat));
        }
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Ok(None);
        };
        let connection = client.connect(ttl, by).await?.connection;
        voucher.vouch_for(&connection, by).await?;
        let _room = room;
        Ok(Some(Seat { connection, _room }))
    }

    /// Takes back a connection under which nothing stands.
    pub(crate) fn give_back(&self, seat: Seat) {
        let since = Moment::now();
        self.idle().push(Idle { seat, since });
    }

    /// Closes those that nobody uses.
    pub(crate) fn close(&self) {
        self.idle().clear();
    }

    fn take_idle(&self, voucher: &Arc<Connection>, ttl: Duration) -> Option<Seat> {
        let mut idle = self.idle();
        // The server is about to end those that have been idle for long.
        idle.retain(|idle| {
            let connection = &idle.seat.connection;
            !connection.has_ended() && idle.since.elapsed() < connection.ttl / 2
        });
        let fits = idle.iter().rposition(|idle| {
            let connection = &idle.seat.connection;
            connection.ttl == ttl && connection.is_vouched_for_by(voucher)
        });
        if let Some(place) = fits {
            return Some(idle.swap_remove(place).seat);
        }
        // One of another TTL makes room for one of this.
        if self.room.available_permits() == 0 && !idle.is_empty() {
            idle.swap_remove(0);
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
