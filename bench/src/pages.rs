//! What was measured, to be read: tables for a terminal and for Markdown, and a page with pictures.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::extras::thousands;
use crate::measure::Figures;
use crate::plan::{CONTENDED, ONE_TASK};
use crate::plots::{self, Plot};
use crate::ratio::{BARE, DISTLOCK};
use crate::report::{Line, Report, StoreReport};
use crate::table::{Table, escaped};

/// Writes report.json, report.md, a file for each plot, and a page with all of it.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(
        folder.join("report.json"),
        format!("{:#}\n", serde_json::to_value(report)?),
    )?;
    fs::write(folder.join("report.md"), markdown(report))?;
    let plots = plots::of(report)?;
    for plot in &plots {
        fs::write(folder.join(format!("{}.svg", plot.file)), &plot.svg)?;
    }
    Ok(fs::write(folder.join("index.html"), html(report, &plots))?)
}

/// The tables of one store, as they stand in Markdown.
pub(crate) fn of_store(store: &StoreReport) -> String {
    let tables = tables(store).into_iter();
    let tables = tables.map(|(title, table)| format!("### {title}\n\n{}\n", table.markdown()));
    let tables: String = tables.collect();
    format!(
        "## {}\n\n{tables}{}",
        store.store,
        left_out(store).unwrap_or_default()
    )
}

fn markdown(report: &Report) -> String {
    let stores: String = report.stores.iter().map(of_store).collect();
    let (how, summary) = (how(report), summary(report).markdown());
    format!("# Measured\n\n{how}\n\n{summary}\n{stores}")
        .trim_end()
        .to_owned()
        + "\n"
}

fn html(report: &Report, plots: &[Plot]) -> String {
    let picture = |plot: &Plot| format!("<figure>{}</figure>\n", plot.svg);
    let (of_all, of_stores) = plots.split_at(2.min(plots.len()));
    let stores = report
        .stores
        .iter()
        .zip(of_stores.chunks(2))
        .map(|(store, plots)| {
            let tables = tables(store).into_iter();
            let tables = tables.map(|(title, table)| format!("<h3>{title}</h3>\n{}", table.html()));
            let left_out = left_out(store).unwrap_or_default().replace('`', "");
            format!(
                "<h2>{}</h2>\n{}{}<p>{}</p>\n",
                store.store,
                plots.iter().map(picture).collect::<String>(),
                tables.collect::<String>(),
                escaped(&left_out),
            )
        });
    include_str!("page.html")
        .replace("{how}", &escaped(&how(report)))
        .replace("{summary}", &summary(report).html())
        .replace("{plots}", &of_all.iter().map(picture).collect::<String>())
        .replace("{stores}", &stores.collect::<String>())
}

/// How it was measured, in lines that are short enough.
fn how(report: &Report) -> String {
    let what = match report.quick {
        true => "A quick run, which only shows that all works: one short round.",
        false => "Medians of several rounds, in which all took turns.",
    };
    let no_peers = report.no_peers.as_ref();
    let no_peers = no_peers.map(|why| format!("\nWithout the peers that are built apart: {why}."));
    let failed = report.failed.iter();
    let failed = failed.map(|(store, why)| format!("\nWithout {store}, which failed: {why}"));
    format!(
        "{what} Each lasted {} ms.\nServers, clients and this program shared {} processors and the \
         loopback interface.\nMade by `cargo xtask bench --out DIR`.{}{}",
        report.round_millis,
        report.processors,
        no_peers.unwrap_or_default(),
        failed.collect::<String>(),
    )
}

/// A line for each store.
fn summary(report: &Report) -> Table {
    let mut table = Table::headed([
        "store",
        "bare pairs a second",
        "distlock",
        "best other",
        "changes of owner a second among 16",
        "best other",
        "least share / greatest",
        "longest wait in ms",
    ]);
    for store in &report.stores {
        let rate = |line: Option<&Line>| {
            let figures = line.and_then(|line| line.figures);
            figures.map_or(none(), |figures| thousands(figures.per_second.median))
        };
        let contended = line(store, CONTENDED, DISTLOCK);
        let figures = contended.and_then(|line| line.figures);
        table.row([
            store.store.to_owned(),
            rate(line(store, ONE_TASK, BARE)),
            rate(line(store, ONE_TASK, DISTLOCK)),
            best_other(store, ONE_TASK),
            rate(contended),
            best_other(store, CONTENDED),
            figures.map_or(none(), |figures| format!("{:.2}", figures.share)),
            figures.map_or(none(), |figures| millis(figures.wait.max)),
        ]);
    }
    table
}

fn line<'a>(store: &'a StoreReport, workload: &str, who: &str) -> Option<&'a Line> {
    let is_it = |line: &&Line| line.workload == workload && line.who == who;
    store.table.iter().find(is_it)
}

/// With its name.
fn best_other(store: &StoreReport, workload: &str) -> String {
    let others = store.table.iter().filter(|line| {
        let is_ours = line.who.starts_with(DISTLOCK) || line.who.starts_with(BARE);
        line.workload == workload && !is_ours
    });
    let rates = others.filter_map(|line| Some((line.figures?.per_second.median, &line.who)));
    let best = rates.max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(none(), |(rate, who)| format!("{} ({who})", thousands(rate)))
}

