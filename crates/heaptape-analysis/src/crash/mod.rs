//! Why a process died: the crash, what lay at its address, and what that means.
//!
//! [`Crashes::compute`] gathers for each crash of a process what is known of it: the signal, the instruction, the
//! stacks, the blocks that hold or held the address and the registers' values. `verdict` draws the conclusion. A
//! process that died without a word, by SIGKILL or for want of memory, is told of by [`Death`].

mod abort;
mod death;
mod guarded;
mod instruction;
mod owners;
mod verdict;

pub use death::{Death, MemoryFigures};
pub use verdict::{Confidence, Kind, Verdict};

use crate::addr::Act;
use crate::events::{self, EventRow};
use crate::extents::block_end;
use crate::hex;
use crate::names::{self, Frame, Held, Names};
use crate::process::{EndingName, ProcessName};
use crate::recording::Recording;
use abort::Complaint;
use heaptape_tape::{
    Access, BacktraceId, Crash, FrameQuality, Mapping, MemoryMap, Module, Process, Registers,
    Stack, TapeError,
};
use instruction::Instruction;
use owners::{Owner, Owners};
use serde::Serialize;

/// The crashes of a process, and its death if it died without one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crashes {
    /// Which process.
    pub process: ProcessName,
    /// Its crashes, in order. The process goes on after one only if it has a handler of its own.
    pub crashes: Vec<CrashScene>,
    /// How it died, if it was killed and no crash was recorded.
    pub death: Option<Death>,
}

/// A fatal signal and all that is known around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrashScene {
    /// When.
    pub time_ns: u64,
    /// The signal.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// What was wanted: `read`, `write` or `execute`; `None` when the processor did not say.
    pub access: Option<&'static str>,
    /// The offending address; `None` when there is none. Where the processor does not tell it, it is that of the
    /// instruction's operand.
    #[serde(serialize_with = "hex::some_address")]
    pub address: Option<u64>,
    /// Program counter.
    #[serde(serialize_with = "hex::address")]
    pub ip: u64,
    /// Stack pointer.
    #[serde(serialize_with = "hex::address")]
    pub sp: u64,
    /// The instruction, in Intel's syntax.
    pub instruction: Option<String>,
    /// What libc said before it aborted.
    pub message: Option<String>,
    /// The pid that sent the signal, for one that was sent.
    pub sender: Option<u32>,
    /// What it means.
    pub verdict: Verdict,
    /// The blocks that it is about: the one of the verdict first, then its neighbours and earlier owners.
    pub blocks: Vec<NearBlock>,
    /// The registers, each with what lies where it points; empty when not recorded.
    pub registers: Vec<RegisterValue>,
    /// The stacks of the threads, the crashing one first; empty when not recorded.
    pub threads: Vec<ThreadStack>,
    /// Threads whose stacks could not be looked at.
    pub threads_missing: u64,
    /// The mapping that holds the address, or the ones before and after it.
    pub mappings: Vec<NearMapping>,
    /// The last things that the crashing thread allocated and freed, oldest first.
    pub last_events: Vec<EventRow>,
}

/// A block at or near the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearBlock {
    /// Its number; `None` for a block inherited over `fork`, which has its parent's.
    pub block: Option<u64>,
    /// What it has to do with the address.
    pub relation: Relation,
    /// Where it starts.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// The address less that of the block.
    pub offset: i64,
    /// Its allocation.
    pub allocated: Act,
    /// Its end; `None` while it is live.
    pub freed: Option<Act>,
    /// How long before the crash that was.
    pub freed_ago_ns: Option<u64>,
}

impl CrashScene {
    /// The frames of all its threads, and of what was done to the blocks.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        let acts =
            self.blocks.iter().flat_map(|it| std::iter::once(&it.allocated).chain(&it.freed));
        let threads = self.threads.iter().flat_map(|thread| &thread.backtrace);
        threads.chain(acts.flat_map(|act| &act.backtrace))
    }
}

/// What a block has to do with the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It holds it.
    Holds,
    /// It held it, and was the last to.
    Held,
    /// It held it earlier.
    HeldBefore,
    /// It is the nearest live one that begins before it.
    Before,
    /// It is the nearest live one after it.
    After,
    /// A register points to it.
    PointedTo,
    /// It holds or held what was given back.
    GivenBack,
    /// It ends where libc's own words are overwritten.
    Suspected,
}

