//! Addresses, told as what an allocator would do: hand out again what was freed last in that size,
//! or carve the next piece; and what a program would do: free what it allocated last, or what lies
//! beside what it freed before.
//!
//! Encoder and decoder keep the same [`Heap`] model; what it foresees costs a byte that is nearly
//! always the same, the rest a distance. The model knows only events of its own block of the tape.

use crate::varint::{self, Cursor, Malformed};
use rustc_hash::FxHashMap;

/// How many recently freed or begun addresses are looked at.
const NEAR: usize = 16;
/// Begin codes: 0..16, the address freed so many places ago in this size; then:
const BUMP: u8 = 16;
const IN_PLACE: u8 = 17;
/// End codes: 0..16, the block begun so many places ago; then:
const YOUNGER: u8 = 16;
const OLDER: u8 = 17;
const BEGUN_HERE: u8 = 18;
/// Codes of both: a distance in units of 16 bytes, or of one.
const FAR_16: u8 = 19;
const FAR: u8 = 20;

const NONE: u32 = u32::MAX;
const POOLS_LOG2: u32 = 12;

/// What a thread did last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hand {
    /// Where the next piece carved for it would start.
    top: u64,
    last_ended: u64,
    last_pool: u16,
}

/// A block begun in this block of the tape, in a list of those not yet ended.
#[derive(Clone, Copy, Debug)]
struct Begun {
    addr: u64,
    pool: u16,
    older: u32,
    younger: u32,
}

struct Heap {
    /// Freed addresses by thread and size, last one last. Pools share a slot by chance: it only
    /// makes foresight worse.
    pools: Vec<Vec<u64>>,
    begun: Vec<Begun>,
    youngest: u32,
    /// The neighbours of the last one ended.
    beside: (u32, u32),
    last_far_end: u64,
    last_other: u64,
}

impl Heap {
    fn new() -> Heap {
        Heap {
            pools: vec![Vec::new(); 1 << POOLS_LOG2],
            begun: Vec::new(),
            youngest: NONE,
            beside: (NONE, NONE),
            last_far_end: 0,
            last_other: 0,
        }
    }

    fn pool(thread: u32, room: u64) -> u16 {
        let key = u64::from(thread) << 40 ^ room >> 4;
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - POOLS_LOG2)) as u16
    }

    /// Takes an address out of its pool, counted from the last freed.
    fn reuse(&mut self, pool: u16, ago: usize) -> Option<u64> {
        let pool = &mut self.pools[usize::from(pool)];
        let at = pool.len().checked_sub(ago + 1)?;
        Some(pool.remove(at))
    }

    fn reuse_in_place(&mut self, hand: &Hand) {
        let pool = &mut self.pools[usize::from(hand.last_pool)];
        if pool.last() == Some(&hand.last_ended) {
            pool.pop();
        }
    }

    fn begin(&mut self, addr: u64, pool: u16) {
        let number = self.begun.len() as u32;
        if let Some(before) = self.begun.get_mut(self.youngest as usize) {
            before.younger = number;
        }
        self.begun.push(Begun { addr, pool, older: self.youngest, younger: NONE });
        self.youngest = number;
    }

    fn end(&mut self, number: u32) {
        let Begun { older, younger, .. } = self.begun[number as usize];
        if let Some(block) = self.begun.get_mut(older as usize) {
            block.younger = younger;
        }
        match self.begun.get_mut(younger as usize) {
            Some(block) => block.older = older,
            None => self.youngest = older,
        }
        self.beside = (older, younger);
    }

    fn freed(&mut self, hand: &mut Hand, addr: u64, pool: u16) {
        self.pools[usize::from(pool)].push(addr);
        hand.last_ended = addr;
        hand.last_pool = pool;
    }

    /// The block begun `ago` places before the youngest one still there.
    fn recent(&self, ago: usize) -> Option<u32> {
        let mut number = self.youngest;
        for _ in 0..ago {
            number = self.begun.get(number as usize)?.older;
        }
        (number != NONE).then_some(number)
    }
}

/// Turns addresses into codes and distances.
pub(crate) struct AddressEncoder {
    heap: Heap,
    /// Where blocks begun and not yet ended start, to their number.
    numbers: FxHashMap<u64, u32>,
    begins: Vec<u8>,
    ends: Vec<u8>,
    far: Vec<u8>,
}

impl AddressEncoder {
    pub(crate) fn new() -> AddressEncoder {
        AddressEncoder {
            heap: Heap::new(),
            numbers: FxHashMap::default(),
            begins: Vec::new(),
            ends: Vec::new(),
            far: Vec::new(),
        }
    }

    /// The columns: codes of begins, codes of ends, distances.
    pub(crate) fn columns(&self) -> [&[u8]; 3] {
        [&self.begins, &self.ends, &self.far]
    }

    /// A block of `room` bytes begins.
    pub(crate) fn begin(&mut self, thread: u32, hand: &mut Hand, addr: u64, room: u64) {
        let pool = Heap::pool(thread, room);
        let freed = &self.heap.pools[usize::from(pool)];
        let end = addr.wrapping_add(room).wrapping_add(8);
        if let Some(ago) = freed.iter().rev().take(NEAR).position(|&a| a == addr) {
            self.begins.push(ago as u8);
            self.heap.reuse(pool, ago);
        } else if addr == hand.top {
            self.begins.push(BUMP);
            hand.top = end;
        } else if addr == hand.last_ended {
            self.begins.push(IN_PLACE);
            self.heap.reuse_in_place(hand);
        } else {
            self.begins.push(put_far(&mut self.far, hand.top, addr));
            hand.top = end;
        }
        self.numbers.insert(addr, self.heap.begun.len() as u32);
        self.heap.begin(addr, pool);
    }

