//! Walks the stack of a thread that stands still, from outside.
//!
//! By the unwind tables of the loaded images with all registers (`gimli` reads them), through the frames of signal
//! handlers; where code has no tables by the chain of frame pointers, marked. The stack is hostile: the walk
//! has a bound, follows only addresses of code, and says when it had to stop before the outermost frame.

use super::image::{Bytes, Image};
use super::memory::{Memory, ProcessMemory};
use gimli::{
    CfaRule, EhFrame, Encoding, EvaluationResult, Format, Location, Register, RegisterRule,
    UnwindContext, UnwindExpression, Value, X86_64,
};
use heaptape_tape::{FrameQuality, Mapping, Registers};

/// Deepest backtrace; what lies further out is cut off, and marked.
pub(crate) const MAX_FRAMES: usize = 1024;
/// Most steps of one DWARF expression.
const MOST_OPERATIONS: u32 = 1000;

/// An address of code on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The return address. Of the innermost frame, and of one that a signal interrupted: one more than the address
    /// of the instruction, so that the byte before is part of it.
    pub(crate) address: u64,
    pub(crate) quality: FrameQuality,
}

/// The loaded images of a process, opened when a walk first meets them.
pub(crate) struct Images<'a> {
    maps: &'a [Mapping],
    known: Vec<Image>,
    context: Box<UnwindContext<usize>>,
}

/// Registers of a frame, by DWARF's numbers; what is not known any more is `None`.
#[derive(Clone)]
struct State {
    registers: [Option<u64>; 17],
    /// Whether the program counter is the address of an instruction, and not a return address.
    exact: bool,
}

impl State {
    fn ip(&self) -> Option<u64> {
        self.registers[Registers::RIP]
    }

    fn get(&self, register: Register) -> Option<u64> {
        *self.registers.get(usize::from(register.0))?
    }
}

/// What comes after a frame. Made once a frame and moved on at once.
#[allow(clippy::large_enum_variant)]
enum Step {
    Caller(State, FrameQuality),
    /// There is none: it is the outermost.
    Outermost,
    /// It cannot be found.
    Lost,
}

impl Step {
    /// To a caller that was found without unwind tables.
    fn probably(caller: Option<State>) -> Step {
        caller.map_or(Step::Lost, |caller| Step::Caller(caller, FrameQuality::FramePointer))
    }
}

impl<'a> Images<'a> {
    /// No image is opened yet.
    pub(crate) fn new(maps: &'a [Mapping]) -> Images<'a> {
        Images { maps, known: Vec::new(), context: Box::new(UnwindContext::new()) }
    }

    /// The address space that they lie in.
    pub(crate) fn maps(&self) -> &'a [Mapping] {
        self.maps
    }

    /// The image that holds an address.
    pub(crate) fn at(&mut self, memory: &mut ProcessMemory, addr: u64) -> Option<&Image> {
        let found = match self.known.iter().position(|image| image.range.contains(&addr)) {
            Some(found) => found,
            None => {
                self.known.push(Image::at(memory, self.maps, addr)?);
                self.known.len() - 1
            }
        };
        Some(&self.known[found])
    }

    /// Whether code may be executed there.
    fn is_code(&self, addr: u64) -> bool {
        let after = self.maps.partition_point(|mapping| mapping.start <= addr);
        self.maps[..after].last().is_some_and(|m| addr < m.end && m.access.execute)
    }

    /// The backtrace of a thread with these registers, innermost frame first; at least that one.
    pub(crate) fn walk(&mut self, memory: &mut ProcessMemory, registers: &Registers) -> Vec<Frame> {
        let values = std::array::from_fn(|at| Some(registers.0[at]));
        let mut state = State { registers: values, exact: true };
        let mut quality = FrameQuality::Exact;
        let mut frames: Vec<Frame> = Vec::new();
        while let Some(ip) = state.ip() {
            let address = if state.exact { ip.wrapping_add(1) } else { ip };
            frames.push(Frame { address, quality });
            let is_first = frames.len() == 1;
            match self.step(memory, &state, is_first) {
                Step::Caller(caller, how) if frames.len() < MAX_FRAMES => {
                    (state, quality) = (caller, how);
                }
                Step::Outermost => return frames,
                Step::Caller(..) | Step::Lost => break,
            }
        }
        if let Some(last) = frames.last_mut() {
            last.quality = FrameQuality::Truncated;
        }
        frames
    }

