//! What a crash means: one verdict, how sure it is, and why.
//!
//! Each kind of fault has its own test, tried from the most telling to the least; the first that says something
//! wins. `certain` is what follows from what was recorded, `likely` what hardly anything else explains,
//! `possible` a guess that says what it rests on.

use super::instruction::{self, Instruction};
use super::owners::Owner;
use super::{Evidence, Relation, block_name, bytes, describe};
use super::{abort, guarded};
use crate::extents::block_end;
use crate::names;
use heaptape_tape::{Access, Crash, Mapping};
use rustc_hash::FxHashMap;
use serde::Serialize;

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It follows from what was recorded.
    Certain,
    /// Hardly anything else explains it.
    Likely,
    /// A guess.
    Possible,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A block was used after it was freed.
    UseAfterFree,
    /// Beyond the end of a block.
    Overflow,
    /// Before the start of a block.
    Underflow,
    /// Inside a live block, which does not allow this.
    LiveBlock,
    /// A null pointer, or a small offset from one.
    Null,
    /// An address that the processor does not take for one.
    NonCanonical,
    /// An operand that is not at a multiple of its length.
    Misaligned,
    /// An instruction that only the kernel may execute.
    Privileged,
    /// The stack is used up.
    StackOverflow,
    /// A jump to where no code is.
    Execute,
    /// A write to memory that may only be read.
    ReadOnly,
    /// Memory that is mapped so that nobody may access it.
    NoAccess,
    /// Memory of a module that has been unloaded.
    UnloadedModule,
    /// Memory that has been unmapped.
    Unmapped,
    /// A mapped file that ends before the address.
    FileTruncated,
    /// An address where nothing is.
    Wild,
    /// A division by zero, or a quotient that does not fit.
    Division,
    /// Another arithmetic error.
    Arithmetic,
    /// Bytes that are no instruction.
    IllegalInstruction,
    /// The program ended itself by an instruction made for that.
    Trap,
    /// A system call that a sandbox forbids.
    ForbiddenCall,
    /// The program, or its libc, called `abort`.
    Abort,
    /// The signal was sent.
    Sent,
    /// None of these.
    Unknown,
}

/// What a crash means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What went wrong.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Confidence,
    /// The same as a few words.
    pub what: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// A verdict and the blocks that it is about, the likeliest first.
pub(super) struct Drawn {
    pub(super) verdict: Verdict,
    pub(super) about: Vec<(Owner, Relation)>,
    /// The address that it is about, where the crash has none.
    pub(super) address: Option<u64>,
}

impl Drawn {
    pub(super) fn new(
        kind: Kind,
        confidence: Confidence,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) -> Drawn {
        let verdict = Verdict { kind, confidence, what: what.into(), reason: reason.into() };
        Drawn { verdict, about: Vec::new(), address: None }
    }

    pub(super) fn about(mut self, owner: &Owner, relation: Relation) -> Drawn {
        self.about.push((*owner, relation));
        self
    }

    pub(super) fn at(mut self, address: u64) -> Drawn {
        self.address = Some(address);
        self
    }
}

const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;
const SIGSYS: i32 = 31;
/// `si_code` of the kernel when it has nothing more to say.
const SI_KERNEL: i32 = 128;
/// Numbers of traps.
const GENERAL_PROTECTION: u64 = 13;

/// Below this no program can map anything; offsets from a null pointer that are larger are told apart by the
/// instruction.
const NULL_PAGE: u64 = 1 << 16;

/// The address concerned: what the kernel says, or the instruction's operand where it says nothing.
pub(super) fn address(crash: &Crash, instruction: Option<&Instruction>) -> Option<u64> {
    let has_address = matches!(crash.signal, SIGSEGV | SIGBUS) && crash.code > 0;
    let operand = || Some(instruction?.operand?.address);
    match has_address {
        false => None,
        true if crash.code == SI_KERNEL && crash.fault_addr == 0 => operand(),
        true => Some(crash.fault_addr),
    }
}

/// Draws the verdict.
pub(super) fn draw(evidence: &Evidence<'_>) -> Drawn {
    let crash = evidence.crash;
    if crash.signal == SIGABRT {
        return abort::draw(evidence);
    }
    if crash.code <= 0 {
        return sent(crash);
    }
    match crash.signal {
        SIGFPE => arithmetic(evidence),
        SIGILL | SIGTRAP => illegal(evidence),
        SIGSEGV | SIGBUS => access(evidence),
        SIGSYS => forbidden(crash),
        _ => unknown(),
    }
}

