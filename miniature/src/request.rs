use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::Place;
use distlock_core::{LockState, Name};

/// What a client asks of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// A session that ends once nothing is heard of it for this long.
    Open {
        /// For how long.
        ttl: Duration,
    },
    /// To keep a session alive, and to know what stands under it.
    Beat {
        /// Which.
        session: u64,
    },
    /// To join the line of a name under a session, or to look.
    Enter {
        /// Under which.
        session: u64,
        /// The claim. Its id is what the server calls the entry.
        claim: ClaimRequest,
        /// Whether to stay in line if the name is held.
        wait: bool,
    },
    /// To be answered once this entry, which stands in line, holds the name or stands there no more.
    Wait {
        /// Which.
        entry: u128,
    },
    /// To remove these entries of a session.
    Leave {
        /// Whose.
        session: u64,
        /// Which.
        entries: Vec<u128>,
    },
    /// To end a session and all that stands under it.
    End {
        /// Which.
        session: u64,
    },
    /// To see who holds a name and who waits.
    Inspect {
        /// Which.
        name: Name,
    },
}

/// What the server answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// The session is open.
    Opened {
        /// What it is called.
        session: u64,
    },
    /// The session lives, and these entries stand under it.
    Alive {
        /// All of them.
        entries: Vec<u128>,
    },
    /// Where the entry stands; for one that leaves, where it stood until now.
    Place(Place),
    /// Who holds the name, and who waits.
    State(LockState),
    /// There is no such session, or no more.
    NoSession,
    /// It is done.
    Done,
}
