//! A process, made ready to be asked: its index, and the names that pages number.

use crate::glue::found::Found;
use heaptape_analysis::index::Index;
use heaptape_analysis::index::answers::Answers;
use heaptape_analysis::index::winder::Winder;
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::{Names, Recording};
use heaptape_report::page::columns::Table;
use heaptape_report::page::tables::{self, FrameColumns, Threads};
use heaptape_tape::{Process, ProcessId, TapeError, ThreadId};

/// What is known of a process for as long as the server runs.
pub(crate) struct Ready {
    pub(crate) index: Index,
    pub(crate) threads: Threads,
    pub(crate) stacks: Stacks,
    /// The page's number of a thread.
    thread: Box<dyn Fn(ThreadId) -> u16 + Send + Sync>,
}

impl Ready {
    /// Reads the whole history of a process once. The index may take so many bytes beside what it needs by block.
    /// What was `found` out has numbers for its frames and backtraces.
    pub(crate) fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        most_bytes: u64,
        found: &Found,
    ) -> Result<Ready, TapeError> {
        let index = Index::build(recording, process.id, most_bytes)?;
        let backtraces = index.backtraces().chain(found.backtraces());
        let stacks = Stacks::of(recording, names, backtraces, &found.frames())?;
        let threads = Threads::of(recording, process.id, index.other_threads());
        let numbers = threads.clone();
        Ok(Ready { index, threads, stacks, thread: Box::new(move |id| numbers.number(id)) })
    }
}

/// A process that is served.
pub(crate) struct Served<'a> {
    pub(super) id: ProcessId,
    pub(super) answers: Answers<'a>,
    strings: Vec<u8>,
    frames: Vec<u8>,
    stacks: Vec<u8>,
}

impl<'a> Served<'a> {
    /// Of what was made ready.
    pub(crate) fn new(recording: &'a (dyn Recording + Sync), ready: &'a Ready) -> Served<'a> {
        let frames = FrameColumns::of(&ready.stacks);
        Served {
            id: ready.index.process,
            strings: frames.strings.table().packed(),
            frames: frames.table().packed(),
            stacks: tables::stacks(&ready.stacks).packed(),
            answers: Answers {
                winder: Winder::new(recording, &ready.index),
                stacks: &ready.stacks,
                thread: &*ready.thread,
                thread_names: &ready.threads.names,
            },
        }
    }

    /// A table of docs/page.md, packed.
    pub(super) fn table(&self, name: &str) -> Option<Vec<u8>> {
        let winder = &self.answers.winder;
        let packed = |table: Table<'_>| Some(table.packed());
        match name {
            "strings" => Some(self.strings.clone()),
            "frames" => Some(self.frames.clone()),
            "stacks" => Some(self.stacks.clone()),
            "times" => packed(tables::times(&winder.index.times)),
            "samples" => packed(tables::samples(winder.recording().samples(self.id))),
            _ => None,
        }
    }
}
