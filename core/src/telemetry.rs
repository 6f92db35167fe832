//! What can be watched from outside: tracing spans and events, and with the feature `metrics`
//! counters and histograms. All of it is emitted here, by the engine; backends only warn of
//! what they find in a server that does not suit locks.
//!
//! | metric | kind | labels |
//! | --- | --- | --- |
//! | `distlock_acquisitions_total` | counter | `store`, `mode`, `outcome`: `granted`, `busy`, `gave_up`, `failed` |
//! | `distlock_wait_seconds` | histogram | `store`, `mode` |
//! | `distlock_hold_seconds` | histogram | `store`, `mode` |
//! | `distlock_ended_total` | counter | `store`, `mode`, `reason`: `released`, `expired`, `revoked`, `max_hold` |
//! | `distlock_renewals_total` | counter | `store`, `mode`, `outcome`: `extended`, `failed` |

use std::time::Duration;

use tracing::{Span, debug, debug_span, trace, warn};

use crate::engine::Spec;
use crate::error::Error;
use crate::guard::Loss;
use crate::token::FencingToken;

pub(crate) fn acquire_span(store: &'static str, spec: &Spec) -> Span {
    debug_span!("acquire", name = %spec.name, mode = %spec.mode, store)
}

pub(crate) fn acquired(store: &'static str, spec: &Spec, token: FencingToken, waited: Duration) {
    debug!(name = %spec.name, store, %token, ?waited, "lock acquired");
    metric::count(
        "distlock_acquisitions_total",
        store,
        spec,
        "outcome",
        "granted",
    );
    metric::time("distlock_wait_seconds", store, spec, waited);
}

pub(crate) fn busy(store: &'static str, spec: &Spec) {
    debug!(name = %spec.name, store, "lock held by another");
    metric::count(
        "distlock_acquisitions_total",
        store,
        spec,
        "outcome",
        "busy",
    );
}

pub(crate) fn gave_up(store: &'static str, spec: &Spec, waited: Duration) {
    debug!(name = %spec.name, store, ?waited, "gave up waiting for lock");
    metric::count(
        "distlock_acquisitions_total",
        store,
        spec,
        "outcome",
        "gave_up",
    );
}

pub(crate) fn failed(store: &'static str, spec: &Spec, error: &Error) {
    debug!(name = %spec.name, store, %error, "lock not acquired");
    metric::count(
        "distlock_acquisitions_total",
        store,
        spec,
        "outcome",
        "failed",
    );
}

pub(crate) fn renewed(store: &'static str, spec: &Spec, token: FencingToken, left: Duration) {
    trace!(name = %spec.name, store, %token, ?left, "lock renewed");
    metric::count(
        "distlock_renewals_total",
        store,
        spec,
        "outcome",
        "extended",
    );
}

pub(crate) fn renewal_failed(
    store: &'static str,
    spec: &Spec,
    token: FencingToken,
    left: Duration,
    error: &Error,
) {
    warn!(name = %spec.name, store, %token, ?left, %error, "renewal failed; the lock is held until its validity ends");
    metric::count("distlock_renewals_total", store, spec, "outcome", "failed");
}

pub(crate) fn ended(
    store: &'static str,
    spec: &Spec,
    token: FencingToken,
    why: Loss,
    held: Duration,
) {
    match why {
        Loss::Released => debug!(name = %spec.name, store, %token, ?held, "lock released"),
        lost => warn!(name = %spec.name, store, %token, ?held, why = %lost, "lock lost"),
    }
    metric::count("distlock_ended_total", store, spec, "reason", why.label());
    metric::time("distlock_hold_seconds", store, spec, held);
}

pub(crate) fn release_failed(store: &'static str, spec: &Spec, failures: u32, error: &Error) {
    warn!(name = %spec.name, store, failures, %error, "release not confirmed; it is tried again");
}

cfg_if::cfg_if! {
    if #[cfg(feature = "metrics")] {
        mod metric {
            use super::{Duration, Spec};

            pub(super) fn count(
                metric: &'static str,
                store: &'static str,
                spec: &Spec,
                label: &'static str,
                value: &'static str,
            ) {
                metrics::counter!(metric, "store" => store, "mode" => spec.mode.label(), label => value).increment(1);
            }

            pub(super) fn time(metric: &'static str, store: &'static str, spec: &Spec, time: Duration) {
                metrics::histogram!(metric, "store" => store, "mode" => spec.mode.label()).record(time);
            }
        }
    } else {
        mod metric {
            use super::{Duration, Spec};

            pub(super) fn count(_: &'static str, _: &'static str, _: &Spec, _: &'static str, _: &'static str) {}

            pub(super) fn time(_: &'static str, _: &'static str, _: &Spec, _: Duration) {}
        }
    }
}
