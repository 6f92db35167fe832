use std::collections::BTreeSet;
use std::time::Duration;

use distlock_core::backend::Attempt;
use distlock_core::{Entry, ErrorKind, Fair, FencingToken, LockState, Moment, Result};
use tokio::time::sleep;

use crate::context::Context;

use super::answer::Answer;
use super::claim::Claim;
use super::model::Model;
use super::script::{Contender, Script, Step};

/// What `inspect` shows may lag by so much.
const LAG: Duration = Duration::from_secs(1);

/// How often a claim asks at most until it is answered.
const ASKED: usize = 3;

/// A store and the queue beside it, while a script is run on both.
pub(super) struct Beside<'a> {
    cx: &'a Context,
    name: String,
    model: Model,
    claims: Vec<Claim>,
    /// The numbers that the store has given.
    given: BTreeSet<u64>,
    /// What was done so far, a line each.
    story: Vec<String>,
}

/// Why a script was not run to its end.
pub(super) enum Cut {
    /// The store has done otherwise than the queue. All that was done, up to that.
    Differs(String),
    /// A claim may have expired only because the machine did not go on with the script.
    TooSlow,
}

impl<'a> Beside<'a> {
    pub(super) async fn run(cx: &'a Context, script: &Script) -> Result<(), Cut> {
        let mut beside = Self {
            cx,
            name: cx.name(),
            model: Model::new(),
            claims: Vec::new(),
            given: BTreeSet::new(),
            story: Vec::new(),
        };
        let mut latest = vec![None; script.contenders.len()];
        for step in &script.steps {
            beside.step(*step, &script.contenders, &mut latest).await?;
        }
        beside.end().await
    }

    /// Has every claim renewed, if it may be, and then released, also those that ended long ago.
    async fn end(&mut self) -> Result<(), Cut> {
        for claim in 0..self.claims.len() {
            if self.claims[claim].renewable {
                self.renew(claim).await?;
            }
        }
        for claim in 0..self.claims.len() {
            self.release(claim).await?;
        }
        Ok(())
    }

    /// Does a step, if it makes sense; `latest` is the claim that each contender is about.
    async fn step(
        &mut self,
        step: Step,
        contenders: &[Contender],
        latest: &mut [Option<usize>],
    ) -> Result<(), Cut> {
        match step {
            Step::Attempt(who) | Step::Try(who) => {
                let claim = match latest[who].filter(|claim| !self.has_ended(*claim)) {
                    Some(claim) => claim,
                    None => self.claim(contenders[who]).await?,
                };
                latest[who] = Some(claim);
                if self.model.stands(claim) || self.may_join() {
                    self.attempt(claim, matches!(step, Step::Attempt(_)))
                        .await?;
                    self.settle().await?;
                }
            }
            Step::Renew(who) => {
                if let Some(claim) = latest[who].filter(|claim| self.claims[*claim].renewable) {
                    self.renew(claim).await?;
                }
            }
            Step::Release(who) => {
                if let Some(claim) = latest[who] {
                    self.release(claim).await?;
                }
            }
            Step::KeepUp => {
                for claim in latest.iter().flatten() {
                    self.keep_up(*claim).await?;
                }
            }
            Step::Abandon(who) => latest[who] = None,
            Step::Pass => self.pass().await?,
        }
        Ok(())
    }

    /// Whether the claim is not asked for any more: it was released, or its hold has ended.
    fn has_ended(&self, claim: usize) -> bool {
        let Claim {
            is_released, hold, ..
        } = &self.claims[claim];
        *is_released || hold.is_some() && !self.model.stands(claim)
    }

    /// Whether the order in which the store serves is known with one more in line.
    fn may_join(&self) -> bool {
        let waiters = self.model.state().waiters.len();
        match self.cx.capabilities().fair {
            Fair::Yes => true,
            Fair::UpTo(most) => waiters < most as usize,
            _ => waiters == 0,
        }
    }

    async fn claim(&mut self, contender: Contender) -> Result<usize, Cut> {
        let ttl = if contender.lasting {
            self.cx.calm()
        } else {
            self.short_ttl()
        };
        let made = self.cx.bare(&self.name, contender.mode, ttl).await;
        let made = made.and_then(|bare| Ok((self.model.claim(contender, bare.owner())?, bare)));
        let (claim, bare) =
            made.map_err(|error| self.differs("another client", "a claim", &error.to_string()))?;
        self.claims.push(Claim::new(bare, contender, ttl));
        Ok(claim)
    }

