//! The freed blocks that are kept back, oldest first: two queues of slots, those that hold an address and those that
//! are spare, so that it is bounded, and a thread that stops anywhere in here keeps at most a slot to itself.
//!
//! That matters in a forked child, where the other threads of its parent have all stopped somewhere: were there a step
//! that others must wait for, nothing would be given back there any more.

use super::queue::{Next, Queue};
use crate::sys::call;
use core::sync::atomic::{AtomicUsize, Ordering};

#[repr(C)]
struct Slot {
    /// The block; 0 in the slot that the queue began with.
    addr: AtomicUsize,
    next: Next,
}

/// Slots that the queues begin with.
const LEFT_OVER: usize = 2;

/// See the module.
pub(super) struct Retained {
    slots: AtomicUsize,
    count: AtomicUsize,
    /// Slots that were ever taken; more than there are, once there are no more.
    carved: AtomicUsize,
    kept: Queue,
    spare: Queue,
}

impl Retained {
    /// One that is not ready for use.
    pub(super) const fn new() -> Retained {
        Retained {
            slots: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            carved: AtomicUsize::new(LEFT_OVER),
            kept: Queue::new(),
            spare: Queue::new(),
        }
    }

    /// Makes room for so many addresses, and a few more.
    pub(super) fn begin(&self, capacity: usize) -> bool {
        let count = capacity + LEFT_OVER;
        let slots = call::map_sparse(count * size_of::<Slot>());
        if slots.is_null() {
            return false;
        }
        self.slots.store(slots as usize, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        self.kept.begin(0);
        self.spare.begin(1);
        true
    }

    fn slot(&self, index: u32) -> &'static Slot {
        // SAFETY: within the slots, which are zeroed at first and never given back.
        unsafe { &*(self.slots.load(Ordering::Relaxed) as *const Slot).add(index as usize) }
    }

    fn next(&self, index: u32) -> &'static Next {
        &self.slot(index).next
    }

    /// A slot that was never taken.
    fn carve(&self) -> Option<u32> {
        let count = self.count.load(Ordering::Relaxed);
        if self.carved.load(Ordering::Relaxed) >= count {
            return None;
        }
        let index = self.carved.fetch_add(1, Ordering::Relaxed);
        (index < count).then_some(index as u32)
    }

    /// Puts one in, unless it is full.
    pub(super) fn push(&self, addr: usize) -> bool {
        let spare = self.spare.pop(|index| self.next(index));
        let Some(index) = spare.or_else(|| self.carve()) else { return false };
        self.slot(index).addr.store(addr, Ordering::Relaxed);
        self.kept.push(index, |index| self.next(index));
        true
    }

    /// Takes the oldest out, unless it is the only one.
    pub(super) fn pop(&self) -> Option<usize> {
        loop {
            let index = self.kept.pop(|index| self.next(index))?;
            let addr = self.slot(index).addr.load(Ordering::Relaxed);
            self.spare.push(index, |index| self.next(index));
            if addr != 0 {
                return Some(addr);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn first_in_first_out_and_bounded() {
        let ring = Retained::new();
        assert!(ring.begin(4));
        let (mut put, mut taken) = (0, 0);
        for _ in 0..10 {
            while ring.push(put + 1) {
                put += 1;
                assert!(put - taken <= 6, "without a bound");
            }
            assert!(put - taken >= 4, "too little room");
            while let Some(addr) = ring.pop() {
                taken += 1;
                assert_eq!(addr, taken);
            }
            assert_eq!(put - taken, 1);
        }
    }

    #[test]
    fn threads_take_out_what_threads_put_in() {
        let ring = Retained::new();
        assert!(ring.begin(64));
        let (put, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (ring, put, taken) = (&ring, &put, &taken);
                scope.spawn(move || {
                    for n in 0..50_000 {
                        let value = thread * 1_000_000 + n + 1;
                        if ring.push(value) {
                            put.fetch_add(value as u64, Ordering::Relaxed);
                        }
                        if n % 3 > 0
                            && let Some(value) = ring.pop()
                        {
                            taken.fetch_add(value as u64, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let rest: u64 = std::iter::from_fn(|| ring.pop()).map(|value| value as u64).sum();
        // One is always left.
        assert!(ring.push(usize::MAX));
        let last = ring.pop().unwrap_or(0) as u64;
        assert_eq!(put.into_inner(), taken.into_inner() + rest + last);
    }
}
