//! One step outward: from the state of a frame to the state of its caller, and which words of memory
//! decided it.
//!
//! A step is a function of the state, the rule and the words it reads. [`words`] names these words after the
//! fact: as long as they hold the same values, the same state and rule lead to the same caller.

use super::rules::{Kind, Rule};
use super::window::Window;

/// Frames of one step of the frame-pointer chain lie at most this far apart, bytes.
const MAX_FRAME_BYTES: usize = 1 << 20;
/// Addresses below are no code.
const LOWEST_CODE: usize = 4096;
/// Where the kernel's `ucontext` holds RBP, RSP and RIP, seen from the stack pointer in a signal frame.
const UCONTEXT_RBP: usize = 120;
const UCONTEXT_RSP: usize = 160;
const UCONTEXT_RIP: usize = 168;

/// Where a walk stands: the state of the frame that will be returned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) ip: usize,
    pub(super) sp: usize,
    pub(super) bp: usize,
}

/// A word of the stack that was read, and what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Word {
    pub(super) address: usize,
    pub(super) value: usize,
}

impl Word {
    /// Whether it still is what it was.
    ///
    /// # Safety
    /// Its address lies in a window ([`Window::spans`]), and all words that the walk read before it are what they
    /// were.
    #[inline(always)]
    pub(super) unsafe fn holds(&self) -> bool {
        // SAFETY: as said; it was read before, so it is aligned.
        unsafe { *(self.address as *const usize) == self.value }
    }
}

/// Most words of one step.
pub(super) const STEP_WORDS: usize = 3;

/// The caller's state; `None` where the walk ends: at the outermost frame ([`Kind::End`]), or because memory
/// it needs cannot be read or makes no sense.
#[inline(always)]
pub(super) fn step(window: &mut Window, rule: Rule, state: State) -> Option<State> {
    match rule.kind() {
        Kind::End => None,
        Kind::Fail => by_frame_pointer(window, state),
        Kind::Signal => out_of_signal(window, state),
        _ => by_rule(window, rule, state),
    }
}

/// Bits 47 and up are the kernel's; bits 62 and 63 of a remembered frame are ours.
#[inline(always)]
fn is_code(ip: usize) -> bool {
    ip >= LOWEST_CODE && ip >> 47 == 0
}

#[inline(always)]
fn by_rule(window: &mut Window, rule: Rule, state: State) -> Option<State> {
    let offset = rule.cfa_offset();
    let cfa = match rule.kind() {
        Kind::Sp => state.sp.wrapping_add_signed(offset),
        Kind::Bp => state.bp.wrapping_add_signed(offset),
        _ => window.read(state.bp.wrapping_add_signed(offset))?,
    };
    if cfa <= state.sp {
        return None;
    }
    let bp = match rule.bp_slot(cfa, state.bp) {
        Some(slot) => window.read(slot)?,
        None => state.bp,
    };
    let ip = window.read(cfa - 8)?;
    is_code(ip).then_some(State { ip, sp: cfa, bp })
}

#[cold]
fn out_of_signal(window: &mut Window, state: State) -> Option<State> {
    let ip = window.read(state.sp.wrapping_add(UCONTEXT_RIP))?;
    let sp = window.read(state.sp.wrapping_add(UCONTEXT_RSP))?;
    let bp = window.read(state.sp.wrapping_add(UCONTEXT_RBP))?;
    // An interrupted instruction, not a return address: one is added so that everybody who looks one
    // before a return address looks at it.
    is_code(ip).then(|| State { ip: ip + 1, sp, bp })
}

/// By the convention that `rbp` points to the caller's `rbp`, with the return address above it.
#[inline(never)]
fn by_frame_pointer(window: &mut Window, state: State) -> Option<State> {
    let distance = state.bp.wrapping_sub(state.sp);
    if state.bp & 7 != 0 || distance > MAX_FRAME_BYTES {
        return None;
    }
    let bp = window.read(state.bp)?;
    let ip = window.read(state.bp + 8)?;
    is_code(ip).then_some(State { ip, sp: state.bp + 16, bp })
}

/// The word with the return address that decided the step to `next` by a plain rule; it was read last. That of the caller's
/// `rbp` is [`Rule::bp_slot`].
#[inline(always)]
pub(super) fn address_word(next: State) -> Word {
    Word { address: next.sp - 8, value: next.ip }
}

/// The words that decided the step from `state` to `next` by another rule, the last that was read first, and how many
/// there are. The caller's `rbp` is among them only if it matters (`bp_matters`): a word that nothing follows from need
/// not stay the same.
#[cold]
#[inline(never)]
pub(super) fn words_of_unusual(
    rule: Rule,
    state: State,
    next: State,
    bp_matters: bool,
) -> ([Word; STEP_WORDS], usize) {
    let (mut words, mut count) = ([Word::default(); STEP_WORDS], 0);
    let mut each = |word| {
        words[count] = word;
        count += 1;
    };
    let kind = rule.kind();
    let slot = match kind {
        Kind::End => return (words, count),
        Kind::Signal => Some(state.sp + UCONTEXT_RBP),
        Kind::Fail => Some(state.bp),
        _ => rule.bp_slot(next.sp, state.bp),
    };
    if kind != Kind::Signal {
        each(address_word(next));
    }
    if let Some(address) = slot
        && bp_matters
    {
        each(Word { address, value: next.bp });
    }
    if kind == Kind::Deref {
        let address = state.bp.wrapping_add_signed(rule.cfa_offset());
        each(Word { address, value: next.sp });
    }
    if kind == Kind::Signal {
        each(Word { address: state.sp + UCONTEXT_RSP, value: next.sp });
        each(Word { address: state.sp + UCONTEXT_RIP, value: next.ip - 1 });
    }
    (words, count)
}

/// The same for a plain rule.
#[inline(always)]
pub(super) fn bp_matters_to_plain(rule: Rule, callers: bool) -> bool {
    rule.kind() == Kind::Bp || rule.hands_bp_on(callers)
}

/// Whether `rbp` of a state matters to the walk outward of it: to this step, or, handed on, to the
/// caller's (`callers`).
#[inline(always)]
pub(super) fn bp_matters(rule: Rule, callers: bool) -> bool {
    match rule.kind() {
        Kind::Bp | Kind::Deref | Kind::Fail => true,
        Kind::End | Kind::Signal => false,
        Kind::Sp => rule.hands_bp_on(callers),
    }
}
