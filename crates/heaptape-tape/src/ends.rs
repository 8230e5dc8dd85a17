//! Which blocks end, told as what a program would do: free what it allocated last, or what lies beside
//! what it freed before.
//!
//! The blocks that a run ends have numbers in the order of their age: first the *elders*, begun before
//! the run, which it lists with their addresses; then those begun in it. Freed together was mostly
//! begun together, wherever it lies in memory; so numbers say more than addresses, and each address is
//! told once in a run.

use crate::addresses::{behind, put_way, take_way};
use crate::varint::{self, Cursor, Malformed};

/// How many of the youngest blocks are looked at.
const NEAR: usize = 16;
/// Codes: 0..16, the block so many places older than the youngest; then:
const YOUNGER: u8 = 16;
const OLDER: u8 = 17;
/// And above: the difference from the number that ended last, of one to four bytes.
const FAR: u8 = 18;
/// Code of an elder's address: behind the elder before. Above: a way from there.
const BEHIND: u8 = 0;

const NONE: u32 = u32::MAX;

/// The neighbours by age of a block that has not ended.
#[derive(Clone, Copy, Debug)]
struct Links {
    older: u32,
    younger: u32,
}

/// The blocks that have not ended yet, in a list by age.
struct Ages {
    links: Vec<Links>,
    youngest: u32,
    /// The neighbours of the last one ended.
    beside: Links,
    /// The one ended last.
    last: u32,
}

impl Ages {
    /// In memory that was `links`.
    fn new(elders: usize, mut links: Vec<Links>) -> Ages {
        links.clear();
        let mut ages = Ages {
            links,
            youngest: NONE,
            beside: Links { older: NONE, younger: NONE },
            last: elders as u32,
        };
        (0..elders).for_each(|_| ages.begin());
        ages
    }

    #[inline]
    fn begin(&mut self) {
        let number = self.links.len() as u32;
        if let Some(before) = self.links.get_mut(self.youngest as usize) {
            before.younger = number;
        }
        self.links.push(Links { older: self.youngest, younger: NONE });
        self.youngest = number;
    }

    #[inline]
    fn end(&mut self, number: u32) {
        let links = self.links[number as usize];
        if let Some(block) = self.links.get_mut(links.older as usize) {
            block.younger = links.younger;
        }
        match self.links.get_mut(links.younger as usize) {
            Some(block) => block.older = links.older,
            None => self.youngest = links.older,
        }
        self.beside = links;
        self.last = number;
    }

    /// The block `ago` places older than the youngest.
    #[inline]
    fn recent(&self, ago: u8) -> u32 {
        let mut number = self.youngest;
        for _ in 0..ago {
            number = self.links.get(number as usize).map_or(NONE, |links| links.older);
        }
        number
    }

    #[inline]
    fn number(&self, code: u8, far: &mut Cursor<'_>) -> Result<u32, Malformed> {
        let number = match code {
            YOUNGER => self.beside.younger,
            OLDER => self.beside.older,
            ago if usize::from(ago) < NEAR => self.recent(ago),
            _ => {
                let width = usize::from(code - FAR) + 1;
                if width > 4 {
                    return Err(Malformed("an unknown end"));
                }
                let way = varint::unzigzag(far.fixed(width)?);
                let number = i64::from(self.last).checked_add(way);
                number.and_then(|n| u32::try_from(n).ok()).unwrap_or(NONE)
            }
        };
        let known = (number as usize) < self.links.len();
        known.then_some(number).ok_or(Malformed("no such block"))
    }
}

/// A block that ends in a run and was begun before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Elder {
    /// Its number among its process's allocations; 0 when it is not known.
    id: u64,
    addr: u64,
    /// Its rank among the elders in the order in which they end.
    rank: u32,
    /// Its room in units of 16 bytes, 0 when not known.
    units: u32,
}

/// What happened to blocks, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// The block begun in this run as the so-and-so-manieth.
    End(u32),
    /// The next elder.
    EndElder,
}

/// The blocks that have not ended, once more, as the encoder asks for them: how many are younger than one?
#[derive(Default)]
struct Young {
    /// In the order of age. None of the [`NEAR`] youngest has ended; of the others those that have go when they
    /// would be among these.
    numbers: Vec<u32>,
    /// By number.
    ended: Vec<bool>,
}

impl Young {
    #[inline]
    fn begin(&mut self) {
        self.numbers.push(self.ended.len() as u32);
        self.ended.push(false);
    }

