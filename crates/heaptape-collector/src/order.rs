//! Merges the streams of one process into one history (`heaptape_wire::order` says by what rules).
//!
//! Every stream is taken in its own order, one after the other by the times they say, each until it says a later
//! time than another, has no more words, or *waits*: for a number of a shard that has not come yet, for a world
//! record, or for the part of stream 0 that was made alone. What is waited for comes with a later drain, or
//! never; which of both cannot be seen from here: the caller decides, by [`Merge::missing`] and
//! [`Merge::skip`].
//!
//! A queue holds words as the ring had them. The words are hostile: framing is checked here (a record
//! lies within its queue and is as long as its kind says), meaning is checked by `convert`.

use heaptape_wire::order::{SHARDS, WORLD};
use heaptape_wire::record::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// The merge of one process.
#[derive(Debug)]
pub(crate) struct Merge {
    queues: Vec<Queue>,
    /// By shard of addresses, the world's last.
    shards: Vec<Shard>,
    /// Streams that have words and wait for nothing, by their time.
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    /// Streams that wait.
    waiting: Vec<Waiting>,
    /// Empty pieces, to be used again: fresh memory costs more than copying into it.
    spares: Vec<Vec<u64>>,
    /// Words of stream 0 that come before everything of other streams.
    alone_until: u64,
    /// Whether the rest of them was given up.
    solitude_over: bool,
    /// When records were last taken: since then, what waits anew waits.
    clock: Instant,
    buffered: usize,
    abandoned: u64,
    malformed: u64,
}

/// Words drained and not yet taken, in the pieces that they came in.
#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Vec<u64>>,
    /// Words of the first piece that are done with.
    at: usize,
    /// Words ever done with.
    done: u64,
    /// The last time that the stream said.
    time: u64,
    /// Whether that is the time of the record whose turn is next.
    said: bool,
    /// Whether the stream is among the ready or the waiting.
    known: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shard {
    /// The last number that was taken or given up.
    taken: u64,
    /// Streams that wait for a number of it.
    waiting: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    stream: usize,
    cause: Cause,
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Until that number of the shard is taken.
    Taken { shard: usize, number: u64 },
    /// Until stream 0 has come to `alone_until`.
    Alone,
}

/// Something that a stream waits for and that is in none of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The next number of a shard.
    Number { shard: usize, number: u64 },
    /// Words of stream 0.
    Alone,
}

/// How far [`Merge::advance`] goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// The time now, ns: no record is later.
    pub(crate) now: u64,
    /// What happened later than this is left for next time: a stream drained before may hold something
    /// earlier that was not drained with it.
    pub(crate) horizon: u64,
    /// At most so many records.
    pub(crate) records: usize,
}

impl Limit {
    /// Everything, however late.
    pub(crate) fn none(now: u64) -> Limit {
        Limit { now, horizon: u64::MAX, records: usize::MAX }
    }
}

/// Words of a piece to which the next drain is still appended. Another such drain fits; of a thread that was left alone
/// for long, it grows.
const SMALL_PIECE: usize = 1 << 13;
/// Most empty pieces kept, of those that did not grow.
const MAX_SPARES: usize = 64;

fn new_piece() -> Vec<u64> {
    Vec::with_capacity(2 * SMALL_PIECE)
}

impl Default for Merge {
    fn default() -> Merge {
        Merge {
            queues: Vec::new(),
            shards: vec![Shard::default(); SHARDS + 1],
            ready: BinaryHeap::new(),
            waiting: Vec::new(),
            spares: Vec::new(),
            alone_until: 0,
            solitude_over: false,
            clock: Instant::now(),
            buffered: 0,
            abandoned: 0,
            malformed: 0,
        }
    }
}

impl Merge {
    /// Numbers that were given out and never arrived.
    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// Records whose framing made no sense.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Words of `stream` that are done with.
    pub(crate) fn done(&self, stream: usize) -> u64 {
        self.queues.get(stream).map_or(0, |queue| queue.done)
    }

    /// Words that wait for their turn.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether words of `stream` wait for their turn.
    pub(crate) fn has_words(&self, stream: usize) -> bool {
        self.queues.get(stream).is_some_and(|queue| !queue.pieces.is_empty())
    }

    /// Whether some stream has words and waits for nothing.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Says how far stream 0 was made alone, in words.
    pub(crate) fn set_alone_until(&mut self, words: u64) {
        if !self.solitude_over {
            self.alone_until = words;
        }
    }

