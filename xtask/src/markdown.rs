//! Markdown that can be read as it is, too.

/// A table: the first column is text, the others are numbers.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|it| (*it).to_owned()).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let cell =
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text += &format!("| {cell} ");
        }
        text += "|\n";
        if number == 0 {
            let rule = |width: &usize| format!("{}:|", "-".repeat(width + 1));
            let numbers: String = widths[1..].iter().map(rule).collect();
            text += &format!("|{}|{numbers}\n", "-".repeat(widths[0] + 2));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown() {
        let text = table(&["a", "b"], [vec!["é ab".to_owned(), "12".to_owned()]]);
        assert_eq!(text, "| a    |  b |\n|------|---:|\n| é ab | 12 |\n");
    }
}
