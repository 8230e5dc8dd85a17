//! What a target says on the socket: one packet, checked before anyone looks at it.

use crate::sys::socket;
use heaptape_wire::handshake::*;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Longest payload that makes sense: a path.
const MAX_PAYLOAD: usize = 4096;
const HELLO_BYTES: usize = size_of::<Hello>();

/// A connection whose hello may not have come yet.
pub(crate) struct Caller {
    pub(crate) connection: OwnedFd,
    /// When it connected: the patience for a hello is bounded.
    pub(crate) since: Instant,
}

/// A hello that passed the checks.
pub(crate) struct Heard {
    pub(crate) purpose: u32,
    pub(crate) fork_serial: u64,
    pub(crate) process: u64,
    pub(crate) payload: Vec<u8>,
    /// The caller's pid as we see it; 0 when it is outside our pid namespace.
    pub(crate) pid: u32,
}

/// What became of a caller.
pub(crate) enum Word {
    /// Nothing yet.
    Silent,
    /// It said something that is none of ours, or left.
    Nonsense,
    /// A recorder of another build.
    Stranger,
    /// A hello.
    Hello(Heard),
}

impl Caller {
    /// Listens to what the caller has said so far. Does not wait.
    pub(crate) fn listen(&self, token: &[u8; 16]) -> Word {
        let mut packet = [0u8; HELLO_BYTES + MAX_PAYLOAD];
        let length = match socket::receive(&self.connection, &mut packet) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Word::Silent,
            Err(_) => return Word::Nonsense,
            Ok(length) => length,
        };
        // A packet that is longer than the buffer was cut, and its true length is told.
        match packet.get(..length).map(|packet| parse(packet, token)) {
            Some(Ok(heard)) => {
                Word::Hello(Heard { pid: socket::peer_pid(&self.connection), ..heard })
            }
            Some(Err(word)) => word,
            None => Word::Nonsense,
        }
    }

    /// Answers; a caller that is gone is no error.
    pub(crate) fn answer(&self, welcome: &Welcome, fds: &[BorrowedFd<'_>]) {
        self.send(welcome, &[], fds);
    }

    /// Answers one that has asked for something, with results.
    pub(crate) fn answer_with(&self, welcome: &Welcome, results: &[u8]) {
        self.send(welcome, results, &[]);
    }

    fn send(&self, welcome: &Welcome, results: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut packet = Vec::with_capacity(size_of::<Welcome>());
        packet.extend(welcome.magic.to_ne_bytes());
        packet.extend(welcome.status.to_ne_bytes());
        packet.extend(welcome.options.to_ne_bytes());
        packet.extend(welcome.process.to_ne_bytes());
        packet.extend(welcome.sample_bytes.to_ne_bytes());
        let guard = welcome.guard;
        for number in [guard.mode, guard.with, guard.one_in, guard.interval] {
            packet.extend(number.to_ne_bytes());
        }
        packet.extend(guard.quarantine.to_ne_bytes());
        packet.extend(results);
        // It has seconds of patience and closes its gate when nothing comes.
        let _ = socket::send(&self.connection, &packet, fds);
    }

    /// Answers that the caller will not be recorded, or not be given what it asked for.
    pub(crate) fn refuse(&self) {
        self.refuse_as(REFUSED);
    }

    /// The same to a caller of another build.
    pub(crate) fn refuse_stranger(&self) {
        self.refuse_as(OTHER_BUILD);
    }

    fn refuse_as(&self, status: u32) {
        let refused = Welcome {
            magic: MAGIC,
            status,
            options: 0,
            process: 0,
            sample_bytes: 0,
            guard: heaptape_wire::handshake::Guard::default(),
        };
        self.answer(&refused, &[]);
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// What a process that is no target says: a hello and a payload.
pub(crate) fn packet(token: [u8; 16], purpose: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HELLO_BYTES + payload.len());
    packet.extend(MAGIC.to_ne_bytes());
    packet.extend(heaptape_wire::BUILD.to_ne_bytes());
    packet.extend(token);
    packet.extend(purpose.to_ne_bytes());
    packet.extend((payload.len() as u32).to_ne_bytes());
    packet.extend([0; 16]);
    packet.extend(payload);
    packet
}

/// Status and results of an answer; `None` when it is none.
pub(crate) fn welcome(packet: &[u8]) -> Option<(u32, &[u8])> {
    let (head, results) = packet.split_at_checked(size_of::<Welcome>())?;
    let magic = word(head, std::mem::offset_of!(Welcome, magic));
    let status = u32::from_ne_bytes(bytes(head, std::mem::offset_of!(Welcome, status)));
    (magic == MAGIC).then_some((status, results))
}

/// A token, of its hex digits.
pub(crate) fn unhex(digits: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.len() == 32)?;
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// The number at `offset`; the caller has checked the length.
pub(crate) fn word(packet: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes(packet, offset))
}

/// The bytes of `N` at `offset`; the caller has checked the length.
fn bytes<const N: usize>(packet: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&packet[offset..offset + N]);
    bytes
}

fn parse(packet: &[u8], token: &[u8; 16]) -> Result<Heard, Word> {
    if packet.len() < HELLO_BYTES {
        return Err(Word::Nonsense);
    }
    let word = |offset| word(packet, offset);
    let half = |offset| u32::from_ne_bytes(bytes(packet, offset));
    let said: [u8; 16] = bytes(packet, std::mem::offset_of!(Hello, token));
    if word(std::mem::offset_of!(Hello, magic)) != MAGIC || !same(&said, token) {
        return Err(Word::Nonsense);
    }
    if word(std::mem::offset_of!(Hello, build)) != heaptape_wire::BUILD {
        return Err(Word::Stranger);
    }
    let payload = &packet[HELLO_BYTES..];
    if half(std::mem::offset_of!(Hello, payload_len)) as usize != payload.len() {
        return Err(Word::Nonsense);
    }
    Ok(Heard {
        purpose: half(std::mem::offset_of!(Hello, purpose)),
        fork_serial: word(std::mem::offset_of!(Hello, fork_serial)),
        process: word(std::mem::offset_of!(Hello, process)),
        payload: payload.to_vec(),
        pid: 0,
    })
}

/// Compares in a time that does not tell where the difference is.
fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// A crash report, from the payload of a hello.
pub(crate) fn crash_report(payload: &[u8]) -> Option<CrashReport> {
    if payload.len() != size_of::<CrashReport>() {
        return None;
    }
    let word = |offset| word(payload, offset);
    let half = |offset| i32::from_ne_bytes(bytes(payload, offset));
    let registers = std::mem::offset_of!(CrashReport, registers);
    Some(CrashReport {
        time_ns: word(std::mem::offset_of!(CrashReport, time_ns)),
        signal: half(std::mem::offset_of!(CrashReport, signal)),
        code: half(std::mem::offset_of!(CrashReport, code)),
        fault_addr: word(std::mem::offset_of!(CrashReport, fault_addr)),
        tid: half(std::mem::offset_of!(CrashReport, tid)) as u32,
        sender: half(std::mem::offset_of!(CrashReport, sender)) as u32,
        registers: std::array::from_fn(|at| word(registers + 8 * at)),
    })
}
