//! All mutants, by what is wrong with them.

mod exclusion;
mod expiry;
mod fencing;
mod limits;
mod names;
mod release;
mod renewal;
mod sight;
mod unknown;
mod validity;
mod waiting;

use crate::mutant::Mutant;

/// All mutants, by number.
pub fn all() -> Vec<Mutant> {
    let groups = [
        exclusion::mutants(),
        fencing::mutants(),
        expiry::mutants(),
        validity::mutants(),
        renewal::mutants(),
        waiting::mutants(),
        limits::mutants(),
        release::mutants(),
        unknown::mutants(),
        names::mutants(),
        sight::mutants(),
    ];
    let mut all: Vec<_> = groups.into_iter().flatten().collect();
    all.sort_by_key(|mutant| mutant.number);
    all
}
