//! The events of blocks, one after the other: what both the writer and the reader of a story do.

use super::blocks::{Block, Extent};
use super::coder::{Chance, Coder};
use super::heap::Heap;
use super::live::{Chain, NONE};
use super::models::{Chances, Guesses, Numbers, code_sum, mix};

/// Blocks that a story is told of, or read into.
pub(super) trait Blocks {
    /// The next event: its rank, the block, whether that ends. When reading: anything.
    fn next(&mut self) -> (u32, u32, bool);
    /// How many events follow that one, each at the next rank.
    fn run(&self) -> u64;
    /// A block, as far as it is known.
    fn get(&self, row: u32) -> Block;
    /// What is known of it.
    fn set(&mut self, row: u32, block: Block);
}

/// Threads whose past is told apart.
const THREADS: usize = 256;
/// Places of chances that are many; those beyond begin again.
const PLACES: usize = 1 << 18;
/// Longer ways are not walked.
const WALK: u64 = 32;
/// The rank of the event that began an inherited block.
const INHERITED: u32 = u32::MAX;

/// What is known at a point of the story.
pub(super) struct Story {
    extent: Extent,
    /// Rank of the last event; of the first one what is before 0.
    rank: u32,
    /// Of all that was said so far.
    sum: u32,
    /// Events that follow without a gap.
    run: u64,
    begun: u32,
    pasts: Vec<Past>,
    /// By stack.
    stacks: Vec<Stack>,
    /// By block: its stack while it is live.
    stack_of: Vec<u32>,
    live: Chain,
    live_of_stack: Chain,
    heap: Heap,
    models: Models,
    /// The last two threads.
    threads: [u32; 2],
    /// Whether the last begins were of new stacks, and the highest one.
    news: usize,
    highest: u32,
    /// By neighbour: whether it was that which ended, the last eight times.
    neighbours: [usize; 4],
    /// Of the block that began last.
    size: u32,
}

/// What a thread did last.
#[derive(Clone, Copy)]
struct Past {
    /// The newest first.
    tokens: [u32; 3],
    /// More of them, mixed: each moves the older ones up, until they drop out.
    narrow: u32,
    begun: u32,
}

#[derive(Clone, Copy, Default)]
struct Stack {
    size: u32,
    /// The last two ways in which the block that ended was found.
    ways: usize,
}

struct Models {
    threads: Guesses<1>,
    thread: Chances,
    ranks: Numbers,
    tokens: Guesses<3>,
    neighbours: Chances,
    begins: Chances,
    news: Chances,
    new: Numbers,
    token: Chances,
    which: Chances,
    far: Numbers,
    apis: Guesses<1>,
    api: Chances,
    sizes: Guesses<3>,
    size: Numbers,
    usables: Guesses<1>,
    usable: Numbers,
    freed: Guesses<3>,
    freed_stack: Chances,
    ends: Guesses<1>,
    end: Chances,
}

impl Story {
    pub(super) fn new(extent: Extent) -> Story {
        let (blocks, stacks) = (extent.blocks as usize, extent.stacks as usize);
        Story {
            extent,
            rank: u32::MAX,
            sum: 0,
            begun: 0,
            pasts: vec![Past { tokens: [0; 3], narrow: 0, begun: NONE }; THREADS],
            stacks: vec![Stack::default(); stacks],
            stack_of: vec![NONE; blocks],
            live: Chain::new(blocks, 1),
            live_of_stack: Chain::new(blocks, stacks),
            heap: Heap::new(blocks),
            models: Models {
                threads: Guesses::new(),
                thread: Chances::new(1 << 16),
                ranks: Numbers::new(2),
                tokens: Guesses::new(),
                neighbours: Chances::new(4 << 8),
                begins: Chances::new(2),
                news: Chances::new(16),
                new: Numbers::new(1),
                token: Chances::new(4 * PLACES),
                which: Chances::new(PLACES),
                far: Numbers::new(3),
                apis: Guesses::new(),
                api: Chances::new(1 << 8),
                sizes: Guesses::new(),
                size: Numbers::new(32),
                usables: Guesses::new(),
                usable: Numbers::new(1),
                freed: Guesses::new(),
                freed_stack: Chances::new(PLACES),
                ends: Guesses::new(),
                end: Chances::new(1 << 16),
            },
            threads: [0; 2],
            run: 0,
            news: 0,
            highest: 0,
            neighbours: [0; 4],
            size: 0,
        }
    }

