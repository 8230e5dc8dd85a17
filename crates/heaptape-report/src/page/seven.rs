//! Bytes as text that can stand in a `<script>` of a page in UTF-8: seven bits a character (`docs/page.md`, The file).
//!
//! A page has no place for bytes. Base64 makes a third more of them, this a seventh. The three characters that a page
//! would not give back, or that end a script, are each one with the seven bits behind them, in a character of two bytes.

use std::io::{self, Write};

/// Characters of one byte that cannot stand there: the first is changed, the second too, the third ends the script.
const AWAY: [u8; 3] = [0, b'\r', b'<'];
/// The first of the characters that stand for one of these and seven bits more.
const PAIRS: u32 = 0x100;
/// The first of those that stand for one of these at the end.
const LAST: u32 = PAIRS + 3 * 128;

/// Writes bytes so.
#[derive(Debug)]
pub struct SevenBits<W> {
    out: W,
    /// Bits that are not written yet, the first lowest.
    bits: u32,
    count: u32,
    /// One of [`AWAY`] that waits for the bits behind it.
    away: Option<u32>,
}

impl<W: Write> SevenBits<W> {
    /// Nothing yet.
    pub fn new(out: W) -> SevenBits<W> {
        SevenBits { out, bits: 0, count: 0, away: None }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> io::Result<W> {
        let mut text = String::new();
        if self.count > 0 {
            self.put(self.bits as u8, &mut text);
        }
        if let Some(nth) = self.away.take() {
            text.extend(char::from_u32(LAST + nth));
        }
        self.out.write_all(text.as_bytes())?;
        Ok(self.out)
    }

    fn put(&mut self, seven: u8, text: &mut String) {
        if let Some(nth) = self.away.take() {
            text.extend(char::from_u32(PAIRS + nth * 128 + u32::from(seven)));
            return;
        }
        match AWAY.iter().position(|it| *it == seven) {
            Some(nth) => self.away = Some(nth as u32),
            None => text.push(seven.into()),
        }
    }
}

impl<W: Write> Write for SevenBits<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = String::with_capacity(bytes.len() / 7 * 8 + 8);
        for byte in bytes {
            self.bits |= u32::from(*byte) << self.count;
            self.count += 8;
            while self.count >= 7 {
                self.put((self.bits & 0x7f) as u8, &mut text);
                self.bits >>= 7;
                self.count -= 7;
            }
        }
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The bytes of such a text; `None` if it is none.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    let mut put = |seven: u32| {
        bits |= seven << count;
        count += 7;
        if count >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    for character in text.chars().map(u32::from) {
        match character {
            0..128 => put(character),
            PAIRS..LAST => {
                put(AWAY[((character - PAIRS) >> 7) as usize].into());
                put(character & 0x7f);
            }
            _ => put((*AWAY.get(character.checked_sub(LAST)? as usize)?).into()),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_back_and_none_is_lost_in_a_page(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..40), 0..4),
        ) {
            let mut text = SevenBits::new(Vec::new());
            for piece in &pieces {
                text.write_all(piece).unwrap();
            }
            let text = String::from_utf8(text.finish().unwrap()).unwrap();
            prop_assert!(!text.contains(['\0', '\r', '<']));
            prop_assert_eq!(bytes_of(&text), Some(pieces.concat()));
        }
    }

    #[test]
    fn a_seventh_more() {
        for byte in [0, b'<', b'x', 0xff] {
            let mut text = SevenBits::new(Vec::new());
            text.write_all(&[byte; 70_000]).unwrap();
            assert!((80_000..80_003).contains(&text.finish().unwrap().len()));
        }
    }
}
