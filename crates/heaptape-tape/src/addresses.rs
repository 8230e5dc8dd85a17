//! Addresses of blocks that begin, told as what an allocator would do: hand out again what was freed
//! last in that size, or carve the next piece.
//!
//! Encoder and decoder keep the same [`Pools`]; what they foresee costs a byte that is nearly always
//! the same, the rest a *way* from where it was expected. They know only events of their own run.

use crate::varint::{self, Cursor, Malformed};

/// How many addresses freed in a size are looked at.
const NEAR: usize = 16;
/// Codes: 0..16, the address freed so many places ago in this size; then:
const BUMP: u8 = 16;
const IN_PLACE: u8 = 17;
/// And above: a way from [`Hand::top`].
const FAR: u8 = 18;

const POOLS_LOG2: u32 = 12;
/// Addresses of a pool for which there is memory before they come: of all pools, a MiB.
const KEPT: usize = 64;

/// Where a block may have been carved out behind another: after its bytes and the allocator's word.
pub(crate) fn behind(addr: u64, room: u64) -> u64 {
    addr.wrapping_add(room).wrapping_add(8)
}

/// Widths of a way in bytes. Codes 0..4 are ways in units of 16 bytes, 4..8 in bytes.
const WIDTHS: [usize; 4] = [1, 2, 3, 8];

/// Appends the way from `from` to `to`, and returns its code.
pub(crate) fn put_way(ways: &mut Vec<u8>, from: u64, to: u64) -> u8 {
    let way = to.wrapping_sub(from) as i64;
    let (unit, way) = if way & 15 == 0 { (0, way >> 4) } else { (4, way) };
    let way = varint::zigzag(way);
    let width = match way {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xff_ffff => 2,
        _ => 3,
    };
    ways.extend_from_slice(&way.to_le_bytes()[..WIDTHS[usize::from(width)]]);
    unit + width
}

/// Where the way of that code leads.
pub(crate) fn take_way(ways: &mut Cursor<'_>, from: u64, code: u8) -> Result<u64, Malformed> {
    let way = varint::unzigzag(ways.fixed(WIDTHS[usize::from(code & 3)])?);
    match code {
        0..4 => Ok(from.wrapping_add((way << 4) as u64)),
        4..8 => Ok(from.wrapping_add(way as u64)),
        _ => Err(Malformed("an unknown way")),
    }
}

/// What a thread did last. `A` is an address, or what stands for one: the default for address 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hand<A> {
    /// Where the next piece carved for it would start.
    top: u64,
    last_ended: A,
    last_pool: u16,
}

/// Freed addresses by thread and size, last one last. Pools share a slot by chance: it only makes
/// foresight worse.
#[derive(Default)]
pub(crate) struct Pools<A>(Vec<Vec<A>>);

/// An address as the decoder has it.
pub(crate) enum Told<A> {
    /// It was freed in this run.
    Known(A),
    /// It may be anything.
    New(u64),
}

impl<A: Copy + PartialEq> Pools<A> {
    /// Begins a run: all pools are empty. The memory of small ones is kept.
    pub(crate) fn begin(&mut self) {
        for pool in &mut self.0 {
            pool.clear();
            pool.shrink_to(KEPT);
        }
        self.0.resize_with(1 << POOLS_LOG2, Vec::new);
    }

    /// Takes the address out that was freed so many places ago.
    #[inline]
    fn take(&mut self, pool: u16, ago: u8) -> Result<A, Malformed> {
        const NONE: Malformed = Malformed("an address that was not freed");
        let freed = &mut self.0[usize::from(pool)];
        if ago == 0 {
            return freed.pop().ok_or(NONE);
        }
        let at = freed.len().checked_sub(usize::from(ago) + 1);
        Ok(freed.remove(at.ok_or(NONE)?))
    }

    fn reuse_in_place(&mut self, hand: &Hand<A>) {
        let pool = &mut self.0[usize::from(hand.last_pool)];
        if pool.last() == Some(&hand.last_ended) {
            pool.pop();
        }
    }

    /// A block of a pool ended.
    #[inline]
    pub(crate) fn freed(&mut self, hand: &mut Hand<A>, addr: A, pool: u16) {
        self.0[usize::from(pool)].push(addr);
        hand.last_ended = addr;
        hand.last_pool = pool;
    }

    /// The address of a begin of that code.
    #[inline]
    pub(crate) fn addr(
        &mut self,
        hand: &mut Hand<A>,
        pool: u16,
        code: u8,
        room: u64,
        ways: &mut Cursor<'_>,
    ) -> Result<Told<A>, Malformed> {
        if usize::from(code) < NEAR {
            return self.take(pool, code).map(Told::Known);
        }
        if code == IN_PLACE {
            self.reuse_in_place(hand);
            return Ok(Told::Known(hand.last_ended));
        }
        let addr = match code {
            BUMP => hand.top,
            _ => take_way(ways, hand.top, code - FAR)?,
        };
        hand.top = behind(addr, room);
        Ok(Told::New(addr))
    }
}

impl Pools<u64> {
    /// The code of a begin at `addr`.
    #[inline]
    pub(crate) fn code(
        &mut self,
        hand: &mut Hand<u64>,
        pool: u16,
        addr: u64,
        room: u64,
        ways: &mut Vec<u8>,
    ) -> u8 {
        let freed = &mut self.0[usize::from(pool)];
        if freed.last() == Some(&addr) {
            freed.pop();
            return 0;
        }
        // All at once first: an address that is not there, as many are not, is looked for to the end.
        let may_be_near = freed.last_chunk::<NEAR>().is_none_or(|near| is_one_of(addr, near));
        if may_be_near && let Some(ago) = freed.iter().rev().take(NEAR).position(|&a| a == addr) {
            freed.remove(freed.len() - 1 - ago);
            return ago as u8;
        }
        if addr == hand.last_ended && addr != hand.top {
            self.reuse_in_place(hand);
            return IN_PLACE;
        }
        let code = if addr == hand.top { BUMP } else { FAR + put_way(ways, hand.top, addr) };
        hand.top = behind(addr, room);
        code
    }
}

#[inline]
fn is_one_of(addr: u64, some: &[u64; NEAR]) -> bool {
    some.iter().fold(false, |is, &other| is | (other == addr))
}

/// The pool of blocks of so many bytes of the thread of that rank.
#[inline]
pub(crate) fn pool_of(thread: u32, room: u64) -> u16 {
    let key = u64::from(thread) << 40 ^ room >> 4;
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - POOLS_LOG2)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ways_come_back(from: u64, way: i64, shift in 0u32..64) {
            let to = from.wrapping_add((way >> shift) as u64);
            let mut ways = Vec::new();
            let code = put_way(&mut ways, from, to);
            prop_assert_eq!(take_way(&mut Cursor::new(&ways), from, code), Ok(to));
        }
    }
}
