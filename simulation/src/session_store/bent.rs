use std::collections::BTreeSet;
use std::time::Duration;

use distlock_core::Mode;
use distlock_core::queue::Place;
use distlock_miniature::{Reply, Request};

use super::request;
use crate::bug::Bug;
use crate::event::ClaimId;
use crate::server;

/// What a server with this bug makes of what it is asked, and of what it answers.
#[derive(Debug)]
pub(super) struct Bent {
    bug: Option<Bug>,
    /// The entries that were to stand, and those of them that were to go.
    entered: BTreeSet<u128>,
    left: BTreeSet<u128>,
}

impl Bent {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Self {
            bug,
            entered: BTreeSet::new(),
            left: BTreeSet::new(),
        }
    }

    pub(super) fn request(&mut self, mut request: Request) -> Request {
        match &request {
            Request::Enter { claim, .. } => drop(self.entered.insert(claim.id)),
            Request::Leave { entries, .. } => self.left.extend(entries),
            _ => {}
        }
        match (self.bug, &mut request) {
            (Some(Bug::HalfTtl), Request::Open { ttl }) => *ttl /= 2,
            (Some(Bug::NoTtl), Request::Open { ttl }) => *ttl *= 1000,
            (Some(Bug::TryLeavesPlace), Request::Enter { wait, .. }) => *wait = true,
            (Some(Bug::OneTooMany), Request::Enter { claim, .. }) => {
                if let Mode::Permit { limit } = &mut claim.mode {
                    *limit += 1;
                }
            }
            (Some(Bug::ReleaseDoesNothing), Request::Leave { entries, .. }) => entries.clear(),
            _ => {}
        }
        request
    }

    /// The replies as the server gives them, that of this ticket to this request.
    pub(super) fn replies(
        &self,
        ticket: u64,
        asked: &Request,
        done: &mut server::Done<request::Reply>,
    ) {
        if self.bug == Some(Bug::NeverWakes) {
            done.hints.clear();
            done.replies.retain(|(of, _)| *of == ticket);
        }
        for (of, request::Reply(reply)) in &mut done.replies {
            if let Ok(reply) = reply
                && *of == ticket
            {
                self.bend(asked, reply);
            }
        }
    }

    fn bend(&self, asked: &Request, reply: &mut Reply) {
        match (self.bug, asked, reply) {
            (Some(Bug::NeverWakes), _, Reply::Place(Place::Waiting { recheck })) => {
                *recheck = Duration::MAX;
            }
            (Some(Bug::NumberRepeats), _, Reply::Place(Place::Held { number })) => *number = 1,
            (Some(Bug::ReleaseAlwaysHeld), Request::Leave { .. }, Reply::Place(place)) => {
                *place = Place::Held { number: 1 };
            }
            (Some(Bug::ReleaseNeverHeld), Request::Leave { .. }, Reply::Place(place)) => {
                *place = Place::Absent;
            }
            (Some(Bug::FalselyGone), Request::Beat { .. }, reply) => *reply = Reply::NoSession,
            (Some(Bug::LateEntriesHidden), _, Reply::Alive { entries }) => {
                entries.retain(|entry| !self.left.contains(entry));
            }
            (Some(Bug::GoneEntriesShown), Request::Beat { session }, Reply::Alive { entries }) => {
                let of_session = |entry: &&u128| ClaimId::from(**entry).session == *session;
                let shown = self.entered.difference(&self.left).filter(of_session);
                *entries = shown.copied().collect();
            }
            _ => {}
        }
    }
}
