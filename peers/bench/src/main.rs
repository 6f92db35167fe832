//! Other lock libraries under the load of distlock's bench, which starts this and asks it round by
//! round, so that their rounds take turns with those of distlock: a line of JSON for each question
//! on the standard input, a line for its answer on the standard output. It ends with its input.

mod family;
mod redlock;
mod rslock;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{Write, stdin, stdout};

use anyhow::{Context, Result};
use distlock_load::{Answer, Lockers, Outcome, Peer, Question, round};

type Open = fn(String) -> Box<dyn Lockers>;

/// Their names, their stores, and how they are opened.
const PEERS: [(&str, &str, Open); 5] = [
    ("rslock 0.10", "redis", rslock::usual),
    ("rslock 0.10, retries at 10 ms", "redis", rslock::eager),
    ("redlock 2.0", "redis", redlock::open),
    ("distributed-lock-redis 0.2", "redis", family::redis),
    (
        "distributed-lock-postgres 0.2",
        "postgres",
        family::postgres,
    ),
];

/// Those that were asked, with their clients, by name and URL.
type Opened = HashMap<(String, String), Box<dyn Lockers>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let peers = PEERS.map(|(name, store, _)| Peer {
        name: name.to_owned(),
        store: store.to_owned(),
    });
    say(&serde_json::to_string(&peers)?)?;
    let mut opened = Opened::new();
    for line in stdin().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        let outcome = outcome(&mut opened, question).await;
        let answer: Answer = outcome.map_err(|error| format!("{error:#}"));
        say(&serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

async fn outcome(opened: &mut Opened, question: Question) -> Result<Option<Outcome>> {
    let Question {
        peer,
        url,
        workload,
        length,
    } = question;
    // Of another server, whose clients would only be in the way.
    opened.retain(|(_, opened), _| *opened == url);
    let lockers = match opened.entry((peer, url)) {
        Entry::Occupied(lockers) => lockers.into_mut(),
        Entry::Vacant(vacant) => {
            let (peer, url) = vacant.key();
            let known = PEERS.iter().find(|(name, ..)| name == peer);
            let (.., open) = known.context("there is no such peer")?;
            let lockers = open(url.clone());
            vacant.insert(lockers)
        }
    };
    round(&**lockers, workload, length).await
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