fn unknown() -> Drawn {
    Drawn::new(
        Kind::Unknown,
        Confidence::Possible,
        "not known",
        "Nothing that was recorded explains it.",
    )
}

pub(super) fn sent(crash: &Crash) -> Drawn {
    let (what, reason) = match crash.sender {
        Some(pid) => (format!("sent by process {pid}"), format!("Process {pid} sent the signal.")),
        None => {
            let reason =
                "It is not the fault of an instruction: a process, or this one, sent the signal.";
            ("the signal was sent".to_owned(), reason.to_owned())
        }
    };
    Drawn::new(Kind::Sent, Confidence::Certain, what, reason)
}

fn arithmetic(evidence: &Evidence<'_>) -> Drawn {
    /// `si_code`s of SIGFPE.
    const FPE_INTDIV: i32 = 1;
    let crash = evidence.crash;
    if crash.code != FPE_INTDIV {
        let reason = "A floating-point exception that the program has unmasked.";
        return Drawn::new(Kind::Arithmetic, Confidence::Likely, "arithmetic error", reason);
    }
    let instruction = evidence.instruction.as_ref();
    let by_zero = instruction.and_then(|i| i.divides_by_zero(crash.registers.as_ref()?));
    let (confidence, what, reason) = match by_zero {
        Some(true) => (Confidence::Certain, "division by zero", "The divisor is 0."),
        Some(false) => (
            Confidence::Certain,
            "overflow of a division",
            "The divisor is not 0: the quotient does not fit, as that of the smallest integer and -1.",
        ),
        None => (
            Confidence::Possible,
            "division by zero, or its overflow",
            "The divisor is 0, or the quotient does not fit, as that of the smallest integer and -1.",
        ),
    };
    Drawn::new(Kind::Division, confidence, what, reason)
}

fn forbidden(crash: &Crash) -> Drawn {
    let number = crash.registers.map_or_else(String::new, |r| format!(" ({})", r.0[0]));
    let reason = format!("A filter of system calls (seccomp) does not allow this one{number}.");
    Drawn::new(Kind::ForbiddenCall, Confidence::Certain, "forbidden system call", reason)
}

fn illegal(evidence: &Evidence<'_>) -> Drawn {
    let crash = evidence.crash;
    // After int3 the program counter is behind it.
    let is_trap =
        crash.signal == SIGTRAP || evidence.instruction.as_ref().is_some_and(Instruction::is_trap);
    if is_trap {
        let reason = "The compiler or the program put this instruction where it must never come (an unreachable \
                      place, a failed check).";
        return Drawn::new(Kind::Trap, Confidence::Certain, "deliberate trap", reason);
    }
    if let Some(owner) = evidence.owners.of(evidence.crash.ip) {
        let place = describe(owner, evidence.crash.ip);
        let reason = format!("The program executes bytes of a block: {place}.");
        let drawn = Drawn::new(Kind::Execute, Confidence::Certain, "executes a block", reason);
        return drawn.about(owner, Relation::PointedTo);
    }
    let reason =
        "The processor does not know the instruction: made for another processor, or not code.";
    Drawn::new(Kind::IllegalInstruction, Confidence::Likely, "illegal instruction", reason)
}

/// A memory access that failed.
fn access(evidence: &Evidence<'_>) -> Drawn {
    let tests = [
        execute,
        protection,
        null,
        by_live_base,
        use_after_free,
        guarded::use_after_free,
        stack_overflow,
        bus,
        inside,
        beyond,
        by_freed_base,
        permissions,
        unloaded,
        near_null,
        through_freed,
    ];
    let drawn = tests.iter().find_map(|test| test(evidence)).unwrap_or_else(|| wild(evidence));
    let is_bad_pointer = matches!(drawn.verdict.kind, Kind::NonCanonical | Kind::Null | Kind::Wild);
    if is_bad_pointer && abort::is_in_allocator(evidence) {
        abort::of_allocator(drawn)
    } else {
        drawn
    }
}

