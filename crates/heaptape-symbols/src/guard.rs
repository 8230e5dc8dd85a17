//! Bounds on parsing DWARF that nobody vouches for.
//!
//! The DWARF readers recurse into nested entries and follow references wherever they lead, so a
//! crafted file of a few megabytes can overflow the stack (which no `catch_unwind` survives) or keep
//! them busy for hours. They read every byte through a [`GuardedReader`], which refuses with an
//! ordinary error once the work or the stack is used up.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use gimli::{EndianSlice, Error, Reader, ReaderOffsetId, RunTimeEndian};

/// Stack the parser may use below the call of [`Guard::enter`], bytes. Real programs nest some tens
/// of inlined functions at well under a kilobyte each.
const STACK_BYTES: usize = 512 << 10;

/// Work that any file is granted, whatever its size.
const BASE_FUEL: u64 = 1 << 20;

/// Reads granted per byte of debug information. Parsing everything once takes about one read for
/// each two bytes, and all results are kept; honest files stay far below.
const FUEL_PER_BYTE: u64 = 4;

/// Work left for one module, and where its stack bound lies. Shared by all its readers.
#[derive(Debug)]
pub(crate) struct Guard {
    fuel: AtomicU64,
    stack_limit: AtomicUsize,
    too_deep: AtomicBool,
}

impl Guard {
    pub(crate) fn new() -> Guard {
        Guard {
            fuel: AtomicU64::new(BASE_FUEL),
            stack_limit: AtomicUsize::new(0),
            too_deep: AtomicBool::new(false),
        }
    }

    /// Grants the work that reading `len` more bytes of debug information may take.
    pub(crate) fn grant(&self, len: usize) {
        let more = (len as u64).saturating_mul(FUEL_PER_BYTE);
        self.fuel.store(self.fuel.load(Relaxed).saturating_add(more), Relaxed);
    }

    /// Begins a use of the parser: the stack bound counts from here.
    #[inline(never)]
    pub(crate) fn enter(&self) {
        self.stack_limit.store(stack_address().saturating_sub(STACK_BYTES), Relaxed);
    }

    /// What was refused so far, if anything: the reader's own error only says that input ended.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        if self.fuel.load(Relaxed) == 0 {
            Some("its debug information takes more work to read than its size allows")
        } else if self.too_deep.load(Relaxed) {
            Some("its debug information is nested too deeply")
        } else {
            None
        }
    }

    /// Pays for one read of `len` bytes.
    ///
    /// Load and store instead of one atomic step: a module is used by one thread at a time, and a
    /// lost update would only be generous.
    #[inline]
    fn pay(&self, len: usize, at: ReaderOffsetId) -> gimli::Result<()> {
        let fuel = self.fuel.load(Relaxed);
        let price = 1 + len as u64 / 16;
        if fuel < price {
            self.fuel.store(0, Relaxed);
            return Err(Error::UnexpectedEof(at));
        }
        if stack_address() < self.stack_limit.load(Relaxed) {
            self.too_deep.store(true, Relaxed);
            return Err(Error::UnexpectedEof(at));
        }
        self.fuel.store(fuel - price, Relaxed);
        Ok(())
    }
}

/// About where the stack is now: the address of a local variable.
#[inline]
fn stack_address() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here).addr()
}

/// A section of debug information that pays its [`Guard`] for every read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardedReader<'a> {
    slice: EndianSlice<'a, RunTimeEndian>,
    guard: &'a Guard,
}

impl<'a> GuardedReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], endian: RunTimeEndian, guard: &'a Guard) -> Self {
        GuardedReader { slice: EndianSlice::new(bytes, endian), guard }
    }

    /// The bytes left, free of charge.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.slice.slice()
    }

    #[inline]
    fn pay(&self, len: usize) -> gimli::Result<()> {
        self.guard.pay(len, Reader::offset_id(&self.slice))
    }
}

impl Reader for GuardedReader<'_> {
    type Endian = RunTimeEndian;
    type Offset = usize;

    #[inline]
    fn endian(&self) -> RunTimeEndian {
        self.slice.endian()
    }

    #[inline]
    fn len(&self) -> usize {
        self.slice.len()
    }

    #[inline]
    fn empty(&mut self) {
        Reader::empty(&mut self.slice);
    }

    #[inline]
    fn truncate(&mut self, len: usize) -> gimli::Result<()> {
        Reader::truncate(&mut self.slice, len)
    }

    #[inline]
    fn offset_from(&self, base: &Self) -> usize {
        self.slice.offset_from(base.slice)
    }

    #[inline]
    fn offset_id(&self) -> ReaderOffsetId {
        Reader::offset_id(&self.slice)
    }

    #[inline]
    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        Reader::lookup_offset_id(&self.slice, id)
    }

    #[inline]
    fn find(&self, byte: u8) -> gimli::Result<usize> {
        let found = Reader::find(&self.slice, byte);
        self.pay(*found.as_ref().unwrap_or(&self.slice.len()))?;
        found
    }

    #[inline]
    fn skip(&mut self, len: usize) -> gimli::Result<()> {
        self.pay(0)?;
        Reader::skip(&mut self.slice, len)
    }

    #[inline]
    fn split(&mut self, len: usize) -> gimli::Result<Self> {
        self.pay(0)?;
        Ok(GuardedReader { slice: Reader::split(&mut self.slice, len)?, guard: self.guard })
    }

    fn to_slice(&self) -> gimli::Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(self.bytes()))
    }

    fn to_string(&self) -> gimli::Result<Cow<'_, str>> {
        self.pay(self.len())?;
        Reader::to_string(&self.slice)
    }

    fn to_string_lossy(&self) -> gimli::Result<Cow<'_, str>> {
        self.pay(self.len())?;
        Reader::to_string_lossy(&self.slice)
    }

    #[inline]
    fn read_slice(&mut self, buf: &mut [u8]) -> gimli::Result<()> {
        self.pay(buf.len())?;
        Reader::read_slice(&mut self.slice, buf)
    }

    #[inline]
    fn read_u8(&mut self) -> gimli::Result<u8> {
        self.pay(0)?;
        Reader::read_u8(&mut self.slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_with_an_error() {
        let guard = Guard::new();
        guard.enter();
        let bytes = [0u8; 16];
        let reader = GuardedReader::new(&bytes, RunTimeEndian::Little, &guard);
        let granted = (0..).take_while(|_| reader.clone().read_u8().is_ok()).count();
        assert_eq!(granted as u64, BASE_FUEL);
        assert!(guard.complaint().is_some_and(|what| what.contains("more work")));
        guard.grant(1);
        assert!(reader.clone().read_u8().is_ok());
    }

    #[test]
    fn deep_recursion_ends_with_an_error() {
        fn descend(reader: GuardedReader<'_>, depth: usize) -> usize {
            let keep = std::hint::black_box([depth; 32]);
            match reader.clone().read_u8() {
                Ok(_) => descend(reader, depth + 1).max(keep[0]),
                Err(_) => depth,
            }
        }
        let guard = Guard::new();
        guard.enter();
        let bytes = [0u8; 1];
        let depth = descend(GuardedReader::new(&bytes, RunTimeEndian::Little, &guard), 0);
        assert!(depth > 100, "stopped at depth {depth}");
        assert!(guard.complaint().is_some_and(|what| what.contains("too deeply")));
    }
}
