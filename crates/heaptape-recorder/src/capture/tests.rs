//! The walk against libgcc's, in this very process.

mod deep;
mod made_up;

use super::*;
use crate::thread::detached;
use core::arch::naked_asm;
use heaptape_wire::record::{Kind as RecordKind, frame};
use std::collections::HashMap;

/// What a stream has announced: id → (parent, address, quality).
type Nodes = HashMap<u32, (u32, u64, u8)>;

/// A thread state and what it has told so far.
struct Witness {
    thread: &'static mut Thread,
    nodes: Nodes,
    compared: usize,
}

/// The id of the caller's backtrace, taken as a hook takes it.
#[unsafe(naked)]
unsafe extern "C" fn take(_thread: *mut Thread) -> u32 {
    naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {}", sym take_with)
}

unsafe extern "C" fn take_with(thread: *mut Thread, sp: usize, bp: usize) -> u32 {
    // SAFETY: the test's own.
    Capture::backtrace(unsafe { &mut *thread }, Regs { sp, bp })
}

#[allow(improper_ctypes)] // the vector only passes through
unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: extern "C" fn(*mut u8, *mut Vec<u64>) -> i32,
        out: *mut Vec<u64>,
    ) -> i32;
    fn _Unwind_GetIP(context: *mut u8) -> u64;
    fn qsort(
        base: *mut u8,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const u8, *const u8) -> i32,
    );
    fn raise(signal: i32) -> i32;
    fn signal(signal: i32, handler: extern "C" fn(i32)) -> usize;
}

#[allow(improper_ctypes_definitions)] // as above
extern "C" fn push_ip(context: *mut u8, out: *mut Vec<u64>) -> i32 {
    // SAFETY: libgcc passes its context and our vector.
    unsafe { (*out).push(_Unwind_GetIP(context)) };
    0
}

impl Witness {
    fn new() -> Witness {
        Witness { thread: detached(), nodes: Nodes::new(), compared: 0 }
    }

    /// Takes a backtrace both ways and compares them from the caller's frame on (in this frame itself the two
    /// calls return to different places).
    #[inline(never)]
    fn compare(&mut self) {
        // SAFETY: our own thread state; signals of the tests come only when they are raised.
        let id = unsafe { take(&raw mut *self.thread) };
        let mut theirs = Vec::new();
        // SAFETY: the callback matches.
        unsafe { _Unwind_Backtrace(push_ip, &raw mut theirs) };
        self.thread.ring().publish(&self.thread.cursor);
        let ours = self.frames(id);
        let start =
            theirs.iter().position(|ip| *ip == ours[1].0).expect("our caller is among theirs");
        theirs.drain(..start);
        if theirs.last() == Some(&0) {
            theirs.pop();
        }
        let addresses: Vec<u64> = ours[1..].iter().map(|f| f.0).collect();
        assert_eq!(addresses, theirs);
        assert!(ours.iter().all(|f| f.1 == NODE_EXACT), "marked: {ours:x?}");
        self.compared += addresses.len();
    }

    /// The frames of `id`, innermost first.
    fn frames(&mut self, mut id: u32) -> Vec<(u64, u8)> {
        self.hear();
        let mut frames = Vec::new();
        while id != 0 {
            let (parent, ip, quality) = self.nodes[&id];
            frames.push((ip, quality));
            id = parent;
        }
        frames
    }

    /// Takes the nodes that the ring holds.
    fn hear(&mut self) {
        let mut words = Vec::new();
        self.thread.ring().drain(&mut words).unwrap();
        let mut at = 0;
        while at < words.len() {
            let frame = frame(&words[at..]).expect("a record");
            if frame.kind == RecordKind::Node {
                let known = (words[at + 1] >> 32) as u32;
                let fresh = words[at + 1] as u32;
                assert!(known < fresh && (known == 0 || self.nodes.contains_key(&known)));
                let quality = (words[at] >> 8) as u8;
                assert!(self.nodes.insert(fresh, (known, words[at + 2], quality)).is_none());
            }
            at += frame.words as usize;
        }
    }
}

#[inline(never)]
fn tree(witness: &mut Witness, depth: usize, pad: usize) -> usize {
    let room = [pad; 40];
    if depth == 0 {
        witness.compare();
        return core::hint::black_box(room)[pad % 40];
    }
    let a = tree(witness, depth - 1, pad + 1);
    if depth.is_multiple_of(2) { a } else { a + other(witness, depth - 1, pad) }
}

#[inline(never)]
fn other(witness: &mut Witness, depth: usize, pad: usize) -> usize {
    let text = format!("{pad}");
    let inner = tree(witness, depth, text.len());
    witness.compare();
    inner + core::hint::black_box(text).len()
}

/// Our frames are libgcc's, over recursion that keeps, grows and changes the stack.
#[test]
fn agrees_with_libgcc() {
    let mut witness = Witness::new();
    tree(&mut witness, 12, 0);
    other(&mut witness, 9, 3);
    for depth in [1, 200, 3, 201, 200] {
        deep(&mut witness, depth);
    }
    assert!(witness.compared > 1000, "{}", witness.compared);
}

#[inline(never)]
fn deep(witness: &mut Witness, depth: usize) -> usize {
    let room = [depth; 3];
    if depth == 0 {
        witness.compare();
    } else {
        deep(witness, depth - 1);
    }
    core::hint::black_box(room)[depth % 3]
}

thread_local! {
    static SHARED: std::cell::RefCell<Option<Witness>> = const { std::cell::RefCell::new(None) };
}

fn with_shared<T>(f: impl FnOnce(&mut Witness) -> T) -> T {
    SHARED.with_borrow_mut(|w| f(w.get_or_insert_with(Witness::new)))
}