/// A register at the crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegisterValue {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    #[serde(serialize_with = "hex::address")]
    pub value: u64,
    /// What lies there, in a few words; `None` when it is no address of the process.
    pub points_to: Option<String>,
}

/// The stack of a thread at the crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadStack {
    /// Kernel thread id.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// Whether it is the one that crashed.
    pub crashed: bool,
    /// Its frames, innermost first.
    pub backtrace: Vec<Frame>,
    /// Whether the backtrace goes to the outermost frame.
    pub complete: bool,
}

/// A mapping at or near the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMapping {
    /// First address.
    #[serde(serialize_with = "hex::address")]
    pub start: u64,
    /// First address after it.
    #[serde(serialize_with = "hex::address")]
    pub end: u64,
    /// `rwxp`, as `/proc/PID/maps` writes it.
    pub access: String,
    /// The file, or what the kernel calls it; empty for anonymous memory.
    pub name: String,
    /// Whether it holds the address.
    pub holds: bool,
}

const SIGABRT: i32 = 6;
/// Events of the crashing thread that are kept.
const LAST_EVENTS: usize = 8;

impl Crashes {
    /// Gathers everything about the crashes of a process.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
    ) -> Result<Crashes, TapeError> {
        let name = ProcessName::of(recording, process);
        let own = recording.crashes().iter().filter(|crash| crash.process == process.id);
        let crashes: Vec<CrashScene> = (0..)
            .zip(own)
            .map(|(number, crash)| scene(recording, names, process, number, crash))
            .collect::<Result<_, _>>()?;
        let died_of = |signal| crashes.iter().any(|crash: &CrashScene| crash.signal == signal);
        let death = match name.ending {
            EndingName::Signalled { signal, core } if !died_of(signal) => {
                Some(Death::of(recording, names, process, signal, core)?)
            }
            EndingName::Gone if crashes.is_empty() => Death::if_killed(recording, names, process)?,
            _ => None,
        };
        Ok(Crashes { process: name, crashes, death })
    }
}

/// Everything that a verdict may be drawn from.
struct Evidence<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    process: &'a Process,
    crash: &'a Crash,
    map: Option<&'a MemoryMap>,
    owners: Owners,
    instruction: Option<Instruction>,
    /// The stack of the thread that crashed.
    stack: Option<&'a Stack>,
    /// The address concerned, if there is one.
    address: Option<u64>,
    /// What libc's allocator aborted for.
    complaint: Option<Complaint>,
}

fn scene(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
    number: u32,
    crash: &Crash,
) -> Result<CrashScene, TapeError> {
    let of_crash = |stack: &&Stack| stack.process == process.id && stack.crash == Some(number);
    let stacks = || recording.stacks().iter().filter(of_crash);
    let instruction = Instruction::of(crash);
    let address = verdict::address(crash, instruction.as_ref());
    let until = recording.event_count(process.id);
    let until = crash.events.map_or(until, |events| events.min(until));
    let registers = crash.registers.as_ref();
    let values =
        registers.into_iter().flat_map(|registers| registers.0[..Registers::RFLAGS].iter());
    let last_events = last_events(recording, names, process, crash, until)?;
    let mut maps = recording.memory_maps().iter().filter(|map| map.process == process.id);
    // The one that was taken for this crash is the first that is not older.
    let map = maps.clone().find(|map| map.time >= crash.time).or_else(|| maps.next_back());
    let complaint = Complaint::of(crash, last_events.last(), map);
    let complaint = complaint.filter(|_| crash.signal == SIGABRT);
    let mut watched: Vec<u64> = values.copied().collect();
    watched.extend(complaint.iter().flat_map(Complaint::watched));
    let around = address.or_else(|| complaint.as_ref()?.around());
    let owners = Owners::compute(recording, process.id, until, around, watched)?;
    let evidence = Evidence {
        map,
        complaint,
        recording,
        names,
        process,
        crash,
        owners,
        instruction,
        stack: stacks().find(|stack| stack.crashed),
        address,
    };
    let drawn = verdict::draw(&evidence);
    let threads: Vec<ThreadStack> =
        stacks().take(MOST_STACKS).map(|stack| thread_stack(recording, names, stack)).collect();
    Ok(CrashScene {
        time_ns: crash.time.0,
        signal: crash.signal,
        code: crash.code,
        access: access_word(crash.access()),
        address,
        ip: crash.ip,
        sp: crash.sp,
        instruction: evidence.instruction.as_ref().map(|instruction| instruction.text.clone()),
        message: (!crash.message.is_empty()).then(|| names::text(&crash.message)),
        sender: crash.sender,
        blocks: evidence.blocks(&drawn),
        registers: evidence.registers(),
        threads_missing: u64::from(crash.threads).saturating_sub(stacks().count() as u64),
        threads,
        mappings: evidence.mappings(),
        last_events,
        verdict: drawn.verdict,
    })
}

