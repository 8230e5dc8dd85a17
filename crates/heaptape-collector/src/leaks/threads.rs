//! Threads as they lie in memory: stacks and glibc's control blocks.
//!
//! A control block begins with its own address, the vector of the thread's dynamic storage, and its own address
//! again; the thread's storage lies right before it, and both at the end of the thread's stack. The block also
//! says where the stack begins and how large it is; where in the block differs from version to version, what it
//! must be does not.

use super::memory::{Memory, words};
use std::ops::Range;

/// Bytes of a control block that are looked at: all of it in every known version.
const CONTROL_BYTES: usize = 0x900;
/// The least of it that lies within the stack.
const CONTROL_LEAST: u64 = 0x300;
/// Where the kernel's id of the thread is; when the thread has ended 0, and -1 when somebody has waited for that.
const TID: u64 = 0x2d0;
const JOINED: u32 = u32::MAX;
const PAGE: u64 = 4096;

/// A thread that stands still, or one of which only that is known what its control block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) tid: u32,
    /// From where on its stack is in use, with the red zone below its pointer; `None` when not known: then all of it counts.
    pub(crate) sp: Option<u64>,
    /// Where its control block is; 0 when not known.
    pub(crate) fs_base: u64,
    /// What its registers hold.
    pub(crate) registers: Vec<u64>,
}

/// A thread's control block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ControlBlock {
    pub(super) address: u64,
    /// What it says of the vector.
    pub(super) vector: u64,
}

/// The stack of a thread, and its storage and control block at the end of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) range: Range<u64>,
    /// 0: the thread has ended, libc keeps its stack for others to come.
    pub(super) tid: u32,
    /// It has ended, and what it has returned was taken.
    pub(super) is_joined: bool,
    /// From where on it is in use.
    pub(super) sp: Option<u64>,
    /// 0 on the first thread's stack, which ends without.
    pub(super) control_block: u64,
}

/// Control blocks begin at multiples of this.
const CONTROL_ALIGNMENT: u64 = 64;

/// The control blocks in a range.
pub(super) fn control_blocks(range: Range<u64>, memory: &dyn Memory) -> Vec<ControlBlock> {
    let mut found = Vec::new();
    memory.each_piece(range, &mut |start, bytes| {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| words.get(at).map(|word| u64::from_ne_bytes(*word));
        let skipped = (start.wrapping_neg() % CONTROL_ALIGNMENT / 8) as usize;
        for at in (skipped..words.len()).step_by(CONTROL_ALIGNMENT as usize / 8) {
            let address = start + at as u64 * 8;
            if word(at) == Some(address)
                && word(at + 2) == Some(address)
                && let Some(vector) = word(at + 1)
            {
                found.push(ControlBlock { address, vector });
            }
        }
    });
    found
}

/// The stacks in a range with those control blocks, by address.
pub(super) fn stacks(
    range: &Range<u64>,
    blocks: &[ControlBlock],
    threads: &[Thread],
    memory: &dyn Memory,
) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for block in blocks {
        let Some(bounds) = bounds(block.address, memory) else { continue };
        let bounds = bounds.start.max(range.start)..bounds.end.min(range.end);
        let thread = threads.iter().find(|thread| thread.fs_base == block.address);
        let word = memory.word(block.address + TID) as u32;
        let is_joined = thread.is_none() && word == JOINED;
        let own = u32::try_from(word as i32).unwrap_or(0);
        let tid = thread.map_or(own, |thread| thread.tid);
        let sp = thread.and_then(|t| t.sp).filter(|sp| bounds.contains(sp));
        if stacks.last().is_none_or(|last| last.range.end <= bounds.start) {
            stacks.push(Stack { range: bounds, tid, is_joined, sp, control_block: block.address });
        }
    }
    stacks
}

/// The stack that a control block says it is on.
fn bounds(block: u64, memory: &dyn Memory) -> Option<Range<u64>> {
    let mut bytes = [0; CONTROL_BYTES];
    memory.read(&[(block, CONTROL_BYTES)], &mut bytes);
    let fields: Vec<u64> = words(&bytes).collect();
    fields.windows(2).find_map(|pair| {
        let (start, size) = (pair[0], pair[1]);
        let end = start.checked_add(size)?;
        let is_stack = start > 0
            && start.is_multiple_of(PAGE)
            && size.is_multiple_of(PAGE)
            && start < block
            && block.checked_add(CONTROL_LEAST)? <= end
            && size <= 1 << 40;
        is_stack.then_some(start..end)
    })
}
