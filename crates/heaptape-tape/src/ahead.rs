//! Runs of events decoded by other threads, ahead of the one that replays them.
//!
//! Readers are given runs in turn, and asked for them in turn, so the order needs no bookkeeping. A reader
//! is given a run with the buffer to decode it into, the one that the asker has done with; so there are as
//! many buffers as readers, and one with the asker. Dropping [`Ahead`] ends the readers.

use crate::events::Decoder;
use crate::history::RunEntry;
use crate::read::{Tape, TapeError};
use crate::run::Run;
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
    orders: Sender<(&'scope RunEntry, Run)>,
    read: Receiver<(Run, Result<(), TapeError>)>,
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
            let (orders, given) = mpsc::channel::<(&RunEntry, Run)>();
            let (done, read) = mpsc::channel();
            let work = move || {
                let mut decoder = Decoder::default();
                for (entry, mut run) in given {
                    let result = tape.read_run(entry, &mut decoder, &mut run);
                    if done.send((run, result)).is_err() {
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
            reader.give(run, Run::default());
        }
        (!readers.is_empty()).then_some(Ahead { readers, turn: 0, left })
    }

    /// The next run, in order, in place of what `run` held.
    pub(crate) fn next(&mut self, run: &mut Run) -> Result<(), TapeError> {
        let reader = &self.readers[self.turn];
        self.turn = (self.turn + 1) % self.readers.len();
        if let Some(entry) = self.left.next() {
            reader.give(entry, std::mem::take(run));
        }
        let (read, result) = reader.read.recv().expect("no run is asked for that was not given");
        *run = read;
        result
    }
}

impl<'scope> Reader<'scope> {
    fn give(&self, entry: &'scope RunEntry, buffer: Run) {
        // One that ended did so by a panic, which the scope passes on.
        let _ = self.orders.send((entry, buffer));
    }
}
