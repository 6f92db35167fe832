use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::workload::Workload;

/// One whom a program of peers can ask. A program prints all of its own in its first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// What it is called in tables, with its version.
    pub name: String,
    /// Over which store.
    pub store: String,
}

/// A line that a program of peers is asked, and answers with one [`Answer`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Whom.
    pub peer: String,
    /// Where the store is.
    pub url: String,
    /// What to do.
    pub workload: Workload,
    /// For how long.
    pub length: Duration,
}

/// What came of it, if it can do that, or why it failed.
pub type Answer = Result<Option<Outcome>, String>;
