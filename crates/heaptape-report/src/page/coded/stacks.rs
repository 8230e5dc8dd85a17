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
/// Numbers of frames are below.
const MOST_FRAMES: u32 = 1 << 25;
/// So many callers of the one before are asked at most.
const CLIMB: usize = 64;
/// Places of chances of a frame that none of the guesses was, by the caller's; those beyond begin again.
const PLACES: usize = 1 << 18;

/// Writes the story of so many backtraces. `None`: it would take a page too long to read, or they are no tree.
pub fn write(count: u32, node: &dyn Fn(u32) -> Node) -> Option<Vec<u8>> {
    let fits = |row| node(row).frame < MOST_FRAMES;
    if count == 0 || node(0) != Node::default() || !(0..count).all(fits) {
        return None;
    }
    let mut coder = Encoder::new(MOST_DECISIONS);
    Tree::new(count).tell(&mut coder, node).ok()?;
    Some(coder.finish())
}

/// Reads it: the page's reader, once more. There is a root at least.
pub fn read(count: u32, bytes: &[u8]) -> Result<Vec<Node>, &'static str> {
    let mut coder = Decoder::new(bytes);
    let nodes = Tree::new(count).tell(&mut coder, &|_| Node::default())?;
    if coder.cut { Err("it is cut off") } else { Ok(nodes) }
}

/// What is known at a point of the story.
struct Tree {
    count: u32,
    nodes: Vec<Node>,
    /// By backtrace: one more than the frame of the last one that it calls (0: it calls none yet), and how many it calls,
    /// up to 3.
    called: Vec<u32>,
    calls: Vec<u8>,
    /// Whether the last ones were called by the one before; whether the last frames that were not guessed were new; the highest frame.
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
    /// Of so many; the root, which stands for no backtrace, is there.
    fn new(count: u32) -> Tree {
        Tree {
            count,
            nodes: vec![Node::default()],
            called: vec![0],
            calls: vec![0],
            downs: 0,
            news: 0,
            highest: 0,
            sum: count,
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
        node: &dyn Fn(u32) -> Node,
    ) -> Result<Vec<Node>, &'static str> {
        for row in 1..self.count {
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
        let below = self.nodes[caller].frame;
        let path = mix(below, self.nodes[self.caller(caller)].frame);
        let before = self.called[caller];
        let contexts =
            [mix(mix(path, self.nodes[last].frame), before), mix(below, before), mix(before, 1)];
        let guess = self.frames.guess(coder, contexts, frame);
        let frame =
            guess.unwrap_or_else(|| self.code_other_frame(coder, below, caller == last, frame));
        self.frames.learn(frame);
        frame
    }

    /// A frame that none of the guesses was: one that is not there yet, or bit by bit.
    fn code_other_frame(
        &mut self,
        coder: &mut impl Coder,
        below: u32,
        down: bool,
        frame: u32,
    ) -> u32 {
        let place = usize::from(down) << 4 | self.news & 15;
        let new = self.new.decide(coder, place, frame > self.highest);
        self.news = self.news << 1 | usize::from(new);
        if new {
            let above = u64::from(frame.saturating_sub(self.highest));
            self.highest = self.highest.wrapping_add(self.above.code(coder, 0, above) as u32);
            return self.highest;
        }
        let bits = 32 - self.highest.leading_zeros();
        self.frame.bits(coder, (mix(below, 0) >> 14) as usize, bits, frame)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::damaged;
    use super::*;
    use proptest::prelude::*;

    /// Trees as recordings have them: mostly downwards or up the last path, frames by what calls them; and any others.
    fn tree() -> impl Strategy<Value = Vec<Node>> {
        let back = prop_oneof![4 => Just(1_u32), 3 => 1..9_u32, 1 => any::<u32>()];
        let frame = prop_oneof![5 => 0..6_u32, 2 => 0..900_u32, 1 => 0..MOST_FRAMES];
        prop::collection::vec((back, frame), 0..400).prop_map(|said| {
            let node = |(row, (back, frame)): (usize, (u32, u32))| Node {
                back: (back - 1) % (row as u32 + 1) + 1,
                frame,
            };
            let others = said.into_iter().map(|(back, frame)| (back.max(1), frame));
            [Node::default()].into_iter().chain(others.enumerate().map(node)).collect()
        })
    }

    fn story_of(nodes: &[Node]) -> Option<Vec<u8>> {
        write(nodes.len() as u32, &|row| nodes[row as usize])
    }

    proptest! {
        #[test]
        fn backtraces_are_read_as_they_were_told(nodes in tree()) {
            let story = story_of(&nodes).expect("it is short");
            prop_assert_eq!(read(nodes.len() as u32, &story), Ok(nodes));
        }

        #[test]
        fn damage_is_an_error_or_none(
            nodes in tree(),
            at: prop::sample::Index,
            by in 1..=255_u8,
            cut: bool,
        ) {
            let story = story_of(&nodes).expect("it is short");
            let back = read(nodes.len() as u32, &damaged(story, at, by, cut));
            prop_assert!(back.is_err() || back == Ok(nodes));
        }

        #[test]
        fn whatever_the_bytes_there_is_an_end(
            story in prop::collection::vec(any::<u8>(), 0..300),
            count in 1..3000_u32,
        ) {
            prop_assert!(read(count, &story).is_err());
        }
    }

    /// The page's reader is held to the same bytes (`ui/test/story.test.ts`).
    #[test]
    fn the_bytes_are_these() {
        let nodes = golden();
        let story = story_of(&nodes).unwrap();
        let hex: String = story.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, STORY);
    }

    /// A loop that calls two functions in turn, a caller far away, a frame out of order, and one path twice.
    fn golden() -> Vec<Node> {
        let said = [
            (1, 1),
            (1, 2),
            (1, 3),
            (2, 4),
            (3, 5),
            (1, 3),
            (2, 4),
            (3, 5),
            (1, 3),
            (2, 4),
            (10, 9),
            (1, 3),
            (1, 7),
            (2, 4),
            (12, 2),
            (1, 3),
            (2, 4),
            (3, 5),
            (5, 300),
            (1, 6),
        ];
        let node = |(back, frame)| Node { back, frame };
        [(0, 0)].into_iter().chain(said).map(node).collect()
    }

    const STORY: &str = "000f95b4514eacff2d440300441847fcbd08d43e728e84000000";

    #[test]
    fn what_is_no_tree_is_not_told() {
        let told = |nodes: &[(u32, u32)]| {
            story_of(&nodes.iter().map(|&(back, frame)| Node { back, frame }).collect::<Vec<_>>())
        };
        assert!(told(&[(0, 0), (1, 1)]).is_some());
        assert!(told(&[]).is_none(), "the root is missing");
        assert!(told(&[(0, 1)]).is_none(), "the root has a frame");
        assert!(told(&[(0, 0), (0, 1)]).is_none(), "its own caller");
        assert!(told(&[(0, 0), (2, 1)]).is_none(), "a caller before the root");
        assert!(told(&[(0, 0), (1, MOST_FRAMES)]).is_none(), "a frame that no page numbers");
    }

    #[test]
    fn what_would_take_long_to_read_is_no_story() {
        let node = |row: u32| {
            let random = mix(row, 1);
            Node { back: if row == 0 { 0 } else { random % row + 1 }, frame: random % (row + 1) }
        };
        assert!(write(1000, &node).is_some());
        assert!(write(1_000_000, &node).is_none());
    }
}
