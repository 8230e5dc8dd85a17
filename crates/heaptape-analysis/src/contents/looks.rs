//! What bytes look like: a guess, and said as one.

use heaptape_tape::Bytes;
use serde::Serialize;

/// So many bytes from the start of a block are looked at.
pub const LOOKED_AT: usize = 4096;
/// Shorter text is no text.
const SHORTEST_TEXT: usize = 4;

/// What some bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Looks {
    /// None of them is known.
    NotRecorded,
    /// Nothing but zeros.
    Zeros,
    /// Text, up to its end or a zero.
    Text,
    /// Mostly addresses of live blocks.
    Pointers,
    /// It begins with an address in a module: a C++ object's table of virtual functions, or a function.
    Object,
    /// Mostly numbers with a fraction, of 8 bytes.
    Floats,
    /// Something else.
    Data,
}

impl Looks {
    /// In a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Looks::NotRecorded => "not recorded",
            Looks::Zeros => "zeros",
            Looks::Text => "text",
            Looks::Pointers => "pointers",
            Looks::Object => "object",
            Looks::Floats => "floats",
            Looks::Data => "data",
        }
    }

    /// Guesses. `heap` and `module` tell whether an address lies in a live block, and in a module.
    pub fn of(bytes: &Bytes, heap: impl Fn(u64) -> bool, module: impl Fn(u64) -> bool) -> Looks {
        let known: Vec<u8> = (0..bytes.bytes.len()).map_while(|at| bytes.get(at)).collect();
        if known.is_empty() {
            return Looks::NotRecorded;
        }
        if known.iter().all(|&byte| byte == 0) {
            return Looks::Zeros;
        }
        if is_text(&known) {
            return Looks::Text;
        }
        let words: Vec<u64> = known
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight")))
            .collect();
        if words.first().is_some_and(|&word| module(word)) {
            return Looks::Object;
        }
        let used: Vec<u64> = words.into_iter().filter(|&word| word != 0).collect();
        let most = |count: usize| !used.is_empty() && count * 2 > used.len();
        if most(used.iter().filter(|&&word| heap(word)).count()) {
            return Looks::Pointers;
        }
        if most(used.iter().filter(|&&word| is_float(word)).count()) {
            return Looks::Floats;
        }
        Looks::Data
    }
}

/// Printable up to a zero or the end, and most of what there is, or nothing but zeros after it.
fn is_text(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    // What was looked at may end within a character.
    let valid = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.len() >= SHORTEST_TEXT.min(bytes.len())
        && valid.chars().all(printable)
        && (text.len() * 2 >= bytes.len() || rest.iter().all(|&byte| byte == 0))
}

/// A number of a size that people calculate with, and not a small integer.
fn is_float(word: u64) -> bool {
    let value = f64::from_bits(word).abs();
    (1e-12..1e15).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(bytes: &[u8]) -> Looks {
        let bytes = Bytes { addr: 0, bytes: bytes.to_vec(), holes: Vec::new() };
        Looks::of(&bytes, |word| word >> 32 == 0x5555, |word| word >> 32 == 0x7fff)
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn bytes_look_like_what_they_are() {
        assert_eq!(looks(b""), Looks::NotRecorded);
        assert_eq!(looks(&[0; 40]), Looks::Zeros);
        assert_eq!(looks(b"hello, world\0"), Looks::Text);
        assert_eq!(looks(b"hello\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), Looks::Text);
        assert_eq!(looks("gr\u{fc}\u{df}e\n".as_bytes()), Looks::Text);
        assert_eq!(looks(b"hello\0\0\0\x01\0\0\0\x02\0\0\0"), Looks::Data);
        assert_eq!(looks(b"a\x1bb\x07c"), Looks::Data);
        assert_eq!(looks(&words(&[0x5555_0000_1000, 0, 0x5555_0000_2000])), Looks::Pointers);
        assert_eq!(looks(&words(&[0x7fff_0000_1000, 5, 0x5555_0000_2000])), Looks::Object);
        assert_eq!(looks(&words(&[1.5f64.to_bits(), (-3e7f64).to_bits()])), Looks::Floats);
        assert_eq!(looks(&words(&[1, 2, 3])), Looks::Data);
    }

    #[test]
    fn what_is_not_recorded_is_not_guessed_at() {
        let hole = 0..64;
        let bytes = Bytes { addr: 0, bytes: vec![0; 64], holes: vec![hole] };
        assert_eq!(Looks::of(&bytes, |_| true, |_| true), Looks::NotRecorded);
    }
}
