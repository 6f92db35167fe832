/// What can be wrong with the simulated store on purpose. The simulation must find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// The client dates a hold from the answer rather than from before the request.
    DatedFromAnswer,
    /// A renewal is answered as if it had extended the hold, which it has not.
    RenewalDoesNothing,
    /// A grant whose reply is lost is given to the next in line as well.
    GrantsTwice,
    /// The first grant's number is given to every later one.
    NumberRepeats,
    /// A request that comes after the release of its claim is done all the same.
    ReleaseIsNotFinal,
    /// A try that finds the name held stays in line.
    TryLeavesPlace,
    /// An attempt is answered as if it had refreshed the entry, which it has not.
    NoRefresh,
    /// Release frees whoever holds the name.
    ReleasesAnyone,
    /// The release of a claim that waits leaves it in line.
    WaiterStays,
}

impl Bug {
    /// Every bug there is.
    pub const ALL: [Self; 9] = [
        Self::DatedFromAnswer,
        Self::RenewalDoesNothing,
        Self::GrantsTwice,
        Self::NumberRepeats,
        Self::ReleaseIsNotFinal,
        Self::TryLeavesPlace,
        Self::NoRefresh,
        Self::ReleasesAnyone,
        Self::WaiterStays,
    ];
}
