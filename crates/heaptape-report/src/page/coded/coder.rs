//! A range coder: decisions with a chance each become bytes, a likely one next to nothing.
//!
//! The coder is the one of LZMA with finer chances. What is written and what is read goes through the same code
//! above: a [`Coder`] is given each decision and gives back the one that counts, which is the given one when writing.

/// The chance of a decision, learnt from those before: 65536ths, and how many there were, up to [`Chance::MOST`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u32);

impl Chance {
    /// From here on old decisions count less and less.
    const MOST: u32 = 20;
    /// What is known of nothing.
    pub(super) const EVEN: Chance = Chance(0x8000 << 8);

    fn of_yes(self) -> u32 {
        self.0 >> 8
    }

    /// What this and a chance of a wider place say together: this counts for as many decisions as it knows, that for two.
    pub(super) fn beside(self, wide: Chance) -> Chance {
        let seen = (self.0 & 0xff) as i32;
        let share = (seen << 14) / (seen + 2);
        let (own, wide) = (self.of_yes() as i32, wide.of_yes() as i32);
        let both = wide + (((own - wide) * share) >> 14);
        Chance((both as u32) << 8)
    }

    pub(super) fn learn(&mut self, yes: bool) {
        let (chance, seen) = (self.0 >> 8, self.0 & 0xff);
        // A step of 1 / (seen + 1.6), in 65536ths.
        let step = 655_360 / (10 * seen + 16);
        let chance = match yes {
            true => chance + (((65_535 - chance) * step) >> 16),
            false => chance - ((chance * step) >> 16),
        };
        self.0 = chance << 8 | (seen + 1).min(Chance::MOST);
    }
}

/// Writes decisions, or reads them.
pub(super) trait Coder {
    /// A decision: `yes` when writing, what was written when reading.
    fn decide(&mut self, chance: &mut Chance, yes: bool) -> bool;

    /// Whether that were too many decisions.
    fn is_full(&self) -> bool {
        false
    }
}

/// The range is below 2^30: in JavaScript such numbers need no box.
const WIDE: u32 = (1 << 30) - 1;
/// Below this it is widened by a byte.
const NARROW: u32 = 1 << 22;

/// Writes.
#[derive(Debug)]
pub(super) struct Encoder {
    low: u64,
    range: u32,
    /// The last byte that a carry may still reach, and how many of 255 follow it.
    held: u8,
    full: usize,
    bytes: Vec<u8>,
    /// How many decisions were written, and how many there may be.
    decisions: u64,
    most: u64,
}

impl Encoder {
    /// Nothing yet, and so many decisions at most.
    pub(super) fn new(most: u64) -> Encoder {
        Encoder { low: 0, range: WIDE, held: 0, full: 0, bytes: Vec::new(), decisions: 0, most }
    }

    /// What was written.
    pub(super) fn finish(mut self) -> Vec<u8> {
        (0..5).for_each(|_| self.shift());
        self.bytes
    }

    fn shift(&mut self) {
        if self.low < 0xff00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            self.bytes.push(self.held.wrapping_add(carry));
            self.bytes.extend(std::iter::repeat_n(0xff_u8.wrapping_add(carry), self.full));
            self.full = 0;
            self.held = (self.low >> 24) as u8;
        } else {
            self.full += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }
}

impl Coder for Encoder {
    fn decide(&mut self, chance: &mut Chance, yes: bool) -> bool {
        self.decisions += 1;
        let bound = (self.range >> 15) * (chance.of_yes() >> 1);
        if yes {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        while self.range < NARROW {
            self.range <<= 8;
            self.shift();
        }
        chance.learn(yes);
        yes
    }

    fn is_full(&self) -> bool {
        self.decisions > self.most
    }
}

/// Reads.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bytes: std::slice::Iter<'a, u8>,
    range: u32,
    code: u32,
    /// Whether more was read than there is.
    pub(super) cut: bool,
}

impl<'a> Decoder<'a> {
    /// Begins to read.
    pub(super) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        let mut decoder = Decoder { bytes: bytes.iter(), range: WIDE, code: 0, cut: false };
        (0..5).for_each(|_| decoder.shift());
        decoder
    }

    fn shift(&mut self) {
        let byte = self.bytes.next();
        self.cut |= byte.is_none();
        self.code = self.code << 8 | u32::from(byte.copied().unwrap_or(0));
    }
}

impl Coder for Decoder<'_> {
    fn decide(&mut self, chance: &mut Chance, _: bool) -> bool {
        let bound = (self.range >> 15) * (chance.of_yes() >> 1);
        let yes = self.code < bound;
        if yes {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        while self.range < NARROW {
            self.range <<= 8;
            self.shift();
        }
        chance.learn(yes);
        yes
    }
}
