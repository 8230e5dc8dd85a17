//! A recorder without hooks: joins the recording named by the environment and writes whatever records
//! a test wants, through the real rings.

use heaptape_wire::handshake::*;
use heaptape_wire::layout::*;
use heaptape_wire::record::{EVENT_WORDS, Head, Kind};
use heaptape_wire::ring::{Cursor, Ring};
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A process that has joined.
#[derive(Clone, Copy)]
pub(crate) struct Fake {
    memory: *mut u8,
    session: *mut u8,
    pub(crate) number: u64,
    pub(crate) options: u32,
}

// SAFETY: shared memory seen through atomics only.
unsafe impl Send for Fake {}
// SAFETY: as above.
unsafe impl Sync for Fake {}

/// One stream, with this thread as its producer.
pub(crate) struct Stream {
    fake: Fake,
    ring: Ring<'static>,
    cursor: Cursor,
}

/// Says hello and waits for the answer: the welcome, if one came, and the descriptors with it.
pub(crate) fn hello(
    purpose: u32,
    fork_serial: u64,
    process: u64,
    payload: &[u8],
) -> (Option<(u32, u32, u64)>, Vec<RawFd>) {
    let link = std::env::var(ENV).unwrap();
    hello_with(&link, purpose, fork_serial, process, payload)
}

pub(crate) fn hello_with(
    link: &str,
    purpose: u32,
    fork_serial: u64,
    process: u64,
    payload: &[u8],
) -> (Option<(u32, u32, u64)>, Vec<RawFd>) {
    let (name, token) = link.split_once('.').unwrap();
    let token = u128::from_str_radix(token, 16).unwrap().to_be_bytes();
    let mut packet = vec![0u8; size_of::<Hello>()];
    let mut put = |offset: usize, bytes: &[u8]| {
        packet[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(offset_of!(Hello, magic), &MAGIC.to_ne_bytes());
    put(offset_of!(Hello, build), &heaptape_wire::BUILD.to_ne_bytes());
    put(offset_of!(Hello, token), &token);
    put(offset_of!(Hello, purpose), &purpose.to_ne_bytes());
    put(offset_of!(Hello, payload_len), &(payload.len() as u32).to_ne_bytes());
    put(offset_of!(Hello, fork_serial), &fork_serial.to_ne_bytes());
    put(offset_of!(Hello, process), &process.to_ne_bytes());
    packet.extend(payload);
    exchange(&format!("{NAME_PREFIX}{name}"), &packet)
}

fn exchange(name: &str, packet: &[u8]) -> (Option<(u32, u32, u64)>, Vec<RawFd>) {
    // SAFETY: plain socket calls on local buffers, as in any C client.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        for (to, from) in address.sun_path[1..].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let length = offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
        if libc::connect(socket, (&raw const address).cast(), length as u32) != 0 {
            libc::close(socket);
            return (None, Vec::new());
        }
        libc::send(socket, packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL);

        let mut answer = [0u8; size_of::<Welcome>()];
        let mut data = libc::iovec { iov_base: answer.as_mut_ptr().cast(), iov_len: answer.len() };
        let mut control = [0u64; 8];
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let got = libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC);
        libc::close(socket);
        if got != answer.len() as isize {
            return (None, Vec::new());
        }
        let mut fds = Vec::new();
        let header = libc::CMSG_FIRSTHDR(&message);
        if !header.is_null() {
            let count = ((*header).cmsg_len - libc::CMSG_LEN(0) as usize) / 4;
            for i in 0..count {
                fds.push(libc::CMSG_DATA(header).cast::<RawFd>().add(i).read_unaligned());
            }
        }
        let half = |at: usize| u32::from_ne_bytes(answer[at..at + 4].try_into().unwrap());
        let word = |at: usize| u64::from_ne_bytes(answer[at..at + 8].try_into().unwrap());
        assert_eq!(word(offset_of!(Welcome, magic)), MAGIC);
        let welcome = (
            half(offset_of!(Welcome, status)),
            half(offset_of!(Welcome, options)),
            word(offset_of!(Welcome, process)),
        );
        (Some(welcome), fds)
    }
}

fn map(fd: RawFd, bytes: usize) -> *mut u8 {
    // SAFETY: a fresh shared mapping, never unmapped.
    unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let at = libc::mmap(std::ptr::null_mut(), bytes, rights, libc::MAP_SHARED, fd, 0);
        assert_ne!(at, libc::MAP_FAILED);
        libc::close(fd);
        at.cast()
    }
}

impl Fake {
    /// Joins; `None` when refused.
    pub(crate) fn join(fork_serial: u64, parent: u64) -> Option<Fake> {
        let (welcome, fds) = hello(JOIN, fork_serial, parent, b"");
        let (status, options, number) = welcome.unwrap();
        if status != ACCEPTED {
            assert!(fds.is_empty());
            return None;
        }
        let [memory, session] = fds[..] else { panic!("{fds:?}") };
        let (memory, session) = (map(memory, PROCESS_BYTES), map(session, PAGE));
        Some(Fake { memory, session, number, options })
    }

