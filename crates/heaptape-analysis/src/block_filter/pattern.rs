//! Texts that are sought in names.

/// A text that is sought anywhere; `*` stands for any text. Case counts only where a capital is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<String>,
    exact: bool,
}

impl Pattern {
    /// Of that text.
    pub fn new(text: &str) -> Pattern {
        let pieces = text.split('*').map(str::to_owned).collect();
        Pattern { pieces, exact: text != text.to_lowercase() }
    }

    /// Whether a text has it.
    pub fn matches(&self, text: &str) -> bool {
        if self.exact { self.is_in(text) } else { self.is_in(&text.to_lowercase()) }
    }

    fn is_in(&self, text: &str) -> bool {
        let mut rest = text;
        self.pieces.iter().all(|piece| match rest.find(piece.as_str()) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}
