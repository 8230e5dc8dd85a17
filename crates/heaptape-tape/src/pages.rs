//! Pages of memory, as the tape holds them: lists of which, then their bytes.

use crate::columns;
use crate::model::PAGE_BYTES;
use crate::varint::{self, Cursor, Malformed};

/// Most pages of one block, with bytes and without: a block unpacks to a little more than a MiB.
pub const MAX_PAGES: usize = 256;

/// Some pages of a process as they were when a snapshot was made: those that have changed since they were
/// last stored, and those whose bytes are not known any more.
///
/// Pages are numbers: address / [`PAGE_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    stored: Vec<u64>,
    unknown: Vec<u64>,
    bytes: Vec<u8>,
}

impl Pages {
    /// Whether no more may be added.
    pub fn is_full(&self) -> bool {
        self.stored.len() == MAX_PAGES || self.unknown.len() == MAX_PAGES
    }

    /// Adds a page and its bytes; pages come in order.
    ///
    /// # Panics
    /// If these are not [`PAGE_BYTES`].
    pub fn store(&mut self, page: u64, bytes: &[u8]) {
        assert_eq!(bytes.len() as u64, PAGE_BYTES);
        self.stored.push(page);
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a page that was stored before and is different now, nobody knows how; pages come in order.
    pub fn forget(&mut self, page: u64) {
        self.unknown.push(page);
    }

    /// About the bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The first and the last page; `None` when there are none.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        let lists = [&self.stored, &self.unknown];
        let first = lists.iter().filter_map(|list| list.first()).min()?;
        let last = lists.iter().filter_map(|list| list.last()).max()?;
        Some((*first, *last))
    }

    /// The body of a block. Fails where pages are out of order or too many.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let (stored, unknown) = (encode_list(&self.stored)?, encode_list(&self.unknown)?);
        Ok(columns::join(&[&stored, &unknown, &self.bytes]))
    }
}

/// Differences from the page after the one before.
fn encode_list(pages: &[u64]) -> Result<Vec<u8>, Malformed> {
    if pages.len() > MAX_PAGES {
        return Err(Malformed("too many pages in a block"));
    }
    let mut out = Vec::new();
    let mut next = 0;
    for &page in pages {
        let ahead = page.checked_sub(next).ok_or(Malformed("pages out of order"))?;
        varint::put(&mut out, ahead);
        next = page + 1;
    }
    Ok(out)
}

/// The body of a block, taken apart.
pub(crate) struct PagesBody<'a> {
    pub(crate) stored: Vec<u64>,
    pub(crate) unknown: Vec<u64>,
    /// Of the stored pages, one after the other.
    pub(crate) bytes: &'a [u8],
}

impl<'a> PagesBody<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<PagesBody<'a>, Malformed> {
        let [stored, unknown, mut bytes] = columns::split::<3>(body)?;
        let (stored, unknown) = (parse_list(stored)?, parse_list(unknown)?);
        let bytes = bytes.take_all();
        if stored.len() * PAGE_BYTES as usize != bytes.len() {
            return Err(Malformed("bytes that are not those of its pages"));
        }
        Ok(PagesBody { stored, unknown, bytes })
    }
}

fn parse_list(mut list: Cursor<'_>) -> Result<Vec<u64>, Malformed> {
    let mut pages = Vec::new();
    let mut next = 0u64;
    while !list.is_empty() {
        let page = next.checked_add(list.number()?).filter(|&page| page < 1 << 52);
        let page = page.ok_or(Malformed("a page past the end"))?;
        if pages.len() == MAX_PAGES {
            return Err(Malformed("too many pages in a block"));
        }
        pages.push(page);
        next = page + 1;
    }
    Ok(pages)
}
