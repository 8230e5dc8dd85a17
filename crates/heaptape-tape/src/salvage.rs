//! The file as bytes: blocks read by offset, and the search for whole blocks in a file that has no
//! footer or a damaged one.

use crate::format::{self, BlockHead, FILE_HEAD_LEN, HEAD_LEN, MAX_KEY, SYNC, TRAILER_LEN, kind};
use crate::index::{self, Entry, Footer};
use crate::read::TapeError;
use crate::varint::Malformed;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes looked through at once for the next block.
const WINDOW: usize = 1 << 20;

/// An opened file.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    len: u64,
}

impl Source {
    pub(crate) fn new(file: File) -> io::Result<Source> {
        let len = file.metadata()?.len();
        Ok(Source { file, len })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `N` bytes at `offset`; `None` beyond the end.
    pub(crate) fn array<const N: usize>(&self, offset: u64) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        if !self.contains(offset, N as u64) {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(Some(bytes))
    }

    fn contains(&self, offset: u64, len: u64) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The head and key of the block at `offset`, if one starts there.
    fn head(&self, offset: u64) -> io::Result<Option<(BlockHead, Vec<u8>)>> {
        let Some(head) = self.array(offset)?.and_then(|bytes| BlockHead::parse(&bytes)) else {
            return Ok(None);
        };
        if !self.contains(offset, (HEAD_LEN + head.key_len()) as u64) {
            return Ok(None);
        }
        let key = self.bytes(offset + HEAD_LEN as u64, head.key_len())?;
        Ok(head.proves(&key).then_some((head, key)))
    }

    fn stored(&self, offset: u64, head: &BlockHead) -> io::Result<Vec<u8>> {
        self.bytes(offset + (HEAD_LEN + head.key_len()) as u64, head.stored_len())
    }

    /// The block at `offset` as it lies in the file; `None` when none starts there or it is cut.
    pub(crate) fn block(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        match self.head(offset)? {
            Some((head, _)) if self.contains(offset, head.block_len()) => {
                self.bytes(offset, head.block_len() as usize).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The unpacked body of the block of that kind at `offset`.
    pub(crate) fn body(&self, offset: u64, kind: u8) -> Result<Vec<u8>, TapeError> {
        let damaged = |Malformed(why)| damaged_at(offset, why);
        match self.head(offset)? {
            Some((head, _)) if head.kind == kind && self.contains(offset, head.block_len()) => {
                head.unpack(self.stored(offset, &head)?).map_err(damaged)
            }
            _ => Err(damaged(Malformed("it does not begin here"))),
        }
    }

    /// Bytes of the block at `offset`, in the file and unpacked; 0 when its head is damaged.
    pub(crate) fn lens(&self, offset: u64) -> io::Result<(u64, u64)> {
        Ok(self.head(offset)?.map_or((0, 0), |(head, _)| (head.block_len(), head.raw_len())))
    }

    /// Footer and index of a finished tape; `None` when it has none or they are damaged.
    pub(crate) fn index(&self) -> Result<Option<(Footer, Vec<Entry>)>, TapeError> {
        match self.read_index() {
            Ok(found) => Ok(found),
            Err(TapeError::Io(e)) => Err(TapeError::Io(e)),
            Err(_) => Ok(None),
        }
    }

    fn read_index(&self) -> Result<Option<(Footer, Vec<Entry>)>, TapeError> {
        let Some(footer_offset) = self.trailer()? else {
            return Ok(None);
        };
        let footer = self.body(footer_offset, kind::FOOTER)?;
        let footer = Footer::parse(&footer).map_err(|e| damaged_at(footer_offset, e.0))?;
        let mut entries = Vec::new();
        for &offset in &footer.index_offsets {
            let body = self.body(offset, kind::INDEX)?;
            let parsed = index::parse_entries(&body, offset, &mut entries);
            parsed.map_err(|e| damaged_at(offset, e.0))?;
        }
        Ok(Some((footer, entries)))
    }

    /// Where the footer starts, as the last bytes of the file say.
    fn trailer(&self) -> io::Result<Option<u64>> {
        let Some(at) = self.len.checked_sub(TRAILER_LEN as u64) else {
            return Ok(None);
        };
        Ok(self.array(at)?.and_then(|bytes| format::parse_trailer(&bytes)))
    }
}

/// What a search of the whole file found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) entries: Vec<Entry>,
    pub(crate) footer: Option<Footer>,
    /// Bytes of whole blocks, of the file head, and of a trailer.
    pub(crate) good_bytes: u64,
    /// Damaged stretches that whole blocks follow, and blocks whose body is damaged.
    pub(crate) damaged_blocks: u64,
    /// Bytes of those.
    pub(crate) lost_bytes: u64,
}

impl Scan {
    /// Reads the file from front to back.
    pub(crate) fn of(source: &Source) -> io::Result<Scan> {
        let mut scan = Scan { good_bytes: FILE_HEAD_LEN as u64, ..Scan::default() };
        let mut offset = FILE_HEAD_LEN as u64;
        while offset < source.len() {
            offset = match source.head(offset)? {
                // The head is proven: what it promises was never written.
                Some((head, _)) if !source.contains(offset, head.block_len()) => break,
                Some((head, key)) => {
                    scan.block(source, offset, &head, key)?;
                    offset + head.block_len()
                }
                None => match next_block(source, offset + 1)? {
                    Some(next) => {
                        scan.damaged_blocks += 1;
                        scan.lost_bytes += next - offset;
                        next
                    }
                    None => break,
                },
            };
        }
        scan.trailer(source, offset)?;
        Ok(scan)
    }

    fn block(
        &mut self,
        source: &Source,
        offset: u64,
        head: &BlockHead,
        key: Vec<u8>,
    ) -> io::Result<()> {
        let stored = source.stored(offset, head)?;
        if !head.proves_body(&stored) {
            self.damaged_blocks += 1;
            self.lost_bytes += head.block_len();
            return Ok(());
        }
        self.good_bytes += head.block_len();
        if head.kind == kind::FOOTER {
            let body = head.unpack(stored).ok();
            self.footer = body.and_then(|body| Footer::parse(&body).ok());
        }
        self.entries.push(Entry { kind: head.kind, offset, key });
        Ok(())
    }

    /// A footer without its trailer is damage, not a cut.
    fn trailer(&mut self, source: &Source, offset: u64) -> io::Result<()> {
        let whole = source.len().saturating_sub(offset) == TRAILER_LEN as u64
            && source.trailer()?.is_some();
        if whole {
            self.good_bytes += TRAILER_LEN as u64;
        } else if self.footer.is_some() {
            self.damaged_blocks += 1;
        }
        Ok(())
    }
}

/// The offset of the first proven block head at or after `from`.
fn next_block(source: &Source, from: u64) -> io::Result<Option<u64>> {
    const OVERLAP: usize = HEAD_LEN + MAX_KEY;
    let mut start = from;
    while start < source.len() {
        let left = source.len() - start;
        let window = source.bytes(start, left.min((WINDOW + OVERLAP) as u64) as usize)?;
        let found = (0..window.len().min(WINDOW)).find(|&at| is_block_head(&window[at..]));
        if let Some(at) = found {
            return Ok(Some(start + at as u64));
        }
        start += WINDOW as u64;
    }
    Ok(None)
}

fn is_block_head(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&SYNC) {
        return false;
    }
    let head = bytes.first_chunk().and_then(BlockHead::parse);
    head.is_some_and(|head| {
        bytes.get(HEAD_LEN..HEAD_LEN + head.key_len()).is_some_and(|key| head.proves(key))
    })
}

pub(crate) fn damaged_at(offset: u64, why: &str) -> TapeError {
    TapeError::Damaged(format!("block at byte {offset}: {why}"))
}
