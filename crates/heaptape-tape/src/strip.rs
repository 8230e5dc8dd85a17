//! A tape without the contents of memory, everything else as it was.
//!
//! Blocks are copied as they lie in the file, one by one, and an index is made anew. What is known to
//! hold no contents is copied; a block of a later version may hold some and is left out.

use crate::blocks::BlockWriter;
use crate::format::{FILE_HEAD_LEN, kind};
use crate::meta;
use crate::read::{Tape, TapeError};
use crate::salvage::Scan;
use crate::varint::Malformed;
use std::fmt;
use std::io::{self, Write};

/// What became of a tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// Bytes of the file that were contents.
    pub contents: u64,
    /// Blocks of a later version that were left out.
    pub unknown: u64,
    /// Blocks that are damaged: left out where they cannot be told from contents.
    pub damaged: u64,
}

/// Why a tape could not be copied.
#[derive(Debug)]
pub enum StripError {
    /// It cannot be read.
    Read(TapeError),
    /// The copy cannot be written.
    Write(io::Error),
}

impl fmt::Display for StripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StripError::Read(e) => write!(f, "{e}"),
            StripError::Write(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for StripError {}

impl From<TapeError> for StripError {
    fn from(e: TapeError) -> StripError {
        StripError::Read(e)
    }
}

impl From<io::Error> for StripError {
    fn from(e: io::Error) -> StripError {
        StripError::Read(TapeError::Io(e))
    }
}

impl Tape {
    /// Writes the tape to `out` without the contents of memory. A tape that is cut stays cut.
    pub fn strip<W: Write>(&self, out: W) -> Result<Stripped, StripError> {
        let write = StripError::Write;
        let mut stripped = Stripped::default();
        let (footer, entries) = match self.source.index()? {
            Some((footer, entries)) => (Some(footer), entries),
            None => {
                let scan = Scan::of(&self.source)?;
                stripped.damaged = scan.damaged_blocks;
                (scan.footer, scan.entries)
            }
        };
        let mut blocks = BlockWriter::new(out).map_err(write)?;
        let head = self.source.array::<FILE_HEAD_LEN>(0)?.ok_or(TapeError::NotATape)?;
        blocks.put(&head).map_err(write)?;
        for entry in entries {
            let Some(block) = self.source.block(entry.offset)? else {
                stripped.damaged += 1;
                continue;
            };
            let bytes = block.len() as u64;
            match entry.kind {
                kind::CONTENTS | kind::PAGES => stripped.contents += bytes,
                kind::INDEX | kind::FOOTER => {}
                kind::META => match self.facts_at(entry.offset)? {
                    Ok(None) => blocks.ready(entry.kind, entry.key, &block).map_err(write)?,
                    Ok(Some(facts)) if facts.is_empty() => {}
                    Ok(Some(facts)) => blocks.block(kind::META, &[], &facts).map_err(write)?,
                    Err(Malformed(_)) => stripped.damaged += 1,
                },
                kind::EVENTS | kind::KEYFRAME | kind::LEAKS => {
                    blocks.ready(entry.kind, entry.key, &block).map_err(write)?;
                }
                _ => stripped.unknown += 1,
            }
        }
        match footer {
            Some(footer) => blocks.finish(footer.processes).map_err(write).map(drop)?,
            None => blocks.flush().map_err(write)?,
        }
        Ok(stripped)
    }

    /// The facts of a block without what was copied of memory; `Ok(None)` when there is nothing of that.
    fn facts_at(&self, offset: u64) -> Result<Result<Option<Vec<u8>>, Malformed>, TapeError> {
        match self.source.body(offset, kind::META) {
            Ok(body) => Ok(meta::without_contents(&body)),
            Err(TapeError::Io(e)) => Err(TapeError::Io(e)),
            Err(_) => Ok(Err(Malformed("damaged"))),
        }
    }
}
