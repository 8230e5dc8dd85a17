//! The memory shared with the targets: made, sealed, mapped, and seen through the types of the wire.
//!
//! The files are sealed against growing and shrinking before anyone else sees them, so that no
//! target can make an access of ours fault. What the words hold is not trusted by anyone above.

use super::{check, fd};
use heaptape_wire::layout::*;
use heaptape_wire::ring::Ring;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Makes a sealed file of zeros.
fn sealed_file(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let file = fd::memfd(name, libc::MFD_ALLOW_SEALING)?;
    set_length(&file, bytes)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: plain call on a descriptor we hold.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file)
}

/// Sets the length of an anonymous file. `ulimit -f` counts it like one on disk, although it is
/// sparse and costs nothing: the limit is lifted for the moment, as far as the hard one allows.
fn set_length(file: &OwnedFd, bytes: usize) -> io::Result<()> {
    // SAFETY: plain calls on a descriptor we hold and on local values.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        check(libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit))?;
        let lift = |most| {
            let lifted = libc::rlimit { rlim_cur: most, rlim_max: most };
            libc::setrlimit(libc::RLIMIT_FSIZE, &lifted) == 0
        };
        let lifted =
            limit.rlim_cur < bytes as u64 && (lift(libc::RLIM_INFINITY) || lift(limit.rlim_max));
        let result = check(libc::ftruncate(file.as_raw_fd(), bytes as libc::off_t)).map(drop);
        if lifted {
            check(libc::setrlimit(libc::RLIMIT_FSIZE, &limit))?;
        }
        result
    }
}

/// A shared, writable mapping of part of a sealed file.
struct Mapping {
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only seen through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<Mapping> {
        // SAFETY: a fresh mapping; the kernel picks its place.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { at, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; references into it borrow `self`.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.bytes) };
    }
}

/// The session memory.
pub(crate) struct SessionMemory {
    file: OwnedFd,
    map: Mapping,
}

impl SessionMemory {
    pub(crate) fn new() -> io::Result<SessionMemory> {
        let file = sealed_file(c"heaptape-session", PAGE)?;
        let map = Mapping::new(file.as_fd(), 0, PAGE)?;
        Ok(SessionMemory { file, map })
    }

    /// The file, to be handed to a target.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The page.
    pub(crate) fn page(&self) -> &SessionPage {
        // SAFETY: page-aligned, at least as long (asserted by the wire), all atomics, zero is valid.
        unsafe { self.map.at.cast().as_ref() }
    }
}

/// The memory of one process; its streams are mapped as they come into use.
pub(crate) struct ProcessMemory {
    file: OwnedFd,
    page: Mapping,
    streams: Vec<Mapping>,
}

impl ProcessMemory {
    pub(crate) fn new() -> io::Result<ProcessMemory> {
        let file = sealed_file(c"heaptape", PROCESS_BYTES)?;
        let page = Mapping::new(file.as_fd(), 0, PAGE)?;
        Ok(ProcessMemory { file, page, streams: Vec::new() })
    }

    /// The file, to be handed to the target.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The first page.
    pub(crate) fn page(&self) -> &ProcessPage {
        // SAFETY: page-aligned, at least as long (asserted by the wire), all atomics, zero is valid.
        unsafe { self.page.at.cast().as_ref() }
    }

    /// Streams mapped so far.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Maps streams until there are `count` of them (never more than [`MAX_STREAMS`]).
    pub(crate) fn map_streams(&mut self, count: usize) -> io::Result<()> {
        while self.streams.len() < count.min(MAX_STREAMS) {
            let offset = stream_offset(self.streams.len());
            self.streams.push(Mapping::new(self.file.as_fd(), offset, STREAM_BYTES)?);
        }
        Ok(())
    }

    /// The ring of a mapped stream.
    pub(crate) fn ring(&self, stream: usize) -> Ring<'_> {
        let at = self.streams[stream].at;
        // SAFETY: the area is page-aligned and STREAM_BYTES long: a header page, then RING_WORDS
        // words. Both are atomics for which any bytes are valid.
        unsafe {
            let header = at.cast::<StreamHeader>().as_ref();
            let words = at.add(PAGE).cast::<AtomicU64>();
            Ring::new(header, std::slice::from_raw_parts(words.as_ptr(), RING_WORDS))
        }
    }
}