    async fn attempt(&mut self, claim: usize, wait: bool) -> Result<(), Cut> {
        let mut sent = Moment::now();
        let mut found = self.ask(claim, wait).await;
        // As an engine does: a claim whose session has ended, say, is told so once.
        for _ in 1..ASKED {
            if found
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Unavailable)
            {
                sent = Moment::now();
                found = self.ask(claim, wait).await;
            }
        }
        let verb = if wait { "asks, and waits" } else { "tries" };
        self.check_pace()?;
        let stood = self.model.stands(claim);
        let expected = self.model.attempt(claim, wait);
        // A server that does the waiting ends the dead for those who wait, which takes a moment.
        let is_turn = wait && matches!(expected, Ok(Answer::Held));
        for _ in 1..ASKED {
            if is_turn
                && self.cx.capabilities().waits_on_server
                && matches!(found, Ok(Attempt::Blocked(_)))
            {
                found = self.ask(claim, wait).await;
            }
        }
        self.claims[claim].attempted(sent, stood, &found);
        self.compare(claim, verb, expected, Answer::to_attempt(&found))?;
        match found {
            Ok(Attempt::Held(hold)) => self.check_number(claim, hold.number),
            _ => Ok(()),
        }
    }

    async fn ask(&self, claim: usize, wait: bool) -> Result<Attempt> {
        let bare = &self.claims[claim].bare;
        match wait {
            true => bare.attempt().await,
            false => bare.attempt_once().await,
        }
    }

    async fn keep_up(&mut self, claim: usize) -> Result<(), Cut> {
        if self.claims[claim].renewable {
            self.renew(claim).await
        } else if self.model.stands(claim) {
            self.attempt(claim, true).await?;
            self.settle().await
        } else {
            Ok(())
        }
    }

    async fn renew(&mut self, claim: usize) -> Result<(), Cut> {
        let found = self.claims[claim].bare.renew().await;
        self.check_pace()?;
        let expected = self.model.renew(claim);
        self.claims[claim].renewed(&found);
        self.compare(claim, "renews", expected, found.map(Answer::from))?;
        self.settle().await
    }

    async fn release(&mut self, claim: usize) -> Result<(), Cut> {
        let found = self.claims[claim].bare.release().await;
        self.check_pace()?;
        let expected = self.model.release(claim);
        self.claims[claim].released();
        self.compare(claim, "releases", expected, found.map(Answer::from))?;
        self.settle().await
    }

    async fn pass(&mut self) -> Result<(), Cut> {
        sleep((self.short_ttl() + self.cx.capabilities().slack).mul_f64(Model::PASS)).await;
        self.model.pass();
        self.story.push("time passes".to_owned());
        self.settle().await
    }

    /// A TTL of which several pass in a script; so long that a store's slack is a small part of it.
    fn short_ttl(&self) -> Duration {
        let capabilities = self.cx.capabilities();
        let ttl = self.cx.steady().max(4 * capabilities.slack);
        ttl.min(*capabilities.ttl.end())
    }

    /// Has those look whose turn it has become, and compares what can be seen.
    async fn settle(&mut self) -> Result<(), Cut> {
        for (claim, number) in self.model.holds() {
            if self.claims[claim].hold.is_none_or(|hold| hold.0 != number) {
                self.attempt(claim, true).await?;
            }
        }
        self.inspect().await
    }

    async fn inspect(&mut self) -> Result<(), Cut> {
        let expected = self.expected_state();
        let same = |found: &LockState| {
            self.shows(&found.holders, &expected.holders)
                && self.shows(&found.waiters, &expected.waiters)
        };
        let seen = self
            .cx
            .until_within(LAG, &self.name, "what the queue shows", same)
            .await;
        self.check_pace()?;
        let Err(unmet) = seen else {
            return Ok(());
        };
        let found = match self.cx.state(&self.name).await {
            Ok(found) => self.described_state(&found),
            Err(_) => unmet.to_string(),
        };
        let expected = self.described_state(&expected);
        Err(self.differs("an observer looks", &expected, &found))
    }

    /// Whether the store shows those who are expected, as far as it knows, and for long enough.
    fn shows(&self, found: &[Entry], expected: &[Entry]) -> bool {
        let step = self.cx.capabilities().ttl_step;
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| {
                let certain = self
                    .claim_of(found)
                    .filter(|claim| self.claims[*claim].hold.is_some())
                    .map_or(Duration::ZERO, |claim| self.claims[claim].remaining());
                found.mode == expected.mode
                    && (found.owner.is_none() || found.owner == expected.owner)
                    && (found.token.is_none() || found.token == expected.token)
                    && found.expires_in.is_none_or(|left| left + step >= certain)
            })
    }

    /// What the queue shows, with the tokens that the store gave.
    fn expected_state(&self) -> LockState {
        let mut expected = self.model.state();
        for waiter in &mut expected.waiters {
            waiter.expires_in = None;
        }
        for holder in &mut expected.holders {
            let claim = self.claim_of(holder);
            let hold = claim.and_then(|claim| self.claims[claim].hold);
            holder.token = hold.and_then(|(_, number)| FencingToken::from_number(number).ok());
            holder.expires_in = claim.map(|claim| self.claims[claim].remaining());
        }
        expected
    }

    /// A number stays while a hold lasts, and is greater than all before when another begins.
    fn check_number(&mut self, claim: usize, number: u64) -> Result<(), Cut> {
        let Some(by_queue) = self.model.number(claim) else {
            return Ok(());
        };
        let fault = match self.claims[claim].hold {
            Some((known, before)) if known == by_queue => {
                (number != before).then(|| format!("the one it has, {before}"))
            }
            _ => {
                let least = self.least_number(claim);
                (number < least || self.given.contains(&number))
                    .then(|| format!("a new one of at least {least}"))
            }
        };
        if let Some(expected) = fault {
            let what = format!("the number of {}", self.described(claim));
            return Err(self.differs(&what, &expected, &number.to_string()));
        }
        self.claims[claim].hold = Some((by_queue, number));
        self.given.insert(number);
        Ok(())
    }

    /// The least number that a hold of this claim may have, which has just been told of. A server
    /// that does the waiting lets in several at once, and they may be told of in another order.
    fn least_number(&self, claim: usize) -> u64 {
        let holds = self.model.holds().into_iter();
        let others = holds.filter(|(other, _)| *other != claim);
        let numbers = others.filter_map(|(other, _)| Some(self.claims[other].hold?.1));
        let beside: BTreeSet<_> = match self.cx.capabilities().waits_on_server {
            true => numbers.collect(),
            false => BTreeSet::new(),
        };
        self.given
            .difference(&beside)
            .last()
            .map_or(0, |greatest| greatest + 1)
    }

    fn compare(
        &mut self,
        claim: usize,
        verb: &str,
        expected: Result<Answer>,
        found: Result<Answer>,
    ) -> Result<(), Cut> {
        let asked = format!("{} {verb}", self.described(claim));
        match (expected, found) {
            (Ok(expected), Ok(found)) if expected == found => {
                self.story.push(format!("{asked}: {found}"));
                Ok(())
            }
            (expected, found) => Err(self.differs(&asked, &told(expected), &told(found))),
        }
    }

    /// Whether all that stand by the queue, as it was before what has just been asked, can only
    /// have been dropped by the store before their time.
    fn check_pace(&self) -> Result<(), Cut> {
        let mut claims = self.claims.iter().enumerate();
        match claims.any(|(at, claim)| self.model.stands(at) && claim.remaining().is_zero()) {
            true => Err(Cut::TooSlow),
            false => Ok(()),
        }
    }

    fn differs(&mut self, what: &str, expected: &str, found: &str) -> Cut {
        self.story
            .push(format!("{what}: expected {expected}; found {found}"));
        let lines = self.story.iter().zip(1..);
        let lines: Vec<_> = lines.map(|(line, at)| format!("{at:>4}. {line}")).collect();
        Cut::Differs(lines.join("\n"))
    }

    fn described(&self, claim: usize) -> String {
        format!("claim {} ({})", claim + 1, self.claims[claim].contender)
    }

    fn described_state(&self, state: &LockState) -> String {
        let all = |entries: &[Entry]| {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| self.described_entry(entry))
                .collect();
            match entries.is_empty() {
                true => "nobody".to_owned(),
                false => entries.join(", "),
            }
        };
        format!(
            "{} holding, {} waiting",
            all(&state.holders),
            all(&state.waiters)
        )
    }

    fn described_entry(&self, entry: &Entry) -> String {
        let who = self.claim_of(entry).map_or_else(
            || format!("somebody ({})", entry.mode),
            |claim| self.described(claim),
        );
        let token = entry
            .token
            .map(|token| format!("as number {}", token.number()));
        let left = entry.expires_in.map(|left| format!("for {left:?}"));
        let known = [Some(who), token, left];
        known.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Whose entry it is, if the store shows that.
    fn claim_of(&self, entry: &Entry) -> Option<usize> {
        let owner = entry.owner.as_deref()?;
        self.claims
            .iter()
            .position(|claim| &**claim.bare.owner() == owner)
    }
}

fn told(answer: Result<Answer>) -> String {
    match answer {
        Ok(answer) => answer.to_string(),
        Err(error) => format!("the error `{error}`"),
    }
}
