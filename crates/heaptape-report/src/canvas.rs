//! What the output can show. Decided by whoever owns the stream, obeyed by every renderer.

/// The surface a text report is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Columns of a line; no line is longer, unless it holds numbers only.
    pub width: usize,
    /// Whether escape sequences for colour may be written.
    pub color: bool,
    /// Whether characters outside ASCII may be written.
    pub unicode: bool,
}

/// What a piece of text is, for colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Headings and figures that matter.
    Strong,
    /// Beside the point.
    Faint,
    /// Something is missing or wrong.
    Warning,
    /// Bars and curves.
    Chart,
}

impl Canvas {
    /// The text in its ink; as it is where colour is not wanted.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Warning => "1;33",
            Ink::Chart => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A sign, or its ASCII form.
    pub fn sign(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}
