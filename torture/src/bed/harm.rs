use std::fmt;

/// A way to break a store, or the network in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// A server is killed, and started again with its data.
    Kill,
    /// The one that leads is.
    KillLeader,
    /// A server is killed, and started again without its data.
    Wipe,
    /// A server is stopped where it is, and goes on.
    Pause,
    /// The one that leads is.
    PauseLeader,
    /// A server is stopped in order and started again.
    Restart,
    /// The one that leads cannot reach the others, but is reached by clients.
    PartLeader,
    /// One that may not lead.
    Part,
    /// Another one is made the leader, in order.
    MoveLeader,
    /// A server's wall clock is set forward, and back.
    StepClock,

    /// Connections are reset, and new ones refused.
    Cut,
    /// Nothing passes, without a word.
    BlackHole,
    /// Requests do not arrive.
    LoseRequests,
    /// Answers do not arrive.
    LoseAnswers,
    /// All is late.
    Delay,
    /// All is slow.
    Throttle,
    /// Connections break in the middle of what is sent.
    Break,
}

impl Harm {
    pub(crate) fn is_of_network(self) -> bool {
        matches!(
            self,
            Self::Cut
                | Self::BlackHole
                | Self::LoseRequests
                | Self::LoseAnswers
                | Self::Delay
                | Self::Throttle
                | Self::Break
        )
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::KillLeader => "kill leader",
            Self::Wipe => "wipe",
            Self::Pause => "pause",
            Self::PauseLeader => "pause leader",
            Self::Restart => "restart",
            Self::PartLeader => "part leader",
            Self::Part => "part",
            Self::MoveLeader => "move leader",
            Self::StepClock => "step clock",
            Self::Cut => "cut",
            Self::BlackHole => "black hole",
            Self::LoseRequests => "lose requests",
            Self::LoseAnswers => "lose answers",
            Self::Delay => "delay",
            Self::Throttle => "throttle",
            Self::Break => "break",
        })
    }
}
