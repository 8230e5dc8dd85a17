//! Where an address lies that is in no block: a stack, a module's data, a mapping.
//!
//! What is known of the address space is the modules, the program's own mappings where they were recorded,
//! and the memory map that the recording keeps of a process with wrong frees, of its end or its crash. The
//! map is younger than the free: it says what lay there then.

use crate::addr::Act;
use crate::hex;
use crate::names::{self, Held, Names};
use crate::recording::Recording;
use heaptape_tape::{Event, Guarded, Mapping, MemoryMap, Module, ProcessId, TimeNs};
use serde::Serialize;

/// Bytes that glibc maps for an arena, at a multiple of them.
const ARENA_BYTES: u64 = 64 << 20;
/// A mapping without access below a thread's stack is at most so large.
const MAX_GUARD_BYTES: u64 = 1 << 20;
/// Addresses from here on are the kernel's or nobody's.
const USER_END: u64 = 1 << 47;

/// Where an address lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub enum Place {
    /// In the first page, where nothing is ever mapped.
    NullPage,
    /// Beyond what a program can have.
    NotUserSpace,
    /// In a stack.
    Stack {
        /// Whose: kernel thread id; `None` when it is not known.
        tid: Option<u32>,
        /// Whether that follows from the looks of the mapping only.
        likely: bool,
    },
    /// In a loaded ELF file.
    Module {
        /// Its file name.
        module: String,
        /// The address, as the ELF file states it.
        #[serde(serialize_with = "hex::address")]
        address: u64,
        /// What it holds there; `None` when that cannot be told.
        held: Option<Held>,
    },
    /// In memory that an allocator works with: the `brk` heap or one of glibc's arenas.
    Heap,
    /// Where heaptape's blocks with guard pages lie, of which each is known.
    Guarded,
    /// In a mapping.
    Mapping {
        /// The file, or the kernel's name for it; empty for anonymous memory.
        name: String,
        /// First address.
        #[serde(serialize_with = "hex::address")]
        start: u64,
        /// Bytes.
        bytes: u64,
        /// The call that made it, where mappings were recorded.
        made: Option<Box<Act>>,
    },
    /// Nothing was mapped there when the process ended.
    Unmapped,
    /// Nothing is known about it.
    Unknown,
}

impl Place {
    /// Whether no allocator can have given the address out.
    pub fn is_never_heap(&self) -> bool {
        match self {
            Place::NullPage | Place::NotUserSpace | Place::Stack { .. } | Place::Module { .. } => {
                true
            }
            Place::Mapping { name, .. } => !name.is_empty(),
            Place::Heap | Place::Guarded | Place::Unmapped | Place::Unknown => false,
        }
    }
}

/// Finds places in one process.
pub(super) struct Places<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    process: ProcessId,
}

impl<'a> Places<'a> {
    pub(super) fn of(
        recording: &'a dyn Recording,
        names: &'a dyn Names,
        process: ProcessId,
    ) -> Places<'a> {
        Places { recording, names, process }
    }

    /// Where `addr` lay at `time`. `mapped`: the program's own call that made a mapping there.
    pub(super) fn at(&self, addr: u64, time: TimeNs, mapped: Option<&Event>) -> Place {
        if addr >= USER_END {
            return Place::NotUserSpace;
        }
        if addr < u64::from(self.recording.header().page_size).max(4096) {
            return Place::NullPage;
        }
        if self.is_guarded(addr) {
            return Place::Guarded;
        }
        if let Some(module) = self.module(addr, time) {
            let address = addr.wrapping_sub(module.bias);
            return Place::Module {
                module: names::file_name(&names::text(&module.path)).to_owned(),
                address,
                held: self.names.held_at(module.id, address),
            };
        }
        let map = self.map(time);
        if let Some(event) = mapped {
            return Place::Mapping {
                name: map.and_then(|map| map.at(addr)).map_or_else(String::new, name),
                start: event.addr,
                bytes: event.size,
                made: Some(Box::new(Act::of(self.recording, self.names, event))),
            };
        }
        match map {
            None => Place::Unknown,
            Some(map) => map.at(addr).map_or(Place::Unmapped, |at| self.mapped(map, at)),
        }
    }

    fn is_guarded(&self, addr: u64) -> bool {
        let own = |guarded: &&Guarded| guarded.process == self.process;
        let mut arenas = self.recording.guarded().iter().filter(own).map(|guarded| guarded.arena);
        arenas.any(|(start, end)| (start..end).contains(&addr))
    }

    fn module(&self, addr: u64, time: TimeNs) -> Option<&'a Module> {
        self.recording.modules().iter().find(|module| {
            module.process == self.process
                && (module.start..module.end).contains(&addr)
                // A module is seen when a backtrace first passes through it, which may be later than this.
                && module.unloaded.is_none_or(|gone| time <= gone)
        })
    }

    /// The first map after that time, or the last there is.
    fn map(&self, time: TimeNs) -> Option<&'a MemoryMap> {
        let own = || self.recording.memory_maps().iter().filter(|m| m.process == self.process);
        own().find(|map| map.time >= time).or_else(|| own().next_back())
    }

    fn mapped(&self, map: &MemoryMap, at: &Mapping) -> Place {
        if *at.name == *b"[stack]" {
            let pid = self.recording.processes().get(self.process.0 as usize).map(|p| p.pid);
            return Place::Stack { tid: pid, likely: false };
        }
        if *at.name == *b"[heap]" {
            return Place::Heap;
        }
        if at.name.is_empty() {
            if let Some(tid) = self.crashed_on(at) {
                return Place::Stack { tid: Some(tid), likely: false };
            }
            if at.start.is_multiple_of(ARENA_BYTES) {
                return Place::Heap;
            }
            if is_like_a_stack(map, at) {
                return Place::Stack { tid: None, likely: true };
            }
        }
        Place::Mapping {
            name: name(at),
            start: at.start,
            bytes: at.end.saturating_sub(at.start),
            made: None,
        }
    }

    /// The thread that crashed with its stack in this mapping.
    fn crashed_on(&self, at: &Mapping) -> Option<u32> {
        let mut crashes = self.recording.crashes().iter();
        let crash = crashes.find(|crash| {
            crash.process == self.process && (at.start..at.end).contains(&crash.sp)
        })?;
        Some(self.recording.threads().get(crash.thread?.0 as usize)?.tid)
    }
}

fn name(mapping: &Mapping) -> String {
    names::text(&mapping.name)
}

/// Whether this is how thread libraries map stacks: memory to read and write above a few pages without access.
fn is_like_a_stack(map: &MemoryMap, at: &Mapping) -> bool {
    let before = map.at(at.start.wrapping_sub(1));
    at.access.write
        && before.is_some_and(|guard| {
            !guard.access.read
                && !guard.access.write
                && guard.name.is_empty()
                && guard.end - guard.start <= MAX_GUARD_BYTES
        })
}
