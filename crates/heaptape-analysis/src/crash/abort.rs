//! What an abort means: who called it, and, where libc's allocator did, which free or which block is to blame.
//!
//! glibc looks at its own words beside a chunk when it is freed or reallocated. What it says tells which of them it
//! found changed: those before the chunk, those behind it, or those of the top of the heap. The block that ends there
//! is the suspect. A free that the allocator refuses because it was wrong is told as such.

use super::owners::Owner;
use super::verdict::{Confidence, Drawn, Kind, sent};
use super::{Evidence, Relation, block_name, bytes, describe};
use crate::events::EventRow;
use crate::extents::block_end;
use crate::names::{self, Frame};
use heaptape_tape::{Crash, MemoryMap};

/// What the allocator was at when it gave up.
pub(super) enum Complaint {
    /// The free or realloc of the block at this address; `is_block` where one was live there.
    Freeing { address: u64, is_block: bool, damage: Damage },
    /// The words at the top of the heap, which ends here, are overwritten.
    Top(u64),
    /// Some words are, and nothing tells whose.
    Somewhere,
}

/// Which words libc found changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// Those of the chunk: they lie before it.
    Before,
    /// Those of the next chunk: they lie behind it.
    Behind,
    /// One or the other.
    Either,
}

/// What the words of glibc's allocator begin with, and what they are about.
const FREEING: [(&str, Damage); 12] = [
    ("free(): invalid next size", Damage::Behind),
    ("double free or corruption (!prev)", Damage::Behind),
    // Its own size, wrong, leads to where no heap is.
    ("double free or corruption (out)", Damage::Before),
    ("realloc(): invalid next size", Damage::Behind),
    ("free(): invalid size", Damage::Before),
    ("free(): invalid pointer", Damage::Before),
    ("realloc(): invalid old size", Damage::Before),
    ("realloc(): invalid pointer", Damage::Before),
    ("munmap_chunk(): invalid pointer", Damage::Before),
    ("mremap_chunk(): invalid pointer", Damage::Before),
    ("corrupted size vs. prev_size", Damage::Either),
    ("double free", Damage::Either),
];
const TOP: &str = "malloc(): corrupted top size";
/// Other words of the allocator, or of an assertion in it.
const SOMEWHERE: [&str; 11] = [
    "malloc(): ",
    "malloc_consolidate(): ",
    "free(): ",
    "realloc(): ",
    "calloc(): ",
    "corrupted double-linked list",
    "malloc_printerr",
    "tcache",
    "break adjusted to free malloc space",
    "sysmalloc: ",
    "malloc.c:",
];

impl Complaint {
    /// What libc's words are about; `last` is the last event of the thread.
    pub(super) fn of(
        crash: &Crash,
        last: Option<&EventRow>,
        map: Option<&MemoryMap>,
    ) -> Option<Complaint> {
        let message = names::text(&crash.message);
        let said = |words: &str| message.contains(words);
        if said(TOP) {
            let heap = map?.mappings.iter().find(|mapping| *mapping.name == *b"[heap]")?;
            return Some(Complaint::Top(heap.end));
        }
        let freeing = last.filter(|row| matches!(row.action, "free" | "realloc-release"));
        if let Some((_, damage)) = FREEING.iter().find(|(words, _)| said(words))
            && let Some(row) = freeing
        {
            let is_block = row.block.is_some() || row.lived_ns.is_some();
            return Some(Complaint::Freeing { address: row.address, is_block, damage: *damage });
        }
        let known = FREEING.iter().map(|(words, _)| *words).chain(SOMEWHERE);
        known.into_iter().any(said).then_some(Complaint::Somewhere)
    }

    /// The addresses of which the owners are to be known.
    pub(super) fn watched(&self) -> Vec<u64> {
        match self {
            Complaint::Freeing { address, .. } => vec![*address, before(*address)],
            _ => Vec::new(),
        }
    }

    /// The address whose live neighbours are to be known.
    pub(super) fn around(&self) -> Option<u64> {
        match self {
            Complaint::Freeing { address, .. } => Some(address.saturating_sub(1)),
            Complaint::Top(end) => Some(*end),
            Complaint::Somewhere => None,
        }
    }
}

/// The last byte before the words before a chunk: of the chunk before it, which has the first of them for its own.
fn before(address: u64) -> u64 {
    address.saturating_sub(9)
}

pub(super) fn draw(evidence: &Evidence<'_>) -> Drawn {
    let crash = evidence.crash;
    if !crash.message.is_empty() {
        return said(evidence, &names::text(&crash.message));
    }
    let frames = names::backtrace(evidence.recording, evidence.names, evidence.backtrace());
    let has = |name: &str| {
        let own = |frame: &Frame| frame.short.strip_prefix("__GI_") == Some(name);
        frames.iter().any(|frame| &*frame.short == name || own(frame))
    };
    if has("std::terminate") || has("__gnu_cxx::__verbose_terminate_handler") {
        return terminated(&frames);
    }
    if has("abort") {
        let reason = "The program called abort().";
        return Drawn::new(Kind::Abort, Confidence::Certain, "abort()", reason);
    }
    sent(crash)
}

