use crate::family::Family;

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident),* $(,)?) => {
        /// What can be wrong with the simulated store on purpose. The simulation must find each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Hash)]
        #[non_exhaustive]
        pub enum Bug {
            $($(#[$doc])* $bug),*
        }

        impl Bug {
            /// Every bug there is.
            pub const ALL: &[Self] = &[$(Self::$bug),*];
        }
    };
}

bugs! {
    /// The client dates a hold from the answer rather than from before the request.
    DatedFromAnswer,
    /// The client takes the reply to an earlier request for that to the present one.
    StaleReplyAccepted,
    /// The client takes a request that failed for a grant.
    FailureIsGrant,
    /// The client is told that its hold is gone before it is told that it was granted.
    GoneBeforeGrant,

    /// A renewal is answered as if it had extended the hold, which it has not.
    RenewalDoesNothing,
    /// A renewal of a hold that is gone makes it anew.
    RenewalRecreates,
    /// A renewal extends the hold of whoever holds the name.
    RenewalIgnoresOwner,
    /// A renewal releases the hold and takes it again, if it can.
    RenewalIsNewGrant,
    /// An attempt is answered as if it had refreshed the entry, which it has not.
    AttemptDoesNotRefresh,

    /// Now and then the store forgets a grant that it goes on confirming.
    GrantsTwice,
    /// One permit more is given than there are.
    OneTooMany,
    /// Readers and writers do not see each other.
    ReadersBesideWriter,
    /// Whoever comes last is served first.
    LastComeFirstServed,
    /// Waiters are told nothing, and that there is no need to look again.
    NeverWakes,
    /// A try fails also if the name is free.
    RefusesFree,
    /// A try that finds the name held stays in line.
    TryLeavesPlace,

    /// The first grant's number is given to every later one.
    NumberRepeats,
    /// Once the record is lost, numbers start again.
    NumbersRestart,

    /// An entry is kept for half of its TTL.
    HalfTtl,
    /// An entry is kept for ever.
    NoTtl,
    /// A waiter is kept, whether it is heard of or not.
    DeadWaiterKept,
    /// A restart ends every TTL rather than beginning it anew.
    RestartExpires,
    /// Clients are told that a hold is gone which is not.
    FalselyGone,

    /// Release frees whoever holds the name.
    ReleasesAnyone,
    /// The release of a claim that waits leaves it in line.
    WaiterStays,
    /// A request that comes after the release of its claim is done all the same.
    ReleaseIsNotFinal,
    /// Every release is answered as that of a hold.
    ReleaseAlwaysHeld,
    /// No release is answered as that of a hold.
    ReleaseNeverHeld,

    /// The client calls a release done that it has not asked for.
    ReleaseUnsent,
    /// The client cancels a request that waits, and does not ask what it came to.
    OutcomeUnread,
    /// Releases are answered and not done.
    ReleaseDoesNothing,
    /// A client is not shown the entries that came after their release.
    LateEntriesHidden,
    /// A client is shown entries that are gone.
    GoneEntriesShown,

    /// A record is replaced whatever its version.
    SwapsBlindly,
    /// Now and then a record is called stored that is not.
    SwapIsLost,
    /// The version is made of what the record says, so one that is as it was has that of then.
    VersionComesBack,
}

impl Bug {
    /// Whether a store of this family can have it.
    pub fn befalls(self, family: Family) -> bool {
        match family {
            Family::Queue => self <= Self::ReleaseNeverHeld,
            Family::Records => self.befalls_records(),
            Family::Sessions => self == Self::TryLeavesPlace || self.befalls_sessions(),
            Family::Blocking => self == Self::OutcomeUnread || self.befalls_sessions(),
        }
    }

    fn befalls_records(self) -> bool {
        matches!(
            self,
            Self::DatedFromAnswer
                | Self::NeverWakes
                | Self::NumbersRestart
                | Self::ReleaseUnsent
                | Self::SwapsBlindly
                | Self::SwapIsLost
                | Self::VersionComesBack
        )
    }

    fn befalls_sessions(self) -> bool {
        matches!(
            self,
            Self::DatedFromAnswer
                | Self::OneTooMany
                | Self::NeverWakes
                | Self::NumberRepeats
                | Self::HalfTtl
                | Self::NoTtl
                | Self::FalselyGone
                | Self::ReleaseAlwaysHeld
                | Self::ReleaseNeverHeld
                | Self::ReleaseUnsent
                | Self::ReleaseDoesNothing
                | Self::LateEntriesHidden
                | Self::GoneEntriesShown
        )
    }
}
