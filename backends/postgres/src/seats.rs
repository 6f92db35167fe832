use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::{Deadline, Moment, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Client;
use crate::connection::Connection;
use crate::key::Key;

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
    /// What was waited for here, and how often claims are still to wait for it at once.
    contended: Option<(Key, u32)>,
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

    /// Whether a claim had better wait for the lock of this key at once, since it was found taken
    /// lately: to look first would be one more statement.
    pub(crate) fn expect_to_wait(&self, key: Key) -> bool {
        let mut idle = self.idle();
        let mut contended = idle
            .iter_mut()
            .filter_map(|idle| idle.seat.contended.as_mut());
        contended
            .find(|(of, _)| *of == key)
            .and_then(|(_, times)| times.checked_sub(1).map(|fewer| *times = fewer))
            .is_some()
    }

    /// A connection to wait on for the lock of this key, for whose client `voucher` vouches.
    /// `None`: all are taken.
    pub(crate) async fn take(
        &self,
        client: &Client,
        voucher: &Arc<Connection>,
        ttl: Duration,
        key: Key,
        by: Deadline,
    ) -> Result<Option<Seat>> {
        if let Some(seat) = self.take_idle(voucher, ttl, key) {
            return Ok(Some(seat));
        }
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Ok(None);
        };
        let connection = client.connect(ttl, by).await?.connection;
        voucher.vouch_for(&connection, by).await?;
        Ok(Some(Seat {
            connection,
            _room: room,
            contended: None,
        }))
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

    fn take_idle(&self, voucher: &Arc<Connection>, ttl: Duration, key: Key) -> Option<Seat> {
        let mut idle = self.idle();
        // The server is about to end those that have been idle for long.
        idle.retain(|idle| {
            let connection = &idle.seat.connection;
            !connection.has_ended() && idle.since.elapsed() < connection.ttl / 2
        });
        let fitting = (0..idle.len()).filter(|place| {
            let connection = &idle[*place].seat.connection;
            connection.ttl == ttl && connection.is_vouched_for_by(voucher)
        });
        if let Some(place) = fitting.max_by_key(|place| idle[*place].seat.was_for(key)) {
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

impl Seat {
    /// So often claims wait at once for a lock that was found taken. One that is free by then is
    /// held here, on a connection of its own, which costs more.
    const AT_ONCE: u32 = 16;

    /// It is to be waited on for the lock of this key, which was found taken.
    pub(crate) fn found_taken(&mut self, key: Key) {
        self.contended = Some((key, Self::AT_ONCE));
    }

    fn was_for(&self, key: Key) -> bool {
        self.contended.is_some_and(|(of, _)| of == key)
    }
}
