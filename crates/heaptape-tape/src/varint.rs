//! Variable-length numbers (LEB128) and a reader of bytes that cannot run past their end.
//!
//! A number is stored seven bits at a time, lowest first, the top bit of a byte saying that more
//! follow. Signed differences are zigzag-mapped first: 0, -1, 1, -2 … become 0, 1, 2, 3 …

/// Bytes that make no sense, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Appends `value`.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the signed difference `to - from`, modulo 2^64.
#[inline]
pub(crate) fn put_delta(out: &mut Vec<u8>, from: u64, to: u64) {
    put(out, zigzag(to.wrapping_sub(from) as i64));
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps small differences of either sign to small numbers.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads bytes front to back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    /// Everything that is left.
    pub(crate) fn take_all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Bytes that are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is longer than 64 bits"))
    }

    /// The number that lies a signed difference from `from`.
    #[inline]
    pub(crate) fn delta(&mut self, from: u64) -> Result<u64, Malformed> {
        Ok(from.wrapping_add(unzigzag(self.number()?) as u64))
    }

    /// A number that must fit 32 bits.
    #[inline]
    pub(crate) fn number32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number is longer than 32 bits"))
    }

    /// A count of things that each take at least one of the bytes that remain.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(Malformed("a count is larger than the block")),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of so many bytes, at most 8, lowest first.
    #[inline]
    pub(crate) fn fixed(&mut self, width: usize) -> Result<u64, Malformed> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A length and so many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count()?;
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_differences_come_back(value: u64, from: u64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put_delta(&mut bytes, from, value);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.number(), Ok(value));
            prop_assert_eq!(cursor.delta(from), Ok(value));
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn hostile_numbers_are_refused() {
        assert!(Cursor::new(&[0xff; 10]).number().is_err(), "more than 64 bits");
        assert!(Cursor::new(&[0x80; 20]).number().is_err(), "never ends");
        assert!(Cursor::new(&[0x80]).number().is_err(), "cut");
        assert!(Cursor::new(&[5, 0, 0]).count().is_err(), "five things in two bytes");
        assert!(Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x10]).number32().is_err(), "2^32");
    }
}
