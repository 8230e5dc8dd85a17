//! A search for leaks on the tape: its facts among the other facts, its blocks in columns of their own.
//!
//! Blocks are told in the order of their addresses, in parts. What leads to a block is another one by its
//! position, the difference of both being small where neighbours in time are neighbours in memory.

use crate::columns;
use crate::model::*;
use crate::varint::{self, Cursor, Malformed, unzigzag, zigzag};

/// Most blocks of one part.
pub(crate) const PART: usize = 1 << 16;

/// What became of a block, in memcheck's words. In the order in which a better way to a block is a better word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LeakKind {
    /// Pointers to starts of blocks lead there from a root.
    Reachable = 0,
    /// Pointers do, one of them to the middle of a block.
    Possible = 1,
    /// Only a lost block leads there.
    Indirect = 2,
    /// Nothing leads there.
    Definite = 3,
}

impl LeakKind {
    /// Every kind, in the order of its number.
    pub const ALL: [LeakKind; 4] =
        [LeakKind::Reachable, LeakKind::Possible, LeakKind::Indirect, LeakKind::Definite];
}

/// What kind of memory roots lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PlaceKind {
    /// A module's variables; [`LeakPlace::start`] is the module's bias, the name its path.
    Data = 0,
    /// A thread's stack; `start` is its stack pointer, 0 when not known.
    Stack = 1,
    /// A thread's registers; the address of a root is the register's number.
    Registers = 2,
    /// A thread's storage and control block; `start` is the block's address.
    Thread = 3,
    /// Other memory; `start` is where it is mapped, the name that of the file.
    Memory = 4,
}

impl PlaceKind {
    const ALL: [PlaceKind; 5] = [
        PlaceKind::Data,
        PlaceKind::Stack,
        PlaceKind::Registers,
        PlaceKind::Thread,
        PlaceKind::Memory,
    ];
}

/// Memory outside of all blocks that was searched for pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakPlace {
    /// What it is.
    pub kind: PlaceKind,
    /// Whose, as the launcher sees the thread; 0: nobody's, or of a thread that has ended.
    pub tid: u32,
    /// See [`PlaceKind`].
    pub start: u64,
    /// See [`PlaceKind`].
    pub name: Vec<u8>,
}

impl LeakPlace {
    /// The stack of a thread.
    pub fn stack(tid: u32, sp: u64) -> LeakPlace {
        LeakPlace { kind: PlaceKind::Stack, tid, start: sp, name: Vec::new() }
    }

    /// The registers of a thread.
    pub fn registers(tid: u32) -> LeakPlace {
        LeakPlace { kind: PlaceKind::Registers, tid, start: 0, name: Vec::new() }
    }

    /// The storage of a thread.
    pub fn thread(tid: u32, control_block: u64) -> LeakPlace {
        LeakPlace { kind: PlaceKind::Thread, tid, start: control_block, name: Vec::new() }
    }

    /// Other memory.
    pub fn memory(start: u64, name: Vec<u8>) -> LeakPlace {
        LeakPlace { kind: PlaceKind::Memory, tid: 0, start, name }
    }
}

/// What makes a search less certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeakDoubts(pub u32);

impl LeakDoubts {
    /// The process could not be stopped (ptrace is refused): no registers, whole stacks, and memory that changed
    /// while it was read.
    pub const NOT_STOPPED: u32 = 1;
    /// Some threads did not stop in time.
    pub const THREADS_MISSING: u32 = 2;
    /// Of a forked process only its own blocks were judged, and all other memory of the heap taken for roots.
    pub const INHERITED_UNKNOWN: u32 = 4;
    /// Blocks are of an allocator whose memory is not known: mappings with blocks were not searched.
    pub const FOREIGN_ALLOCATOR: u32 = 8;
    /// Not every allocation is recorded (a sample, losses, one in the making): all other memory of the heap was
    /// taken for roots, for what leads to a block may be one that is not known.
    pub const BLOCKS_MISSING: u32 = 16;
    /// There were more pointers than can be counted.
    pub const POINTERS_MISSING: u32 = 32;

    /// Whether there is such a doubt.
    pub fn has(self, doubt: u32) -> bool {
        self.0 & doubt != 0
    }
}

/// Bytes and blocks of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeakTotal {
    /// Bytes asked for.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
}

/// A search for leaks: which blocks could be reached at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakScan {
    /// Which of the tape's, from 0; the writer gives it.
    pub number: u32,
    /// Whose.
    pub process: ProcessId,
    /// When.
    pub time: TimeNs,
    /// After so many events.
    pub event: EventIndex,
    /// How long the process waited for it, in ns.
    pub pause_ns: u64,
    /// Bytes that were searched.
    pub bytes_read: u64,
    /// Bytes that could not be read.
    pub bytes_unreadable: u64,
    /// What makes it less certain.
    pub doubts: LeakDoubts,
    /// What was found, by number of the kind.
    pub totals: [LeakTotal; LeakKind::ALL.len()],
    /// Where roots were found.
    pub places: Vec<LeakPlace>,
}

impl LeakScan {
    /// Blocks that were judged.
    pub fn blocks(&self) -> u64 {
        self.totals.iter().fold(0, |sum, total| sum.saturating_add(total.blocks))
    }
}

/// What leads to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakOwner {
    /// Nothing.
    Nobody,
    /// A pointer outside of all blocks.
    Root {
        /// Position in [`LeakScan::places`].
        place: u32,
        /// Where it lies; of registers, which one.
        address: u64,
    },
    /// A pointer in a block.
    Block {
        /// Position among the blocks of the search.
        block: u32,
        /// Bytes from its start.
        offset: u64,
    },
}