/// The program counter is the address: a jump or a call to it.
fn execute(evidence: &Evidence<'_>) -> Option<Drawn> {
    let crash = evidence.crash;
    let jumped = crash.ip == crash.fault_addr && crash.code != SI_KERNEL;
    if !jumped && crash.access() != Access::Execute {
        return None;
    }
    let (kind, sure) = (Kind::Execute, Confidence::Certain);
    let target = crash.ip;
    if target < NULL_PAGE {
        let what = match target {
            0 => "call through a null pointer".to_owned(),
            offset => format!("call through a null pointer + {offset:#x}"),
        };
        let reason =
            "The program calls a function, and its address is in the first page or near it.";
        return Some(Drawn::new(Kind::Null, sure, what, reason));
    }
    if let Some(owner) = evidence.owners.of(target) {
        let reason = format!("The program jumps to data: {}.", describe(owner, target));
        let drawn = Drawn::new(kind, sure, "jump into a block", reason);
        let relation = if owner.ended.is_some() { Relation::Held } else { Relation::Holds };
        return Some(drawn.about(owner, relation));
    }
    if let Some(module) = gone_module(evidence, target) {
        let reason = format!("The code was in {module}, which has been unloaded.");
        return Some(Drawn::new(
            Kind::UnloadedModule,
            sure,
            "jump into an unloaded module",
            reason,
        ));
    }
    Some(match evidence.place(target) {
        Some(place) => {
            let reason = format!("The program jumps to memory that may not be executed: {place}.");
            Drawn::new(kind, sure, "jump to what is no code", reason)
        }
        None => {
            let reason = format!(
                "The program jumps to an address where nothing is{}: a bad function pointer, or an overwritten \
                 return address.",
                looks_like(target)
            );
            Drawn::new(kind, sure, "jump to nowhere", reason)
        }
    })
}

/// A general protection fault: the processor tells no address.
fn protection(evidence: &Evidence<'_>) -> Option<Drawn> {
    let crash = evidence.crash;
    let told = crash.trap == GENERAL_PROTECTION || crash.registers.is_none();
    if crash.code != SI_KERNEL || crash.fault_addr != 0 || !told {
        return None;
    }
    let Some(instruction) = &evidence.instruction else {
        let reason = "The processor tells no address: one that cannot be one was used, or an operand is misaligned.";
        return Some(Drawn::new(
            Kind::NonCanonical,
            Confidence::Possible,
            "non-canonical address",
            reason,
        ));
    };
    if instruction.is_privileged() {
        let reason = format!("Only the kernel may execute this instruction: {}.", instruction.text);
        return Some(Drawn::new(
            Kind::Privileged,
            Confidence::Certain,
            "privileged instruction",
            reason,
        ));
    }
    if instruction.is_return() {
        let reason = "It returns to an address that cannot be one: the return address on the stack was overwritten.";
        return Some(Drawn::new(
            Kind::NonCanonical,
            Confidence::Likely,
            "overwritten return address",
            reason,
        ));
    }
    let operand = instruction.operand?;
    if instruction::is_canonical(operand.address) {
        let length = operand.length.max(1);
        if instruction.wants_alignment() && !operand.address.is_multiple_of(length) {
            let reason = format!(
                "{} wants its operand at a multiple of {}, and {:#x} is none.",
                instruction.text,
                bytes(length),
                operand.address
            );
            return Some(Drawn::new(
                Kind::Misaligned,
                Confidence::Certain,
                "misaligned operand",
                reason,
            ));
        }
        return None;
    }
    let from = operand.base.map_or_else(String::new, |base| {
        format!(", from {base} = {:#x}{}", operand.base_value, looks_like(operand.base_value))
    });
    let mut reason = format!("{:#x} cannot be an address{from}", operand.address);
    let pointed = freed_by_register(evidence);
    if let Some((register, owner, value)) = &pointed {
        reason.push_str(&format!("; {register} points {}", to(&describe(owner, *value))));
    }
    reason.push('.');
    let mut drawn =
        Drawn::new(Kind::NonCanonical, Confidence::Certain, "non-canonical address", reason);
    if let Some((_, owner, value)) = pointed {
        drawn = drawn.about(owner, Relation::PointedTo);
        drawn.address = Some(value);
    }
    Some(drawn)
}

/// `to the start of …`, `16 bytes into …`.
fn to(place: &str) -> String {
    if place.starts_with("start") { format!("to the {place}") } else { place.to_owned() }
}

