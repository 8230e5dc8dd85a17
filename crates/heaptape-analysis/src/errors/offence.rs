//! Whether a block was given back as it was taken: the same family of functions, the size and the alignment
//! that were asked for.

use heaptape_tape::{Action, Api, Event, LiveBlock};
use serde::Serialize;

/// Functions that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `malloc`, `posix_memalign` and all their kin; `free`, `realloc`.
    Malloc,
    /// `operator new`; `operator delete`.
    New,
    /// `operator new[]`; `operator delete[]`.
    NewArray,
}

impl Family {
    /// The family of a function that takes or gives back blocks.
    #[inline]
    pub fn of(api: Api) -> Family {
        match api {
            Api::New | Api::Delete => Family::New,
            Api::NewArray | Api::DeleteArray => Family::NewArray,
            _ => Family::Malloc,
        }
    }
}

/// What is wrong with the end of a block that was live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Offence {
    /// It was taken by a function of another family.
    Family,
    /// It has another size than was stated.
    Size,
    /// It has another alignment than was stated, or only one of both was a function with an alignment.
    Alignment,
}

/// What is wrong with the end of `block` that `event` is; `None` when nothing is.
#[inline]
pub(super) fn offence(block: &LiveBlock, event: &Event) -> Option<Offence> {
    if Family::of(block.api) != Family::of(event.api) {
        return Some(Offence::Family);
    }
    match event.api {
        // What was stated is the size of the new block.
        _ if event.action == Action::ReallocRelease => None,
        Api::Delete | Api::DeleteArray => {
            if block.align_log2 != event.align_log2 {
                return Some(Offence::Alignment);
            }
            // No object is of no bytes: 0 stands for a form without a size.
            (event.size != 0 && event.size != block.size).then_some(Offence::Size)
        }
        Api::FreeSized if is_aligned(block.api) => Some(Offence::Alignment),
        Api::FreeAlignedSized if !is_aligned(block.api) || block.align_log2 != event.align_log2 => {
            Some(Offence::Alignment)
        }
        Api::FreeSized | Api::FreeAlignedSized => {
            (event.size != block.size).then_some(Offence::Size)
        }
        _ => None,
    }
}

/// Whether a function of C takes an alignment.
fn is_aligned(api: Api) -> bool {
    use Api::{AlignedAlloc, Memalign, PosixMemalign, Pvalloc, Valloc};
    matches!(api, AlignedAlloc | Memalign | PosixMemalign | Pvalloc | Valloc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::{BacktraceId, BlockId, ThreadId, TimeNs};

    fn event(action: Action, api: Api, size: u64, align_log2: u8) -> Event {
        Event {
            time: TimeNs(0),
            thread: ThreadId(0),
            action,
            api,
            align_log2,
            addr: 64,
            size,
            usable: 0,
            backtrace: BacktraceId::NONE,
        }
    }

    fn judged(took: (Api, u64, u8), gave: (Api, u64, u8)) -> Option<Offence> {
        let block = LiveBlock::begun_by(&event(Action::Alloc, took.0, took.1, took.2), BlockId(1));
        let is_realloc = matches!(gave.0, Api::Realloc | Api::Reallocarray);
        let action = if is_realloc { Action::ReallocRelease } else { Action::Free };
        offence(&block, &event(action, gave.0, gave.1, gave.2))
    }

    #[test]
    fn families() {
        use Api::*;
        let (malloc, new, array) = (Family::Malloc, Family::New, Family::NewArray);
        let takes = [Malloc, Calloc, Realloc, Reallocarray, PosixMemalign, AlignedAlloc]
            .map(|api| (api, malloc))
            .into_iter()
            .chain([(Memalign, malloc), (Valloc, malloc), (New, new), (NewArray, array)]);
        for (took, family) in takes {
            for (gave, of) in [
                (Free, malloc),
                (Cfree, malloc),
                (Realloc, malloc),
                (Delete, new),
                (DeleteArray, array),
            ] {
                let expected = (family != of).then_some(Offence::Family);
                assert_eq!(judged((took, 8, 0), (gave, 0, 0)), expected, "{took} {gave}");
            }
        }
    }

    #[test]
    fn sizes_and_alignments() {
        use Api::*;
        use Offence::{Alignment, Size};
        for (took, gave, expected) in [
            ((New, 8, 0), (Delete, 0, 0), None),
            ((New, 8, 0), (Delete, 8, 0), None),
            ((New, 8, 0), (Delete, 4, 0), Some(Size)),
            ((NewArray, 8, 6), (DeleteArray, 8, 6), None),
            ((NewArray, 8, 6), (DeleteArray, 8, 0), Some(Alignment)),
            ((New, 8, 0), (Delete, 8, 6), Some(Alignment)),
            ((New, 8, 5), (Delete, 8, 6), Some(Alignment)),
            ((Malloc, 8, 0), (FreeSized, 8, 0), None),
            ((Malloc, 8, 0), (FreeSized, 9, 0), Some(Size)),
            ((Malloc, 8, 0), (FreeSized, 0, 0), Some(Size)),
            ((AlignedAlloc, 8, 6), (FreeSized, 8, 0), Some(Alignment)),
            ((AlignedAlloc, 8, 6), (FreeAlignedSized, 8, 6), None),
            ((AlignedAlloc, 8, 6), (FreeAlignedSized, 8, 5), Some(Alignment)),
            ((AlignedAlloc, 8, 6), (FreeAlignedSized, 7, 6), Some(Size)),
            ((Malloc, 8, 0), (FreeAlignedSized, 8, 4), Some(Alignment)),
            ((AlignedAlloc, 8, 6), (Free, 0, 0), None),
            ((Malloc, 8, 0), (Realloc, 99, 0), None),
        ] {
            assert_eq!(judged(took, gave), expected, "{took:?} {gave:?}");
        }
    }
}
