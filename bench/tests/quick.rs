//! A quick run, as a user makes it.

use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_quick_run_writes_all_that_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_distlock-bench"));
    bench.args(["--quick", "--no-peers", "--store", "memory,sqlite", "--out"]);
    let out = bench.arg(folder.path()).output().unwrap();
    let printed = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );

    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let [memory, sqlite] = &report["stores"].as_array().unwrap()[..] else {
        panic!("{report:#}")
    };
    for store in [memory, sqlite] {
        let lines = store["table"].as_array().unwrap();
        let ours: Vec<_> = lines
            .iter()
            .filter(|line| line["who"] == "distlock")
            .collect();
        assert_eq!(ours.len(), 8, "{store:#}");
        for line in ours {
            assert!(
                line["figures"]["per second"]["median"].as_f64().unwrap() > 0.0,
                "{line:#}"
            );
        }
        let curves = store["curves"].as_array().unwrap();
        assert_eq!(curves.len(), 3, "{store:#}");
        for curve in curves {
            let points = curve["lines"]["distlock"].as_array().unwrap();
            assert!(
                points.iter().all(|point| point["fault"].is_null()),
                "{curve:#}"
            );
        }
    }
    assert!(
        sqlite["ratios"]["time of a pair / of a bare pair"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert!(
        sqlite["figures"]["bytes of one of 1,000 holds"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let takeover = &sqlite["figures"]["seconds until takeover after kill -9, TTL 3 s"];
    assert!(
        (1.0..10.0).contains(&takeover.as_f64().unwrap()),
        "{takeover}"
    );
    let left_out = &memory["left out"]["seconds until takeover after kill -9, TTL 3 s"];
    assert!(left_out.is_string(), "{memory:#}");

    let tables = read("report.md");
    assert!(
        printed.contains("## sqlite") && tables.contains("## sqlite"),
        "{tables}"
    );
    let page = read("index.html");
    for plot in [
        "changes",
        "waits",
        "memory-rates",
        "memory-curves",
        "sqlite-rates",
        "sqlite-curves",
    ] {
        let plot = read(&format!("{plot}.svg"));
        assert!(plot.starts_with("<svg") && page.contains(&plot), "{plot}");
    }
    assert!(!page.contains("{stores}"), "{page}");
}
