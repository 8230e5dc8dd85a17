//! When the events of a process happened, as a story: how many events the clock stood still, then by how much it
//! changed.

use super::super::tables::END_OF_ADDRESSES;
use super::coder::{Coder, Decoder, Encoder};
use super::models::{Guesses, Numbers, code_sum, mix};

/// Decisions at most: a page takes about 15 ns for each.
const MOST_DECISIONS: u64 = 12_000_000;
/// Times from here on are no exact numbers of JavaScript.
const END: u64 = END_OF_ADDRESSES;
/// Steps of the clock have their chances by how many bits the one before had, up to these.
const KINDS: usize = 32;

/// What is known before the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Changes of the clock.
    pub changes: u32,
    /// All times are multiples of so many nanoseconds.
    pub unit_ns: u64,
}

/// Writes the story of positions and times, which both ascend. `None`: it would take a page too long to read, or they
/// are not such times.
pub fn write(positions: &[u32], times: &[u64]) -> Option<(Extent, Vec<u8>)> {
    let ascend = positions.is_sorted() && times.is_sorted() && positions.len() == times.len();
    if !ascend || times.last().is_some_and(|last| *last >= END) {
        return None;
    }
    let unit_ns = times.iter().copied().fold(0, common_divisor).max(1);
    let extent = Extent { changes: u32::try_from(times.len()).ok()?, unit_ns };
    let mut coder = Encoder::new(MOST_DECISIONS);
    tell(&mut coder, extent, &|row| (positions[row], times[row])).ok()?;
    Some((extent, coder.finish()))
}

/// Reads it: the page's reader, once more.
pub fn read(extent: Extent, bytes: &[u8]) -> Result<Vec<(u32, u64)>, &'static str> {
    let mut coder = Decoder::new(bytes);
    let changes = tell(&mut coder, extent, &|_| (0, 0))?;
    if coder.cut { Err("it is cut off") } else { Ok(changes) }
}

/// Tells it from begin to end. When reading, `change` gives anything.
fn tell(
    coder: &mut impl Coder,
    extent: Extent,
    change: &dyn Fn(usize) -> (u32, u64),
) -> Result<Vec<(u32, u64)>, &'static str> {
    let (mut gaps, mut gap_numbers) = (Guesses::<1>::new(), Numbers::new(1));
    let mut steps = Numbers::new(KINDS);
    let mut changes = Vec::new();
    let (mut position, mut units, mut sum) = (0_u32, 0_u64, 0);
    let (mut gap, mut step) = (0, 0_u64);
    for row in 0..extent.changes as usize {
        let (to, at) = change(row);
        let wanted = to.wrapping_sub(position);
        let context = mix(gap, 0);
        gap = gaps
            .guess(coder, [context], wanted)
            .unwrap_or_else(|| gap_numbers.code(coder, 0, wanted.into()) as u32);
        gaps.learn(gap);
        position = position.wrapping_add(gap);
        let kind = ((u64::BITS - step.leading_zeros()) as usize).min(KINDS - 1);
        step = steps.code(coder, kind, (at / extent.unit_ns).wrapping_sub(units));
        units = units.wrapping_add(step);
        let time = units.checked_mul(extent.unit_ns).filter(|time| *time < END);
        let time = time.ok_or("it is damaged")?;
        sum = mix(mix(mix(sum, gap), step as u32), (step >> 32) as u32);
        changes.push((position, time));
        if coder.is_full() {
            return Err("it is too long");
        }
    }
    code_sum(coder, sum)?;
    Ok(changes)
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
