//! Runs of events decoded by other threads, ahead of the one that replays them.
//!
//! Readers are given runs in turn, and asked for them in turn, so the order needs no bookkeeping. A reader
//! is given a run with the buffer to decode it into, the one that the asker has done with; so there are as
//! many buffers as readers, and one with the asker. Dropping [`Ahead`] ends the readers.

use crate::history::RunEntry;
use crate::model::Event;
use crate::read::{Tape, TapeError};
use std::slice;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, Scope};

/// The readers of some runs.
pub(crate) struct Ahead<'scope> {
    readers: Vec<Reader<'scope>>,
    /// Whose run comes next.
    turn: usize,
    /// The runs that no reader was given.
    left: slice::Iter<'scope, RunEntry>,
}

struct Reader<'scope> {
    orders: Sender<(&'scope RunEntry, Vec<Event>)>,
    read: Receiver<(Vec<Event>, Result<(), TapeError>)>,
}

impl<'scope> Ahead<'scope> {
    /// Starts up to `count` readers of `runs`: as many as there can be threads. `None` where there can be
    /// none.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        tape: &'scope Tape,
        runs: &'scope [RunEntry],
        count: usize,
    ) -> Option<Ahead<'scope>> {
        let start_one = |_| {
            let (orders, given) = mpsc::channel::<(&RunEntry, Vec<Event>)>();
            let (done, read) = mpsc::channel();
            let work = move || {
                for (run, mut events) in given {
                    let result = tape.read_run(run.offset, &run.key, &mut events);
                    if done.send((events, result)).is_err() {
                        return;
                    }
                }
            };
            Builder::new().spawn_scoped(scope, work).ok()?;
            Some(Reader { orders, read })
        };
        let readers: Vec<Reader<'_>> = (0..count).map_while(start_one).collect();
        let mut left = runs.iter();
        for (reader, run) in readers.iter().zip(left.by_ref().take(readers.len())) {
            reader.give(run, Vec::new());
        }
        (!readers.is_empty()).then_some(Ahead { readers, turn: 0, left })
    }

    /// The next run, in order, in place of what `events` held.
    pub(crate) fn next(&mut self, events: &mut Vec<Event>) -> Result<(), TapeError> {
        let reader = &self.readers[self.turn];
        self.turn = (self.turn + 1) % self.readers.len();
        if let Some(run) = self.left.next() {
            reader.give(run, std::mem::take(events));
        }
        let (read, result) = reader.read.recv().expect("no run is asked for that was not given");
        *events = read;
        result
    }
}

impl<'scope> Reader<'scope> {
    fn give(&self, run: &'scope RunEntry, buffer: Vec<Event>) {
        // One that ended did so by a panic, which the scope passes on.
        let _ = self.orders.send((run, buffer));
    }
}