/// `std::terminate` ended the program: why, as far as its callers tell.
fn terminated(frames: &[Frame]) -> Drawn {
    let caller = |name: &str| {
        let at = frames.iter().position(|frame| &*frame.short == name)?;
        frames.get(at + 1)
    };
    let (what, reason) = if let Some(thrower) = caller("__cxa_throw") {
        let reason = format!("An exception thrown by {} was not caught.", thrower.short);
        ("std::terminate: uncaught exception", reason)
    } else if let Some(caller) = caller("__cxa_pure_virtual") {
        let reason = format!("{} called a virtual function that has no body.", caller.short);
        ("std::terminate: pure virtual call", reason)
    } else {
        let reason = "An exception was not caught, or could not be thrown on.";
        ("std::terminate", reason.to_owned())
    };
    Drawn::new(Kind::Abort, Confidence::Likely, what, reason)
}

/// libc ended the program, and said why.
fn said(evidence: &Evidence<'_>, message: &str) -> Drawn {
    let what = format!("abort: {message}");
    let end = |reason: String| Drawn::new(Kind::Abort, Confidence::Certain, what, reason);
    match &evidence.complaint {
        None => end("libc ended the program, with these words.".to_owned()),
        Some(Complaint::Freeing { address, is_block: false, .. }) => {
            let (reason, owner) = wrong_free(evidence, *address);
            let drawn = end(reason).at(*address);
            match owner {
                Some(owner) => drawn.about(owner, Relation::GivenBack),
                None => drawn,
            }
        }
        Some(Complaint::Freeing { address, damage, .. }) => {
            let suspects = suspects(evidence, *address, *damage);
            let drawn = end(damaged("beside the block that was being freed", &suspects));
            suspects
                .iter()
                .fold(drawn.at(*address), |drawn, owner| drawn.about(owner, Relation::Suspected))
        }
        Some(Complaint::Top(_)) => {
            let suspects: Vec<&Owner> = evidence.owners.before.iter().collect();
            let drawn = end(damaged("at the top of the heap", &suspects));
            suspects.iter().fold(drawn, |drawn, owner| {
                drawn.at(owner.block.addr).about(owner, Relation::Suspected)
            })
        }
        Some(Complaint::Somewhere) => end(damaged("in the heap", &[])),
    }
}

/// A free that no allocator could take.
fn wrong_free<'a>(evidence: &'a Evidence<'_>, address: u64) -> (String, Option<&'a Owner>) {
    let owner = evidence.owners.of(address);
    let reason = match owner {
        Some(owner) if owner.block.addr == address && owner.ended.is_some() => format!(
            "libc refused to free {} again: it had been freed (heaptape errors tells more).",
            block_name(owner)
        ),
        Some(owner) => format!(
            "libc refused to free {address:#x}, which is no block: {} (heaptape errors tells more).",
            describe(owner, address)
        ),
        None => {
            let place =
                evidence.place(address).unwrap_or_else(|| "nothing is mapped there".to_owned());
            format!(
                "libc refused to free {address:#x}, which is no block: {place} (heaptape errors tells more)."
            )
        }
    };
    (reason, owner)
}

/// The blocks that end where the damage is, the likeliest first.
fn suspects<'a>(evidence: &'a Evidence<'_>, address: u64, damage: Damage) -> Vec<&'a Owner> {
    let owners = &evidence.owners;
    let own = || owners.of(address).filter(|owner| owner.block.addr == address);
    let ends_near = |owner: &&Owner| {
        block_end(&owner.block) <= address && address - block_end(&owner.block) <= 16
    };
    let neighbour = || {
        let holder = owners.of(before(address)).filter(|owner| owner.block.addr < address);
        holder.or_else(|| owners.before.as_ref().filter(ends_near))
    };
    let both = match damage {
        Damage::Behind => [own(), None],
        Damage::Before => [neighbour(), None],
        Damage::Either => [neighbour(), own()],
    };
    both.into_iter().flatten().collect()
}

/// `libc's own words … are overwritten: an overflow of block #3 (24 bytes) is likely`.
fn damaged(place: &str, suspects: &[&Owner]) -> String {
    let named = |owner: &&Owner| format!("{} ({})", block_name(owner), bytes(owner.block.size));
    let names: Vec<String> = suspects.iter().map(named).collect();
    let blame = match &names[..] {
        [] => "some block was overflowed, or used after it was freed".to_owned(),
        [one] => format!("{one} ends right there, an overflow of it is likely"),
        names => format!("an overflow of {} is likely", names.join(" or ")),
    };
    format!(
        "libc's own words {place} are overwritten: {blame}. heaptape run --guard stops at the instruction that \
         does it."
    )
}

/// Functions of glibc's allocator that follow the pointers that it keeps in the heap.
const INNER: [&str; 10] = [
    "_int_malloc",
    "_int_free",
    "_int_free_merge_chunk",
    "_int_free_create_chunk",
    "_int_realloc",
    "unlink_chunk",
    "malloc_consolidate",
    "tcache_get",
    "tcache_get_n",
    "sysmalloc",
];

/// Whether the crash was in libc's allocator.
pub(super) fn is_in_allocator(evidence: &Evidence<'_>) -> bool {
    let frames = names::backtrace(evidence.recording, evidence.names, evidence.backtrace());
    frames.first().is_some_and(|frame| INNER.contains(&&*frame.short))
}

/// The same, where the bad pointer was one of libc's.
pub(super) fn of_allocator(mut drawn: Drawn) -> Drawn {
    drawn.verdict.what.push_str(", in libc's allocator");
    drawn.verdict.reason.push(' ');
    drawn.verdict.reason.push_str(&damaged("in the heap", &[]));
    drawn
}
