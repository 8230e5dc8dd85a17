//! A line of a summary: a label, a figure, and what else is to be said.

use crate::canvas::{Canvas, Ink};
use crate::text;
use std::io::{self, Write};

/// What a summary says in figures.
pub(crate) struct Figure {
    /// Of what; nine columns at most.
    pub(crate) label: &'static str,
    /// The figure.
    pub(crate) figure: String,
    /// What else is to be said.
    pub(crate) details: Vec<String>,
}

impl Figure {
    /// One line; what does not fit goes on below.
    pub(crate) fn render(&self, out: &mut dyn Write, canvas: &Canvas) -> io::Result<()> {
        const BEFORE: usize = 2 + 9 + 1 + 10 + 3;
        let Figure { label, figure, details } = self;
        let room = canvas.width.saturating_sub(BEFORE).max(20);
        let words = text::wrap_words(&details.join(", "), 0, room);
        let head =
            format!("  {label:<9} {}   ", canvas.paint(Ink::Strong, &text::right(figure, 10)));
        for (index, line) in words.iter().enumerate() {
            let before = if index == 0 { head.clone() } else { " ".repeat(BEFORE) };
            writeln!(out, "{before}{line}")?;
        }
        Ok(())
    }
}