    /// The registers, as far as they can be known, of the innermost frame in none of the images that `is_inside` tells;
    /// `None` where the walk does not come to one.
    pub(crate) fn outside_of(
        &mut self,
        memory: &mut ProcessMemory,
        registers: &Registers,
        is_inside: &dyn Fn(&Image) -> bool,
    ) -> Option<[Option<u64>; 17]> {
        let mut state =
            State { registers: std::array::from_fn(|at| Some(registers.0[at])), exact: true };
        for depth in 0..MAX_FRAMES {
            let ip = state.ip()?;
            let lookup = if state.exact { ip } else { ip.checked_sub(1)? };
            if !self.at(memory, lookup).is_some_and(is_inside) {
                return (depth > 0).then_some(state.registers);
            }
            match self.step(memory, &state, depth == 0) {
                Step::Caller(caller, FrameQuality::Exact) => state = caller,
                Step::Caller(..) | Step::Outermost | Step::Lost => return None,
            }
        }
        None
    }

    fn step(&mut self, memory: &mut ProcessMemory, state: &State, is_first: bool) -> Step {
        let Some(ip) = state.ip() else { return Step::Lost };
        if is_first && !self.is_code(ip) {
            // A call to where no code is has pushed its return address and nothing else has happened.
            return Step::probably(self.returned_to(memory, state));
        }
        match self.by_tables(memory, state, ip) {
            Some(Step::Caller(caller, quality)) if self.is_possible(state, &caller) => {
                Step::Caller(caller, quality)
            }
            Some(Step::Outermost) => Step::Outermost,
            Some(_) => Step::Lost,
            None => Step::probably(self.by_frame_pointer(memory, state)),
        }
    }

    /// A caller is code, and further out on the same stack; only a signal may have come from another stack.
    fn is_possible(&self, state: &State, caller: &State) -> bool {
        let (here, there) = (state.registers[Registers::RSP], caller.registers[Registers::RSP]);
        let outward = here < there && there.is_some();
        caller
            .ip()
            .is_some_and(|ip| self.is_code(if caller.exact { ip } else { ip.wrapping_sub(1) }))
            && (outward || caller.exact)
    }

    /// By the unwind tables; `None` where there are none.
    fn by_tables(&mut self, memory: &mut ProcessMemory, state: &State, ip: u64) -> Option<Step> {
        let lookup = if state.exact { ip } else { ip.checked_sub(1)? };
        self.at(memory, lookup)?;
        let image = self.known.iter().find(|image| image.range.contains(&lookup))?;
        let context = &mut self.context;
        image.with_description(lookup, |frames, bases, description| {
            let row = description.unwind_info_for_address(frames, bases, context, lookup).ok()?;
            let mut rules = Rules { frames, memory, state };
            let signal = description.is_signal_trampoline();
            Some(rules.apply(row, description.cie().encoding(), signal).unwrap_or(Step::Lost))
        })
    }

    /// The caller whose return address lies on top of the stack.
    fn returned_to(&self, memory: &mut ProcessMemory, state: &State) -> Option<State> {
        let sp = state.registers[Registers::RSP]?;
        let ip = memory.word(sp)?;
        let mut caller = State { exact: false, ..state.clone() };
        caller.registers[Registers::RIP] = Some(ip);
        caller.registers[Registers::RSP] = Some(sp.checked_add(8)?);
        self.is_code(ip.wrapping_sub(1)).then_some(caller)
    }

    /// The caller by the frame pointer, which points to the caller's own and the return address.
    fn by_frame_pointer(&self, memory: &mut ProcessMemory, state: &State) -> Option<State> {
        let (fp, sp) = (state.registers[Registers::RBP]?, state.registers[Registers::RSP]?);
        if fp < sp || !fp.is_multiple_of(8) {
            return None;
        }
        let (outer, ip) = (memory.word(fp)?, memory.word(fp.checked_add(8)?)?);
        let mut registers = [None; 17];
        registers[Registers::RBP] = Some(outer);
        registers[Registers::RIP] = Some(ip);
        registers[Registers::RSP] = Some(fp.checked_add(16)?);
        self.is_code(ip.wrapping_sub(1)).then_some(State { registers, exact: false })
    }
}

/// The rules of one row, applied to the registers of a frame.
struct Rules<'a, 'b> {
    frames: &'a EhFrame<Bytes<'b>>,
    memory: &'a mut ProcessMemory,
    state: &'a State,
}