/// Threads whose stacks are part of a result.
const MOST_STACKS: usize = 1024;

fn access_word(access: Access) -> Option<&'static str> {
    match access {
        Access::Unknown => None,
        Access::Read => Some("read"),
        Access::Write => Some("write"),
        Access::Execute => Some("execute"),
    }
}

fn thread_stack(recording: &dyn Recording, names: &dyn Names, stack: &Stack) -> ThreadStack {
    let outermost = names::walk(recording, stack.backtrace).last();
    ThreadStack {
        tid: stack.tid,
        name: names::text(&stack.name),
        crashed: stack.crashed,
        backtrace: names::backtrace(recording, names, stack.backtrace),
        complete: outermost.is_some_and(|(_, node)| node.quality != FrameQuality::Truncated),
    }
}

/// The last events of the crashing thread: few enough to be read one by one.
fn last_events(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
    crash: &Crash,
    until: u64,
) -> Result<Vec<EventRow>, TapeError> {
    let Some(thread) = crash.thread else { return Ok(Vec::new()) };
    events::last_of(recording, names, process, Some(thread), until, LAST_EVENTS)
}

impl Evidence<'_> {
    /// The mapping that holds an address.
    fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.map?.at(address)
    }

    /// What lies at an address, in a few words.
    fn place(&self, address: u64) -> Option<String> {
        if let Some(owner) = self.owners.of(address) {
            return Some(describe(owner, address));
        }
        let mapping = self.mapping(address)?;
        let offset = address - mapping.start;
        Some(match &mapping.name[..] {
            b"" if mapping.access.read || mapping.access.write => "anonymous memory".to_owned(),
            b"" => "memory that may not be accessed".to_owned(),
            b"[stack]" => "stack of the main thread".to_owned(),
            name => {
                let text = names::text(name);
                let file = names::file_name(&text);
                match self.module(address) {
                    Some(module) => format!("{file}+{:#x}", address.wrapping_sub(module.bias)),
                    None => format!("{file}, {offset:#x} into the mapping"),
                }
            }
        })
    }

    /// The module that is loaded at an address.
    fn module(&self, address: u64) -> Option<&Module> {
        self.recording.modules().iter().find(|module| {
            module.process == self.process.id
                && module.unloaded.is_none_or(|time| time >= self.crash.time)
                && (module.start..module.end).contains(&address)
        })
    }

    /// What the file of its module holds at an address.
    fn held_at(&self, address: u64) -> Option<Held> {
        let module = self.module(address)?;
        self.names.held_at(module.id, address.wrapping_sub(module.bias))
    }

    fn registers(&self) -> Vec<RegisterValue> {
        let all = self.crash.registers.iter().flat_map(|registers| registers.iter());
        all.map(|(name, value)| RegisterValue {
            name,
            value,
            points_to: if name == "rflags" { None } else { self.place(value) },
        })
        .collect()
    }

    fn act(&self, event: &heaptape_tape::Event) -> Act {
        Act::of(self.recording, self.names, event)
    }

    /// The blocks to be shown: those of the verdict first, none twice.
    fn blocks(&self, drawn: &verdict::Drawn) -> Vec<NearBlock> {
        let mut found: Vec<(Owner, Relation, u64)> = Vec::new();
        let mut add = |owner: &Owner, relation, address| {
            let known = |(other, ..): &(Owner, Relation, u64)| {
                (other.block.addr, other.block.id) == (owner.block.addr, owner.block.id)
            };
            if !found.iter().any(known) {
                found.push((*owner, relation, address));
            }
        };
        if let Some(address) = drawn.address.or(self.address) {
            drawn.about.iter().for_each(|(owner, relation)| add(owner, *relation, address));
        }
        if let Some(address) = self.address {
            for (nth, owner) in self.owners.all(address).rev().enumerate() {
                let relation = match (owner.ended, nth) {
                    (None, _) => Relation::Holds,
                    (Some(_), 0) => Relation::Held,
                    (Some(_), _) => Relation::HeldBefore,
                };
                add(owner, relation, address);
            }
            // Far blocks say nothing: another mapping lies between.
            let near = |owner: &&Owner| self.is_near(owner, address);
            let (before, after) = (self.owners.before.iter(), self.owners.after.iter());
            before.filter(near).for_each(|owner| add(owner, Relation::Before, address));
            after.filter(near).for_each(|owner| add(owner, Relation::After, address));
        }
        let shown = found.iter();
        shown
            .map(|(owner, relation, address)| self.near_block(owner, *relation, *address))
            .collect()
    }

    fn near_block(&self, owner: &Owner, relation: Relation, address: u64) -> NearBlock {
        let block = &owner.block;
        NearBlock {
            block: (!owner.inherited).then_some(block.id.0),
            relation,
            address: block.addr,
            size: block.size,
            usable: block.usable,
            offset: address.wrapping_sub(block.addr) as i64,
            allocated: Act::that_began(self.recording, self.names, block),
            freed: owner.ended.as_ref().map(|event| self.act(event)),
            freed_ago_ns: owner.ended.map(|end| self.crash.time.0.saturating_sub(end.time.0)),
        }
    }

    /// Whether no other mapping lies between a block and an address.
    fn is_near(&self, owner: &Owner, address: u64) -> bool {
        let Some(map) = self.map else { return owner.block.addr.abs_diff(address) < NEAR };
        let (low, high) = if owner.block.addr <= address {
            (block_end(&owner.block).saturating_sub(1).min(address), address)
        } else {
            (address, owner.block.addr)
        };
        // Accessible memory in between that is not the block's own mapping.
        let block_map = map.at(owner.block.addr).map(|mapping| mapping.start);
        let between = map.mappings.iter().filter(|m| m.start <= high && m.end > low);
        let other = |m: &Mapping| {
            Some(m.start) != block_map && (m.access.read || m.access.write || m.access.execute)
        };
        !between.clone().any(other) && high - low < FAR
    }

    fn mappings(&self) -> Vec<NearMapping> {
        let (Some(map), Some(address)) = (self.map, self.address) else { return Vec::new() };
        let after = map.mappings.partition_point(|mapping| mapping.end <= address);
        let holds = |mapping: &Mapping| (mapping.start..mapping.end).contains(&address);
        let shown = match map.mappings.get(after) {
            Some(mapping) if holds(mapping) => after..after + 1,
            _ => after.saturating_sub(1)..(after + 1).min(map.mappings.len()),
        };
        map.mappings[shown]
            .iter()
            .map(|mapping| {
                let a = mapping.access;
                let flag = |is, letter| if is { letter } else { '-' };
                NearMapping {
                    start: mapping.start,
                    end: mapping.end,
                    access: [
                        flag(a.read, 'r'),
                        flag(a.write, 'w'),
                        flag(a.execute, 'x'),
                        if a.shared { 's' } else { 'p' },
                    ]
                    .iter()
                    .collect(),
                    name: names::text(&mapping.name),
                    holds: holds(mapping),
                }
            })
            .collect()
    }

    /// The frames of the crashing thread, innermost first.
    fn backtrace(&self) -> BacktraceId {
        self.stack.map_or(BacktraceId::NONE, |stack| stack.backtrace)
    }
}