/// What became of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakBlock {
    /// Where it starts.
    pub addr: u64,
    /// What became of it.
    pub kind: LeakKind,
    /// What leads to it.
    pub owner: LeakOwner,
    /// Bytes that would go with it, its own included.
    pub retained: u64,
}

/// The key of a block of a search: one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaksKey {
    pub(crate) process: ProcessId,
    /// Which search of all on the tape, from 0.
    pub(crate) scan: u32,
    /// Position of its first block.
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl LeaksKey {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [self.process.0, self.scan, self.first, self.count] {
            varint::put(&mut out, u64::from(number));
        }
        out
    }

    pub(crate) fn parse(key: &[u8]) -> Result<LeaksKey, Malformed> {
        let mut key = Cursor::new(key);
        let key = LeaksKey {
            process: ProcessId(key.number32()?),
            scan: key.number32()?,
            first: key.number32()?,
            count: key.number32()?,
        };
        let is_possible =
            (1..=PART as u32).contains(&key.count) && key.first.checked_add(key.count).is_some();
        if is_possible { Ok(key) } else { Err(Malformed("an impossible part of a search")) }
    }
}

/// The body of one part.
pub(crate) fn encode(first: u32, blocks: &[LeakBlock]) -> Vec<u8> {
    let [mut addresses, mut kinds, mut owners, mut places, mut retained] =
        [const { Vec::new() }; 5];
    let (mut last, mut last_place) = (0, 0);
    for (block, position) in blocks.iter().zip(first..) {
        varint::put(&mut addresses, block.addr.wrapping_sub(last));
        last = block.addr;
        let owner = match block.owner {
            LeakOwner::Nobody => 0,
            LeakOwner::Root { place, address } => {
                varint::put(&mut owners, u64::from(place));
                varint::put_delta(&mut places, last_place, address);
                last_place = address;
                1
            }
            LeakOwner::Block { block, offset } => {
                varint::put(&mut owners, zigzag(i64::from(block) - i64::from(position)));
                varint::put(&mut places, offset);
                2
            }
        };
        kinds.push(block.kind as u8 | owner << 2);
        varint::put(&mut retained, block.retained);
    }
    columns::join(&[&addresses, &kinds, &owners, &places, &retained])
}

/// Adds the blocks of a part to `out`.
pub(crate) fn decode(
    key: &LeaksKey,
    body: &[u8],
    out: &mut Vec<LeakBlock>,
) -> Result<(), Malformed> {
    let [mut addresses, mut kinds, mut owners, mut places, mut retained] =
        columns::split::<5>(body)?;
    let (mut addr, mut last_place) = (0u64, 0);
    for position in key.first..key.first + key.count {
        let more = addresses.number()?;
        addr = addr.checked_add(more).ok_or(Malformed("an address past the end"))?;
        let kind = kinds.byte()?;
        let owner = match kind >> 2 {
            0 => LeakOwner::Nobody,
            1 => {
                let place = owners.number32()?;
                last_place = places.delta(last_place)?;
                LeakOwner::Root { place, address: last_place }
            }
            2 => {
                let block = i64::from(position).wrapping_add(unzigzag(owners.number()?));
                let block = u32::try_from(block).map_err(|_| Malformed("an impossible owner"))?;
                LeakOwner::Block { block, offset: places.number()? }
            }
            _ => return Err(Malformed("an unknown owner")),
        };
        let kind = LeakKind::ALL[usize::from(kind & 3)];
        out.push(LeakBlock { addr, kind, owner, retained: retained.number()? });
    }
    Ok(())
}

/// The kind of that number.
pub(crate) fn place_kind(number: u64) -> Result<PlaceKind, Malformed> {
    let kind = usize::try_from(number).ok().and_then(|number| PlaceKind::ALL.get(number));
    kind.copied().ok_or(Malformed("an unknown kind of root"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owner() -> impl Strategy<Value = LeakOwner> {
        prop_oneof![
            Just(LeakOwner::Nobody),
            (any::<u32>(), any::<u64>())
                .prop_map(|(place, address)| LeakOwner::Root { place, address }),
            (any::<u32>(), any::<u64>())
                .prop_map(|(block, offset)| LeakOwner::Block { block, offset }),
        ]
    }

    proptest! {
        #[test]
        fn a_part_is_read_as_it_was_written(
            first in 0u32..1 << 31,
            blocks in prop::collection::btree_map(any::<u64>(), (0usize..4, owner(), any::<u64>()), 1..50),
        ) {
            let blocks: Vec<LeakBlock> = blocks
                .into_iter()
                .map(|(addr, (kind, owner, retained))| {
                    LeakBlock { addr, kind: LeakKind::ALL[kind], owner, retained }
                })
                .collect();
            let process = ProcessId(3);
            let key = LeaksKey { process, scan: 7, first, count: blocks.len() as u32 };
            prop_assert_eq!(LeaksKey::parse(&key.encode()), Ok(key));
            let mut read = Vec::new();
            decode(&key, &encode(first, &blocks), &mut read).unwrap();
            prop_assert_eq!(read, blocks);
        }

        #[test]
        fn nonsense_is_refused_or_read_and_never_a_panic(
            key in prop::collection::vec(any::<u8>(), 0..20),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let parsed = LeaksKey::parse(&key);
            let key = LeaksKey { process: ProcessId(0), scan: 0, first: u32::MAX - 9, count: 9 };
            let _ = (parsed, decode(&key, &body, &mut Vec::new()));
        }
    }
}
