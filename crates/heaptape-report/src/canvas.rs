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