/// A block is not called near from further away, where the address space is not known.
const NEAR: u64 = 1 << 20;
/// And nowhere from further away.
const FAR: u64 = 1 << 32;

/// `16 bytes into freed block #41 (64 bytes)`.
fn describe(owner: &Owner, address: u64) -> String {
    let block = &owner.block;
    let state = if owner.ended.is_some() { "freed " } else { "" };
    let offset = address - block.addr;
    let place = match offset {
        0 => "start of".to_owned(),
        offset if offset < block.size => format!("{} into", bytes(offset)),
        offset if offset == block.size => "right behind".to_owned(),
        offset => format!("{} past the end of", bytes(offset - block.size)),
    };
    format!("{place} {state}{} ({})", block_name(owner), bytes(block.size))
}

/// `block #41`.
fn block_name(owner: &Owner) -> String {
    if owner.inherited {
        "block (inherited)".to_owned()
    } else {
        format!("block #{}", owner.block.id.0)
    }
}

/// `1 byte`, `16 bytes`, `25,165,824 bytes`.
fn bytes(count: u64) -> String {
    let mut digits = count.to_string();
    let length = digits.len();
    for at in (1..length).rev().filter(|at| (length - at) % 3 == 0) {
        digits.insert(at, ',');
    }
    format!("{digits} byte{}", if count == 1 { "" } else { "s" })
}
