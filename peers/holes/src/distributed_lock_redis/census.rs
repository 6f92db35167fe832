//! Who holds a reader-writer lock at the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Counts those that hold, and how often two did that exclude each other.
#[derive(Debug)]
pub(crate) struct Census {
    began: Instant,
    longest: Duration,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Reader,
    Writer,
}

#[derive(Debug, Default)]
struct Counts {
    readers: u32,
    writers: u32,
    grants: u32,
    mixed: u32,
    two_writers: u32,
}

impl Census {
    /// One that goes on for a second at least, and for this long at most.
    pub(crate) fn begin(longest: Duration) -> Self {
        Self {
            began: Instant::now(),
            longest,
            counts: Mutex::default(),
        }
    }

    pub(crate) fn goes_on(&self) -> bool {
        let after = self.began.elapsed();
        after < Duration::from_secs(1) || after < self.longest && !self.is_broken()
    }

    /// Is in for a millisecond. To be called by one who holds before and after.
    pub(crate) async fn visit(&self, role: Role) {
        self.counts().come(role);
        sleep(Duration::from_millis(1)).await;
        let mut counts = self.counts();
        match role {
            Role::Reader => counts.readers -= 1,
            Role::Writer => counts.writers -= 1,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        let counts = self.counts();
        counts.mixed > 0 || counts.two_writers > 0
    }

    pub(crate) fn figures(&self) -> String {
        let Counts {
            grants,
            mixed,
            two_writers,
            ..
        } = &*self.counts();
        format!(
            "of {grants} grants, {mixed} put a reader beside a writer, {two_writers} a writer \
             beside another"
        )
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn come(&mut self, role: Role) {
        self.grants += 1;
        match role {
            Role::Reader => {
                self.mixed += u32::from(self.writers > 0);
                self.readers += 1;
            }
            Role::Writer => {
                self.mixed += u32::from(self.readers > 0);
                self.two_writers += u32::from(self.writers > 0);
                self.writers += 1;
            }
        }
    }
}