    pub(crate) fn page(&self) -> &'static ProcessPage {
        // SAFETY: mapped for ever, page-aligned, atomics.
        unsafe { &*self.memory.cast() }
    }

    fn session(&self) -> &'static SessionPage {
        // SAFETY: as above.
        unsafe { &*self.session.cast() }
    }

    fn ring(&self, index: usize) -> Ring<'static> {
        // SAFETY: as above; the area is as the wire lays it out.
        unsafe {
            let area = self.memory.add(stream_offset(index));
            let words = area.add(PAGE).cast::<AtomicU64>();
            Ring::new(&*area.cast(), std::slice::from_raw_parts(words, RING_WORDS))
        }
    }

    /// The next stream, introduced as that of thread `tid`.
    pub(crate) fn stream(&self, tid: u32) -> Stream {
        let index = self.page().streams.fetch_add(1, Ordering::AcqRel) as usize;
        let ring = self.ring(index);
        ring.header().owner.store(tid, Ordering::Release);
        let mut stream = Stream { fake: *self, ring, cursor: Cursor::default() };
        let head = Head::new(Kind::Thread, 0, 0, 0, 6);
        stream.ordered(|order| vec![head.0, now(), order, u64::from(tid), 0x64_61_65_72_68_74, 0]);
        stream
    }

    pub(crate) fn take_number(&self) -> u64 {
        self.page().order.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// `CLOCK_MONOTONIC`, ns.
pub(crate) fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a local value.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: the word is mapped for ever.
    unsafe {
        let forever = std::ptr::null::<libc::timespec>();
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, forever);
    }
}

impl Stream {
    fn claim(&mut self, count: usize) -> u64 {
        loop {
            if let Ok(at) = self.ring.claim(&mut self.cursor, count as u64) {
                return at;
            }
            self.knock();
            if let Some(bell) = self.ring.prepare_wait(&self.cursor, count as u64) {
                futex(&self.ring.header().bell, libc::FUTEX_WAIT, bell);
            }
        }
    }

    /// Rings the doorbell if the collector sleeps.
    fn knock(&self) {
        let session = self.fake.session();
        if session.sleeping.load(Ordering::SeqCst) != 0 {
            session.doorbell.fetch_add(1, Ordering::SeqCst);
            futex(&session.doorbell, libc::FUTEX_WAKE, 1);
        }
    }

    /// Writes words as they are.
    pub(crate) fn raw(&mut self, words: &[u64]) {
        let at = self.claim(words.len());
        self.publish(at, words);
    }

    fn publish(&mut self, at: u64, words: &[u64]) {
        for (i, &word) in words.iter().enumerate() {
            self.ring.write(at + i as u64, word);
        }
        self.ring.publish(&self.cursor);
        if self.cursor.position % 512 < words.len() as u64
            && self.ring.is_half_full(&mut self.cursor)
        {
            self.knock();
        }
    }

    /// Writes a record that has an order number: space first, then the number.
    pub(crate) fn ordered(&mut self, record: impl FnOnce(u64) -> Vec<u64>) {
        const LONGEST: usize = 64;
        let intent = &self.ring.header().intent;
        intent.store(self.fake.page().order.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        // The length is known only afterwards: claim for the longest, fill up with a pad.
        let at = self.claim(LONGEST);
        let mut words = record(self.fake.take_number());
        let pad = LONGEST - words.len();
        words.push(Head::pad(pad as u64).0);
        words.resize(LONGEST, 0);
        self.publish(at, &words);
        self.ring.header().intent.store(0, Ordering::Release);
    }

    /// An allocator event, made as the recorder makes it.
    pub(crate) fn event(&mut self, kind: Kind, api: u8, addr: u64, size: u64, node: u64) {
        let intent = &self.ring.header().intent;
        intent.store(self.fake.page().order.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        let at = self.claim(EVENT_WORDS as usize);
        let order = self.fake.take_number();
        let head = Head::new(kind, api, 0, 0, EVENT_WORDS);
        self.publish(at, &[head.0, now(), order, addr, size, size, node]);
        self.ring.header().intent.store(0, Ordering::Release);
    }

    pub(crate) fn node(&mut self, id: u64, parent: u64, ip: u64) {
        self.raw(&[Head::new(Kind::Node, 0, 0, 0, 3).0, id | parent << 32, ip]);
    }

    pub(crate) fn module(&mut self, start: u64, end: u64, bias: u64, path: &[u8]) {
        let mut bytes = path.to_vec();
        bytes.resize(path.len().div_ceil(8) * 8, 0);
        let bytes: Vec<u64> =
            bytes.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect();
        let head = Head::new(Kind::Module, 0, 0, 0, 7 + bytes.len() as u64);
        self.ordered(|order| {
            let fixed = [head.0, now(), order, start, end, bias, (path.len() as u64) << 32];
            [&fixed[..], &bytes].concat()
        });
    }

    pub(crate) fn fork(&mut self, serial: u64) {
        let head = Head::new(Kind::Fork, 0, 0, 0, 4);
        self.ordered(|order| vec![head.0, now(), order, serial]);
    }
}