    /// A block ends; `room` are its bytes, 0 when not known.
    pub(crate) fn end(&mut self, thread: u32, hand: &mut Hand, addr: u64, room: u64) {
        let Some(number) = self.numbers.remove(&addr) else {
            self.ends.push(put_far(&mut self.far, self.heap.last_far_end, addr));
            varint::put(&mut self.far, room >> 4);
            self.heap.last_far_end = addr;
            self.heap.freed(hand, addr, Heap::pool(thread, room));
            return;
        };
        self.put_end_code(number);
        let pool = self.heap.begun[number as usize].pool;
        self.heap.end(number);
        self.heap.freed(hand, addr, pool);
    }

    fn put_end_code(&mut self, number: u32) {
        let (older, younger) = self.heap.beside;
        if number == self.heap.youngest {
            self.ends.push(0);
        } else if number == younger {
            self.ends.push(YOUNGER);
        } else if number == older {
            self.ends.push(OLDER);
        } else if let Some(ago) = (1..NEAR).find(|&ago| self.heap.recent(ago) == Some(number)) {
            self.ends.push(ago as u8);
        } else {
            self.ends.push(BEGUN_HERE);
            varint::put(&mut self.far, self.heap.begun.len() as u64 - u64::from(number));
        }
    }

    /// An address of an event that is neither.
    pub(crate) fn other(&mut self, addr: u64) {
        varint::put_delta(&mut self.far, self.heap.last_other, addr);
        self.heap.last_other = addr;
    }
}

/// Appends the way from `from` to `to` and returns its code.
fn put_far(far: &mut Vec<u8>, from: u64, to: u64) -> u8 {
    let way = to.wrapping_sub(from) as i64;
    let (code, way) = if way & 15 == 0 { (FAR_16, way >> 4) } else { (FAR, way) };
    varint::put(far, varint::zigzag(way));
    code
}

fn take_far(far: &mut Cursor<'_>, from: u64, code: u8) -> Result<u64, Malformed> {
    let way = varint::unzigzag(far.number()?);
    match code {
        FAR_16 => Ok(from.wrapping_add((way << 4) as u64)),
        FAR => Ok(from.wrapping_add(way as u64)),
        _ => Err(Malformed("an unknown address code")),
    }
}

/// Turns codes and distances into addresses.
pub(crate) struct AddressDecoder<'a> {
    heap: Heap,
    begins: Cursor<'a>,
    ends: Cursor<'a>,
    far: Cursor<'a>,
}

impl<'a> AddressDecoder<'a> {
    pub(crate) fn new([begins, ends, far]: [Cursor<'a>; 3]) -> AddressDecoder<'a> {
        AddressDecoder { heap: Heap::new(), begins, ends, far }
    }

    pub(crate) fn begin(
        &mut self,
        thread: u32,
        hand: &mut Hand,
        room: u64,
    ) -> Result<u64, Malformed> {
        let pool = Heap::pool(thread, room);
        let addr = match self.begins.byte()? {
            ago if usize::from(ago) < NEAR => self
                .heap
                .reuse(pool, usize::from(ago))
                .ok_or(Malformed("an address that was not freed"))?,
            IN_PLACE => {
                self.heap.reuse_in_place(hand);
                hand.last_ended
            }
            code => {
                let addr =
                    if code == BUMP { hand.top } else { take_far(&mut self.far, hand.top, code)? };
                hand.top = addr.wrapping_add(room).wrapping_add(8);
                addr
            }
        };
        self.heap.begin(addr, pool);
        Ok(addr)
    }

    pub(crate) fn end(&mut self, thread: u32, hand: &mut Hand) -> Result<u64, Malformed> {
        let number = match self.ends.byte()? {
            ago if usize::from(ago) < NEAR => self.heap.recent(usize::from(ago)),
            YOUNGER => Some(self.heap.beside.1),
            OLDER => Some(self.heap.beside.0),
            BEGUN_HERE => {
                let ago = self.far.number()?;
                (self.heap.begun.len() as u64).checked_sub(ago).and_then(|n| u32::try_from(n).ok())
            }
            code => return self.far_end(thread, hand, code),
        };
        let block = number.and_then(|n| Some((n, *self.heap.begun.get(n as usize)?)));
        let (number, Begun { addr, pool, .. }) = block.ok_or(Malformed("no such block begun"))?;
        self.heap.end(number);
        self.heap.freed(hand, addr, pool);
        Ok(addr)
    }

    fn far_end(&mut self, thread: u32, hand: &mut Hand, code: u8) -> Result<u64, Malformed> {
        let addr = take_far(&mut self.far, self.heap.last_far_end, code)?;
        let units = self.far.number()?;
        self.heap.last_far_end = addr;
        self.heap.freed(hand, addr, Heap::pool(thread, units << 4));
        Ok(addr)
    }

    pub(crate) fn other(&mut self) -> Result<u64, Malformed> {
        self.heap.last_other = self.far.delta(self.heap.last_other)?;
        Ok(self.heap.last_other)
    }
}
