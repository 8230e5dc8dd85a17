//! A regular file's bytes, mapped read-only. The one file of this crate with unsafe code.

#![allow(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::Mmap;

/// The bytes of one regular file.
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// Errors when it cannot be opened or is no regular file. Paths come from tapes, which nobody
    /// vouches for: a fifo must not block us and a device must not even be opened, so the kind is
    /// checked before the open, and again on what was opened.
    pub(crate) fn open(path: &Path) -> io::Result<MappedFile> {
        require_regular(&fs::metadata(path)?)?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        require_regular(&file.metadata()?)?;
        // SAFETY: the mapping is private and read-only, and nothing here writes the file. Another
        // process may still write it while it is mapped: then bytes change under our readers, which
        // check every value they read and trust no earlier check; that risk (and a SIGBUS when the
        // file is cut short at that moment) is accepted, as in every symbolizer that maps files,
        // because reading gigabytes of debug information into memory instead would be worse.
        // Package managers and linkers replace files by renaming, which leaves the mapping intact.
        Ok(MappedFile(unsafe { Mmap::map(&file)? }))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

fn require_regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}
