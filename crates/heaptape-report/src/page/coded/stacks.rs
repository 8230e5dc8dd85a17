//! The backtraces of a process as the story of their tree: of each where it branches off, and its frame.
//!
//! They are numbered as they were first seen, callers first. So most are called by the one before, or by one that the
//! one before came through; and below a call site come the frames that came below it elsewhere, in the same order.

use super::coder::{Coder, Decoder, Encoder};
use super::models::{Chances, Guesses, Numbers, code_sum, mix};

/// A backtrace as the table has it (`docs/page.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the columns")]
pub struct Node {
    pub back: u32,
    pub frame: u32,
}

/// Decisions at most: a page takes about 15 ns for each. It is enough for a million backtraces.
const MOST_DECISIONS: u64 = 12_000_000;
/// So many callers of the one before are asked at most.
const CLIMB: usize = 64;
/// Places of chances of a frame that none of the guesses was, by the caller's; those beyond begin again.
const PLACES: usize = 1 << 20;

/// Writes the story of so many backtraces. `None`: it would take a page too long to read, or they are no tree.
pub fn write(count: u32, node: &dyn Fn(u32) -> Node) -> Option<Vec<u8>> {
    if count == 0 || node(0) != Node::default() {
        return None;
    }
    let mut coder = Encoder::new(MOST_DECISIONS);
    Tree::new().tell(&mut coder, count, node).ok()?;
    Some(coder.finish())
}

/// Reads it: the page's reader, once more.
pub fn read(count: u32, bytes: &[u8]) -> Result<Vec<Node>, &'static str> {
    let mut coder = Decoder::new(bytes);
    let nodes = Tree::new().tell(&mut coder, count, &|_| Node::default())?;
    if coder.cut { Err("it is cut off") } else { Ok(nodes) }
}

/// What is known at a point of the story.
struct Tree {
    nodes: Vec<Node>,
    /// By backtrace: one more than the frame of the last one that it calls (0: it calls none yet), and how many it calls,
    /// up to 3.
    called: Vec<u32>,
    calls: Vec<u8>,
    /// Whether the last ones were called by the one before; whether their frames were new; the highest frame.
    downs: usize,
    news: usize,
    highest: u32,
    /// Of all that was said so far.
    sum: u32,
    down: Chances,
    climb: Chances,
    far: Numbers,
    new: Chances,
    above: Numbers,
    frames: Guesses<3>,
    frame: Chances,
}

impl Tree {
    /// The root, which stands for no backtrace.
    fn new() -> Tree {
        Tree {
            nodes: vec![Node::default()],
            called: vec![0],
            calls: vec![0],
            downs: 0,
            news: 0,
            highest: 0,
            sum: 0,
            down: Chances::new(1 << 16),
            climb: Chances::new(1 << 14),
            far: Numbers::new(1),
            new: Chances::new(32),
            above: Numbers::new(1),
            frames: Guesses::new(),
            frame: Chances::new(PLACES),
        }
    }

    /// Tells it from begin to end. When reading, `node` gives anything.
    fn tell(
        mut self,
        coder: &mut impl Coder,
        count: u32,
        node: &dyn Fn(u32) -> Node,
    ) -> Result<Vec<Node>, &'static str> {
        for row in 1..count {
            let Node { back, frame } = node(row);
            let back = self.code_back(coder, row, back)?;
            let caller = (row - back) as usize;
            let frame = self.code_frame(coder, caller, frame);
            self.sum = mix(mix(self.sum, back), frame);
            self.nodes.push(Node { back, frame });
            self.called.push(0);
            self.calls.push(0);
            self.called[caller] = frame.wrapping_add(1);
            self.calls[caller] = (self.calls[caller] + 1).min(3);
            if coder.is_full() {
                return Err("it is too long");
            }
        }
        code_sum(coder, self.sum)?;
        Ok(self.nodes)
    }

    /// The caller of one that is there.
    fn caller(&self, at: usize) -> usize {
        at - self.nodes[at].back as usize
    }

    /// Which one is its caller: the one before, one that called that, or any other.
    fn code_back(
        &mut self,
        coder: &mut impl Coder,
        row: u32,
        back: u32,
    ) -> Result<u32, &'static str> {
        let mut at = row as usize - 1;
        let context = mix(self.nodes[at].frame, self.nodes[self.caller(at)].frame);
        let place = (context >> 18 << 2) as usize | self.downs & 3;
        let down = self.down.decide(coder, place, back == 1);
        self.downs = self.downs << 1 | usize::from(down);
        if down {
            return Ok(1);
        }
        for _ in 0..CLIMB {
            if at == 0 {
                break;
            }
            at = self.caller(at);
            let context = mix(self.nodes[at].frame, self.called[at]);
            let place = (context >> 20 << 2) as usize | usize::from(self.calls[at]);
            let so_far = row - at as u32;
            if self.climb.decide(coder, place, back == so_far) {
                return Ok(so_far);
            }
        }
        let back = self.far.code(coder, 0, back.into());
        if (1..=u64::from(row)).contains(&back) {
            Ok(back as u32)
        } else {
            Err("a caller does not come before it")
        }
    }

    /// The frame of one that `caller` calls.
    fn code_frame(&mut self, coder: &mut impl Coder, caller: usize, frame: u32) -> u32 {
        let last = self.nodes.len() - 1;
        let place = usize::from(caller == last) << 4 | self.news & 15;
        let new = self.new.decide(coder, place, frame > self.highest);
        self.news = self.news << 1 | usize::from(new);
        if new {
            let above = u64::from(frame.saturating_sub(self.highest));
            self.highest = self.highest.wrapping_add(self.above.code(coder, 0, above) as u32);
            return self.highest;
        }
        let below = self.nodes[caller].frame;
        let path = mix(below, self.nodes[self.caller(caller)].frame);
        let before = self.called[caller];
        let contexts =
            [mix(mix(path, self.nodes[last].frame), before), mix(below, before), mix(before, 1)];
        let frame = self.frames.guess(coder, contexts, frame).unwrap_or_else(|| {
            let bits = 32 - self.highest.leading_zeros();
            self.frame.bits(coder, (mix(below, 0) >> 12) as usize, bits, frame)
        });
        self.frames.learn(frame);
        frame
    }
}
