use std::fmt::Write;

use distlock_conformance::cases;

use crate::{Killer, all, passages};

const INTRODUCTION: &str = "\
# What the suite catches

A suite that catches nothing proves nothing. So there are stores, and engines, with one thing wrong
on purpose, and of each it is known which cases of the conformance suite must fail on it, and what
they must say. This table is written by `cargo xtask mutants table`; a test sees to it that it is
up to date. The mutants are in [mutants/](../mutants/).

The stores are tried by a test. A dozen quick cases that have nothing to do with what is wrong must
go on passing, so that a store in which nothing works does not count as caught. The engines have to
be built one by one: `cargo xtask mutants` does that, some ten seconds each.

What is left out: mistakes that need a real server (a grant to a waiter whose session has died
there, a node of an earlier session that is taken for the own, a watch that ends by compaction), and
waking more waiters than need be, which costs but breaks no promise.
";

/// All mutants, and what catches them, in Markdown.
pub fn table() -> String {
    let mut table = INTRODUCTION.to_owned();
    begin(&mut table, "Stores", "a store that");
    for mutant in all() {
        row(&mut table, mutant.number, mutant.does, &mutant.killers);
    }
    begin(&mut table, "Engines", "an engine that");
    for passage in passages() {
        row(&mut table, passage.number, passage.does, &passage.killers);
    }
    table
}

fn begin(table: &mut String, heading: &str, what: &str) {
    let columns = "| --- | --- | --- | --- |";
    let _ = write!(
        table,
        "\n## {heading}\n\n| | {what} | breaks | caught by |\n{columns}\n"
    );
}

fn row(table: &mut String, number: u32, does: &str, killers: &[Killer]) {
    let mut promises: Vec<_> = killers.iter().map(|killer| promise(killer.case)).collect();
    promises.dedup();
    let promises: Vec<_> = promises.iter().map(|number| format!("P{number}")).collect();
    let cases: Vec<_> = killers
        .iter()
        .map(|killer| format!("`{}`", killer.case))
        .collect();
    let (promises, cases) = (promises.join(", "), cases.join(", "));
    let _ = writeln!(table, "| {number} | {does} | {promises} | {cases} |");
}

/// The number of the promise that a case is about: they come in the order of the promises.
fn promise(case: &str) -> usize {
    let file = |case: &str| case.split("::").next().map(str::to_owned);
    let mut files: Vec<_> = cases().map(|case| file(&case)).collect();
    files.dedup();
    files
        .iter()
        .position(|of| *of == file(case))
        .map_or(0, |at| at + 1)
}
