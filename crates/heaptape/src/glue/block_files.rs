//! Blocks as files, one each, as crunch writes them: `heap/0xADDRESS` in a folder of the user's.
//!
//! No file holds a byte that is not known. Of a block with gaps, the bytes up to the first are in the file of
//! its address, later stretches in files with `+0xOFFSET` behind it, and `unrecorded.tsv` lists the gaps.

use heaptape_tape::{Bytes, LiveBlock, Memory, TapeError};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes read at once.
const PIECE: u64 = 1 << 20;

/// A folder for blocks.
pub(crate) struct BlockFiles {
    dir: PathBuf,
    force: bool,
    gaps: Option<BufWriter<File>>,
    /// Blocks with gaps, and bytes of those.
    pub(crate) gappy: u64,
    pub(crate) unrecorded: u64,
}

/// Why blocks could not be written.
pub(crate) enum BlockError {
    Tape(TapeError),
    Io(PathBuf, io::Error),
    /// The folder holds something already.
    NotEmpty(PathBuf),
}

impl From<TapeError> for BlockError {
    fn from(error: TapeError) -> BlockError {
        BlockError::Tape(error)
    }
}

impl BlockFiles {
    /// Makes the folder, or takes an empty one; one that is not only with `force`, and then replaces files of
    /// the same names.
    pub(crate) fn create(dir: &Path, force: bool) -> Result<BlockFiles, BlockError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| BlockError::Io(path, error)
        };
        make_dir(dir).map_err(failed(dir))?;
        let is_empty = fs::read_dir(dir).map_err(failed(dir))?.next().is_none();
        if !is_empty && !force {
            return Err(BlockError::NotEmpty(dir.to_owned()));
        }
        let heap = dir.join("heap");
        make_dir(&heap).map_err(failed(&heap))?;
        Ok(BlockFiles { dir: dir.to_owned(), force, gaps: None, gappy: 0, unrecorded: 0 })
    }

    /// Writes what is known of a block.
    pub(crate) fn write(
        &mut self,
        memory: &mut Memory<'_>,
        block: &LiveBlock,
    ) -> Result<(), BlockError> {
        let mut file: Option<(PathBuf, BufWriter<File>)> = None;
        let mut gap: Option<Range<u64>> = None;
        let mut at = 0;
        let before = self.unrecorded;
        // Also of a block of no bytes there is a file.
        while at < block.size || (at == 0 && file.is_none() && gap.is_none()) {
            let length = PIECE.min(block.size - at);
            let bytes = memory.read(block.addr.saturating_add(at), length as usize)?;
            for (range, known) in stretches(&bytes) {
                let (start, end) = (at + range.start as u64, at + range.end as u64);
                if !known {
                    close(file.take())?;
                    gap = Some(gap.map_or(start, |gap| gap.start)..end);
                    continue;
                }
                self.note(block, gap.take())?;
                if file.is_none() {
                    file = Some(self.open(block.addr, start)?);
                }
                if let Some((path, file)) = &mut file {
                    let written = file.write_all(&bytes.bytes[range]);
                    written.map_err(|error| BlockError::Io(path.clone(), error))?;
                }
            }
            at += length;
            if length == 0 {
                file = Some(self.open(block.addr, 0)?);
            }
        }
        self.note(block, gap)?;
        self.gappy += u64::from(self.unrecorded > before);
        close(file)
    }

    /// Writes out what waits.
    pub(crate) fn finish(&mut self) -> Result<(), BlockError> {
        let path = self.dir.join("unrecorded.tsv");
        self.gaps.as_mut().map_or(Ok(()), Write::flush).map_err(|error| BlockError::Io(path, error))
    }

    fn open(&self, addr: u64, offset: u64) -> Result<(PathBuf, BufWriter<File>), BlockError> {
        let name = match offset {
            0 => format!("{addr:#x}"),
            offset => format!("{addr:#x}+{offset:#x}"),
        };
        let path = self.dir.join("heap").join(name);
        match self.create_file(&path) {
            Ok(file) => Ok((path, BufWriter::new(file))),
            Err(error) => Err(BlockError::Io(path, error)),
        }
    }

    fn create_file(&self, path: &Path) -> io::Result<File> {
        if self.force {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    fn note(&mut self, block: &LiveBlock, gap: Option<Range<u64>>) -> Result<(), BlockError> {
        let Some(gap) = gap else { return Ok(()) };
        let length = gap.end - gap.start;
        self.unrecorded += length;
        let path = self.dir.join("unrecorded.tsv");
        let line = format!("{:#x}\t{}\t{length}\n", block.addr, gap.start);
        let file = match &mut self.gaps {
            Some(file) => Ok(file),
            None => self.create_file(&path).and_then(|file| {
                let file = self.gaps.insert(BufWriter::new(file));
                file.write_all(b"address\toffset\tlength\n").map(|()| file)
            }),
        };
        let written = file.and_then(|file| file.write_all(line.as_bytes()));
        written.map_err(|error| BlockError::Io(path, error))
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn close(file: Option<(PathBuf, BufWriter<File>)>) -> Result<(), BlockError> {
    match file {
        Some((path, mut file)) => file.flush().map_err(|error| BlockError::Io(path, error)),
        None => Ok(()),
    }
}

/// Known and unknown stretches, in order.
fn stretches(bytes: &Bytes) -> Vec<(Range<usize>, bool)> {
    let mut all = Vec::new();
    let mut at = 0;
    for hole in &bytes.holes {
        if at < hole.start {
            all.push((at..hole.start, true));
        }
        all.push((hole.clone(), false));
        at = hole.end;
    }
    if at < bytes.bytes.len() {
        all.push((at..bytes.bytes.len(), true));
    }
    all
}