extern "C" fn compare_in_qsort(a: *const u8, b: *const u8) -> i32 {
    with_shared(Witness::compare);
    // SAFETY: qsort passes elements of the array.
    unsafe { i32::from(*a) - i32::from(*b) }
}

/// Through libc's own frames.
#[test]
fn agrees_inside_a_callback_of_libc() {
    let mut bytes = *b"heaptape";
    // SAFETY: the array and its size.
    unsafe { qsort(bytes.as_mut_ptr(), bytes.len(), 1, compare_in_qsort) };
    assert_eq!(&bytes, b"aaeehppt");
    assert!(with_shared(|w| w.compared) > 0);
}

/// Through a signal frame: libgcc gives the interrupted instruction itself, we give one byte more.
#[test]
fn agrees_inside_a_signal_handler() {
    extern "C" fn handler(_: i32) {
        with_shared(|witness| {
            // SAFETY: our own thread state.
            let id = unsafe { take(&raw mut *witness.thread) };
            let mut theirs = Vec::new();
            // SAFETY: the callback matches.
            unsafe { _Unwind_Backtrace(push_ip, &raw mut theirs) };
            witness.thread.ring().publish(&witness.thread.cursor);
            let ours = witness.frames(id);
            let start = theirs.iter().position(|ip| *ip == ours[2].0).expect("the frame below");
            let mut differing = 0;
            for (our, their) in ours[2..].iter().zip(&theirs[start..]) {
                differing += usize::from(our.0 != *their);
                assert!(our.0 == *their || our.0 == *their + 1, "{ours:x?} {theirs:x?}");
            }
            assert_eq!(differing, 1, "the interrupted frame alone");
            assert!(theirs.len() - start - (ours.len() - 2) <= 1);
            witness.compared += ours.len();
        });
    }
    // SAFETY: a handler that only looks.
    unsafe {
        signal(12, handler);
        raise(12);
    }
    assert!(with_shared(|w| w.compared) > 3);
}

/// Deeper than the bound: the innermost frames are kept, and the cut is marked and counted.
#[test]
fn a_bottomless_stack_is_cut_and_marked() {
    fn bottomless(witness: &mut Witness, depth: usize) -> usize {
        if depth == 0 {
            // SAFETY: our own thread state.
            let id = unsafe { take(&raw mut *witness.thread) };
            witness.thread.ring().publish(&witness.thread.cursor);
            let frames = witness.frames(id);
            let (last, inner) = frames.split_last().expect("frames");
            assert!((KEPT_FRAMES..MAX_FRAMES).contains(&frames.len()));
            assert_eq!(last.1, NODE_TRUNCATED);
            assert!(inner.iter().all(|f| f.1 == NODE_EXACT));
            assert_eq!(witness.thread.page().truncated.load(Ordering::Relaxed), 1);
            return 0;
        }
        bottomless(witness, depth - 1) + core::hint::black_box(1)
    }
    let run = || bottomless(&mut Witness::new(), MAX_FRAMES + 100);
    std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap();
}

/// A stack that leads into nowhere costs frames, not the program.
#[test]
fn unreadable_memory_ends_the_walk() {
    let mut window = Window::default();
    assert_eq!(window.read(0x10), None);
    assert_eq!(window.read(usize::MAX - 7), None);
    let word = 42usize;
    assert_eq!(window.read(&raw const word as usize), Some(42));
    assert_eq!(window.read(&raw const word as usize + 1), None, "unaligned");
    let state = State { ip: 0x1000, sp: 0x2000, bp: 0x3000 };
    assert!(step::step(&mut window, Rule::bare(Kind::Fail), state).is_none());
}

/// Two frames of the same walk never confuse the memo, and what falls out of it comes back under a new id.
#[test]
fn the_memo_is_lossy_but_never_wrong() {
    let mut memo = Memo::boxed();
    let mut expected = HashMap::new();
    for i in 0..20_000u64 {
        let frame = Frame::new(0x5555_0000_0000 + i as usize * 7, NODE_EXACT);
        let (path, parent) = (Path::default().inward(frame), (i % 97) as u32);
        memo.put(path, frame, parent, i as u32 + 1);
        expected.insert(i, (path, frame, parent, i as u32 + 1));
    }
    let mut hits = 0;
    for &(path, frame, parent, id) in expected.values() {
        if let Some(found) = memo.get(path, frame, parent) {
            assert_eq!(found, id);
            hits += 1;
        }
    }
    assert!(hits > 1000 && hits < 20_000, "{hits}");
    memo.clear();
    assert!(
        expected.values().all(|&(path, frame, parent, _)| memo.get(path, frame, parent).is_none())
    );
}

/// The check counts what it is there to find: a node that is not that of the frames.
/// The collector keeps all ids of a stream: they begin again before they are too many.
#[test]
fn ids_begin_again() {
    let mut witness = Witness::new();
    witness.thread.capture.last_id = MAX_IDS - 1;
    for again in [false, true, true] {
        // SAFETY: our own thread state.
        let id = unsafe { take(&raw mut *witness.thread) };
        assert_eq!(id < MAX_IDS, again);
        if !again {
            let mut forgotten = Vec::new();
            witness.thread.ring().drain(&mut forgotten).unwrap();
        }
    }
    witness.compare();
}

#[test]
fn the_check_finds_a_wrong_node() {
    let thread = detached();
    thread.capture.check.turn_on(true);
    for is_wrong in [false, true, true] {
        // SAFETY: our own thread state.
        unsafe { take(&raw mut *thread) };
        let counts = [&thread.page().checked, &thread.page().differing];
        let [checked, differing] = counts.map(|count| count.load(Ordering::Relaxed));
        assert_eq!(differing > 0, is_wrong, "{differing} of {checked}");
        assert_eq!(checked - differing, 1);
        thread.capture.chain.mistake();
    }
}
