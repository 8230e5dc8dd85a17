//! The way to the collector: where it is, and the short conversations with it.
//!
//! Every conversation is a connection of its own that ends before we return to the target: we keep no
//! descriptor, so a program that closes, counts or passes on descriptors meets none of ours.

use crate::sys::call::{self, Fd};
use crate::sys::objects;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use heaptape_wire::handshake::{self, ENV, Guard, Hello, LINK_LEN, NAME_PREFIX, Welcome};

/// Seconds after which a collector that does not answer is taken for dead.
const ANSWER_TIMEOUT_S: i64 = 5;

/// The value of the environment variable, kept because programs overwrite their environment.
struct Link {
    known: AtomicBool,
    value: UnsafeCell<[u8; LINK_LEN]>,
}

// SAFETY: `value` is written once, by the first thread of the process before `known` is released, and
// only read after that.
unsafe impl Sync for Link {}

static LINK: Link = Link { known: AtomicBool::new(false), value: UnsafeCell::new([0; LINK_LEN]) };

/// The link's value, when this program was started by heaptape.
pub(crate) fn value() -> Option<&'static [u8; LINK_LEN]> {
    // Acquire pairs with the release store below.
    if !LINK.known.load(Ordering::Acquire) {
        let found = from_environment()?;
        // SAFETY: the first call is made while the process is joining, by one thread.
        unsafe { *LINK.value.get() = found };
        LINK.known.store(true, Ordering::Release);
    }
    // SAFETY: written before `known`.
    Some(unsafe { &*LINK.value.get() })
}

/// Reads the variable from the environment as the kernel handed it over: libc's may not be set up yet.
fn from_environment() -> Option<[u8; LINK_LEN]> {
    let stack = objects::initial_stack();
    if stack.is_null() {
        return None;
    }
    // SAFETY: argc, argv and a null word, then the environment and a null word.
    unsafe {
        let mut entry = stack.add(*stack + 2) as *const *const u8;
        while !(*entry).is_null() {
            if let Some(value) = after_name(*entry) {
                return Some(value);
            }
            entry = entry.add(1);
        }
    }
    None
}

/// The value, when `entry` is our variable with one of the right length.
///
/// # Safety
/// `entry` is a zero-terminated string.
unsafe fn after_name(entry: *const u8) -> Option<[u8; LINK_LEN]> {
    // SAFETY: reads stop at the first byte that differs, at the latest at the terminator.
    unsafe {
        for (i, &byte) in ENV.as_bytes().iter().chain(b"=").enumerate() {
            if *entry.add(i) != byte {
                return None;
            }
        }
        let mut value = [0u8; LINK_LEN];
        for (i, byte) in value.iter_mut().enumerate() {
            *byte = *entry.add(ENV.len() + 1 + i);
            if *byte == 0 {
                return None;
            }
        }
        Some(value)
    }
}

fn token(link: &[u8; LINK_LEN]) -> [u8; 16] {
    let digit =
        |c: u8| if c > b'9' { (c | 0x20).wrapping_sub(b'a') + 10 } else { c.wrapping_sub(b'0') };
    let mut token = [0u8; 16];
    for (i, byte) in token.iter_mut().enumerate() {
        *byte = digit(link[33 + 2 * i]) << 4 | digit(link[34 + 2 * i]) & 15;
    }
    token
}

/// What an answer brought.
pub(crate) struct Answer {
    pub(crate) welcome: Welcome,
    pub(crate) fds: [Option<Fd>; 2],
}

/// Says one thing to the collector; `None` when it cannot be reached.
fn open(purpose: u32, process: u64, fork_serial: u64, payload: &[u8]) -> Option<Fd> {
    let link = value()?;
    let mut name = [0u8; NAME_PREFIX.len() + 32];
    name[..NAME_PREFIX.len()].copy_from_slice(NAME_PREFIX.as_bytes());
    name[NAME_PREFIX.len()..].copy_from_slice(&link[..32]);
    let hello = Hello {
        magic: handshake::MAGIC,
        build: heaptape_wire::BUILD,
        token: token(link),
        purpose,
        payload_len: payload.len() as u32,
        fork_serial,
        process,
    };
    let fd = call::seqpacket_socket(ANSWER_TIMEOUT_S)?;
    // SAFETY: Hello is repr(C) without padding (its size is asserted in the contract).
    let bytes =
        unsafe { core::slice::from_raw_parts((&raw const hello).cast::<u8>(), size_of::<Hello>()) };
    (call::connect_abstract(&fd, &name) && call::send(&fd, bytes, payload)).then_some(fd)
}

/// Says one thing that has no answer; whether it was heard.
pub(crate) fn tell(purpose: u32, process: u64, payload: &[u8]) -> bool {
    open(purpose, process, 0, payload).is_some()
}

/// Says one thing and waits for the answer.
pub(crate) fn ask(purpose: u32, process: u64, fork_serial: u64) -> Option<Answer> {
    let fd = open(purpose, process, fork_serial, &[])?;
    let mut welcome = Welcome {
        magic: 0,
        status: 0,
        options: 0,
        process: 0,
        sample_bytes: 0,
        guard: Guard::default(),
    };
    // SAFETY: any bytes are a valid Welcome.
    let bytes = unsafe {
        core::slice::from_raw_parts_mut((&raw mut welcome).cast::<u8>(), size_of::<Welcome>())
    };
    let fds = call::receive(&fd, bytes)?;
    (welcome.magic == handshake::MAGIC).then_some(Answer { welcome, fds })
}