    /// Appends what `fill` pushes, whole records of `stream`, to its queue.
    pub(crate) fn feed<R>(&mut self, stream: usize, fill: impl FnOnce(&mut Vec<u64>) -> R) -> R {
        if stream >= self.queues.len() {
            self.queues.resize_with(stream + 1, Queue::default);
        }
        let queue = &mut self.queues[stream];
        if queue.pieces.back().is_none_or(|piece| piece.len() >= SMALL_PIECE) {
            queue.pieces.push_back(self.spares.pop().unwrap_or_else(new_piece));
        }
        let words = queue.pieces.back_mut().expect("just made sure");
        let before = words.len();
        let result = fill(words);
        self.buffered += words.len() - before;
        if words.is_empty() {
            self.spares.extend(queue.pieces.pop_back());
        } else if !queue.known {
            queue.known = true;
            self.ready.push(Reverse((queue.time, stream)));
        }
        result
    }

    /// Gives records whose turn has come to `sink` (stream, kind, words), in order. Returns whether there are
    /// more of them; what waits is no reason to come back at once.
    pub(crate) fn advance<E>(
        &mut self,
        limit: Limit,
        sink: &mut impl FnMut(usize, Kind, &[u64]) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.clock = Instant::now();
        let mut left = limit.records;
        while let Some(&Reverse((time, stream))) = self.ready.peek() {
            if time > limit.horizon {
                return Ok(false);
            }
            if left == 0 {
                return Ok(true);
            }
            self.ready.pop();
            self.run(stream, limit, &mut left, sink)?;
        }
        Ok(false)
    }

    /// Takes the records of one stream until it waits, ends, or is to let others go first.
    fn run<E>(
        &mut self,
        stream: usize,
        limit: Limit,
        left: &mut usize,
        sink: &mut impl FnMut(usize, Kind, &[u64]) -> Result<(), E>,
    ) -> Result<(), E> {
        if stream > 0 && self.done(0) < self.alone_until {
            self.wait(stream, Cause::Alone);
            return Ok(());
        }
        let mut turn = self.turn(limit);
        loop {
            let queue = &mut self.queues[stream];
            let Some(piece) = queue.pieces.front() else {
                queue.known = false;
                return Ok(());
            };
            let (taken, result) = at_once(stream, &piece[queue.at..], &mut self.shards, left, sink);
            if taken > 0 {
                let (time, waiting) = (queue.time, self.waiting.len());
                self.step(stream, taken);
                if result.is_err() || *left == 0 {
                    self.ready.push(Reverse((time, stream)));
                    return result;
                }
                if self.waiting.len() < waiting {
                    turn = self.turn(limit);
                }
                continue;
            }
            let rest = &piece[queue.at..];
            let Some(frame) = frame(rest).filter(|frame| frame.words <= rest.len() as u64) else {
                // Nothing tells where the next record begins: what was drained with it is lost.
                self.malformed += 1;
                let words = rest.len();
                self.step(stream, words);
                continue;
            };
            let count = frame.words as usize;
            // Once for each: a time in the future would be another the next time.
            if says_time(frame.kind) && !std::mem::replace(&mut queue.said, true) {
                queue.time = queue.time.max(rest[1].min(limit.now));
                if queue.time > turn {
                    self.ready.push(Reverse((queue.time, stream)));
                    return Ok(());
                }
            }
            let verdict = match frame.place {
                Place::Here => Verdict::Take,
                Place::Numbered(shard) => {
                    let number = rest[frame.number_at];
                    judge(&mut self.shards[shard], shard, number, &mut self.abandoned)
                }
                Place::AfterWorld(number) if number > self.shards[WORLD].taken => {
                    Verdict::Wait(Cause::Taken { shard: WORLD, number })
                }
                Place::AfterWorld(_) => Verdict::Take,
            };
            match verdict {
                Verdict::Wait(cause) => {
                    self.wait(stream, cause);
                    return Ok(());
                }
                Verdict::Refuse => {
                    self.malformed += 1;
                    self.step(stream, count);
                    continue;
                }
                Verdict::Take => {}
            }
            // Even where the sink fails, the record has had its turn.
            let result = if frame.kind == Kind::Pad {
                Ok(())
            } else {
                sink(stream, frame.kind, &rest[..count])
            };
            let waiting = self.waiting.len();
            self.step(stream, count);
            if let Place::Numbered(shard) = frame.place
                && self.shards[shard].waiting > 0
            {
                self.wake(shard);
            }
            if self.waiting.len() < waiting {
                turn = self.turn(limit);
            }
            *left = left.saturating_sub(1);
            let time = self.queues[stream].time;
            if result.is_err() || *left == 0 {
                self.ready.push(Reverse((time, stream)));
                return result;
            }
        }
    }

