//! The second half of writing: a thread that packs what the writer hands it, and puts it into the file.
//!
//! Jobs are done one after the other in the order in which they were given, so the same calls make the
//! same bytes. At most [`WAITING`] of them wait, events by the quarter of a MiB, the others of at most 4 MiB but
//! for rare facts and contents that are longer themselves: when the disk or the packing cannot keep up, the
//! writer's caller waits, unless it asks first.

use crate::blocks::BlockWriter;
use crate::events::{EventsEncoder, Recorded};
use crate::format::kind;
use crate::index::EventsKey;
use crate::keyframe::Part;
use crate::live::Totals;
use crate::model::*;
use rustc_hash::FxHashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Jobs that wait at most.
const WAITING: usize = 32;
/// Jobs from which on the caller should do something else.
const MANY: usize = 24;
/// How long jobs are done before others have their turn: whoever gives them may stand in line for the processor, and keep a
/// recorded program waiting. Linux would let us go on for four ms; to yield more often would cost us our share where
/// processors are wanted by many.
const TURN: Duration = Duration::from_micros(500);
/// Events of one job: a quarter of a MiB, so that few of them stay in the cache.
pub(crate) const JOB_EVENTS: usize = 1 << 12;

/// Something to do.
pub(crate) enum Job {
    /// A block of that kind, key and body.
    Block(u8, Vec<u8>, Vec<u8>),
    /// More events of a process's run.
    Events(ProcessId, Vec<Recorded>),
    /// The end of a run: its block.
    EndRun(EventsKey),
    Keyframe(Part),
    Flush,
    /// Says that everything before it is done.
    Tell(SyncSender<()>),
    /// Index and footer.
    Finish(Vec<(Totals, Losses)>),
}

/// The writer's end.
pub(crate) struct Packer<W> {
    /// `None` after a failure: what follows would not be where the index says.
    jobs: Option<SyncSender<Job>>,
    /// Jobs given and not yet done.
    waiting: Arc<AtomicUsize>,
    /// Emptied lists of events, for use again: fresh memory costs more than what is done with it.
    spent: Receiver<Vec<Recorded>>,
    thread: Option<JoinHandle<io::Result<Option<W>>>>,
}

impl<W: Write + Send + 'static> Packer<W> {
    /// Starts the thread, which begins with `first`.
    pub(crate) fn new(
        blocks: BlockWriter<W>,
        first: impl FnOnce() + Send + 'static,
    ) -> io::Result<Packer<W>> {
        let (jobs, queue) = mpsc::sync_channel(WAITING);
        let (empty, spent) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let work = Work {
            blocks,
            runs: FxHashMap::default(),
            spare: None,
            empty,
            waiting: Arc::clone(&waiting),
        };
        let run = move || {
            first();
            work.all(&queue)
        };
        let thread = Builder::new().name("packer".to_string()).spawn(run)?;
        Ok(Packer { jobs: Some(jobs), waiting, spent, thread: Some(thread) })
    }
}

impl<W> Packer<W> {
    /// Gives a job. Fails when an earlier one has failed.
    pub(crate) fn give(&mut self, job: Job) -> io::Result<()> {
        // Relaxed, here and below: a number to go by, which orders nothing.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()) {
            return Ok(());
        }
        Err(self.stop().err().unwrap_or_else(broken))
    }

    /// Waits until everything that was given is done. Fails when some of it has failed.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        let (tell, told) = mpsc::sync_channel(1);
        self.give(Job::Tell(tell))?;
        match told.recv() {
            Ok(()) => Ok(()),
            Err(_) => Err(self.stop().err().unwrap_or_else(broken)),
        }
    }

    /// Whether so much waits that the next jobs may have to.
    pub(crate) fn is_full(&self) -> bool {
        let is_working = || self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        // After a failure nothing waits: the next job hears of it.
        self.waiting.load(Ordering::Relaxed) >= MANY && is_working()
    }

    /// A list for events.
    pub(crate) fn list(&self) -> Vec<Recorded> {
        self.spent.try_recv().unwrap_or_default()
    }

    /// Finishes the file and returns it.
    pub(crate) fn finish(mut self, processes: Vec<(Totals, Losses)>) -> io::Result<W> {
        self.give(Job::Finish(processes))?;
        self.stop()?.ok_or_else(broken)
    }

    /// Waits for what was given. The file, if it was finished.
    fn stop(&mut self) -> io::Result<Option<W>> {
        self.jobs = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the packing of the tape panicked")),
            None => Ok(None),
        }
    }
}

impl<W> Drop for Packer<W> {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = self.stop();
    }
}

fn broken() -> io::Error {
    io::Error::other("the tape could not be written to before")
}

/// The thread's end.
struct Work<W: Write> {
    blocks: BlockWriter<W>,
    /// Runs in progress.
    runs: FxHashMap<ProcessId, EventsEncoder>,
    /// The last that was done with a run: it has the memory for another.
    spare: Option<EventsEncoder>,
    empty: Sender<Vec<Recorded>>,
    waiting: Arc<AtomicUsize>,
}

impl<W: Write> Work<W> {
    fn all(mut self, queue: &Receiver<Job>) -> io::Result<Option<W>> {
        let mut turn = Instant::now();
        while let Ok(job) = queue.recv() {
            match job {
                Job::Block(kind, key, body) => self.blocks.block(kind, &key, &body)?,
                Job::Events(process, events) => self.add(process, events),
                Job::EndRun(key) => self.end_run(&key)?,
                Job::Keyframe(part) => {
                    let key = part.key.encode();
                    self.blocks.block(kind::KEYFRAME, &key, &part.encode())?;
                }
                Job::Flush => self.blocks.flush()?,
                // Nobody may be left to hear it.
                Job::Tell(done) => drop(done.send(())),
                Job::Finish(processes) => return self.blocks.finish(processes).map(Some),
            }
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if turn.elapsed() >= TURN {
                thread::yield_now();
                turn = Instant::now();
            }
        }
        Ok(None)
    }

    fn add(&mut self, process: ProcessId, mut events: Vec<Recorded>) {
        let spare = &mut self.spare;
        let new = || spare.take().unwrap_or_else(EventsEncoder::new);
        let run = self.runs.entry(process).or_insert_with(new);
        events.iter().for_each(|event| run.push(event));
        events.clear();
        // The writer may be gone already.
        let _ = self.empty.send(events);
    }

    fn end_run(&mut self, key: &EventsKey) -> io::Result<()> {
        let Some(mut run) = self.runs.remove(&key.process) else { return Ok(()) };
        let body = run.finish();
        self.spare = Some(run);
        self.blocks.block(kind::EVENTS, &key.encode(), &body)
    }
}