    /// Tells it from begin to end.
    pub(super) fn tell(
        mut self,
        coder: &mut impl Coder,
        blocks: &mut impl Blocks,
    ) -> Result<(), &'static str> {
        for _ in 0..u64::from(self.extent.blocks) + u64::from(self.extent.freed) {
            self.event(coder, blocks)?;
            if coder.is_full() {
                return Err("it is too long");
            }
        }
        let mut row = self.live.oldest(0);
        while row != NONE {
            let mut block = blocks.get(row);
            self.code_end(coder, &mut block, 2);
            block.freed_thread = block.thread;
            blocks.set(row, block);
            row = self.live.younger(row);
        }
        code_sum(coder, self.sum)
    }

    fn event(
        &mut self,
        coder: &mut impl Coder,
        blocks: &mut impl Blocks,
    ) -> Result<(), &'static str> {
        let (rank, row, ends) = blocks.next();
        let known = blocks.get(row);
        let thread = if ends { known.freed_thread } else { known.thread };
        let thread = self.code_thread(coder, thread);
        let inherited = self.begun < self.extent.inherited;
        if !inherited {
            self.rank = self.code_rank(coder, blocks, rank);
        }
        let token = self.code_token(coder, thread, known.stack << 1 | u32::from(ends));
        let (stack, ends) = (token >> 1, token & 1 == 1);
        if stack >= self.extent.stacks {
            return Err("there is no such backtrace");
        }
        if ends {
            let row = self.code_which(coder, stack, row)?;
            let mut block = blocks.get(row);
            block.life = self.rank.wrapping_sub(block.born);
            block.freed_thread = thread;
            self.end(coder, row, &mut block);
            blocks.set(row, block);
        } else {
            if self.begun == self.extent.blocks {
                return Err("there are too many blocks");
            }
            let born = if inherited { INHERITED } else { self.rank };
            let mut block = Block { born, stack, thread, ..known };
            self.begin(coder, &mut block);
            blocks.set(self.begun - 1, block);
        }
        Ok(())
    }

    fn code_thread(&mut self, coder: &mut impl Coder, thread: u16) -> u16 {
        if self.extent.threads == 1 {
            return 0;
        }
        let thread = u32::from(thread);
        let [last, before] = self.threads;
        let guess = self.models.threads.guess(coder, [mix(last, before)], thread);
        let thread = guess.unwrap_or_else(|| self.models.thread.bits(coder, 0, 16, thread));
        self.models.threads.learn(thread);
        self.threads = [thread, last];
        thread as u16
    }

    /// Nearly every event is one of a block: so said is how many follow each other.
    fn code_rank(&mut self, coder: &mut impl Coder, blocks: &impl Blocks, rank: u32) -> u32 {
        if self.run > 0 {
            self.run -= 1;
            return self.rank.wrapping_add(1);
        }
        let gap = rank.wrapping_sub(self.rank).into();
        let gap = self.models.ranks.code(coder, 0, gap) as u32;
        self.run = self.models.ranks.code(coder, 1, blocks.run());
        self.rank.wrapping_add(gap)
    }

    /// A block of a stack begins (even), or one ends (odd).
    fn code_token(&mut self, coder: &mut impl Coder, thread: u16, token: u32) -> u32 {
        let Past { tokens: past, narrow, .. } = self.pasts[usize::from(thread) % THREADS];
        let [older, younger] = self.live.beside(0);
        let youngest = self.live.youngest(0);
        let beside = mix(self.label(older), self.label(youngest));
        let contexts = [narrow, mix(mix(past[0], past[1]), beside), mix(past[0], 0)];
        let guess = self.models.tokens.guess(coder, contexts, token);
        let before = if older == NONE { NONE } else { self.live.older(older) };
        let token = guess
            .or_else(|| self.guess_neighbour(coder, [older, younger, youngest, before], token))
            .unwrap_or_else(|| self.code_other_token(coder, past[0], token));
        self.models.tokens.learn(token);
        if token & 1 == 0 {
            self.highest = self.highest.max(token >> 1);
        }
        let past = &mut self.pasts[usize::from(thread) % THREADS];
        past.tokens = [token, past.tokens[0], past.tokens[1]];
        past.narrow = (past.narrow << 5).wrapping_mul(0x9e37_79b1) ^ mix(token, 0);
        token
    }

    /// The stack of a block, from 1; 0 of none.
    fn label(&self, row: u32) -> u32 {
        if row == NONE { 0 } else { self.stack_of[row as usize] + 1 }
    }

    /// One of these blocks ends.
    fn guess_neighbour(
        &mut self,
        coder: &mut impl Coder,
        rows: [u32; 4],
        token: u32,
    ) -> Option<u32> {
        for (nth, row) in rows.into_iter().enumerate() {
            if row == NONE {
                continue;
            }
            let guess = self.stack_of[row as usize] << 1 | 1;
            let said =
                rows[..nth].iter().any(|&it| it != NONE && self.label(it) == self.label(row));
            if said || self.models.tokens.was_wrong(guess) {
                continue;
            }
            let past = &mut self.neighbours[nth];
            let place = nth << 8 | *past;
            let right = self.models.neighbours.decide(coder, place, guess == token);
            *past = *past << 1 & 0xff | usize::from(right);
            if right {
                return Some(guess);
            }
        }
        None
    }

    fn code_other_token(&mut self, coder: &mut impl Coder, last: u32, token: u32) -> u32 {
        let stack = token >> 1;
        let models = &mut self.models;
        let ends = models.begins.decide(coder, last as usize & 1, token & 1 == 1);
        if !ends {
            let new = models.news.decide(coder, self.news, stack > self.highest);
            self.news = self.news << 1 & 15 | usize::from(new);
            if new {
                let above = u64::from(stack.saturating_sub(self.highest));
                return self.highest.wrapping_add(models.new.code(coder, 0, above) as u32) << 1;
            }
        }
        let bits = 32 - self.highest.leading_zeros();
        let low = bits.min(8);
        // By the last token, and by none.
        let mut contexts = [last, 0].map(|last| mix(last, ends.into()));
        let places = contexts.map(place_of);
        let high = self.models.token.bits_by(coder, places, bits - low, stack >> low);
        contexts = contexts.map(|context| mix(context, high + 1));
        let low =
            high << low | self.models.token.bits_by(coder, contexts.map(place_of), low, stack);
        low << 1 | u32::from(ends)
    }

    /// Which block of a stack ends.
    fn code_which(
        &mut self,
        coder: &mut impl Coder,
        stack: u32,
        row: u32,
    ) -> Result<u32, &'static str> {
        let list = stack as usize;
        let (youngest, oldest) =
            (self.live_of_stack.youngest(list), self.live_of_stack.oldest(list));
        if youngest == oldest {
            return if youngest == NONE { Err("there is no such block") } else { Ok(youngest) };
        }
        let [older, younger] = self.live.beside(0);
        let [own_older, own_younger] = self.live_of_stack.beside(list);
        let rows = [older, younger, own_older, own_younger, youngest, oldest];
        let ways = self.stacks[list].ways;
        let mut found = None;
        for (nth, &guess) in rows.iter().enumerate() {
            let is_one = guess != NONE && self.stack_of[guess as usize] == stack;
            if !is_one || rows[..nth].contains(&guess) {
                continue;
            }
            let place = (list << 7 | ways << 3 | nth) % PLACES;
            if self.models.which.decide(coder, place, guess == row) {
                found = Some((guess, [0, 1, 0, 1, 2, 2][nth]));
                break;
            }
        }
        let near = if own_older == NONE { youngest } else { own_older };
        let (row, way) =
            found.unwrap_or_else(|| (self.code_older(coder, [youngest, near], row), 3));
        self.stacks[list].ways = ways << 2 & 15 | way;
        let is_one = self.stack_of.get(row as usize) == Some(&stack);
        if is_one { Ok(row) } else { Err("there is no such block") }
    }

    /// A block of a stack by how many younger ones there are; where these are very many, by its row.
    fn code_older(&mut self, coder: &mut impl Coder, [youngest, near]: [u32; 2], row: u32) -> u32 {
        let (mut at, mut steps) = (youngest, 0);
        while steps < WALK && at != row && at != NONE {
            at = self.live_of_stack.older(at);
            steps += 1;
        }
        // When reading, the row is not known yet.
        let steps = self.models.far.code(coder, 0, steps);
        if steps >= WALK {
            return self.code_far(coder, near, row);
        }
        at = youngest;
        for _ in 0..steps {
            if at != NONE {
                at = self.live_of_stack.older(at);
            }
        }
        at
    }

    /// A block by its distance from another one.
    fn code_far(&mut self, coder: &mut impl Coder, near: u32, row: u32) -> u32 {
        let younger = coder.decide(&mut Chance::EVEN.clone(), row > near);
        let distance = row.abs_diff(near).into();
        let distance = self.models.far.code(coder, 1 + usize::from(younger), distance) as u32;
        if younger { near.wrapping_add(distance) } else { near.wrapping_sub(distance) }
    }

    fn begin(&mut self, coder: &mut impl Coder, block: &mut Block) {
        let (row, stack) = (self.begun, block.stack as usize);
        let models = &mut self.models;
        let thread = usize::from(block.thread) % THREADS;
        let guess = models.apis.guess(coder, [mix(block.stack, 0)], block.api.into());
        let api = guess.unwrap_or_else(|| models.api.bits(coder, 0, 8, block.api.into()));
        models.apis.learn(api);
        block.api = api as u8;

        let last = self.stacks[stack].size;
        let past = self.pasts[thread].tokens;
        let own = mix(block.stack, last);
        let contexts = [mix(own, mix(mix(past[1], past[2]), self.size)), own, mix(block.stack, 0)];
        let guess = models.sizes.guess(coder, contexts, block.size);
        let kind = stack % 32;
        block.size =
            guess.unwrap_or_else(|| models.size.code(coder, kind, block.size.into()) as u32);
        models.sizes.learn(block.size);
        self.stacks[stack].size = block.size;
        self.size = block.size;

        let more = block.usable.wrapping_sub(block.size);
        let guess = models.usables.guess(coder, [mix(block.size, 0)], more);
        let more = guess.unwrap_or_else(|| models.usable.code(coder, 0, more.into()) as u32);
        models.usables.learn(more);
        block.usable = block.size.wrapping_add(more);

        let room = room(block);
        block.addr = self.heap.begin(coder, row, (block.thread, room), block.addr);
        let called = u32::from(block.thread) << 8 | api;
        let (low, high) = (block.addr as u32, (block.addr >> 32) as u32);
        self.add([self.rank, block.stack, called, block.size, more, low, high]);
        self.live.begin(0, row);
        self.live_of_stack.begin(stack, row);
        self.stack_of[row as usize] = block.stack;
        self.pasts[thread].begun = row;
        self.begun += 1;
    }

    fn end(&mut self, coder: &mut impl Coder, row: u32, block: &mut Block) {
        let past = self.pasts[usize::from(block.freed_thread) % THREADS];
        let models = &mut self.models;
        let before = mix(block.stack, past.tokens[1]);
        let contexts = [mix(before, past.tokens[2]), before, mix(block.stack, 0)];
        let guess = models.freed.guess(coder, contexts, block.freed_stack);
        let bits = 32 - self.extent.stacks.leading_zeros();
        block.freed_stack =
            guess.unwrap_or_else(|| models.freed_stack.bits(coder, 0, bits, block.freed_stack));
        models.freed.learn(block.freed_stack);
        self.add([self.rank, row, block.freed_stack, block.freed_thread.into()]);
        self.code_end(coder, block, u32::from(past.begun == row));
        self.live.end(0, row);
        self.live_of_stack.end(block.stack as usize, row);
        self.stack_of[row as usize] = NONE;
        self.heap.end(row, block.freed_thread);
    }

    /// Adds what was said to the sum.
    fn add<const N: usize>(&mut self, words: [u32; N]) {
        self.sum = words.into_iter().fold(self.sum, mix);
    }

    /// What is known when it has ended, or all has. `how`: 1 if it ended before anything else began.
    fn code_end(&mut self, coder: &mut impl Coder, block: &mut Block, how: u32) {
        let end = u32::from(block.flags) | u32::from(block.leak) << 8;
        let guess = self.models.ends.guess(coder, [mix(block.stack, how)], end);
        let end = guess.unwrap_or_else(|| self.models.end.bits(coder, 0, 16, end));
        self.models.ends.learn(end);
        self.add([end]);
        (block.flags, block.leak) = (end as u8, (end >> 8) as u8);
    }
}

/// Where chances begin that are for a context of a token.
fn place_of(context: u32) -> usize {
    (context >> 12 & !0xff) as usize
}

/// What an allocator has for a block.
fn room(block: &Block) -> u32 {
    block.usable.max(block.size).max(24)
}
