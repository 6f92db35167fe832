use std::collections::VecDeque;
use std::time::Duration;

use distlock_core::Moment;

/// From when the leader counts the session time-out, at the latest.
///
/// The server that a client is connected to hears of it at once. The leader, which ends sessions,
/// is told by that server with its answer to the leader's next ping, half a tick later at most. So
/// what that server has answered proves nothing: it may have lost its leader. But of a write that
/// was answered, the leader has heard, and with it of all that came to it before on the same way:
/// pings, and whatever the server had heard until then. So what counts is the latest request that
/// the server had answered a good while before the write was sent.
#[derive(Debug)]
pub(crate) struct Dating {
    ticks: Ticks,
    as_of: Moment,
    /// When the latest request was sent of which the leader knows.
    known: Moment,
    /// Those of which it may not know, in order.
    answered: VecDeque<Answered>,
}

/// How long the servers' tick is, and what follows from that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks(pub(crate) Duration);

#[derive(Clone, Copy, Debug)]
struct Answered {
    sent: Moment,
    at: Moment,
}

impl Ticks {
    /// After so long, a follower has answered a ping of its leader.
    pub(crate) fn to_leader(self) -> Duration {
        self.0 * 3 / 4
    }

    /// How often a server is to hear something of a session.
    pub(crate) fn touch(self) -> Duration {
        self.0 / 2
    }

    /// By how much a session's time-out is longer than the TTL of its claims. When a write is
    /// answered, the leader has heard of a request that was sent so long before at most, unless the
    /// client or the network was slow.
    pub(crate) fn lag(self) -> Duration {
        self.0 * 3 / 2
    }

    /// By how much a session may outlive the TTL of its claims: the leader hears of the last
    /// request half a tick late, and looks which sessions have ended once a tick.
    pub(crate) fn slack(self) -> Duration {
        self.lag() + self.0 * 3 / 2
    }
}

impl Dating {
    /// Of a session that was asked for then.
    pub(crate) fn new(opened: Moment, ticks: Ticks) -> Self {
        Self {
            ticks,
            as_of: opened,
            known: opened,
            answered: VecDeque::new(),
        }
    }

    /// Its server has answered, just now, what was sent then.
    pub(crate) fn answered(&mut self, sent: Moment) {
        let at = Moment::now();
        self.answered.push_back(Answered { sent, at });
    }

    /// A write that was sent then has been answered: from when the TTL of the claims counts.
    pub(crate) fn written(&mut self, sent: Moment) -> Moment {
        while let Some(answered) = self.answered.front()
            && answered.at + self.ticks.to_leader() <= sent
        {
            self.known = self.known.max(answered.sent);
            self.answered.pop_front();
        }
        self.answered(sent);
        self.as_of = self.as_of.max((self.known + self.ticks.lag()).min(sent));
        self.as_of
    }

    /// From when the TTL of the claims counts.
    pub(crate) fn as_of(&self) -> Moment {
        self.as_of
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const TICK: Duration = Duration::from_millis(200);

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_long_before_a_write_counts() {
        let opened = Moment::now();
        let mut dating = Dating::new(opened, Ticks(TICK));
        // Known from the start, and new enough.
        sleep(TICK).await;
        let first = Moment::now();
        assert_eq!(dating.written(first), first);
        sleep(TICK / 2).await;
        let second = Moment::now();
        assert_eq!(dating.written(second), second);
        // The first was answered long before this.
        sleep(TICK).await;
        let third = Moment::now();
        assert_eq!(dating.written(third), third);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_has_passed_on_does_not_count() {
        let opened = Moment::now();
        let mut dating = Dating::new(opened, Ticks(TICK));
        sleep(4 * TICK).await;
        dating.answered(Moment::now());
        // The server may have heard it since its latest answer to the leader.
        sleep(TICK / 2).await;
        assert_eq!(dating.written(Moment::now()), opened + TICK * 3 / 2);
        sleep(TICK / 2).await;
        let sent = Moment::now();
        assert_eq!(dating.written(sent), sent);
    }
}