fn tables(store: &StoreReport) -> Vec<(&'static str, Table)> {
    let mut tables = vec![("Rates and waits", rates(store))];
    for (curve, title) in store.curves.iter().zip(["Names", "Clients", "Waiters"]) {
        let mut table = Table::headed([
            curve.of,
            "whose",
            curve.counts,
            "wait p50 ms",
            "max ms",
            "server, µs each",
        ]);
        for (who, points) in &curve.lines {
            for point in points {
                table.row([
                    thousands(point.count as f64),
                    who.clone(),
                    or_fault(point.figures, point.fault.as_deref(), |figures| {
                        thousands(figures.per_second.median)
                    }),
                    or_none(point.figures, |figures| millis(figures.wait.p50)),
                    or_none(point.figures, |figures| millis(figures.wait.max)),
                    or_none(point.figures, server_cpu),
                ]);
            }
        }
        tables.push((title, table));
    }
    if !store.ratios.is_empty() {
        let mut table = Table::headed(["ratio", "is"]);
        for (name, value) in &store.ratios {
            let value = value.as_f64().map_or(none(), |value| format!("{value:.2}"));
            table.row([name.clone(), value]);
        }
        tables.push(("Ratios", table));
    }
    if !store.extras.figures.is_empty() {
        let mut table = Table::headed(["what", "is"]);
        for (what, value) in &store.extras.figures {
            table.row([what.clone(), plain(value)]);
        }
        tables.push(("Holds and losses", table));
    }
    if !store.bounds.is_empty() {
        let mut table = Table::headed(["bound", "is", "has to be", "verdict"]);
        for bound in &store.bounds {
            let verdict = if bound.kept { "kept" } else { "MISSED" };
            table.row([
                bound.name.to_owned(),
                bound.value.map_or(none(), |value| format!("{value:.2}")),
                format!("{} {}", bound.relation, bound.bound),
                verdict.to_owned(),
            ]);
        }
        tables.push(("Bounds", table));
    }
    tables
}

fn rates(store: &StoreReport) -> Table {
    let mut table = Table::headed([
        "workload",
        "whose",
        "a second",
        "least to most",
        "wait p50 ms",
        "p99 ms",
        "max ms",
        "least share / greatest",
        "server, µs each",
    ]);
    let lines = store.table.iter();
    for line in lines.filter(|line| line.figures.is_some() || line.fault.is_some()) {
        table.row([
            line.workload.to_owned(),
            line.who.clone(),
            or_fault(line.figures, line.fault.as_deref(), |figures| {
                thousands(figures.per_second.median)
            }),
            or_none(
                line.figures,
                |Figures {
                     per_second: rate, ..
                 }| {
                    format!("{} to {}", thousands(rate.least), thousands(rate.most))
                },
            ),
            or_none(line.figures, |figures| millis(figures.wait.p50)),
            or_none(line.figures, |figures| millis(figures.wait.p99)),
            or_none(line.figures, |figures| millis(figures.wait.max)),
            or_none(line.figures, |figures| format!("{:.2}", figures.share)),
            or_none(line.figures, server_cpu),
        ]);
    }
    table
}

/// Who was not asked what, and which figures there are none of.
fn left_out(store: &StoreReport) -> Option<String> {
    let mut sentences = Vec::new();
    let mut whose: Vec<_> = store.table.iter().map(|line| &line.who).collect();
    whose.sort();
    whose.dedup();
    for who in whose {
        let lines = store.table.iter();
        let lines =
            lines.filter(|line| line.who == *who && line.figures.is_none() && line.fault.is_none());
        let workloads: Vec<_> = lines.map(|line| line.workload).collect();
        if !workloads.is_empty() {
            sentences.push(format!("* `{who}`: {}", workloads.join("; ")));
        }
    }
    for (what, why) in &store.extras.left_out {
        sentences.push(format!("* {what}: {}", plain(why)));
    }
    let list = sentences.join("\n");
    (!list.is_empty()).then(|| format!("### Left out\n\n{list}\n\n"))
}

fn or_none(figures: Option<Figures>, show: impl FnOnce(Figures) -> String) -> String {
    figures.map_or(none(), show)
}

/// A fault after some rounds is told, too.
fn or_fault(
    figures: Option<Figures>,
    fault: Option<&str>,
    show: impl FnOnce(Figures) -> String,
) -> String {
    match fault {
        Some(fault) => format!("failed: {fault}"),
        None => or_none(figures, show),
    }
}

fn none() -> String {
    "–".to_owned()
}

/// To two digits or so.
fn millis(micros: f64) -> String {
    let millis = micros / 1e3;
    match millis {
        ..0.1 => format!("{millis:.3}"),
        ..10.0 => format!("{millis:.2}"),
        ..100.0 => format!("{millis:.1}"),
        _ => thousands(millis),
    }
}

fn server_cpu(figures: Figures) -> String {
    figures.server_cpu.map_or(none(), thousands)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(number) => thousands(number as f64),
            None => number
                .as_f64()
                .map_or(none(), |number| format!("{number:.3}")),
        },
        other => other.to_string(),
    }
}
