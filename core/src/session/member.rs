use std::sync::Arc;

use super::one::Shown;
use super::{Session, SessionStore};
use crate::backend::{Hold, Renewal, Signals};
use crate::clock::{Deadline, Moment};
use crate::error::Result;

/// A claim under a [`Session`]: what the session answers for while this lives.
///
/// Its entry is what the server shows of it, a number that no other claim under the session has:
/// the claim's id, say. Dropped when the server has confirmed that the entry is gone; dropped
/// earlier, the entry is nobody's, and the next heartbeat removes it.
#[derive(Debug)]
pub struct Member<S: SessionStore> {
    session: Arc<Session<S>>,
    entry: u128,
    /// What the engine was last told that the hold counts from.
    told: Moment,
}

impl<S: SessionStore> Member<S> {
    /// Puts a claim under the session, before its first request is sent.
    pub fn new(session: Arc<Session<S>>, entry: u128, signals: Signals) -> Self {
        session.enlist(entry, signals);
        let told = session.as_of();
        Self {
            session,
            entry,
            told,
        }
    }

    /// The session.
    pub fn session(&self) -> &Session<S> {
        &self.session
    }

    /// What the server shows of it.
    pub fn entry(&self) -> u128 {
        self.entry
    }

    /// Makes sure that the session has been confirmed within a quarter of its TTL, as before a
    /// request that relies on it. `false` if it is no more.
    ///
    /// The request may put the entry there anew, so until that is a [`hold`](Self::hold) its absence
    /// is not told: it would be taken to mean what the request comes to.
    ///
    /// # Errors
    /// `Unavailable` if it was not confirmed, and may still live.
    pub async fn keep(&self, by: Deadline) -> Result<bool> {
        self.session.shows(self.entry, Shown::Unknown);
        self.is_kept(by).await
    }

    async fn is_kept(&self, by: Deadline) -> Result<bool> {
        let fresh = self.session.ttl() / 4;
        let kept = self.session.kept(|as_of| as_of.elapsed() < fresh, by).await;
        Ok(kept?.is_some())
    }

    /// The server has shown the claim's place in line. If a heartbeat shows it no more, the claim is
    /// told to look.
    pub fn waits(&self) {
        self.session.shows(self.entry, Shown::Place(Moment::now()));
    }

    /// Whether the claim still [waits](Self::waits) and need not look where it stands, when it is
    /// [refreshed](crate::backend::Patience::is_refresh): the session has been confirmed as by
    /// [`keep`](Self::keep), and the place is as it was shown.
    ///
    /// For a claim that the server tells of every change on the connection of the heartbeats: while
    /// it is idle it costs no request then. It looks all the same once in ten TTLs, in case that the
    /// server failed to tell.
    ///
    /// # Errors
    /// As for [`keep`](Self::keep).
    pub async fn rests(&self, by: Deadline) -> Result<bool> {
        Ok(self.has_place() && self.is_kept(by).await? && self.has_place())
    }

    fn has_place(&self) -> bool {
        const SILENCE: u32 = 10;
        match self.session.shown(self.entry) {
            Shown::Place(since) => since.elapsed() < self.session.ttl() * SILENCE,
            _ => false,
        }
    }

    /// The hold that the server has granted it under this number. From now on the absence of the
    /// entry means that it is gone. `None` if the session is no more, and with it the hold.
    pub fn hold(&mut self, number: u64) -> Option<Hold> {
        if !self.session.is_alive() {
            return None;
        }
        self.session.shows(self.entry, Shown::Hold(Moment::now()));
        self.told = self.session.as_of();
        Some(Hold::new(number, self.session.ttl(), self.told))
    }

    /// Extends the hold with its session, which one heartbeat does for all its claims.
    ///
    /// # Errors
    /// `Unavailable` if the session was not confirmed, and may still live.
    pub async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let told = self.told;
        match self.session.kept(|as_of| as_of > told, by).await? {
            Some(as_of) => {
                self.told = as_of;
                Ok(Renewal::Extended(as_of))
            }
            None => Ok(Renewal::Lost),
        }
    }

    /// Whether the claim is over with its session. A session that is condemned is ended first:
    /// until then the claim may still stand on the server.
    ///
    /// # Errors
    /// `Unavailable` if it is not known whether the session has ended.
    pub async fn is_over(&self, by: Deadline) -> Result<bool> {
        if self.session.is_alive() {
            return Ok(false);
        }
        self.session.end(by).await.map(|()| true)
    }
}

impl<S: SessionStore> Drop for Member<S> {
    fn drop(&mut self) {
        self.session.dismiss(self.entry);
    }
}
