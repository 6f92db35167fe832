//! Rows and columns, for a terminal, for Markdown and for a page.

/// What the first row says is over the columns.
pub(crate) struct Table(pub(crate) Vec<Vec<String>>);

impl Table {
    /// Of rows with so many cells.
    pub(crate) fn headed<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned).into()])
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.into());
    }

    /// In columns of even width, which Markdown takes for a table, too.
    pub(crate) fn markdown(&self) -> String {
        let Some((head, rows)) = self.0.split_first() else {
            return String::new();
        };
        let width = |column: usize| {
            let cells = self.0.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(3)
        };
        let widths: Vec<_> = (0..head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match self.is_of_numbers(column) {
                true => format!(" {cell:>width$} |"),
                false => format!(" {cell:<width$} |"),
            });
            format!("|{}\n", cells.collect::<String>())
        };
        let rules = widths.iter().enumerate().map(|(column, width)| {
            let colon = if self.is_of_numbers(column) { ':' } else { '-' };
            format!(" {}{colon} |", "-".repeat(width - 1))
        });
        let rules = format!("|{}\n", rules.collect::<String>());
        let rows = rows.iter().map(|row| line(row));
        [line(head), rules].into_iter().chain(rows).collect()
    }

    pub(crate) fn html(&self) -> String {
        let rows = self.0.iter().enumerate().map(|(number, row)| {
            let tag = if number == 0 { "th" } else { "td" };
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let class = if self.is_of_numbers(column) {
                    " class=number"
                } else {
                    ""
                };
                format!("<{tag}{class}>{}</{tag}>", escaped(cell))
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        });
        format!("<table>\n{}</table>\n", rows.collect::<String>())
    }

    /// Then it stands to the right.
    fn is_of_numbers(&self, column: usize) -> bool {
        let mut cells = self.0.iter().skip(1).map(|row| &*row[column]);
        let has_rows = self.0.len() > 1;
        has_rows && cells.all(|cell| cell.split(" to ").all(is_number))
    }
}

fn is_number(cell: &str) -> bool {
    cell == "–"
        || cell
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'))
}

/// As it stands in a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_stand_to_the_right() {
        let mut table = Table::headed(["who", "per second"]);
        table.row(["1 <task>".to_owned(), "1,234 to 5.6".to_owned()]);
        table.row(["b".to_owned(), "–".to_owned()]);
        let expected = "\
| who      |   per second |
| -------- | -----------: |
| 1 <task> | 1,234 to 5.6 |
| b        |            – |
";
        assert_eq!(table.markdown(), expected);
        assert!(
            table
                .html()
                .contains("<td>1 &lt;task></td><td class=number>1,234 to 5.6</td>")
        );
    }
}
