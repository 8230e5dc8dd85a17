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
    let (mut position, mut units, mut sum) = (0_u32, 0_u64, extent.changes);
    let (mut gap, mut step) = (0, 0_u64);
    let Extent { changes: count, unit_ns } = extent;
    if unit_ns == 0 {
        return Err("its clock has no unit");
    }
    for row in 0..count as usize {
        let (to, at) = change(row);
        let wanted = to.wrapping_sub(position);
        let context = mix(gap, 0);
        gap = gaps
            .guess(coder, [context], wanted)
            .unwrap_or_else(|| gap_numbers.code(coder, 0, wanted.into()) as u32);
        gaps.learn(gap);
        position = position.wrapping_add(gap);
        let kind = ((u64::BITS - step.leading_zeros()) as usize).min(KINDS - 1);
        step = steps.code(coder, kind, (at / unit_ns).wrapping_sub(units));
        units = units.wrapping_add(step);
        let time = units.checked_mul(unit_ns).filter(|time| *time < END);
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

#[cfg(test)]
mod tests {
    use super::super::tests::damaged;
    use super::*;
    use proptest::prelude::*;

    /// Positions and times that ascend, in some unit.
    fn changes() -> impl Strategy<Value = (Vec<u32>, Vec<u64>)> {
        let gap = prop_oneof![4 => Just(64_u32), 2 => 1..100_u32, 1 => 0..10_000_000_u32];
        let step = prop_oneof![6 => 0..9_u64, 1 => 0..1_u64 << 40];
        let unit = prop_oneof![Just(1000_u64), 1..50_u64];
        (unit, prop::collection::vec((gap, step), 0..400)).prop_map(|(unit, said)| {
            let (mut position, mut time) = (0, 0);
            let ascend = |(gap, step)| {
                (position, time) = (position + gap, time + step * unit);
                (position, time)
            };
            // The sum of so many of them stays below the end in nearly all cases.
            said.into_iter().map(ascend).filter(|(_, time)| *time < END).unzip()
        })
    }

    fn story_of((positions, times): &(Vec<u32>, Vec<u64>)) -> (Extent, Vec<u8>) {
        write(positions, times).expect("it is short")
    }

    proptest! {
        #[test]
        fn times_are_read_as_they_were_told(changes in changes()) {
            let (extent, story) = story_of(&changes);
            let expected: Vec<(u32, u64)> = changes.0.into_iter().zip(changes.1).collect();
            prop_assert_eq!(read(extent, &story), Ok(expected));
        }

        #[test]
        fn damage_is_an_error_or_none(
            changes in changes(),
            at: prop::sample::Index,
            by in 1..=255_u8,
            cut: bool,
        ) {
            let (extent, story) = story_of(&changes);
            let expected: Vec<(u32, u64)> = changes.0.into_iter().zip(changes.1).collect();
            let back = read(extent, &damaged(story, at, by, cut));
            prop_assert!(back.is_err() || back == Ok(expected));
        }

        #[test]
        fn whatever_the_bytes_there_is_an_end(
            story in prop::collection::vec(any::<u8>(), 0..300),
            changes in 1..3000_u32,
            unit_ns: u64,
        ) {
            let extent = Extent { changes, unit_ns };
            prop_assert!(read(extent, &story).is_err());
        }
    }

    /// The page's reader is held to the same bytes (`ui/test/story.test.ts`).
    #[test]
    fn the_bytes_are_these() {
        let positions = [1, 65, 129, 193, 194, 258, 322, 4_000_000, 4_000_064];
        let times = [1, 3, 6, 8, 5_000_008, 5_000_010, 5_000_013, 5_000_015, 8_000_000_000_000];
        let (extent, story) = write(&positions, &times.map(|time| time * 1000)).unwrap();
        let hex: String = story.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(extent, Extent { changes: 9, unit_ns: 1000 });
        assert_eq!(hex, STORY);
    }

    const STORY: &str = "003ef9b45c6bf4f9bc8141e7aacb45e1771e413a87502d941158092c000000";

    #[test]
    fn what_no_page_could_read_is_not_told() {
        assert!(write(&[1], &[END - 1]).is_some());
        assert!(write(&[1], &[END]).is_none(), "no exact number");
        assert!(write(&[1, 2], &[2, 1]).is_none(), "back in time");
        assert!(write(&[2, 1], &[1, 2]).is_none(), "back among the events");
        let random = |row: u32| u64::from(mix(row, 1) >> 8);
        let times: Vec<u64> = (0..600_000)
            .scan(0, |time, row| {
                *time += random(row);
                Some(*time)
            })
            .collect();
        let positions: Vec<u32> = (0..600_000_u32).collect();
        assert!(write(&positions[..1000], &times[..1000]).is_some());
        assert!(write(&positions, &times).is_none(), "too long to read");
    }
}
