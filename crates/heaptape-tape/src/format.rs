//! What a tape is made of: a file head, then blocks that each say how long they are and prove that
//! they are whole, then a trailer. `docs/format.md` describes every byte.
//!
//! A block's head has a checksum of its own. So a reader that looks for the next block after a damaged
//! stretch rejects a false start after a few bytes, and a block with a damaged body still says which
//! events are missing.

use crate::events::MAX_EVENTS;
use crate::model::PAGE_BYTES;
use crate::pages::MAX_PAGES;
use crate::varint::Malformed;
use std::io;

/// The major version that this code writes, and the latest it reads.
pub const FORMAT_MAJOR: u16 = 1;
/// The minor version that this code writes. Readers accept every minor version.
pub const FORMAT_MINOR: u16 = 0;

/// The first bytes of a tape. Not text, and broken by newline conversion.
pub(crate) const FILE_MAGIC: [u8; 8] = *b"\x89TAPE\r\n\x1a";
/// Bytes of the file head.
pub(crate) const FILE_HEAD_LEN: usize = 24;
/// The first bytes of every block.
pub(crate) const SYNC: [u8; 4] = [0xf7, b'H', b'T', 0xa8];
/// Bytes of a block's head before its key.
pub(crate) const HEAD_LEN: usize = 24;
/// The last bytes of a finished tape.
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"TAPE-END";
/// Bytes of the trailer.
pub(crate) const TRAILER_LEN: usize = 20;
/// Longest body, unpacked: bounds what a hostile length can make a reader allocate.
pub(crate) const MAX_RAW: usize = 64 << 20;
/// Longest body of an EVENTS block. An event takes less than 100 bytes, whatever it is: readers unpack
/// several runs at once, and none is to be large.
const MAX_RAW_EVENTS: usize = 128 * MAX_EVENTS + (64 << 10);
/// Longest body of a PAGES block: its pages and the lists of them. Readers keep several unpacked.
const MAX_RAW_PAGES: usize = MAX_PAGES * PAGE_BYTES as usize + (64 << 10);
/// Longest key.
pub(crate) const MAX_KEY: usize = 512;

/// Fast enough to keep up with a program (over 300 MB/s); higher levels gain little on these columns.
const ZSTD_LEVEL: i32 = 3;
const FLAG_ZSTD: u8 = 1;

/// What a block holds.
pub(crate) mod kind {
    pub(crate) const META: u8 = 1;
    pub(crate) const EVENTS: u8 = 2;
    pub(crate) const KEYFRAME: u8 = 3;
    pub(crate) const CONTENTS: u8 = 4;
    pub(crate) const INDEX: u8 = 5;
    pub(crate) const FOOTER: u8 = 6;
    pub(crate) const LEAKS: u8 = 9;
    pub(crate) const PAGES: u8 = 7;
}

fn most_raw(kind: u8) -> usize {
    match kind {
        kind::EVENTS => MAX_RAW_EVENTS,
        kind::PAGES => MAX_RAW_PAGES,
        _ => MAX_RAW,
    }
}

/// The first bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) tick_ns: u64,
    /// Whether the checksum is right.
    pub(crate) whole: bool,
}

impl FileHead {
    pub(crate) fn encode(tick_ns: u64) -> [u8; FILE_HEAD_LEN] {
        let mut bytes = [0; FILE_HEAD_LEN];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_MAJOR.to_le_bytes());
        bytes[10..12].copy_from_slice(&FORMAT_MINOR.to_le_bytes());
        bytes[12..20].copy_from_slice(&tick_ns.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when it is no tape.
    pub(crate) fn parse(bytes: &[u8; FILE_HEAD_LEN]) -> Option<FileHead> {
        (bytes[..8] == FILE_MAGIC).then(|| FileHead {
            major: u16::from_le_bytes([bytes[8], bytes[9]]),
            minor: u16::from_le_bytes([bytes[10], bytes[11]]),
            tick_ns: u64_at(bytes, 12),
            whole: crc32fast::hash(&bytes[..20]) == u32_at(bytes, 20),
        })
    }
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) kind: u8,
    flags: u8,
    key_len: u16,
    stored_len: u32,
    raw_len: u32,
    body_crc: u32,
    head_crc: u32,
}

