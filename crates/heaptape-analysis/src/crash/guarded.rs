//! Which guarded block an address belongs to that no block ever held.
//!
//! In guard mode no two blocks share a page, and the page after the last of a block is nobody's. So what lies beside a
//! freed block on its own pages is inaccessible because that block was freed (instructions that read 16 bytes and more
//! begin before the block), and what lies on the page next to it is beyond its end or before its start.

use super::owners::Owner;
use super::verdict::{Confidence, Drawn, Kind};
use super::{Evidence, Relation, block_name, bytes};
use crate::extents::block_end;
use heaptape_tape::{Action, Event, LiveBlock};

const PAGE: u64 = 4096;

/// The blocks on the page of an address, and on those next to it: the newest of each place.
pub(super) struct Beside {
    around: u64,
    /// On its page; if there is none, nearest before it and nearest after it, within a page.
    on_page: Option<Owner>,
    before: Option<Owner>,
    after: Option<Owner>,
}

/// The first address of a block's pages, and the first one after them.
fn pages(block: &LiveBlock) -> (u64, u64) {
    let end = block.addr.saturating_add(block.size.max(1));
    (block.addr & !(PAGE - 1), end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX))
}

impl Beside {
    pub(super) fn new(around: u64) -> Beside {
        Beside { around, on_page: None, before: None, after: None }
    }

    pub(super) fn begin(&mut self, owner: Owner) {
        let (first, end) = pages(&owner.block);
        let around = self.around;
        let place = if (first..end).contains(&around) {
            &mut self.on_page
        } else if end <= around && around - end < PAGE {
            &mut self.before
        } else if first > around && first - around <= PAGE {
            &mut self.after
        } else {
            return;
        };
        *place = Some(owner);
    }

    /// A block ended, or did not after all.
    pub(super) fn note(&mut self, event: &Event) {
        for owner in [&mut self.on_page, &mut self.before, &mut self.after].into_iter().flatten() {
            if owner.block.addr == event.addr {
                owner.ended = (event.action != Action::ReallocFail).then_some(*event);
            }
        }
    }

    /// The block that the address belongs to; of two, the nearer one.
    fn owner(&self) -> Option<&Owner> {
        let distance = |owner: &&Owner| {
            let (start, end) = (owner.block.addr, block_end(&owner.block));
            if start > self.around { start - self.around } else { self.around.saturating_sub(end) }
        };
        let nearer = || self.before.iter().chain(&self.after).min_by_key(distance);
        self.on_page.as_ref().or_else(nearer)
    }
}

/// Beside a freed block, on pages that are its own or nobody's.
pub(super) fn use_after_free(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let beside = evidence.owners.beside()?;
    let owner = beside.owner().filter(|owner| owner.ended.is_some())?;
    let block = &owner.block;
    let place = match block.addr.checked_sub(address) {
        Some(ahead) => format!("{} before", bytes(ahead)),
        None => match address.saturating_sub(block.addr.saturating_add(block.size)) {
            0 => "right behind".to_owned(),
            past => format!("{} past the end of", bytes(past)),
        },
    };
    let (name, size) = (block_name(owner), bytes(block.size));
    let why = if beside.on_page.is_some() {
        "no other block is on its page, which may not be accessed since it was freed"
    } else {
        "no other block is as near"
    };
    let what = format!("use after free, {place} freed {name} ({size})");
    let reason = format!("{name} had been freed, and {why}.");
    let drawn = Drawn::new(Kind::UseAfterFree, Confidence::Likely, what, reason);
    Some(drawn.about(owner, Relation::Held))
}
