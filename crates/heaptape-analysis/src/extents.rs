//! Live blocks in address order, and the holes between them.

use heaptape_tape::LiveBlock;

/// Gaps smaller than this are the allocator's headers and padding; no block would fit (the smallest
/// chunk of glibc is 32 bytes). They count as used, as part of the block before them.
pub const MIN_HOLE_BYTES: u64 = 32;

/// A stretch of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A live block, up to `end`: its bytes, and the header or padding after them.
    Block {
        /// The block.
        block: LiveBlock,
        /// First address after it.
        end: u64,
    },
    /// Unused bytes between two live blocks.
    Hole {
        /// First address.
        start: u64,
        /// Length.
        bytes: u64,
    },
}

/// The first address after a block's own bytes.
pub fn block_end(block: &LiveBlock) -> u64 {
    block.addr.saturating_add(block.size.max(block.usable))
}

/// The extents of blocks that are sorted by address. Blocks of a damaged recording may overlap: then
/// bytes belong to the first one.
pub fn extents(blocks: &[LiveBlock]) -> impl Iterator<Item = Extent> + '_ {
    let mut reached = 0_u64;
    let mut rest = blocks.iter().peekable();
    let mut hole = None;
    std::iter::from_fn(move || {
        if let Some(hole) = hole.take() {
            return Some(hole);
        }
        let block = *rest.next()?;
        let mut end = block_end(&block).max(reached);
        if let Some(next) = rest.peek() {
            let gap = next.addr.saturating_sub(end);
            if gap >= MIN_HOLE_BYTES {
                hole = Some(Extent::Hole { start: end, bytes: gap });
            } else {
                end += gap;
            }
        }
        reached = end;
        Some(Extent::Block { block, end })
    })
}
