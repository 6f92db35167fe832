//! The tests that documentation names are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::root;

/// Where tests are named, in the last column of tables.
const PAGES: [&str; 2] = ["docs/failures.md", "docs/reliability.md"];

/// An error that names those that are nowhere.
pub(crate) fn exist() -> Result<(), String> {
    let mut sources = String::new();
    collect(root(), &mut sources).map_err(|error| error.to_string())?;
    for page in PAGES {
        let text = fs::read_to_string(root().join(page));
        let text = text.map_err(|error| format!("{page}: {error}"))?;
        let mut missing = named(&text);
        missing.retain(|name| !sources.contains(&format!("fn {name}(")));
        if !missing.is_empty() {
            return Err(format!("{page} names tests that are nowhere: {missing:?}"));
        }
    }
    Ok(())
}

/// The last parts of names such as `faults::a_killed_server_is_told`.
fn named(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let columns = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    let spans = columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    let names = spans.filter_map(|span| span.rsplit("::").next());
    let is_name = |name: &&str| {
        let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        name.contains('_') && name.chars().all(is_of_name)
    };
    names.filter(is_name).collect()
}

/// All Rust below this folder, but for what is built.
fn collect(folder: &Path, sources: &mut String) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, sources)?;
        } else if name.ends_with(".rs") {
            *sources += &fs::read_to_string(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn takes_the_names_of_tests_in_the_last_column() {
        let page =
            "`not_here`\n| `nor_here` | x |\n| x | suite `a::one_name`, `b.rs` `two_names` |";
        assert_eq!(named(page), ["one_name", "two_names"].into());
    }
}
