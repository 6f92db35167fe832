//! Figures of several rounds.

use std::time::Duration;

/// The middle one.
pub(crate) fn median<T: Copy + PartialOrd + Default>(figures: &[T]) -> T {
    let mut figures = figures.to_vec();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The middle one, in microseconds.
pub(crate) fn micros(times: &[Duration]) -> f64 {
    median(times).as_secs_f64() * 1e6
}

/// Of their middle ones.
pub(crate) fn ratio(a: &[Duration], b: &[Duration]) -> f64 {
    micros(a) / micros(b)
}
