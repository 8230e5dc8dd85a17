//! Runs of events decoded by other threads, ahead of the one that replays them.
//!
//! Each reader decodes every n-th run, so the order needs no bookkeeping: whoever asks goes round. A
//! reader starts only with a buffer in hand, and gets one back when its run is asked for; so there are
//! as many buffers as readers, and one with the asker. Dropping [`Ahead`] ends the readers.

use crate::history::RunEntry;
use crate::model::Event;
use crate::read::{Tape, TapeError};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Scope;

/// The readers of some runs.
pub(crate) struct Ahead {
    readers: Vec<Reader>,
    /// Whose run comes next.
    turn: usize,
}

struct Reader {
    read: Receiver<(Vec<Event>, Result<(), TapeError>)>,
    spent: Sender<Vec<Event>>,
}

impl Ahead {
    /// Starts `count` readers of `runs`, at least one.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        tape: &'scope Tape,
        runs: &'scope [RunEntry],
        count: usize,
    ) -> Ahead {
        let start_one = |first: usize| {
            let (done, read) = mpsc::channel();
            let (spent, buffers) = mpsc::channel::<Vec<Event>>();
            scope.spawn(move || {
                // The first buffer is the reader's own; whoever waits for runs gives back the others.
                let mut buffer = Some(Vec::new());
                for run in runs.iter().skip(first).step_by(count) {
                    let next = buffer.take().or_else(|| buffers.recv().ok());
                    let Some(mut events) = next else { return };
                    let result = tape.read_run(run.offset, &run.key, &mut events);
                    if done.send((events, result)).is_err() {
                        return;
                    }
                }
            });
            Reader { read, spent }
        };
        Ahead { readers: (0..count.max(1)).map(start_one).collect(), turn: 0 }
    }

    /// The next run, in order, in place of what `events` held.
    pub(crate) fn next(&mut self, events: &mut Vec<Event>) -> Result<(), TapeError> {
        let reader = &self.readers[self.turn];
        self.turn = (self.turn + 1) % self.readers.len();
        // A reader that has read its last run takes no more buffers.
        let _ = reader.spent.send(std::mem::take(events));
        let (read, result) =
            reader.read.recv().expect("a run is asked for once, by its reader's turn");
        *events = read;
        result
    }
}