/// The first register that points into a freed block.
fn freed_by_register<'a>(evidence: &'a Evidence<'_>) -> Option<(&'static str, &'a Owner, u64)> {
    let registers = evidence.crash.registers.as_ref()?;
    registers.iter().filter(|(name, _)| *name != "rflags").find_map(|(name, value)| {
        let owner = evidence.owners.of(value).filter(|owner| owner.ended.is_some())?;
        Some((name, owner, value))
    })
}

/// Near address 0, from either side.
fn null(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let what = match address as i64 {
        0 => "null pointer".to_owned(),
        offset @ 1.. if (offset as u64) < NULL_PAGE => format!("null pointer + {offset:#x}"),
        offset if offset < 0 && offset.unsigned_abs() <= 4096 => {
            format!("null pointer - {:#x}", offset.unsigned_abs())
        }
        _ => return None,
    };
    let operand = evidence.instruction.as_ref().and_then(|instruction| instruction.operand);
    let base = operand.filter(|operand| operand.base_value < NULL_PAGE).and_then(|o| o.base);
    let mut reason = match (base, address) {
        (Some(base), _) => format!("{base} is the null pointer"),
        (None, _) => "The address lies in the first page, which is never mapped".to_owned(),
    };
    if address > 0 && base.is_none_or(|_| operand.is_some_and(|o| o.base_value == 0)) {
        reason.push_str(&format!(", and {} from it a field or an element", offset_words(address)));
    }
    let pointed = freed_by_register(evidence);
    if let Some((register, owner, value)) = &pointed {
        reason.push_str(&format!("; {register} points {}", to(&describe(owner, *value))));
    }
    reason.push('.');
    let mut drawn = Drawn::new(Kind::Null, Confidence::Certain, what, reason);
    if let Some((_, owner, value)) = pointed {
        drawn = drawn.about(owner, Relation::PointedTo);
        drawn.address = Some(value);
    }
    Some(drawn)
}

fn offset_words(address: u64) -> String {
    let offset = address as i64;
    if offset < 0 { format!("{} before", bytes(offset.unsigned_abs())) } else { bytes(address) }
}

/// The address is far from 0, but the instruction adds it to a null pointer.
fn near_null(evidence: &Evidence<'_>) -> Option<Drawn> {
    let (address, operand) = (evidence.address?, evidence.instruction.as_ref()?.operand?);
    let base = operand.base.filter(|_| operand.base_value == 0 && operand.index.is_some())?;
    let what = format!("null pointer + {address:#x}");
    let reason = format!("{base} is 0, and an index is added to it.");
    Some(Drawn::new(Kind::Null, Confidence::Likely, what, reason))
}

/// The last block that held the address is freed.
fn use_after_free(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let owner = evidence.owners.of(address).filter(|owner| owner.ended.is_some())?;
    let what = format!("use after free, {}", describe(owner, address));
    let reason = format!(
        "{} was the last to hold the address, and it had been freed{}.",
        block_name(owner),
        by_other_thread(evidence, owner)
    );
    let drawn = Drawn::new(Kind::UseAfterFree, Confidence::Certain, what, reason);
    Some(drawn.about(owner, Relation::Held))
}

/// Who freed a block, where that is not the thread that crashed: ` by another thread (4711, worker)`.
fn by_other_thread(evidence: &Evidence<'_>, owner: &Owner) -> String {
    let Some(end) = owner.ended.filter(|end| Some(end.thread) != evidence.crash.thread) else {
        return String::new();
    };
    match evidence.recording.threads().get(end.thread.0 as usize) {
        Some(thread) => {
            format!(" by another thread ({}, {})", thread.tid, names::text(&thread.name))
        }
        None => String::new(),
    }
}

