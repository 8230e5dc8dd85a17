//! Whole blocks put one after the other, and the index of where they are.

use crate::format::{self, BlockMaker, kind};
use crate::index::{self, Entry, Footer};
use crate::live::Totals;
use crate::model::Losses;
use std::io::{self, Write};

/// Puts blocks into the file and remembers where they are. After a failure it is of no more use: what follows
/// would not be where the index says.
pub(crate) struct BlockWriter<W: Write> {
    out: W,
    offset: u64,
    maker: BlockMaker,
    entries: Vec<Entry>,
}

impl<W: Write> BlockWriter<W> {
    pub(crate) fn new(out: W) -> io::Result<BlockWriter<W>> {
        let maker = BlockMaker::new()?;
        Ok(BlockWriter { out, offset: 0, maker, entries: Vec::new() })
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    pub(crate) fn block(&mut self, kind: u8, key: &[u8], raw: &[u8]) -> io::Result<()> {
        let block = self.maker.block(kind, key, raw)?;
        self.entries.push(Entry { kind, offset: self.offset, key: key.to_vec() });
        self.put(&block)
    }

    /// Puts a block that is whole already.
    pub(crate) fn ready(&mut self, kind: u8, key: Vec<u8>, block: &[u8]) -> io::Result<()> {
        self.entries.push(Entry { kind, offset: self.offset, key });
        self.put(block)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn finish(mut self, processes: Vec<(Totals, Losses)>) -> io::Result<W> {
        let mut index_offsets = Vec::new();
        for entries in std::mem::take(&mut self.entries).chunks(index::MAX_ENTRIES) {
            index_offsets.push(self.offset);
            self.block(kind::INDEX, &[], &index::encode_entries(entries))?;
        }
        let footer_offset = self.offset;
        let footer = Footer { index_offsets, processes };
        self.block(kind::FOOTER, &[], &footer.encode())?;
        self.put(&format::encode_trailer(footer_offset))?;
        self.flush()?;
        Ok(self.out)
    }
}
