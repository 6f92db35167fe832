//! What other lock crates do that they should not, shown on real servers. `--help` tells more.

mod advisory;
mod distributed_lock_postgres;
mod distributed_lock_redis;
mod etcd_client;
mod hole;
mod ours;
mod panics;
mod redlock;
mod rslock;
mod sqlx;
mod zookeeper_client;

use std::process::ExitCode;

use hole::{Hole, Outcome, Peer};

const HELP: &str = "\
What other lock crates do that they should not, each shown on a real server that is started for it.

Usage: peers-holes [--list] [NAME ...]

NAME is one of those that `--list` prints, or its first part: `rslock` for all of rslock. Without
one, all are run, which takes two minutes: a few seconds each, but for a lease of a minute. What
distlock makes of the same is told beside it where it can be had. The exit status is 1 if one was
not shown, since the peer does otherwise by now, and 2 if one could not be tried.
";

const PEERS: &[&Peer] = &[
    &distributed_lock_redis::PEER,
    &distributed_lock_postgres::PEER,
    &etcd_client::PEER,
    &redlock::PEER,
    &rslock::PEER,
    &sqlx::PEER,
    &zookeeper_client::PEER,
];

fn main() -> ExitCode {
    let mut lists = false;
    let mut names = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--help" | "-h" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--list" => lists = true,
            name if all().any(|hole| hole.is_named(name)) => names.push(argument),
            _ => {
                eprintln!("there is no `{argument}`\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let is_chosen = |hole: &&Hole| names.is_empty() || names.iter().any(|name| hole.is_named(name));
    if lists {
        for hole in all().filter(is_chosen) {
            println!("{}: {}", hole.name(), hole.expected);
        }
        return ExitCode::SUCCESS;
    }
    run(is_chosen)
}

fn all() -> impl Iterator<Item = &'static Hole> {
    PEERS.iter().flat_map(|peer| peer.holes)
}

fn run(is_chosen: impl Fn(&&Hole) -> bool) -> ExitCode {
    let (mut shown, mut mended, mut untried) = (0, 0, 0);
    for peer in PEERS {
        let mut chosen = peer.holes.iter().filter(&is_chosen).peekable();
        if chosen.peek().is_some() {
            println!("{} {}", peer.package, peer.version);
        }
        for hole in chosen {
            match hole.run() {
                Outcome::Shown => shown += 1,
                Outcome::NotShown => mended += 1,
                Outcome::NotTried => untried += 1,
            }
        }
    }
    println!("{shown} shown, {mended} not shown, {untried} could not be tried");
    match (mended, untried) {
        (0, 0) => ExitCode::SUCCESS,
        (_, 0) => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}

#[cfg(test)]
mod tests {
    use super::{PEERS, all};

    #[test]
    fn versions_are_those_that_are_built() {
        let built = include_str!("../../Cargo.lock");
        for peer in PEERS {
            let entry = format!(
                "name = \"{}\"\nversion = \"{}\"\n",
                peer.package, peer.version
            );
            assert!(built.contains(&entry), "{entry}");
        }
    }

    #[test]
    fn all_are_in_the_documentation() {
        let page = include_str!("../../../docs/reliability.md");
        for hole in all() {
            assert!(
                page.contains(&format!("`{}`", hole.name())),
                "{}",
                hole.name()
            );
        }
    }
}