    /// How many are younger than a block that has not ended, if it is one of the [`NEAR`] youngest.
    #[inline]
    fn ago(&self, number: u32) -> Option<u8> {
        let younger = |near: &[u32]| near.iter().map(|&other| u8::from(other > number)).sum();
        match self.numbers.last_chunk::<NEAR>() {
            Some(near) => (number >= near[0]).then(|| younger(near)),
            None => Some(younger(&self.numbers)),
        }
    }

    /// A block ends, so many places older than the youngest if that is near.
    #[inline]
    fn end(&mut self, number: u32, ago: Option<u8>) {
        let Some(ago) = ago else {
            self.ended[number as usize] = true;
            return;
        };
        let last = self.numbers.len() - 1;
        match self.numbers.last_chunk_mut::<NEAR>() {
            // By select, not by move: it is short, and how much moves is never the same.
            Some(near) => {
                let (gap, before) = (NEAR - 1 - usize::from(ago), *near);
                for at in 0..NEAR - 1 {
                    near[at] = before[at + usize::from(at >= gap)];
                }
                self.numbers.truncate(last);
            }
            None => drop(self.numbers.remove(last - usize::from(ago))),
        }
        while let Some(at) = self.numbers.len().checked_sub(NEAR)
            && self.ended[self.numbers[at] as usize]
        {
            self.numbers.remove(at);
        }
    }
}

/// Collects what ends; then the same of another run.
#[derive(Default)]
pub(crate) struct EndsEncoder {
    steps: Vec<Step>,
    elders: Vec<Elder>,
    links: Vec<Links>,
    young: Young,
}

/// Codes and differences of the ends; codes, ways and units of the elders.
pub(crate) type EndColumns<T> = [T; 5];

impl EndsEncoder {
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.steps.push(Step::Begin);
    }

    /// The block begun in this run as number `number` ends.
    #[inline]
    pub(crate) fn end(&mut self, number: u32) {
        self.steps.push(Step::End(number));
    }

    /// A block ends that was begun before.
    #[inline]
    pub(crate) fn end_elder(&mut self, id: u64, addr: u64, units: u32) {
        self.steps.push(Step::EndElder);
        self.elders.push(Elder { id, addr, rank: self.elders.len() as u32, units });
    }

    /// The columns; then it is empty.
    pub(crate) fn finish(&mut self) -> EndColumns<Vec<u8>> {
        self.elders.sort_unstable();
        let [mut codes, mut far, mut elders, mut ways, mut units] = [const { Vec::new() }; 5];
        let mut expected = 0;
        for elder in &self.elders {
            let expect = elder.addr == expected;
            let code = if expect { BEHIND } else { 1 + put_way(&mut ways, expected, elder.addr) };
            elders.push(code);
            varint::put(&mut units, u64::from(elder.units));
            expected = behind(elder.addr, u64::from(elder.units) << 4 | 8);
        }
        let mut by_rank = vec![0; self.elders.len()];
        for (number, elder) in (0..).zip(&self.elders) {
            by_rank[elder.rank as usize] = number;
        }
        let mut by_rank = by_rank.into_iter();
        let mut ages = Ages::new(self.elders.len(), std::mem::take(&mut self.links));
        self.young.numbers.clear();
        self.young.ended.clear();
        self.elders.iter().for_each(|_| self.young.begin());
        for step in &self.steps {
            let number = match step {
                Step::Begin => {
                    ages.begin();
                    self.young.begin();
                    continue;
                }
                Step::End(number) => self.elders.len() as u32 + number,
                Step::EndElder => by_rank.next().expect("each elder has a rank"),
            };
            let ago = self.young.ago(number);
            codes.push(code(&ages, number, ago, &mut far));
            ages.end(number);
            self.young.end(number, ago);
        }
        self.links = ages.links;
        self.steps.clear();
        self.elders.clear();
        [codes, far, elders, ways, units]
    }
}

/// The code of the end of a block, so many places older than the youngest if that is near.
#[inline]
fn code(ages: &Ages, number: u32, ago: Option<u8>, far: &mut Vec<u8>) -> u8 {
    if number == ages.youngest {
        return 0;
    }
    if number == ages.beside.younger {
        return YOUNGER;
    }
    if number == ages.beside.older {
        return OLDER;
    }
    if let Some(ago) = ago {
        return ago;
    }
    let way = varint::zigzag(i64::from(number) - i64::from(ages.last));
    let width = (8 - way.leading_zeros() as usize / 8).max(1);
    far.extend_from_slice(&way.to_le_bytes()[..width]);
    FAR - 1 + width as u8
}

