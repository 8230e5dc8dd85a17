//! The freed blocks that are kept back, oldest first: a bounded ring that many threads may put into and take out of
//! at once, without locks (after Vyukov's bounded queue).

use crate::sys::call;
use core::sync::atomic::{AtomicUsize, Ordering};

/// One place: whose turn it is, and what lies there.
#[repr(C)]
struct Cell {
    turn: AtomicUsize,
    addr: AtomicUsize,
}

/// See the module.
pub(super) struct Retained {
    cells: AtomicUsize,
    /// A power of two.
    capacity: AtomicUsize,
    head: AtomicUsize,
    tail: AtomicUsize,
}

impl Retained {
    /// One that is not ready for use.
    pub(super) const fn new() -> Retained {
        Retained {
            cells: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    /// Makes room for so many addresses, a power of two.
    pub(super) fn begin(&self, capacity: usize) -> bool {
        let cells = call::map_sparse(capacity * size_of::<Cell>());
        self.cells.store(cells as usize, Ordering::Relaxed);
        self.capacity.store(capacity, Ordering::Relaxed);
        !cells.is_null()
    }

    /// The place of the `n`th address that is put in. Its turn counts from 0 in zeroed memory: 2·round when it is
    /// empty, one more when it is full.
    fn cell(&self, n: usize) -> (&'static Cell, usize) {
        let capacity = self.capacity.load(Ordering::Relaxed);
        // SAFETY: within the cells, which are never given back.
        let cell = unsafe {
            &*(self.cells.load(Ordering::Relaxed) as *const Cell).add(n & (capacity - 1))
        };
        (cell, n / capacity * 2)
    }

    /// Puts one in, unless it is full.
    pub(super) fn push(&self, addr: usize) -> bool {
        loop {
            let n = self.tail.load(Ordering::Relaxed);
            let (cell, empty) = self.cell(n);
            let turn = cell.turn.load(Ordering::Acquire);
            if turn == empty {
                if exchange(&self.tail, n) {
                    cell.addr.store(addr, Ordering::Relaxed);
                    // Release pairs with the acquire load in `pop`.
                    cell.turn.store(empty + 1, Ordering::Release);
                    return true;
                }
            } else if turn < empty {
                return false;
            }
        }
    }

    /// Takes the oldest out, if there is one.
    pub(super) fn pop(&self) -> Option<usize> {
        loop {
            let n = self.head.load(Ordering::Relaxed);
            let (cell, empty) = self.cell(n);
            let turn = cell.turn.load(Ordering::Acquire);
            if turn == empty + 1 {
                if exchange(&self.head, n) {
                    let addr = cell.addr.load(Ordering::Relaxed);
                    // Release pairs with the acquire load in `push`.
                    cell.turn.store(empty + 2, Ordering::Release);
                    return Some(addr);
                }
            } else if turn < empty + 1 {
                return None;
            }
        }
    }
}

fn exchange(at: &AtomicUsize, n: usize) -> bool {
    at.compare_exchange(n, n + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn first_in_first_out_and_bounded() {
        let ring = Retained::new();
        assert!(ring.begin(4));
        for round in 0..10 {
            assert!((0..4).all(|n| ring.push(10 * round + n)));
            assert!(!ring.push(99));
            assert!((0..4).all(|n| ring.pop() == Some(10 * round + n)));
            assert_eq!(ring.pop(), None);
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
                        let value = thread * 1_000_000 + n;
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
        assert_eq!(put.into_inner(), taken.into_inner() + rest);
    }
}
