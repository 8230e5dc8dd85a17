//! Which bytes of a stretch of memory are not what they were filled with.

/// From one byte to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Span {
    /// Bytes from the first to the last.
    pub(crate) fn length(self) -> usize {
        self.last - self.first + 1
    }

    /// What covers both.
    pub(super) fn over(a: Option<Span>, b: Option<Span>) -> Option<Span> {
        match (a, b) {
            (Some(a), Some(b)) => {
                Some(Span { first: a.first.min(b.first), last: a.last.max(b.last) })
            }
            (a, b) => a.or(b),
        }
    }
}

/// Fills `start..end`.
///
/// # Safety
/// The memory is ours to write.
pub(super) unsafe fn fill(start: usize, end: usize, with: u8) {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::write_bytes(start as *mut u8, with, end - start) };
}

/// What of `start..end` is not `expected`.
///
/// # Safety
/// The memory can be read.
pub(super) unsafe fn changed(start: usize, end: usize, expected: u8) -> Option<Span> {
    let word = u64::from_ne_bytes([expected; 8]);
    // SAFETY: the caller's promise, both; the program may write there at this moment.
    let byte_is = |at: usize| unsafe { (at as *const u8).read_volatile() } == expected;
    // SAFETY: as above.
    let word_is = |at: usize| unsafe { (at as *const u64).read_unaligned() } == word;
    let mut first = start;
    while first + 8 <= end && word_is(first) {
        first += 8;
    }
    while first < end && byte_is(first) {
        first += 1;
    }
    if first >= end {
        return None;
    }
    let mut last = end;
    while last - 8 > first && word_is(last - 8) {
        last -= 8;
    }
    while last - 1 > first && byte_is(last - 1) {
        last -= 1;
    }
    Some(Span { first, last: last - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_spanned() {
        for length in 0..40 {
            for first in 0..length {
                for last in first..length {
                    let mut bytes = [7u8; 40];
                    (bytes[first], bytes[last]) = (1, 2);
                    let start = bytes.as_ptr() as usize;
                    // SAFETY: within the array.
                    let found = unsafe { changed(start, start + length, 7) };
                    let expected = Span { first: start + first, last: start + last };
                    assert_eq!(found, Some(expected), "{first}..={last} of {length}");
                }
            }
            let bytes = [7u8; 40];
            let start = bytes.as_ptr() as usize;
            // SAFETY: within the array.
            assert_eq!(unsafe { changed(start, start + length, 7) }, None);
        }
    }
}
