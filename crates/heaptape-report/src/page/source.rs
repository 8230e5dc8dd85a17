//! Source lines of a process, as a page has them: JSON, not columns.

use serde::Serialize;

/// The lines of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// The files, by the name that frames have.
    pub files: Vec<SourceFile>,
    /// Files for whose lines there was no room.
    pub left_out_files: u64,
}

/// Lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Its name.
    pub file: String,
    /// By line; none overlap.
    pub pieces: Vec<Piece>,
}

/// Lines that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The number of the first, from 1.
    pub first: u32,
    /// The lines.
    pub lines: Vec<String>,
}