impl BlockHead {
    /// Reads a head as far as it can be told from noise without its key.
    pub(crate) fn parse(bytes: &[u8; HEAD_LEN]) -> Option<BlockHead> {
        let head = BlockHead {
            kind: bytes[4],
            flags: bytes[5],
            key_len: u16::from_le_bytes([bytes[6], bytes[7]]),
            stored_len: u32_at(bytes, 8),
            raw_len: u32_at(bytes, 12),
            body_crc: u32_at(bytes, 16),
            head_crc: u32_at(bytes, 20),
        };
        let plausible = bytes[..4] == SYNC
            && usize::from(head.key_len) <= MAX_KEY
            && head.raw_len as usize <= most_raw(head.kind)
            && head.stored_len <= head.raw_len;
        plausible.then_some(head)
    }

    fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[..4].copy_from_slice(&SYNC);
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.key_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.head_crc.to_le_bytes());
        bytes
    }

    fn checksum(&self, key: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.encode()[4..20]);
        hasher.update(key);
        hasher.finalize()
    }

    /// Whether head and key are as they were written.
    pub(crate) fn proves(&self, key: &[u8]) -> bool {
        self.head_crc == self.checksum(key)
    }

    pub(crate) fn key_len(&self) -> usize {
        usize::from(self.key_len)
    }

    pub(crate) fn stored_len(&self) -> usize {
        self.stored_len as usize
    }

    pub(crate) fn raw_len(&self) -> u64 {
        u64::from(self.raw_len)
    }

    /// Bytes of the whole block in the file.
    pub(crate) fn block_len(&self) -> u64 {
        (HEAD_LEN + self.key_len() + self.stored_len()) as u64
    }

    pub(crate) fn proves_body(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored_len() && crc32fast::hash(stored) == self.body_crc
    }

    /// Checks and unpacks a body.
    pub(crate) fn unpack(&self, stored: Vec<u8>) -> Result<Vec<u8>, Malformed> {
        if !self.proves_body(&stored) {
            return Err(Malformed("the checksum is wrong"));
        }
        let raw_len = self.raw_len as usize;
        match self.flags {
            0 if stored.len() == raw_len => return Ok(stored),
            FLAG_ZSTD => {}
            _ => return Err(Malformed("packed in an unknown way")),
        }
        match zstd::bulk::decompress(&stored, raw_len) {
            Ok(raw) if raw.len() == raw_len => Ok(raw),
            _ => Err(Malformed("the body does not unpack")),
        }
    }
}

/// Makes blocks; keeps the compressor between them.
pub(crate) struct BlockMaker {
    compressor: zstd::bulk::Compressor<'static>,
}

impl BlockMaker {
    pub(crate) fn new() -> io::Result<BlockMaker> {
        Ok(BlockMaker { compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)? })
    }

    /// The bytes of a block. Refuses a `raw` that is longer than its kind may be, and a `key` than [`MAX_KEY`].
    pub(crate) fn block(&mut self, kind: u8, key: &[u8], raw: &[u8]) -> io::Result<Vec<u8>> {
        if raw.len() > most_raw(kind) || key.len() > MAX_KEY {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a fact of more than 64 MiB"));
        }
        let packed = self.compressor.compress(raw)?;
        let (stored, flags) =
            if packed.len() < raw.len() { (&packed[..], FLAG_ZSTD) } else { (raw, 0) };
        let mut head = BlockHead {
            kind,
            flags,
            key_len: key.len() as u16,
            stored_len: stored.len() as u32,
            raw_len: raw.len() as u32,
            body_crc: crc32fast::hash(stored),
            head_crc: 0,
        };
        head.head_crc = head.checksum(key);
        Ok([&head.encode()[..], key, stored].concat())
    }
}

/// The last bytes of a finished tape: where the footer block starts.
pub(crate) fn encode_trailer(footer_offset: u64) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..8].copy_from_slice(&footer_offset.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes[12..].copy_from_slice(&TRAILER_MAGIC);
    bytes
}

/// Where the footer block starts, if these bytes are a trailer.
pub(crate) fn parse_trailer(bytes: &[u8; TRAILER_LEN]) -> Option<u64> {
    (bytes[12..] == TRAILER_MAGIC && crc32fast::hash(&bytes[..8]) == u32_at(bytes, 8))
        .then(|| u64_at(bytes, 0))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
