//! Colours and tables on a terminal. Somewhere else, or where `NO_COLOR` is set, there are no colours.

use std::io::IsTerminal as _;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Look,
    /// It keeps the gate from its work.
    Wrong,
}

impl Grade {
    /// The word in front of a line: the same without colours.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Look => "look",
            Self::Wrong => "WRONG",
        }
    }

    /// Select graphic rendition (ECMA-48 8.3.117): green, yellow, red and bold.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Look => "33",
            Self::Wrong => "1;31",
        }
    }
}

/// True if standard output takes colours.
#[must_use]
pub fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// `text` in the colour of its grade.
#[must_use]
pub fn paint(text: &str, grade: Grade, colours: bool) -> String {
    if colours {
        format!("\u{1b}[{}m{text}\u{1b}[0m", grade.code())
    } else {
        text.to_owned()
    }
}

/// A cell: its text, and its colour if it has one.
pub type Cell = (String, Option<Grade>);

/// Rows as aligned lines, the first of them a heading; the last column is as wide as it is.
#[must_use]
pub fn table(heading: &[&str], rows: &[Vec<Cell>], colours: bool) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|(text, _)| text.chars().count());
        let title = heading.get(column).map_or(0, |title| title.chars().count());
        cells.chain([title]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heading.len()).map(width).collect();
    let line = |cells: &[Cell]| {
        let mut line = String::new();
        for ((text, grade), width) in cells.iter().zip(&widths) {
            let room = " ".repeat(width.saturating_sub(text.chars().count()) + 2);
            line.push_str(&grade.map_or_else(|| text.clone(), |grade| paint(text, grade, colours)));
            line.push_str(&room);
        }
        line.trim_end().to_owned()
    };
    let title: Vec<Cell> = heading.iter().map(|one| ((*one).into(), None)).collect();
    std::iter::once(line(&title))
        .chain(rows.iter().map(|row| line(row)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_with_colours_and_without() {
        let rows = [
            vec![("north".into(), None), ("locked".into(), Some(Grade::Good))],
            vec![("s".into(), None), ("open".into(), Some(Grade::Wrong))],
        ];
        let plain = table(&["lane", "state"], &rows, false);
        assert_eq!(plain, ["lane   state", "north  locked", "s      open"]);
        let painted = table(&["lane", "state"], &rows, true);
        assert_eq!(painted[2], "s      \u{1b}[1;31mopen\u{1b}[0m");
    }
}
