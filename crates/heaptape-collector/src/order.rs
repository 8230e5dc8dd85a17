//! Merges the streams of one process into one history, by order number.
//!
//! Numbers are dense from 1 over the process and grow within a stream, so the next record of the
//! history is at the front of exactly one queue, or has not arrived yet, or never will. Which of the
//! last two it is cannot be seen from here; the caller decides by calling [`Merge::skip_gap`].
//!
//! A queue holds words as the ring had them. The words are hostile: framing is checked here (a record
//! lies within its queue and is as long as its kind says), meaning is checked by `convert`.

use heaptape_wire::record::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The merge of one process.
#[derive(Debug)]
pub(crate) struct Merge {
    queues: Vec<Queue>,
    /// The order number at the front of each queue that has an ordered record.
    fronts: BinaryHeap<Reverse<(u64, usize)>>,
    next: u64,
    buffered: usize,
    abandoned: u64,
    malformed: u64,
}

#[derive(Debug, Default)]
struct Queue {
    words: Vec<u64>,
    /// Words before this are done with.
    at: usize,
    /// The last order number taken or refused.
    last: u64,
    /// Whether the queue's front is among the fronts.
    known: bool,
}

/// A number that is missing while later ones have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap(pub(crate) u64);

impl Default for Merge {
    fn default() -> Merge {
        Merge {
            queues: Vec::new(),
            fronts: BinaryHeap::new(),
            next: 1,
            buffered: 0,
            abandoned: 0,
            malformed: 0,
        }
    }
}

impl Merge {
    /// Order numbers that were given out and never arrived.
    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// Records whose framing made no sense.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The number of the next record of the history; every smaller one is done with.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Words that wait.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether records of `stream` wait for their turn.
    pub(crate) fn is_waiting(&self, stream: usize) -> bool {
        self.queues.get(stream).is_some_and(|queue| queue.at < queue.words.len())
    }

    /// Appends what `fill` pushes, whole records of `stream`, to its queue.
    pub(crate) fn feed<R>(&mut self, stream: usize, fill: impl FnOnce(&mut Vec<u64>) -> R) -> R {
        if stream >= self.queues.len() {
            self.queues.resize_with(stream + 1, Queue::default);
        }
        let words = &mut self.queues[stream].words;
        let before = words.len();
        let result = fill(words);
        self.buffered += words.len() - before;
        result
    }

    /// Gives every record whose turn has come to `sink` (stream, words), in order; unordered ones
    /// (nodes) when what stands before them in their stream is done with. Stops at a gap.
    pub(crate) fn advance<E>(
        &mut self,
        sink: &mut impl FnMut(usize, &[u64]) -> Result<(), E>,
    ) -> Result<Option<Gap>, E> {
        for stream in 0..self.queues.len() {
            if !self.queues[stream].known
                && let Some(order) = self.front(stream, sink)?
            {
                self.queues[stream].known = true;
                self.fronts.push(Reverse((order, stream)));
            }
        }
        while let Some(&Reverse((order, stream))) = self.fronts.peek() {
            if order > self.next {
                return Ok(Some(Gap(self.next)));
            }
            let upcoming = self.run(stream, order, sink)?;
            match (self.fronts.peek_mut(), upcoming) {
                (Some(mut top), Some(order)) => top.0.0 = order,
                (Some(top), None) => {
                    std::collections::binary_heap::PeekMut::pop(top);
                    self.queues[stream].known = false;
                }
                (None, _) => {}
            }
        }
        Ok(None)
    }

    /// Takes the missing numbers before the earliest front for lost.
    pub(crate) fn skip_gap(&mut self) {
        if let Some(&Reverse((order, _))) = self.fronts.peek()
            && order > self.next
        {
            self.abandoned = self.abandoned.saturating_add(order - self.next);
            self.next = order;
        }
    }

    /// Gives the records of one stream from its front on, as long as it is its turn; returns the
    /// order number it then waits with.
    fn run<E>(
        &mut self,
        stream: usize,
        mut order: u64,
        sink: &mut impl FnMut(usize, &[u64]) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        while order <= self.next {
            if order == self.next {
                self.next = self.next.saturating_add(1);
                self.take(stream, order, sink)?;
            } else if self.abandoned > 0 {
                // Given up too early: better late than never.
                self.abandoned -= 1;
                self.take(stream, order, sink)?;
            } else {
                self.malformed += 1;
                self.take(stream, order, &mut |_, _| Ok(()))?;
            }
            match self.front(stream, sink)? {
                Some(front) => order = front,
                None => return Ok(None),
            }
        }
        Ok(Some(order))
    }

    /// Gives the record at the front, whose framing [`Merge::front`] has checked.
    fn take<E>(
        &mut self,
        stream: usize,
        order: u64,
        sink: &mut impl FnMut(usize, &[u64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let queue = &mut self.queues[stream];
        queue.last = order;
        let count = Head(queue.words[queue.at]).words() as usize;
        let record = queue.at..queue.at + count;
        // Before the sink: one that fails has had its record.
        queue.at += count;
        self.buffered -= count;
        sink(stream, &queue.words[record])
    }

    /// Moves over what has no order number and says the number of the first record that has one.
    fn front<E>(
        &mut self,
        stream: usize,
        sink: &mut impl FnMut(usize, &[u64]) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        loop {
            let queue = &mut self.queues[stream];
            let rest = &queue.words[queue.at..];
            let Some(&head) = rest.first() else {
                queue.words.clear();
                queue.at = 0;
                return Ok(None);
            };
            let head = Head(head);
            let count = head.words();
            if count == 0 || count > rest.len() as u64 {
                // Nothing tells where the next record begins: what has been drained so far is lost.
                self.malformed += 1;
                self.buffered -= rest.len();
                queue.at = queue.words.len();
                continue;
            }
            let count = count as usize;
            let mut result = Ok(());
            match head.kind().filter(|&kind| plausible(kind, count as u64)) {
                None => self.malformed += 1,
                Some(Kind::Pad) => {}
                Some(Kind::Node) => result = sink(stream, &rest[..count]),
                Some(_) if rest[2] > queue.last => return Ok(Some(rest[2])),
                Some(_) => self.malformed += 1,
            }
            queue.at += count;
            self.buffered -= count;
            queue.compact();
            result?;
        }
    }
}

impl Queue {
    /// Gives back the space of what is done with, when it is most of the queue.
    fn compact(&mut self) {
        const WORTH_MOVING: usize = 1 << 16;
        if self.at > WORTH_MOVING && self.at > self.words.len() / 2 {
            self.words.drain(..self.at);
            self.at = 0;
        }
    }
}

/// Whether a record of that kind can be that long.
fn plausible(kind: Kind, words: u64) -> bool {
    let longest_module = MODULE_WORDS + ((MAX_BUILD_ID + MAX_PATH) as u64).div_ceil(8) + 1;
    match kind {
        Kind::Pad => true,
        Kind::Node => words == NODE_WORDS,
        Kind::Thread => words == THREAD_WORDS,
        Kind::Module => (MODULE_WORDS..=longest_module).contains(&words),
        Kind::ModuleGone => words == MODULE_GONE_WORDS,
        Kind::Fork => words == FORK_WORDS,
        event => event.is_event() && words == EVENT_WORDS,
    }
}

#[cfg(test)]
mod tests;
