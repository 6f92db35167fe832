use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::super::event::{Event, What};
use super::facts::Facts;
use super::op::{Answer, Loss, Op};

/// How much happened in a history: one in which little did proves little.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named for what they say")]
pub struct Figures {
    pub operations: usize,
    pub grants: usize,
    pub refused: usize,
    pub timed_out: usize,
    pub failed: usize,
    pub abandoned: usize,
    /// Grants to another client than the one before on that name.
    pub handovers: usize,
    /// Holds whose loss was told, not counting those that reached their `max_hold`.
    pub losses: usize,
    pub clients: usize,
    pub killed: usize,
    pub pauses: usize,
    /// By their kind.
    pub faults: BTreeMap<String, usize>,
    /// Writes that the resource accepted, and refused because a newer holder had written.
    pub writes: usize,
    pub fenced: usize,
    /// How long nothing was wrong with the store: only then is it seen whether all goes on in time.
    pub calm: Duration,
    /// From a client's death or pause with a lock to the next grant of it, somebody waiting.
    pub longest_takeover: Duration,
    /// From a guard being over to its user being told, not counting pauses.
    pub longest_notice: Duration,
}

impl Figures {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let mut figures = Self {
            operations: facts.ops.len(),
            clients: facts.clients.len(),
            calm: facts.calm(),
            ..Self::default()
        };
        for op in &facts.ops {
            figures.count(op, facts);
        }
        for Event { what, .. } in facts.events {
            match what {
                What::Killed { .. } => figures.killed += 1,
                What::Paused { .. } => figures.pauses += 1,
                What::Wrote { accepted: true, .. } => figures.writes += 1,
                What::Wrote { .. } => figures.fenced += 1,
                What::FaultBegan { kind, .. } => {
                    *figures.faults.entry(kind.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        for ops in facts.names() {
            figures.name(&ops, facts);
        }
        figures
    }

    fn count(&mut self, op: &Op<'_>, facts: &Facts<'_>) {
        match op.answered {
            Some((_, Answer::Granted { .. })) => self.grants += 1,
            Some((_, Answer::Refused)) => self.refused += 1,
            Some((_, Answer::TimedOut)) => self.timed_out += 1,
            Some((_, Answer::Failed(_))) => self.failed += 1,
            Some((_, Answer::Abandoned)) => self.abandoned += 1,
            None => {}
        }
        let Some((told, loss)) = op.lost else {
            return;
        };
        self.losses += usize::from(loss != Loss::MaxHold);
        if let Some(over) = op.over {
            let over = facts.resumed_after(op.client, over.at);
            self.longest_notice = self.longest_notice.max(told.at.saturating_sub(over));
        }
    }

    fn name(&mut self, ops: &[&Op<'_>], facts: &Facts<'_>) {
        let mut grants: Vec<_> = ops.iter().filter(|op| op.granted().is_some()).collect();
        grants.sort_by_key(|op| op.granted().map(|(_, token)| token));
        for two in grants.windows(2) {
            let (before, after) = (two[0], two[1]);
            let (Some((was, _)), Some((is, _))) = (before.granted(), after.granted()) else {
                continue;
            };
            if before.client == after.client {
                continue;
            }
            self.handovers += 1;
            let let_go = before.releasing.or(before.dropped).map(|stamp| stamp.at);
            let until = let_go.unwrap_or(facts.end).min(is.at);
            let stopped = facts.stopped(before.client, was.at, until, before.ttl);
            if let Some(stopped) = stopped.filter(|stopped| *stopped < is.at) {
                let since = stopped.max(after.invoked.at);
                self.longest_takeover = self.longest_takeover.max(is.at - since);
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operations,
            grants,
            refused,
            timed_out,
            failed,
            abandoned,
            handovers,
            losses,
            clients,
            killed,
            pauses,
            faults,
            writes,
            fenced,
            calm,
            longest_takeover,
            longest_notice,
        } = self;
        writeln!(
            f,
            "{operations} operations: {grants} granted, {refused} refused, {timed_out} timed out, \
             {abandoned} abandoned, {failed} failed; {handovers} hand-overs, {losses} losses told"
        )?;
        write!(f, "{clients} clients: {pauses} pauses, {killed} killed")?;
        for (kind, times) in faults {
            write!(f, "; {kind} {times}")?;
        }
        write!(
            f,
            "\n{writes} writes accepted, {fenced} fenced off; {calm:.0?} without faults; longest \
             takeover {longest_takeover:.2?}, longest notice {longest_notice:.2?}"
        )
    }
}
