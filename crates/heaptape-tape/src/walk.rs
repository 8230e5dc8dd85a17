//! The events of a process in order, and what is missing between them.

use crate::events::Decoder;
use crate::history::RunEntry;
use crate::model::*;
use crate::read::{Tape, TapeError};
use crate::run::{Run, Stretch};
use std::ops::{ControlFlow, Range};

/// Goes from one run of a process to the next, over a range of its events. How a run is read is the
/// business of whoever walks: here and now, or ahead by another thread.
pub(crate) struct Walk<'a> {
    process: ProcessId,
    /// The number of the next event.
    next: EventIndex,
    end: EventIndex,
    /// The runs that are still to be read.
    runs: &'a [RunEntry],
}

impl<'a> Walk<'a> {
    pub(crate) fn over(tape: &'a Tape, process: ProcessId, range: Range<EventIndex>) -> Walk<'a> {
        let runs = &tape.history(process).runs;
        let first = runs.partition_point(|run| run.key.end() <= range.start);
        let last = runs.partition_point(|run| run.key.first_event < range.end);
        // One more than the last is there to tell that events before it are missing.
        let runs = runs.get(first..(last + 1).min(runs.len())).unwrap_or_default();
        Walk { process, next: range.start, end: range.end, runs }
    }

    /// The runs of the range, in the order they are read.
    pub(crate) fn runs(&self) -> &'a [RunEntry] {
        &self.runs[..self.runs.partition_point(|run| run.key.first_event < self.end)]
    }

    /// Lets `read` read the next run; tells which of its events are in the range. An error tells what
    /// is missing before or in the run; the walk goes on after it.
    pub(crate) fn advance(
        &mut self,
        read: impl FnOnce(&RunEntry) -> Result<(), TapeError>,
    ) -> Option<Result<Range<usize>, TapeError>> {
        let run = self.runs.first().filter(|_| self.next < self.end)?;
        let RunEntry { key, .. } = run;
        if key.first_event > self.next {
            let missing = self.missing(key.first_event, "their block is lost");
            self.next = key.first_event;
            return Some(Err(missing));
        }
        self.runs = &self.runs[1..];
        let within = |index: EventIndex| (index - key.first_event) as usize;
        let range = within(self.next)..within(key.end().min(self.end));
        let result = match read(run) {
            Ok(()) => Ok(range),
            Err(TapeError::Damaged(why)) => Err(self.missing(key.end(), &why)),
            Err(e) => Err(e),
        };
        self.next = key.end();
        Some(result)
    }

    /// Hands over the events of each run until `take` breaks or an event is missing.
    pub(crate) fn each(
        mut self,
        mut read: impl FnMut(&RunEntry, &mut Run) -> Result<(), TapeError>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError> {
        let mut run = Run::default();
        while let Some(range) = self.advance(|entry| read(entry, &mut run)) {
            if take(run.stretch(range?))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn missing(&self, end: EventIndex, why: &str) -> TapeError {
        let (process, from, last) = (self.process.0, self.next, end - 1);
        TapeError::Damaged(format!("events {from} to {last} of process {process}: {why}"))
    }
}

/// Takes events that follow each other, many at once; breaks when it wants no more.
pub type Take<'a> = dyn FnMut(Stretch<'_>) -> Result<ControlFlow<()>, TapeError> + 'a;

/// Yields events one by one, and one error for each gap.
pub(crate) struct Events<'a> {
    tape: &'a Tape,
    walk: Walk<'a>,
    decoder: Decoder,
    run: Run,
    at: Range<usize>,
}

impl<'a> Events<'a> {
    pub(crate) fn new(tape: &'a Tape, process: ProcessId, from: EventIndex) -> Events<'a> {
        let walk = Walk::over(tape, process, from..EventIndex::MAX);
        Events { tape, walk, decoder: Decoder::default(), run: Run::default(), at: 0..0 }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, TapeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(at) = self.at.next() {
                return Some(Ok(self.run.events[at]));
            }
            let (decoder, run) = (&mut self.decoder, &mut self.run);
            match self.walk.advance(|entry| self.tape.read_run(entry, decoder, run))? {
                Ok(range) => self.at = range,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