/// The stack pointer has left the stack, or is about to.
fn stack_overflow(evidence: &Evidence<'_>) -> Option<Drawn> {
    /// A frame is entered by a step of at most so much below the stack pointer, where it is probed.
    const STEP: u64 = 64 << 10;
    /// And by a larger one where frames are not probed.
    const LARGEST_FRAME: u64 = 1 << 30;
    let (address, map, sp) = (evidence.address?, evidence.map?, evidence.crash.sp);
    let place = map.mappings.partition_point(|mapping| mapping.end <= address);
    let holds = |mapping: &&Mapping| mapping.start <= address;
    let guard = map.mappings.get(place).filter(holds);
    let stack = match guard {
        Some(guard) if guard.access.read || guard.access.write => return None,
        Some(guard) => map.mappings.get(place + 1).filter(|stack| stack.start == guard.end),
        None => map.mappings.get(place),
    }
    .filter(|mapping| mapping.access.read && mapping.access.write)?;
    let is_main = *stack.name == *b"[stack]";
    // The stack pointer is still in the stack, or has gone where the address is: into the guard or the gap before it.
    let is_inside = (stack.start..stack.end).contains(&sp);
    let is_beside = map.mappings.partition_point(|mapping| mapping.end <= sp) == place
        && stack.start.saturating_sub(sp) <= LARGEST_FRAME;
    let used_up = (is_inside || is_beside) && sp.saturating_sub(address) <= STEP;
    if !used_up || !(is_main || guard.is_some()) {
        return None;
    }
    let whose = if is_main { "the main thread" } else { "the thread" };
    let recursion = recursion(evidence);
    let size = stack.end - stack.start;
    let mut reason = format!(
        "The stack of {whose}, {size} bytes up to {:#x}, is used up: the stack pointer is {}",
        stack.end,
        match sp.checked_sub(stack.start) {
            None => format!("{} below it", bytes(stack.start - sp)),
            Some(left) => format!("{} above its end", bytes(left)),
        }
    );
    if let Some((name, count)) = &recursion {
        reason.push_str(&format!("; {name} is {count} times in the backtrace"));
    }
    reason.push('.');
    let confidence =
        if is_main || recursion.is_some() { Confidence::Certain } else { Confidence::Likely };
    Some(Drawn::new(Kind::StackOverflow, confidence, "stack overflow", reason))
}

/// The function that is most often in the backtrace, where that is often.
fn recursion(evidence: &Evidence<'_>) -> Option<(String, usize)> {
    const OFTEN: usize = 10;
    let frames = names::backtrace(evidence.recording, evidence.names, evidence.backtrace());
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    frames.iter().for_each(|frame| *counts.entry(&frame.short).or_default() += 1);
    let (name, count) = counts.into_iter().max_by_key(|&(name, count)| (count, name))?;
    (count >= OFTEN).then(|| (name.to_owned(), count))
}

/// SIGBUS: a mapped file that has become shorter, or an operand that may not lie there.
fn bus(evidence: &Evidence<'_>) -> Option<Drawn> {
    const BUS_ADRALN: i32 = 1;
    const BUS_ADRERR: i32 = 2;
    let crash = evidence.crash;
    if crash.signal != SIGBUS {
        return None;
    }
    let address = evidence.address?;
    match crash.code {
        BUS_ADRALN => {
            let reason = format!("{address:#x} is not a multiple of what the operand wants.");
            Some(Drawn::new(Kind::Misaligned, Confidence::Certain, "misaligned operand", reason))
        }
        BUS_ADRERR => {
            let mapping = evidence.mapping(address).filter(|m| m.name.starts_with(b"/"))?;
            let reason = format!(
                "The address is mapped to {}, from {:#x} in the file on, and the file ends before it (it was cut, or \
                 cannot be read).",
                names::text(&mapping.name),
                mapping.offset + (address - mapping.start),
            );
            Some(Drawn::new(
                Kind::FileTruncated,
                Confidence::Likely,
                "mapped file too short",
                reason,
            ))
        }
        _ => None,
    }
}

/// A live block holds the address.
fn inside(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let owner = evidence.owners.of(address).filter(|owner| owner.ended.is_none())?;
    let block = &owner.block;
    let past = address.checked_sub(block.addr.saturating_add(block.size));
    if let Some(past) = past {
        return Some(overflow(
            owner,
            past,
            Confidence::Certain,
            Relation::Holds,
            "so much was asked for",
        ));
    }
    let access = evidence.mapping(address).map(|mapping| mapping.access);
    let why = match access {
        Some(access) if !access.read && !access.write => "its pages may not be accessed",
        Some(access) if !access.write => "its pages may only be read",
        Some(_) => "its pages are there",
        None => "its pages are not mapped any more",
    };
    let reason = format!("The address is {}: {why}.", describe(owner, address));
    let drawn = Drawn::new(Kind::LiveBlock, Confidence::Certain, "inside a live block", reason);
    Some(drawn.about(owner, Relation::Holds))
}

fn overflow(
    owner: &Owner,
    past: u64,
    confidence: Confidence,
    relation: Relation,
    why: &str,
) -> Drawn {
    let block = &owner.block;
    let (name, size) = (block_name(owner), bytes(block.size));
    let what = match past {
        0 => format!("overflow, right behind the end of {name} ({size})"),
        past => format!("overflow, {} past the end of {name} ({size})", bytes(past)),
    };
    let reason = format!("{name} ends {} before the address: {why}.", bytes(past));
    Drawn::new(Kind::Overflow, confidence, what, reason).about(owner, relation)
}

