//! The incremental walk against the plain one on made-up stacks: words at random, most of them return addresses
//! into code that does not exist and whose rule they say themselves, changed at random between the walks.

use super::*;
use proptest::prelude::*;

/// Words that walks start from; as many on both sides are 0, where walks end.
const WORDS: usize = 64;

/// What a word of the stack may be.
#[derive(Clone, Copy, Debug)]
enum Content {
    Code(Rule),
    /// The address of the word of this number.
    Address(usize),
    Junk(usize),
}

/// What happens between two walks.
#[derive(Clone, Copy, Debug)]
enum Change {
    Word(usize, Content),
    StackPointer(usize),
    FramePointer(Content),
    /// A jump left the last hook half-way.
    Jumped,
    ModuleGone,
}

fn rule() -> impl Strategy<Value = Rule> {
    let packed =
        |kind: Kind, cfa: std::ops::Range<i64>, below: std::ops::Range<i64>, at_bp: bool| {
            (cfa, below).prop_map(move |(cfa, below)| {
                let rule = Rule::pack(kind, cfa * 8, below * 8).expect("a small rule");
                if at_bp { rule.with_bp_at_bp() } else { rule }
            })
        };
    prop_oneof![
        8 => packed(Kind::Sp, 1..5, 0..1, false),
        4 => packed(Kind::Sp, 1..5, 1..4, false),
        1 => packed(Kind::Sp, 1..5, 0..1, true),
        3 => packed(Kind::Bp, -2..4, 0..3, false),
        1 => packed(Kind::Deref, -2..2, 0..3, false),
        1 => packed(Kind::Deref, -2..2, 0..1, true),
        1 => Just(Rule::bare(Kind::End)),
        1 => Just(Rule::bare(Kind::Fail)),
        1 => Just(Rule::bare(Kind::Signal)),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        12 => rule().prop_map(Content::Code),
        4 => (0..WORDS).prop_map(Content::Address),
        1 => prop_oneof![Just(0), Just(8), Just(12345), Just(1 << 62), Just(usize::MAX)].prop_map(Content::Junk),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (0..WORDS, content()).prop_map(|(at, content)| Change::Word(at, content)),
        // Mostly near the inner end, as calls and returns move it.
        8 => (0..8usize).prop_map(Change::StackPointer),
        2 => (0..WORDS).prop_map(Change::StackPointer),
        3 => content().prop_map(Change::FramePointer),
        1 => Just(Change::Jumped),
        1 => Just(Change::ModuleGone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_plain_walk(
        contents in prop::collection::vec(content(), WORDS),
        changes in prop::collection::vec(prop::collection::vec(change(), 0..3), 1..60),
    ) {
        let mut memory = vec![0usize; 3 * WORDS];
        let base = memory.as_ptr() as usize + WORDS * 8;
        let value = |content| match content {
            Content::Code(rule) => rule.made_up_code(),
            Content::Address(at) => base + at * 8,
            Content::Junk(value) => value,
        };
        for (at, content) in contents.into_iter().enumerate() {
            memory[WORDS + at] = value(content);
        }
        let mut witness = Witness::new();
        let mut regs = Regs { sp: base, bp: base };
        let mut frames = Box::new([Frame::new(0, 0); MAX_FRAMES]);
        for between in changes {
            for change in between {
                match change {
                    Change::Word(at, content) => memory[WORDS + at] = value(content),
                    Change::StackPointer(at) => regs.sp = base + at * 8,
                    Change::FramePointer(content) => regs.bp = value(content),
                    Change::Jumped => {
                        let head = witness.thread.cursor.position;
                        witness.thread.capture.settle(head);
                    }
                    Change::ModuleGone => witness.thread.capture.generation = 0,
                }
            }
            // A hook returns to code.
            let at = (regs.sp - base) / 8 + WORDS;
            if memory[at] >> 32 != 0x6a00 {
                memory[at] = Rule::bare(Kind::End).made_up_code();
            }
            core::hint::black_box(&mut memory);
            let id = Capture::backtrace(witness.thread, regs);
            let ours = witness.frames(id);
            let mut window = Window::default();
            window.check(regs.sp);
            let count = walk::full(witness.thread, &mut window, regs, &mut frames);
            // Signal frames that lead into each other are a stack without an end.
            let (expected, _) = deep::may_be(&frames[..count], ours.len());
            prop_assert_eq!(ours, expected);
        }
    }
}
