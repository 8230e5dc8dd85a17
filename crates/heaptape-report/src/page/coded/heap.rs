//! Addresses, guessed by a small model of an allocator: what was freed last is given again, else the next free memory.

use super::super::tables::END_OF_ADDRESSES;
use super::coder::Coder;
use super::live::NONE;
use super::models::{Chances, Guesses, Numbers, mix};

/// Pools: blocks of one size that one thread freed.
const POOLS: usize = 1 << 16;
/// So many of a pool are tried, from its top.
const DEEP: usize = 8;
/// Threads that are told apart.
const THREADS: usize = 256;
/// Chances of what is tried: by the pool, its last four ways, the last two of its thread, and how full the pool is.
const PLACES: usize = 1 << 14;
/// Those of one place, which are asked for together, lie in one line of the cache.
const ROW: usize = 16;

/// What is tried, in this order. After the last one come the others of the pool.
const POOL: usize = 0;
const TOP: usize = 1;
const OTHER_TOP: usize = 2;
const ENDED: usize = 3;
/// None of them.
const FAR: usize = ENDED + DEEP;
/// What is remembered of all but the first three.
const OTHERWISE: usize = 3;
/// Distances are mostly multiples of this.
const UNIT: u64 = 16;
/// A step that is none, or too far.
const NO_STEP: u32 = 0;

/// The model.
#[derive(Debug)]
pub(super) struct Heap {
    /// By block: its address, its room, and the block below it in its pool.
    addresses: Vec<u64>,
    rooms: Vec<u32>,
    below: Vec<u32>,
    pools: Vec<Pool>,
    threads: Vec<Thread>,
    /// Chances of what is tried, then two of what is far: whether in units, whether downwards.
    chances: Chances,
    steps: Guesses<3>,
    far: Numbers,
}

#[derive(Clone, Copy, Debug)]
struct Pool {
    top: u32,
    blocks: usize,
    ways: usize,
    /// Where its last block lay that was found in no way, and the last two steps from such a one to the next.
    last: u64,
    steps: [u32; 2],
}

impl Pool {
    const EMPTY: Pool = Pool { top: NONE, blocks: 0, ways: 0, last: 0, steps: [NO_STEP; 2] };
}

#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    /// Behind the last block that took the place of none, and behind such a one elsewhere.
    tops: [u64; 2],
    /// Where the block lay that it ended last.
    ended: u64,
    ways: usize,
}

impl Heap {
    /// Of so many blocks.
    pub(super) fn new(blocks: usize) -> Heap {
        Heap {
            addresses: vec![0; blocks],
            rooms: vec![0; blocks],
            below: vec![NONE; blocks],
            pools: vec![Pool::EMPTY; POOLS],
            threads: vec![Thread::default(); THREADS],
            chances: Chances::new(PLACES * ROW + 2),
            steps: Guesses::new(),
            far: Numbers::new(4),
        }
    }

    /// The address of a block that a thread begins, of so many bytes of room.
    pub(super) fn begin(
        &mut self,
        coder: &mut impl Coder,
        block: u32,
        (thread, room): (u16, u32),
        address: u64,
    ) -> u64 {
        let (pool, own) = (pool_of(thread, room), usize::from(thread) % THREADS);
        let (found, address) = match self.find(coder, pool, own, address) {
            Some(found) => found,
            None => (FAR, self.code_step(coder, (pool, own), room, address)),
        };
        let way = match found {
            POOL | TOP | OTHER_TOP => found,
            _ => OTHERWISE,
        };
        self.pools[pool].ways = self.pools[pool].ways << 2 & 0xff | way;
        let thread = &mut self.threads[own];
        thread.ways = thread.ways << 2 & 0xf | way;
        match found {
            TOP => thread.tops[0] = behind(address, room),
            OTHER_TOP | FAR => thread.tops = [behind(address, room), thread.tops[0]],
            _ => {}
        }
        self.addresses[block as usize] = address;
        self.rooms[block as usize] = room;
        address
    }