impl Rules<'_, '_> {
    fn apply(
        &mut self,
        row: &gimli::UnwindTableRow<usize>,
        encoding: Encoding,
        signal: bool,
    ) -> Option<Step> {
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.state.get(*register)?.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(expression) => self.evaluate(*expression, encoding, None)?,
        };
        let mut registers = [None; 17];
        for (number, value) in registers.iter_mut().enumerate() {
            let register = Register(number as u16);
            *value = match row.register(register) {
                None if register == X86_64::RSP => Some(cfa),
                None | Some(RegisterRule::SameValue) => self.state.get(register),
                Some(RegisterRule::Undefined) if register == X86_64::RA => {
                    return Some(Step::Outermost);
                }
                Some(rule) => self.recover(rule, cfa, encoding),
            };
        }
        if registers[Registers::RIP] == Some(0) {
            return Some(Step::Outermost);
        }
        Some(Step::Caller(State { registers, exact: signal }, FrameQuality::Exact))
    }

    fn recover(&mut self, rule: RegisterRule<usize>, cfa: u64, encoding: Encoding) -> Option<u64> {
        match rule {
            RegisterRule::Offset(offset) => self.memory.word(cfa.wrapping_add_signed(offset)),
            RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add_signed(offset)),
            RegisterRule::Register(other) => self.state.get(other),
            RegisterRule::Expression(expression) => {
                let at = self.evaluate(expression, encoding, Some(cfa))?;
                self.memory.word(at)
            }
            RegisterRule::ValExpression(expression) => {
                self.evaluate(expression, encoding, Some(cfa))
            }
            RegisterRule::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a DWARF expression, which may ask for memory and registers.
    fn evaluate(
        &mut self,
        expression: UnwindExpression<usize>,
        encoding: Encoding,
        initial: Option<u64>,
    ) -> Option<u64> {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf64, ..encoding };
        let mut evaluation = expression.get(self.frames).ok()?.evaluation(encoding);
        evaluation.set_max_iterations(MOST_OPERATIONS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let mut bytes = [0; 8];
                    let wanted = bytes.get_mut(..usize::from(size))?;
                    self.memory.read(address, wanted).then_some(())?;
                    let value = Value::Generic(u64::from_le_bytes(bytes));
                    evaluation.resume_with_memory(value).ok()?
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = Value::Generic(self.state.get(register)?);
                    evaluation.resume_with_register(value).ok()?
                }
                EvaluationResult::RequiresRelocatedAddress(address) => {
                    evaluation.resume_with_relocated_address(address).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.as_result() {
            [piece] => match piece.location {
                Location::Address { address } => Some(address),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;
    use crate::sys::stop::Stopper;
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    /// A shell that has come so far as to write something: at the loader's very first instruction there is no
    /// caller, and that is known.
    fn sleeper() -> Child {
        let command = ["-c", "echo; sleep 30 >/dev/null & wait"];
        let shell = Command::new("sh").args(command).stdout(Stdio::piped()).spawn();
        let mut shell = shell.expect("sh is everywhere");
        let mut said = [0];
        let mut output = shell.stdout.take().expect("it is piped");
        output.read_exact(&mut said).expect("it says something");
        shell
    }

    /// A thread that waits in the kernel: from the system call in libc to the program's first instruction.
    #[test]
    fn a_waiting_program_is_walked_to_its_beginning() {
        let mut child = Command::new("sleep").arg("30").spawn().expect("sleep is everywhere");
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut stopper = Stopper::default();
        let stopped = stopper.stop(child.id()).expect("we are its parent");
        let maps = maps::of(child.id()).expect("it is ours");
        let registers = super::super::registers_of(&stopped[0].registers);
        let mut memory = ProcessMemory::of(child.id());
        let frames = Images::new(&maps).walk(&mut memory, &registers);
        drop(stopped);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(frames.len() > 3, "{frames:x?}");
        assert!(frames.iter().all(|f| f.quality == FrameQuality::Exact), "{frames:x?}");
    }

    /// Whatever the registers are, the walk ends, and says that it is lost.
    #[test]
    fn senseless_registers_end_the_walk() {
        let mut child = sleeper();
        let mut stopper = Stopper::default();
        let stopped = stopper.stop(child.id()).expect("we are its parent");
        let maps = maps::of(child.id()).expect("it is ours");
        let good = super::super::registers_of(&stopped[0].registers);
        let mut memory = ProcessMemory::of(child.id());
        let mut images = Images::new(&maps);
        for value in [0, 1, 7, good.sp(), good.ip(), u64::MAX, 1 << 63, 0xdead_beef] {
            for place in 0..17 {
                let mut registers = good;
                registers.0[place] = value;
                let frames = images.walk(&mut memory, &registers);
                assert!(!frames.is_empty() && frames.len() <= MAX_FRAMES);
            }
            let lost = images.walk(&mut memory, &Registers([value; Registers::COUNT]));
            // Where the thread is, there may be code that says that it has no caller, as clone's does.
            let is_sense = value == good.ip() || value == good.sp();
            let end = lost.last().map(|frame| frame.quality);
            assert!(is_sense || end == Some(FrameQuality::Truncated), "{value:#x}: {end:?}");
        }
        drop(stopped);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
}
