//! The events of a process, one block of the tape at a time.

use crate::model::*;
use crate::read::{Tape, TapeError};

/// Yields events, and one error for each gap.
pub(crate) struct Events<'a> {
    tape: &'a Tape,
    process: ProcessId,
    /// The number of the next event.
    next: EventIndex,
    /// The next block to read.
    run: usize,
    events: Vec<Event>,
    at: usize,
}

impl<'a> Events<'a> {
    pub(crate) fn new(tape: &'a Tape, process: ProcessId, from: EventIndex) -> Events<'a> {
        let run = tape.history(process).runs.partition_point(|run| run.key.end() <= from);
        Events { tape, process, next: from, run, events: Vec::new(), at: 0 }
    }

    /// Reads the next block. An error tells what is missing before or in it.
    fn advance(&mut self) -> Option<Result<(), TapeError>> {
        let run = self.tape.history(self.process).runs.get(self.run)?;
        if run.key.first_event > self.next {
            let missing = self.missing(run.key.first_event, "their block is lost");
            self.next = run.key.first_event;
            return Some(Err(missing));
        }
        self.run += 1;
        self.at = (self.next - run.key.first_event) as usize;
        match self.tape.read_run(run.offset, &run.key, &mut self.events) {
            Ok(()) => Some(Ok(())),
            Err(TapeError::Damaged(why)) => {
                let missing = self.missing(run.key.end(), &why);
                self.next = run.key.end();
                Some(Err(missing))
            }
            Err(e) => {
                self.next = run.key.end();
                Some(Err(e))
            }
        }
    }

    fn missing(&self, end: EventIndex, why: &str) -> TapeError {
        let (process, from, last) = (self.process.0, self.next, end - 1);
        TapeError::Damaged(format!("events {from} to {last} of process {process}: {why}"))
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, TapeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.events.get(self.at) {
                self.at += 1;
                self.next += 1;
                return Some(Ok(*event));
            }
            if let Err(e) = self.advance()? {
                return Some(Err(e));
            }
        }
    }
}