fn underflow(owner: &Owner, ahead: u64, confidence: Confidence, why: &str) -> Drawn {
    let (name, size) = (block_name(owner), bytes(owner.block.size));
    let what = format!("underflow, {} before the start of {name} ({size})", bytes(ahead));
    let reason = format!("{name} begins {} after the address: {why}.", bytes(ahead));
    Drawn::new(Kind::Underflow, confidence, what, reason)
}

/// Nothing holds the address; a live block lies next to it.
fn beyond(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let near = |owner: &&Owner| evidence.is_near(owner, address);
    let before = evidence.owners.before.as_ref().filter(near);
    let after = evidence.owners.after.as_ref().filter(near);
    let past = before.map(|owner| address.saturating_sub(block_end(&owner.block)));
    let ahead = after.map(|owner| owner.block.addr - address);
    match (before, after) {
        (Some(owner), _) if past <= ahead.or(Some(u64::MAX)) => {
            let confidence = distance_confidence(evidence, past?);
            let past = address.saturating_sub(owner.block.addr.saturating_add(owner.block.size));
            let why = "no other live block lies between";
            Some(overflow(owner, past, confidence, Relation::Before, why))
        }
        (_, Some(owner)) => {
            let ahead = ahead?;
            let confidence = distance_confidence(evidence, ahead);
            let why = "no other live block lies between";
            Some(underflow(owner, ahead, confidence, why).about(owner, Relation::After))
        }
        _ => None,
    }
}

/// How much a distance between a block and an address tells.
fn distance_confidence(evidence: &Evidence<'_>, distance: u64) -> Confidence {
    const PAGE: u64 = 4096;
    let guarded = evidence
        .recording
        .header()
        .options
        .iter()
        .any(|(name, value)| name == "guard" && !matches!(value.as_str(), "off" | "none" | ""));
    match distance {
        0..PAGE if guarded => Confidence::Certain,
        0..0x1_0000 => Confidence::Likely,
        _ => Confidence::Possible,
    }
}

/// The live block that the instruction's base register points into.
fn base_owner<'a>(evidence: &'a Evidence<'_>) -> Option<&'a Owner> {
    let operand = evidence.instruction.as_ref()?.operand?;
    operand.base?;
    evidence.owners.of(operand.base_value).filter(|owner| owner.ended.is_none())
}

/// The instruction computes the address from a live block, and leaves it.
fn by_live_base(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let owner = base_owner(evidence)?;
    let block = &owner.block;
    let end = block.addr.saturating_add(block.size);
    let why = "the instruction's base register points into it";
    if address >= end {
        return Some(overflow(owner, address - end, Confidence::Certain, Relation::PointedTo, why));
    }
    let ahead = block.addr.checked_sub(address).filter(|&ahead| ahead > 0)?;
    let drawn = underflow(owner, ahead, Confidence::Certain, why);
    Some(drawn.about(owner, Relation::PointedTo))
}

/// The instruction computes the address from a freed block.
fn by_freed_base(evidence: &Evidence<'_>) -> Option<Drawn> {
    let operand = evidence.instruction.as_ref()?.operand?;
    let base = operand.base?;
    let owner = evidence.owners.of(operand.base_value).filter(|owner| owner.ended.is_some())?;
    let place = describe(owner, operand.base_value);
    let what = format!("use after free, by {base}: {place}");
    let reason = format!("{base} points {}, and the address is computed from it.", to(&place));
    let drawn = Drawn::new(Kind::UseAfterFree, Confidence::Likely, what, reason);
    Some(drawn.about(owner, Relation::PointedTo))
}