    /// Until when a stream may go on before others have their turn.
    fn turn(&self, limit: Limit) -> u64 {
        let others = self.ready.peek().map_or(u64::MAX, |Reverse((time, _))| *time);
        others.min(limit.horizon)
    }

    /// Moves a stream's front on.
    #[inline]
    fn step(&mut self, stream: usize, words: usize) {
        let queue = &mut self.queues[stream];
        queue.at += words;
        queue.said = false;
        queue.done += words as u64;
        self.buffered -= words;
        if queue.pieces.front().is_some_and(|piece| queue.at == piece.len()) {
            if let Some(mut piece) = queue.pieces.pop_front()
                && self.spares.len() < MAX_SPARES
                && piece.capacity() <= 2 * SMALL_PIECE
            {
                piece.clear();
                self.spares.push(piece);
            }
            queue.at = 0;
        }
        if stream == 0 && queue.done >= self.alone_until && !self.waiting.is_empty() {
            self.wake_where(|cause| cause == Cause::Alone);
        }
    }

    fn wait(&mut self, stream: usize, cause: Cause) {
        if let Cause::Taken { shard, .. } = cause {
            self.shards[shard].waiting += 1;
        }
        self.waiting.push(Waiting { stream, cause, since: self.clock });
    }

    /// Makes those ready that waited for what is now taken of a shard.
    fn wake(&mut self, shard: usize) {
        let taken = self.shards[shard].taken;
        self.wake_where(|cause| match cause {
            Cause::Taken { shard: of, number } => of == shard && number <= taken,
            Cause::Alone => false,
        });
    }

    fn wake_where(&mut self, is_over: impl Fn(Cause) -> bool) {
        let (queues, ready, shards) = (&self.queues, &mut self.ready, &mut self.shards);
        self.waiting.retain(|waiting| {
            let over = is_over(waiting.cause);
            if over {
                if let Cause::Taken { shard, .. } = waiting.cause {
                    shards[shard].waiting -= 1;
                }
                ready.push(Reverse((queues[waiting.stream].time, waiting.stream)));
            }
            !over
        });
    }

    /// Since when the longest waiting stream waits.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.since).min()
    }

    /// Something that a stream waits for and that no queue holds. Reads all that is queued: to be asked when
    /// something has been waited for too long.
    pub(crate) fn missing(&self) -> Option<Missing> {
        let first = self.wanted(self.waiting.first()?.cause);
        let mut wanted: Vec<Missing> = self.waiting.iter().map(|w| self.wanted(w.cause)).collect();
        for (stream, queue) in self.queues.iter().enumerate() {
            if stream == 0 && !queue.pieces.is_empty() {
                wanted.retain(|wanted| *wanted != Missing::Alone);
            }
            queue.for_each_number(|shard, number| {
                let found = Missing::Number { shard, number };
                wanted.retain(|wanted| *wanted != found);
            });
        }
        // Streams that all wait for what stands behind others are no recorder's work: somewhere it must end.
        let circle = self.ready.is_empty().then_some(first);
        wanted.first().copied().or(circle)
    }

    /// Lets everything that waits go on, without looking whether what it waits for is queued somewhere: that
    /// will then be taken late.
    pub(crate) fn skip_blindly(&mut self) {
        for waiting in &self.waiting {
            if let Cause::Taken { shard, number } = waiting.cause {
                let taken = &mut self.shards[shard].taken;
                self.abandoned = self.abandoned.saturating_add(number.saturating_sub(*taken));
                *taken = number.max(*taken);
            }
        }
        (self.alone_until, self.solitude_over) = (0, true);
        self.wake_where(|_| true);
    }

    /// What a cause waits for next.
    fn wanted(&self, cause: Cause) -> Missing {
        match cause {
            Cause::Taken { shard, .. } => {
                Missing::Number { shard, number: self.shards[shard].taken + 1 }
            }
            Cause::Alone => Missing::Alone,
        }
    }

    /// Takes what is missing for lost, up to what a queue holds or a stream waits for.
    pub(crate) fn skip(&mut self, missing: Missing) {
        let Missing::Number { shard, .. } = missing else {
            (self.alone_until, self.solitude_over) = (0, true);
            self.wake_where(|cause| cause == Cause::Alone);
            return;
        };
        let taken = self.shards[shard].taken;
        let waited = self.waiting.iter().filter_map(|waiting| match waiting.cause {
            Cause::Taken { shard: of, number } if of == shard => Some(number),
            _ => None,
        });
        let Some(mut lost) = waited.min() else { return };
        for queue in &self.queues {
            queue.for_each_number(|of, number| {
                if of == shard && number > taken {
                    lost = lost.min(number - 1);
                }
            });
        }
        // At least one, where streams wait in a circle.
        let lost = lost.max(taken.saturating_add(1));
        self.abandoned = self.abandoned.saturating_add(lost - taken);
        self.shards[shard].taken = lost;
        self.wake(shard);
    }
}

