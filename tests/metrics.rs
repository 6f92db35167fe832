//! The counters and histograms of a lock's life.
#![cfg(feature = "metrics")]

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

mod life;

#[test]
fn metrics_count_and_time_the_life_of_a_lock() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(life::a_life());
    });
    let mut seen = std::collections::BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let mut labels: Vec<_> = key
            .key()
            .labels()
            .map(|label| label.value().to_owned())
            .collect();
        labels.sort();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => panic!("there are no gauges"),
        };
        seen.insert(format!("{} {}", key.key().name(), labels.join(",")), count);
    }
    for (metric, count) in [
        ("distlock_acquisitions_total exclusive,granted,memory", 2),
        ("distlock_acquisitions_total busy,exclusive,memory", 1),
        ("distlock_acquisitions_total exclusive,gave_up,memory", 1),
        ("distlock_ended_total exclusive,memory,released", 1),
        ("distlock_ended_total exclusive,max_hold,memory", 1),
        ("distlock_wait_seconds exclusive,memory", 2),
        ("distlock_hold_seconds exclusive,memory", 2),
    ] {
        assert_eq!(seen.get(metric), Some(&count), "{metric}: {seen:#?}");
    }
    assert!(seen["distlock_renewals_total exclusive,extended,memory"] >= 4);
}