/// The address is mapped, but not for this.
fn permissions(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    let mapping = evidence.mapping(address)?;
    let access = mapping.access;
    let place = evidence.place(address).unwrap_or_default();
    if !access.read && !access.write && !access.execute {
        let reason = format!("The address is mapped so that nobody may access it: {place}.");
        return Some(Drawn::new(
            Kind::NoAccess,
            Confidence::Certain,
            "memory without access",
            reason,
        ));
    }
    let writes = match evidence.crash.access() {
        Access::Write => true,
        Access::Unknown => evidence.instruction.as_ref()?.operand?.writes,
        _ => false,
    };
    if access.write || !writes {
        return None;
    }
    let held = evidence.held_at(address);
    let what = match held.as_ref().map(|held| &*held.section) {
        Some(name) if name.starts_with(".rodata") => {
            "write to a constant (a string literal, a const object)"
        }
        Some(".text") => "write to code",
        _ => "write to read-only memory",
    };
    let mut reason = format!("The memory may only be read: {place}");
    if let Some(held) = held {
        reason.push_str(&format!(", section {}", held.section));
        if let Some(symbol) = held.symbol {
            reason.push_str(&format!(", {symbol} + {:#x}", held.offset));
        }
    }
    reason.push('.');
    Some(Drawn::new(Kind::ReadOnly, Confidence::Certain, what, reason))
}

/// The file name of the module that was at an address and is gone.
fn gone_module(evidence: &Evidence<'_>, address: u64) -> Option<String> {
    let module = evidence.recording.modules().iter().rev().find(|module| {
        module.process == evidence.process.id
            && module.unloaded.is_some_and(|time| time <= evidence.crash.time)
            && (module.start..module.end).contains(&address)
    })?;
    Some(names::file_name(&names::text(&module.path)).to_owned())
}

fn unloaded(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    if evidence.mapping(address).is_some() {
        return None;
    }
    if let Some(module) = gone_module(evidence, address) {
        let reason = format!("The address was in {module}, which has been unloaded.");
        let what = "memory of an unloaded module";
        return Some(Drawn::new(Kind::UnloadedModule, Confidence::Certain, what, reason));
    }
    let was = evidence.owners.unmapped()?;
    let reason = format!("The program unmapped {} at {:#x}, which held it.", bytes(was.1), was.0);
    Some(Drawn::new(Kind::Unmapped, Confidence::Certain, "unmapped memory", reason))
}

/// Nothing explains the address, but something freed is at hand.
fn through_freed(evidence: &Evidence<'_>) -> Option<Drawn> {
    let address = evidence.address?;
    if evidence.mapping(address).is_some() {
        return None;
    }
    let (register, owner, value) = freed_by_register(evidence)?;
    let what = format!("wild address{}, maybe from a freed block", looks_like(address));
    let reason = format!(
        "Nothing is mapped at {address:#x}; {register} points {}, from where it may have been read.",
        to(&describe(owner, value))
    );
    let mut drawn = Drawn::new(Kind::UseAfterFree, Confidence::Possible, what, reason);
    drawn.address = Some(value);
    Some(drawn.about(owner, Relation::PointedTo))
}

fn wild(evidence: &Evidence<'_>) -> Drawn {
    let Some(address) = evidence.address else { return unknown() };
    match evidence.place(address) {
        Some(place) => {
            let reason = format!(
                "The address is mapped now and allows this: {place}. It may have changed since."
            );
            Drawn::new(Kind::Unknown, Confidence::Possible, "not known", reason)
        }
        None => {
            let reason = if evidence.map.is_some() {
                format!(
                    "Nothing is mapped at {address:#x}, no block ever held it, and no live one is near{}.",
                    looks_like(address)
                )
            } else {
                format!(
                    "No block ever held {address:#x}, and no live one is near{}.",
                    looks_like(address)
                )
            };
            Drawn::new(Kind::Wild, Confidence::Likely, "wild address", reason)
        }
    }
}

/// What a value looks like that is no address: text, or a pattern of a debugging allocator.
fn looks_like(value: u64) -> String {
    let raw = value.to_le_bytes();
    let length = 8 - value.leading_zeros() as usize / 8;
    let text = &raw[..length];
    if length >= 4 && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        let text: String = text.iter().map(|&byte| char::from(byte)).collect();
        return format!(" (the text \"{text}\")");
    }
    let known = [0xa5, 0xcd, 0xdd, 0xfd, 0xfe, 0xcc, 0x5a, 0xe5, 0xef];
    if length == 8 && raw[..6].iter().all(|&byte| byte == raw[0]) && known.contains(&raw[0]) {
        return format!(" (filled with {:#04x}, as debugging allocators do)", raw[0]);
    }
    match value {
        0xdead_beef | 0xbad_f00d | 0xdead_c0de | 0xfeed_face => {
            " (a mark that programs use)".to_owned()
        }
        _ => String::new(),
    }
}