/// Gives events and nodes whose turn it is, and for whose turn nobody waits, to `sink`, as many as follow each other and
/// at most `left`: nearly all records are such. Returns their words.
#[inline(always)]
fn at_once<E>(
    stream: usize,
    words: &[u64],
    shards: &mut [Shard],
    left: &mut usize,
    sink: &mut impl FnMut(usize, Kind, &[u64]) -> Result<(), E>,
) -> (usize, Result<(), E>) {
    let mut at = 0;
    while let Some(&first) = words.get(at).filter(|_| *left > 0) {
        // Told apart first: so the frame of a short event is never in memory.
        let frame = if is_short(first) { frame(&words[at..]) } else { node_frame(&words[at..]) };
        let Some(frame) = frame else { break };
        let Some(record) = words[at..].get(..frame.words as usize) else { break };
        let is_its_turn = match frame.place {
            Place::Here => true,
            Place::Numbered(shard) => take(&mut shards[shard], record[frame.number_at]),
            Place::AfterWorld(number) => number <= shards[WORLD].taken,
        };
        if !is_its_turn {
            break;
        }
        at += record.len();
        *left -= 1;
        if let Err(error) = sink(stream, frame.kind, record) {
            return (at, Err(error));
        }
    }
    (at, Ok(()))
}

/// The frame of a record that is a node.
#[inline(always)]
fn node_frame(words: &[u64]) -> Option<Frame> {
    frame(words).filter(|frame| frame.kind == Kind::Node)
}

/// Takes a number if it is the next and nobody waits for it.
#[inline(always)]
fn take(shard: &mut Shard, number: u64) -> bool {
    let is_next = number == shard.taken.wrapping_add(1) && shard.waiting == 0;
    if is_next {
        shard.taken = number;
    }
    is_next
}

/// What is to be done with a record.
enum Verdict {
    Take,
    Wait(Cause),
    Refuse,
}

/// Whether a record says at what time it was made: it and all that follows has its turn then.
fn says_time(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, Time | Thread | Module | ModuleGone | Fork)
}

/// Whether it is this number's turn.
#[inline]
fn judge(state: &mut Shard, shard: usize, number: u64, abandoned: &mut u64) -> Verdict {
    if number == state.taken.wrapping_add(1) {
        state.taken = number;
        Verdict::Take
    } else if number > state.taken {
        Verdict::Wait(Cause::Taken { shard, number: number - 1 })
    } else if *abandoned > 0 && number > 0 {
        // Given up too early: better late than never.
        *abandoned -= 1;
        Verdict::Take
    } else {
        Verdict::Refuse
    }
}

impl Queue {
    /// Tells shard and number of every numbered record.
    fn for_each_number(&self, mut tell: impl FnMut(usize, u64)) {
        let mut at = self.at;
        for piece in &self.pieces {
            let mut rest = &piece[at..];
            at = 0;
            while let Some(frame) = frame(rest).filter(|frame| frame.words <= rest.len() as u64) {
                if let Place::Numbered(shard) = frame.place {
                    tell(shard, rest[frame.number_at]);
                }
                rest = &rest[frame.words as usize..];
            }
        }
    }
}

#[cfg(test)]
#[path = "order/tests.rs"] // the bench includes this file, too
mod tests;
