//! The promises, one module each, and their cases, one function each; and the specification, which
//! is all of them.

mod cancellation;
mod capabilities;
mod exclusion;
mod fail_closed;
mod fencing;
mod input;
mod limits;
mod loss;
mod many;
mod names;
mod release;
mod renewal;
mod specification;
mod ttl;
mod unknown;
mod validity;
mod waiting;

use crate::case::Case;

/// Every case, under the number of its promise if it is one's.
pub(crate) fn all() -> Vec<Case> {
    let promises = [
        exclusion::cases(),
        fencing::cases(),
        ttl::cases(),
        validity::cases(),
        loss::cases(),
        renewal::cases(),
        waiting::cases(),
        limits::cases(),
        cancellation::cases(),
        release::cases(),
        unknown::cases(),
        names::cases(),
        input::cases(),
        many::cases(),
        fail_closed::cases(),
        capabilities::cases(),
    ];
    let numbered = (1..).zip(promises);
    numbered
        .flat_map(|(promise, cases)| cases.into_iter().map(move |case| case.of_promise(promise)))
        .chain(specification::cases())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_under_its_promise() {
        let mut seen = HashSet::new();
        for case in all() {
            assert_eq!(case.name.split("::").count(), 2, "{}", case.name);
            assert!(
                seen.insert(case.name.clone()),
                "{} is listed twice",
                case.name
            );
        }
    }
}