/// What decoding a run needs; kept for the next one.
#[derive(Default)]
pub(crate) struct EndsMemory {
    links: Vec<Links>,
    blocks: Vec<(u32, u32)>,
}

/// The other way.
pub(crate) struct EndsDecoder<'a> {
    ages: Ages,
    /// By number: which spot the block is at, and its pool or, of an elder, its room in units.
    blocks: Vec<(u32, u32)>,
    elders: usize,
    codes: Cursor<'a>,
    far: Cursor<'a>,
}

/// A block that ended.
pub(crate) struct Ended {
    /// The number of its address.
    pub(crate) spot: u32,
    /// The pool that it was begun in; of an elder, its room.
    pub(crate) from: Origin,
}

pub(crate) enum Origin {
    Pool(u16),
    Elder(u64),
}

impl<'a> EndsDecoder<'a> {
    /// At most `most` elders are believed. `spot_of` numbers their addresses.
    pub(crate) fn new(
        columns: EndColumns<Cursor<'a>>,
        most: usize,
        memory: &mut EndsMemory,
        mut spot_of: impl FnMut(u64) -> u32,
    ) -> Result<Self, Malformed> {
        let [codes, far, mut elders, mut ways, mut units] = columns;
        let mut blocks = std::mem::take(&mut memory.blocks);
        blocks.clear();
        let mut expected = 0;
        while !elders.is_empty() {
            if blocks.len() == most {
                return Err(Malformed("more elders than events"));
            }
            let addr = match elders.byte()? {
                BEHIND => expected,
                code => take_way(&mut ways, expected, code - 1)?,
            };
            let units = units.number32()?;
            expected = behind(addr, u64::from(units) << 4 | 8);
            blocks.push((spot_of(addr), units));
        }
        let elders = blocks.len();
        let ages = Ages::new(elders, std::mem::take(&mut memory.links));
        Ok(EndsDecoder { ages, blocks, elders, codes, far })
    }

    /// Gives the memory back.
    pub(crate) fn finish(self, memory: &mut EndsMemory) {
        *memory = EndsMemory { links: self.ages.links, blocks: self.blocks };
    }

    #[inline]
    pub(crate) fn begin(&mut self, spot: u32, pool: u16) {
        self.ages.begin();
        self.blocks.push((spot, u32::from(pool)));
    }

    #[inline]
    pub(crate) fn end(&mut self) -> Result<Ended, Malformed> {
        let code = self.codes.byte()?;
        let number = self.ages.number(code, &mut self.far)?;
        self.ages.end(number);
        let (spot, more) = self.blocks[number as usize];
        let elder = (number as usize) < self.elders;
        let from =
            if elder { Origin::Elder(u64::from(more) << 4) } else { Origin::Pool(more as u16) };
        Ok(Ended { spot, from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Blocks begin; any of those that live ends, or one from before, known or not.
        #[test]
        fn what_ended_comes_back(
            steps in prop::collection::vec((0u8..6, 0usize..64, 0u64..40), 0..300)
        ) {
            // One that was used before, as all but the first are.
            let mut encoder = EndsEncoder::default();
            (0..40).for_each(|_| encoder.begin());
            [3, 30].into_iter().for_each(|number| encoder.end(number));
            encoder.end_elder(1, 2, 3);
            encoder.finish();
            let (mut live, mut begun, mut story) = (Vec::new(), 0, Vec::new());
            for (what, which, number) in steps {
                let addr = 0x1000 + number * 24;
                match what {
                    0..3 => {
                        encoder.begin();
                        live.push((begun, addr));
                        begun += 1;
                        story.push((true, addr));
                    }
                    3..5 if !live.is_empty() => {
                        let (block, addr) = live.remove(which % live.len());
                        encoder.end(block);
                        story.push((false, addr));
                    }
                    _ => {
                        encoder.end_elder(number / 4, addr, which as u32);
                        story.push((false, addr));
                    }
                }
            }
            let columns = encoder.finish();
            let cursors = columns.each_ref().map(|column| Cursor::new(column));
            let memory = &mut EndsMemory::default();
            let spot_of = |addr: u64| addr as u32;
            let mut decoder = EndsDecoder::new(cursors, story.len(), memory, spot_of).unwrap();
            for (begins, addr) in story {
                if begins {
                    decoder.begin(spot_of(addr), 7);
                } else {
                    prop_assert_eq!(decoder.end().unwrap().spot, spot_of(addr));
                }
            }
            prop_assert!(decoder.end().is_err(), "nothing more ended");
        }
    }
}
