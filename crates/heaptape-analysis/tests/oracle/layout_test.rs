//! Layout against a picture of the heap that is drawn byte by byte.

use crate::history::FakeNames;
use heaptape_analysis::extents::{Extent, MIN_HOLE_BYTES};
use heaptape_analysis::layout::Layout;
use heaptape_analysis::{MemoryRecording, Sites};
use heaptape_tape::*;
use proptest::prelude::*;

const PAGE: usize = 512;
const BASE: u64 = 0x10_0000;

fn block(number: u64, addr: u64, size: u64) -> LiveBlock {
    LiveBlock {
        addr,
        size,
        usable: 0,
        id: BlockId(number),
        time: TimeNs(0),
        thread: ThreadId(0),
        api: Api::Malloc,
        align_log2: 0,
        backtrace: BacktraceId::NONE,
    }
}

fn layout(blocks: &[LiveBlock]) -> Layout {
    let mut recording = MemoryRecording::default();
    recording.header.page_size = PAGE as u32;
    let live = LiveSet::with_inherited(blocks.iter().copied());
    let names = FakeNames;
    Layout::of(&recording, ProcessId(0), &live, &mut Sites::new(&recording, &names))
}

proptest! {
    #[test]
    fn layout_equals_the_picture(parts in prop::collection::vec((0_u64..900, 1_u64..700), 1..30)) {
        let mut blocks = Vec::new();
        let mut addr = BASE;
        for (number, (gap, size)) in (1..).zip(parts) {
            addr += gap;
            blocks.push(block(number, addr, size));
            addr += size;
        }
        let layout = layout(&blocks);

        // Draw: a byte is used when a block has it, or when its gap is too small to be a hole.
        let first = (blocks[0].addr - BASE) as usize;
        let first_page = first / PAGE;
        let last = (addr - BASE) as usize;
        let pages = (last - 1) / PAGE - first_page + 1;
        let mut used = vec![false; (first_page + pages) * PAGE];
        for b in &blocks {
            let start = (b.addr - BASE) as usize;
            used[start..start + b.size as usize].fill(true);
        }
        let mut holes = Vec::new();
        let mut at = first;
        while at < last {
            let run = used[at..last].iter().take_while(|u| **u == used[at]).count();
            if !used[at] && run as u64 >= MIN_HOLE_BYTES {
                holes.push(run as u64);
            } else {
                used[at..at + run].fill(true);
            }
            at += run;
        }
        let per_page: Vec<usize> = used[first_page * PAGE..]
            .chunks(PAGE)
            .map(|page| page.iter().filter(|byte| **byte).count())
            .collect();
        let between = |low: usize, high: usize| {
            per_page.iter().filter(|&&n| n > 0 && n * 4 >= low * PAGE && n * 4 < high * PAGE).count() as u64
        };

        let total = &layout.total;
        prop_assert_eq!(layout.regions.len(), 1);
        prop_assert_eq!(total.span_bytes, (pages * PAGE) as u64);
        prop_assert_eq!(total.used_bytes, used.iter().filter(|u| **u).count() as u64);
        prop_assert_eq!(total.live_bytes, blocks.iter().map(|b| b.size).sum::<u64>());
        prop_assert_eq!(total.holes.count, holes.len() as u64);
        prop_assert_eq!(total.holes.bytes, holes.iter().sum::<u64>());
        prop_assert_eq!(total.holes.largest_bytes, holes.iter().max().copied().unwrap_or(0));
        prop_assert_eq!(total.pages.empty, per_page.iter().filter(|n| **n == 0).count() as u64);
        prop_assert_eq!(total.pages.under_25, between(0, 1));
        prop_assert_eq!(total.pages.under_50, between(1, 2));
        prop_assert_eq!(total.pages.under_75, between(2, 3));
        prop_assert_eq!(total.pages.under_100, between(3, 4));
        prop_assert_eq!(total.pages.full, between(4, 5));
        prop_assert_eq!(layout.pins.iter().map(|pin| pin.pages).sum::<u64>(), total.pages.under_25);

        let mut expected = blocks[0].addr;
        for extent in layout.extents(&layout.regions[0]) {
            let (start, end) = match extent {
                Extent::Block { block, end } => (block.addr, end),
                Extent::Hole { start, bytes } => (start, start + bytes),
            };
            prop_assert_eq!(start, expected);
            expected = end;
        }
    }

    /// Whatever a damaged tape says, nothing panics and nothing takes long.
    #[test]
    fn hostile_blocks_do_no_harm(parts in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
        let blocks: Vec<LiveBlock> =
            (1..).zip(parts).map(|(number, (addr, size))| block(number, addr, size)).collect();
        let layout = layout(&blocks);
        prop_assert_eq!(layout.total.live_blocks, layout.blocks.len() as u64);
    }
}

#[test]
fn far_blocks_lie_in_regions_of_their_own() {
    let mut own_mapping = block(3, 0x7f00_0000_0010, 1 << 20);
    own_mapping.usable = (1 << 20) + 512 - 16;
    let layout = layout(&[block(1, 0x1000, 10), block(2, 0x40_0000, 10), own_mapping]);
    let kinds: Vec<_> = layout.regions.iter().map(|r| (r.kind, r.space.live_blocks)).collect();
    use heaptape_analysis::layout::RegionKind::{Arena, Mmap};
    assert_eq!(kinds, [(Arena, 1), (Arena, 1), (Mmap, 1)]);
}
