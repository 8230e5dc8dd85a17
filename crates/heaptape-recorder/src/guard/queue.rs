//! A first-in first-out queue of slots, without locks: of Michael and Scott ("Simple, fast, and practical
//! non-blocking and blocking concurrent queue algorithms", 1996), with counted links.
//!
//! The queue always holds one slot more than can be taken, so that nobody ever finds it without one. Slots are only
//! interchangeable space: what is taken is the oldest slot itself, and the next takes its place. A thread that stops
//! anywhere in here, or is not there any more in a forked child, leaves a queue that others go on with.

use core::sync::atomic::{AtomicU64, Ordering};

/// A slot's number and one, 0 for none, in the low half; how often the link was written in the high half, so that
/// one that was written meanwhile is told from the same one before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u64);

impl Link {
    fn slot(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }

    /// What is written over this.
    fn then(self, slot: Option<u32>) -> Link {
        Link((self.0 >> 32).wrapping_add(1) << 32 | slot.map_or(0, |slot| u64::from(slot) + 1))
    }
}

/// The link that each slot brings along.
pub(super) type Next = AtomicU64;

/// See the module.
pub(super) struct Queue {
    head: AtomicU64,
    tail: AtomicU64,
}

impl Queue {
    /// One that is not ready for use.
    pub(super) const fn new() -> Queue {
        Queue { head: AtomicU64::new(0), tail: AtomicU64::new(0) }
    }

    /// Begins with `slot`, whose link is 0, as the one that is always left.
    pub(super) fn begin(&self, slot: u32) {
        let only = Link(0).then(Some(slot)).0;
        self.head.store(only, Ordering::Release);
        self.tail.store(only, Ordering::Release);
    }

    /// Puts a slot at the end. `next` gives the link of a slot.
    pub(super) fn push<'a>(&self, slot: u32, next: impl Fn(u32) -> &'a Next) {
        let own = next(slot);
        own.store(Link(own.load(Ordering::Relaxed)).then(None).0, Ordering::Release);
        loop {
            let tail = Link(self.tail.load(Ordering::Acquire));
            let Some(last) = tail.slot() else { return };
            let link = next(last);
            let after = Link(link.load(Ordering::Acquire));
            if self.tail.load(Ordering::Acquire) != tail.0 {
                continue;
            }
            if after.slot().is_some() {
                // Somebody has put one there and not said so yet.
                exchange(&self.tail, tail, tail.then(after.slot()));
            } else if exchange(link, after, after.then(Some(slot))) {
                exchange(&self.tail, tail, tail.then(Some(slot)));
                return;
            }
        }
    }

    /// Takes the oldest slot, unless it is the only one.
    pub(super) fn pop<'a>(&self, next: impl Fn(u32) -> &'a Next) -> Option<u32> {
        loop {
            let head = Link(self.head.load(Ordering::Acquire));
            let tail = Link(self.tail.load(Ordering::Acquire));
            let oldest = head.slot()?;
            let after = Link(next(oldest).load(Ordering::Acquire));
            if self.head.load(Ordering::Acquire) != head.0 {
                continue;
            }
            after.slot()?;
            if head.slot() == tail.slot() {
                exchange(&self.tail, tail, tail.then(after.slot()));
            } else if exchange(&self.head, head, head.then(after.slot())) {
                return Some(oldest);
            }
        }
    }
}

/// AcqRel: what was written before a slot was put in is seen by whoever takes it out.
fn exchange(at: &AtomicU64, old: Link, new: Link) -> bool {
    at.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn one_thread_gets_them_in_order() {
        let links: Vec<Next> = (0..10).map(|_| Next::new(0)).collect();
        let next = |slot: u32| &links[slot as usize];
        let (queue, mut model) = (Queue::new(), VecDeque::from([0]));
        queue.begin(0);
        for slot in 1..10 {
            queue.push(slot, next);
            model.push_back(slot);
        }
        for step in 0..1000 {
            let popped = queue.pop(next);
            assert_eq!(popped, if model.len() > 1 { model.pop_front() } else { None });
            if step % 3 > 0
                && let Some(slot) = popped
            {
                queue.push(slot, next);
                model.push_back(slot);
            }
        }
        assert_eq!(model.len(), 1);
    }

    #[test]
    fn no_slot_is_lost_or_given_to_two_threads() {
        const SLOTS: u32 = 64;
        let links: Vec<Next> = (0..SLOTS).map(|_| Next::new(0)).collect();
        let held: Vec<AtomicU64> = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let queue = Queue::new();
        queue.begin(0);
        (1..SLOTS).for_each(|slot| queue.push(slot, |slot| &links[slot as usize]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        if let Some(slot) = queue.pop(|slot| &links[slot as usize]) {
                            let before = held[slot as usize].fetch_add(1, Ordering::AcqRel);
                            assert_eq!(before, 0, "slot {slot} is another thread's");
                            held[slot as usize].fetch_sub(1, Ordering::AcqRel);
                            queue.push(slot, |slot| &links[slot as usize]);
                        }
                    }
                });
            }
        });
        let left = std::iter::from_fn(|| queue.pop(|slot| &links[slot as usize])).count();
        assert_eq!(left as u32, SLOTS - 1);
    }
}