    /// Tries what is likely: which it was, and the address. What is of the pool is taken out of it.
    fn find(
        &mut self,
        coder: &mut impl Coder,
        pool: usize,
        own: usize,
        address: u64,
    ) -> Option<(usize, u64)> {
        let Pool { top, blocks, ways, .. } = self.pools[pool];
        let thread = self.threads[own];
        let place = ways << 8 | thread.ways << 4 | blocks.min(9);
        let place = (mix(place as u32, pool as u32) >> 18) as usize;
        let mut wrong = [0; FAR];
        // The one above the next of the pool.
        let (mut above, mut next) = (NONE, top);
        for tried in 0..wrong.len() {
            let guess = match tried {
                TOP => thread.tops[0],
                OTHER_TOP => thread.tops[1],
                ENDED => thread.ended,
                _ if next == NONE => 0,
                _ => self.addresses[next as usize],
            };
            let known = guess == 0 || wrong[..tried].contains(&guess);
            if !known && self.chances.decide(coder, place * ROW + tried, guess == address) {
                match tried {
                    TOP | OTHER_TOP | ENDED
                        if top == NONE || self.addresses[top as usize] != guess => {}
                    TOP | OTHER_TOP | ENDED => self.take(pool, NONE, top),
                    _ => self.take(pool, above, next),
                }
                return Some((tried, guess));
            }
            wrong[tried] = guess;
            if next != NONE && !(TOP..=ENDED).contains(&tried) {
                (above, next) = (next, self.below[next as usize]);
            }
        }
        None
    }

    /// Takes a block out of its pool.
    fn take(&mut self, pool: usize, above: u32, block: u32) {
        let below = self.below[block as usize];
        match above {
            NONE => self.pools[pool].top = below,
            _ => self.below[above as usize] = below,
        }
        self.pools[pool].blocks -= 1;
    }

    /// An address by its step from the last such one of its pool: memory in which blocks of one kind were freed has
    /// holes at even distances.
    fn code_step(
        &mut self,
        coder: &mut impl Coder,
        (pool, own): (usize, usize),
        room: u32,
        address: u64,
    ) -> u64 {
        let Pool { last, steps: [newer, older], .. } = self.pools[pool];
        let contexts = [mix(mix(room, newer), older), mix(newer, older), mix(newer, 0)];
        let address = match self.steps.guess(coder, contexts, step(last, address)) {
            Some(step) if step != NO_STEP => stepped(last, step),
            _ => self.code_far(coder, own, address),
        };
        let step = step(last, address);
        self.steps.learn(step);
        (self.pools[pool].last, self.pools[pool].steps) = (address, [step, newer]);
        address
    }

    /// An address by its distance from the top.
    fn code_far(&mut self, coder: &mut impl Coder, own: usize, address: u64) -> u64 {
        let top = self.threads[own].tops[0];
        let distance = address.abs_diff(top);
        let whole = PLACES * ROW;
        let units = self.chances.decide(coder, whole, distance.is_multiple_of(UNIT));
        let down = self.chances.decide(coder, whole + 1, address < top);
        let kind = usize::from(units) << 1 | usize::from(down);
        let unit = if units { UNIT } else { 1 };
        let distance = self.far.code(coder, kind, distance / unit).wrapping_mul(unit);
        if down { top.wrapping_sub(distance) } else { top.wrapping_add(distance) }
    }

    /// A block ends.
    pub(super) fn end(&mut self, block: u32, thread: u16) {
        let pool = &mut self.pools[pool_of(thread, self.rooms[block as usize])];
        self.below[block as usize] = pool.top;
        pool.top = block;
        pool.blocks += 1;
        self.threads[usize::from(thread) % THREADS].ended = self.addresses[block as usize];
    }
}

/// From one address to another: units upwards as even numbers, downwards as odd ones. They stay below 2^30: in JavaScript
/// such numbers need no box.
fn step(from: u64, to: u64) -> u32 {
    let bytes = to.wrapping_sub(from) as i64;
    let units = bytes / UNIT as i64;
    if bytes % UNIT as i64 != 0 || units.abs() >= 1 << 29 {
        return NO_STEP;
    }
    (units << 1 ^ units >> 63) as u32
}

/// An address by such a step from another one.
fn stepped(from: u64, step: u32) -> u64 {
    let units = i64::from(step >> 1) ^ -i64::from(step & 1);
    from.wrapping_add_signed(units * UNIT as i64)
}

/// Where the allocator's next block would begin; 0: nowhere.
fn behind(address: u64, room: u32) -> u64 {
    let behind = address.wrapping_add(u64::from(room) + 8);
    if behind < END_OF_ADDRESSES { behind } else { 0 }
}

fn pool_of(thread: u16, room: u32) -> usize {
    (mix(u32::from(thread), room >> 4) >> 16) as usize
}
