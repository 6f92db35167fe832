//! What is no rate: what holds cost while they are held, and how long it takes until others notice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use distlock::{Guard, Locks};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};

use crate::cpu;
use crate::distlock::Place;
use crate::helper::Holding;
use crate::measure::median;
use crate::options::Effort;
use crate::stores::{AnyServer, Arena};

/// Of the locks that are lost, or taken over.
const TTL: Duration = Duration::from_secs(3);
/// Longer than anything may take that is waited for here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Figures by what they are, and why others are missing.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Extras {
    pub(crate) figures: Map<String, Value>,
    #[serde(rename = "left out")]
    pub(crate) left_out: Map<String, Value>,
}

impl Extras {
    pub(crate) fn add(&mut self, what: impl Into<String>, value: impl Into<Value>) {
        self.figures.insert(what.into(), value.into());
    }

    pub(crate) fn leave_out(&mut self, what: impl Into<String>, why: &str) {
        self.left_out.insert(what.into(), why.into());
    }

    /// Unless it was left out.
    pub(crate) fn number(&self, what: &str) -> Option<f64> {
        self.figures.get(what)?.as_f64()
    }
}

/// What the memory of a hold is called.
pub(crate) fn bytes_of_holds(count: usize) -> String {
    format!("bytes of one of {} holds", thousands(count as f64))
}

/// All that can be had of this store.
pub(crate) async fn extras(arena: &dyn Arena, effort: Effort) -> Result<Extras> {
    let mut extras = Extras::default();
    holds(arena, effort, &mut extras)
        .await
        .context("many holds")?;
    takeover(arena, effort, &mut extras)
        .await
        .context("takeover")?;
    arena.more(effort, &mut extras).await?;
    // Last, since they harm whatever else goes on there.
    cut_off(arena, effort, &mut extras)
        .await
        .context("a server that stops")?;
    revoked(arena, effort, &mut extras)
        .await
        .context("a hold that is taken away")?;
    Ok(extras)
}

/// What it costs to hold many names, with a process of its own that does nothing else.
async fn holds(arena: &dyn Arena, effort: Effort, extras: &mut Extras) -> Result<()> {
    let (count, ttl, watched) = match effort.quick {
        true => (1_000, Duration::from_secs(6), Duration::from_secs(4)),
        false => (10_000, Duration::from_secs(15), Duration::from_secs(10)),
    };
    let server = arena.pid().await?;
    let scarce_before = arena.scarce().await?;
    let holding = Holding::started(&arena.place(), count, ttl).await?;
    let used = || (holding.cpu(), server.and_then(cpu::used));
    let (work, before) = (arena.work().await?, used());
    sleep(watched).await;
    let (more_work, after) = (arena.work().await?, used());
    let with = format!("with {} holds", thousands(count as f64));
    extras.add(bytes_of_holds(count), holding.bytes_each);
    for ((what, after), (_, before)) in arena.scarce().await?.into_iter().zip(scarce_before) {
        extras.add(format!("{what} {with}"), after.saturating_sub(before));
    }
    if let Some(((what, before), (_, after))) = work.zip(more_work) {
        let each = (after - before) as f64 / watched.as_secs_f64();
        extras.add(
            format!("{what} a second {with}, TTL {} s", ttl.as_secs()),
            rounded(each),
        );
    }
    for (who, before, after) in [("client", before.0, after.0), ("server", before.1, after.1)] {
        if let Some((before, after)) = before.zip(after) {
            let share = (after - before).as_secs_f64() / watched.as_secs_f64();
            extras.add(
                format!("percent of a processor of the {who} {with}"),
                rounded(100.0 * share),
            );
        }
    }
    holding.ended().await
}

/// How long one waits behind a process that is killed.
async fn takeover(arena: &dyn Arena, effort: Effort, extras: &mut Extras) -> Result<()> {
    let what = format!(
        "seconds until takeover after kill -9, TTL {} s",
        TTL.as_secs()
    );
    let place = arena.place();
    if let Place::Memory(_) = place {
        extras.leave_out(what, "these locks end with their process");
        return Ok(());
    }
    let locks = locks(&place).await?;
    let mut seconds = Vec::new();
    for _ in 0..times(effort) {
        let holding = Holding::started(&place, 1, TTL).await?;
        let waiting = tokio::spawn(locks.lock("hold/0").acquire());
        while locks.inspect("hold/0").await?.waiters.is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        holding.killed().await?;
        let killed = Instant::now();
        let guard = timeout(PATIENCE, waiting).await???;
        seconds.push(killed.elapsed().as_secs_f64());
        guard.release().await?;
    }
    extras.add(what, median(&seconds).map(rounded));
    Ok(())
}

/// How long a holder believes that it holds, of a server that does not answer any more.
async fn cut_off(arena: &dyn Arena, effort: Effort, extras: &mut Extras) -> Result<()> {
    let what = format!(
        "seconds until a loss is told, server stopped, TTL {} s",
        TTL.as_secs()
    );
    let Some(server) = arena.server() else {
        extras.leave_out(what, "there is no server to stop");
        return Ok(());
    };
    let mut seconds = Vec::new();
    for _ in 0..times(effort) {
        let locks = locks(&arena.place()).await?;
        let guard = locks.lock("cut off").acquire().await?;
        server.pause().await?;
        let told = told(&guard).await;
        resumed(server, &locks, guard).await?;
        seconds.push(told?);
    }
    extras.add(what, median(&seconds).map(rounded));
    Ok(())
}

async fn resumed(server: &dyn AnyServer, locks: &Locks, guard: Guard) -> Result<()> {
    server.resume().await?;
    drop(guard);
    Ok(timeout(PATIENCE, locks.settle()).await?)
}

/// How long a holder believes that it holds, after an administrator has taken it away.
async fn revoked(arena: &dyn Arena, effort: Effort, extras: &mut Extras) -> Result<()> {
    let what = "seconds until a loss is told";
    let mut seconds = Vec::new();
    let mut how = None;
    for _ in 0..times(effort) {
        let locks = locks(&arena.place()).await?;
        let guard = locks.lock("taken away").acquire().await?;
        // Beyond what the acquisition itself does in the background.
        sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        how = arena.revoke().await?;
        if how.is_none() {
            extras.leave_out(format!("{what}, revoked"), "there is no server to ask");
            return Ok(());
        }
        told(&guard).await?;
        seconds.push(began.elapsed().as_secs_f64());
        drop(guard);
        timeout(PATIENCE, locks.settle()).await?;
    }
    let how = how.unwrap_or_default();
    let what = format!("{what}, {how}, TTL {} s", TTL.as_secs());
    extras.add(what, median(&seconds).map(rounded));
    Ok(())
}

/// How many seconds that takes.
async fn told(guard: &Guard) -> Result<f64> {
    let began = Instant::now();
    timeout(PATIENCE, guard.lost()).await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn locks(place: &Place) -> Result<Locks> {
    Ok(Locks::builder().ttl(TTL).build(place.open().await?)?)
}

fn times(effort: Effort) -> usize {
    if effort.quick { 1 } else { 3 }
}

/// To what can be told apart.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// With a comma after each three digits.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_comma_after_each_three_digits() {
        let shown = [0.0, 999.4, 1_000.0, 12_345.0, 1_234_567.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
