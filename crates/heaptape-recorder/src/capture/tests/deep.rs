//! Stacks deeper than the bound: what is kept, what is marked, and that it stays the same for many walks.

use super::*;
use heaptape_wire::layout::KEPT_FRAMES;
use proptest::prelude::*;

/// Words of the made-up stack: one frame has one or two.
const WORDS: usize = 4 * MAX_FRAMES;

/// A stack of return addresses into code that does not exist, and a witness of its walks.
struct Made {
    memory: Vec<usize>,
    witness: Witness,
    expected: Box<[Frame; MAX_FRAMES]>,
    truncated: u64,
}

/// A frame of so many words.
fn code(words: i64) -> usize {
    Rule::pack(Kind::Sp, words * 8, 0).expect("a small rule").made_up_code()
}

/// What a backtrace of `kept` frames must be where the plain walk finds `frames`, and whether it is cut: it may be only
/// where it keeps enough.
pub(super) fn may_be(frames: &[Frame], kept: usize) -> (Vec<(u64, u8)>, bool) {
    let mut expected: Vec<_> = frames.iter().map(|frame| (frame.ip(), frame.quality())).collect();
    let is_cut = (KEPT_FRAMES..MAX_FRAMES).contains(&kept)
        && (expected.len() == MAX_FRAMES || kept < expected.len());
    if is_cut {
        expected.truncate(kept);
        expected[kept - 1].1 = NODE_TRUNCATED;
    }
    (expected, is_cut)
}

impl Made {
    /// Frames at random, so that few stacks have the same ones.
    fn new(mut random: u64) -> Made {
        let mut memory = vec![0; WORDS + 64];
        for word in &mut memory[..WORDS] {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *word = code(1 + (random >> 62 & 1) as i64);
        }
        memory[WORDS..].fill(Rule::bare(Kind::End).made_up_code());
        let expected = Box::new([Frame::new(0, 0); MAX_FRAMES]);
        Made { memory, witness: Witness::new(), expected, truncated: 0 }
    }

    /// The registers of a hook called with the stack pointer at this word.
    fn regs(&self, at: usize) -> Regs {
        Regs { sp: &raw const self.memory[at] as usize, bp: 0 }
    }

    /// Takes the backtrace there, and compares it with the plain walk.
    fn compare(&mut self, at: usize) {
        if self.memory[at] >> 32 != 0x6a00 {
            self.memory[at] = code(1); // a hook returns to code
        }
        core::hint::black_box(&mut self.memory);
        let regs = self.regs(at);
        let id = Capture::backtrace(self.witness.thread, regs);
        let ours = self.witness.frames(id);
        let mut window = Window::default();
        window.check(regs.sp);
        let count = walk::full(self.witness.thread, &mut window, regs, &mut self.expected);
        let frames = &self.expected[..count];
        let (expected, is_cut) = may_be(frames, ours.len());
        assert!(ours == expected, "{} frames of {count} differ", ours.len());
        self.truncated += u64::from(is_cut);
        assert_eq!(self.witness.thread.page().truncated.load(Ordering::Relaxed), self.truncated);
    }
}

/// What happens between two walks.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The stack pointer goes to a word, or by some.
    To(usize),
    By(isize),
    /// A word so far outward becomes this.
    Word(usize, usize),
    /// A jump left the last hook half-way.
    Jumped,
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![4 => Just(code(1)), 2 => Just(12345), 1 => Just(Rule::bare(Kind::End).made_up_code())];
    prop_oneof![
        1 => (0..WORDS).prop_map(Change::To),
        4 => (-30..30isize).prop_map(Change::By),
        4 => (-(MAX_FRAMES as isize)..MAX_FRAMES as isize).prop_map(Change::By),
        2 => (0..2 * MAX_FRAMES, word).prop_map(|(at, value)| Change::Word(at, value)),
        1 => Just(Change::Jumped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_of_a_deep_stack_is_right(
        seed in any::<u64>(),
        changes in prop::collection::vec(change(), 1..30),
    ) {
        let mut made = Made::new(seed);
        let mut at = WORDS / 4;
        for change in changes {
            match change {
                Change::To(to) => at = to,
                Change::By(by) => at = at.saturating_add_signed(by).min(WORDS - 1),
                Change::Word(outward, value) => {
                    let last = WORDS - 1;
                    made.memory[(at + outward).min(last)] = value;
                }
                Change::Jumped => {
                    let head = made.witness.thread.cursor.position;
                    made.witness.thread.capture.settle(head);
                }
            }
            made.compare(at);
        }
    }
}

/// Each level of a recursion beyond the bound was walked and announced in full.
#[test]
fn walks_up_and_down_a_deep_stack_announce_few_nodes() {
    let mut made = Made::new(7);
    let walks = 2 * WORDS;
    // By id; ids are given out one by one, callers first.
    let mut depths = vec![0];
    let (mut fewest, mut most) = (MAX_FRAMES, 0);
    for at in (0..WORDS).rev().chain(0..WORDS) {
        let id = Capture::backtrace(made.witness.thread, made.regs(at)) as usize;
        made.witness.thread.ring().publish(&made.witness.thread.cursor);
        made.witness.hear();
        while let Some((parent, ..)) = made.witness.nodes.get(&(depths.len() as u32)) {
            depths.push(depths[*parent as usize] + 1);
        }
        if at < WORDS / 2 {
            (fewest, most) = (fewest.min(depths[id]), most.max(depths[id]));
        }
    }
    assert_eq!((fewest, most), (KEPT_FRAMES, MAX_FRAMES - 1));
    assert!(depths.len() < 4 * walks, "{} nodes for {walks} walks", depths.len());
}
