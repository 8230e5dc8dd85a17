//! A recorder without hooks: joins the recording named by the environment and writes whatever records
//! a test wants, through the real rings.

use heaptape_wire::handshake::*;
use heaptape_wire::layout::*;
use heaptape_wire::order::{SHARDS, shard_of};
use heaptape_wire::record::*;
use heaptape_wire::ring::{Cursor, Ring};
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A process that has joined.
#[derive(Clone, Copy)]
pub(crate) struct Fake {
    memory: *mut u8,
    session: *mut u8,
    shards: &'static [AtomicU64; SHARDS],
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
    /// Asks what a process asks before it ends, and waits for the answer.
    pub(crate) fn plead(&self, purpose: u32, report: &[u64]) {
        let plea = &self.page().plea;
        for (word, value) in plea.report.iter().zip(report) {
            word.store(*value, Ordering::Relaxed);
        }
        plea.state.store(purpose, Ordering::SeqCst);
        // The collector's own pace: no doorbell.
        while plea.state.load(Ordering::Acquire) != PLEA_HEARD {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        plea.state.store(PLEA_NONE, Ordering::Release);
    }

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
        let shards = Box::leak(Box::new([const { AtomicU64::new(0) }; SHARDS]));
        Some(Fake { memory, session, shards, number, options })
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
        if index > 0 {
            let until = self.ring(0).header().head.load(Ordering::Acquire) + 1;
            let alone_until = &self.page().alone_until;
            let _ = alone_until.compare_exchange(0, until, Ordering::AcqRel, Ordering::Relaxed);
        }
        let mut stream = Stream { fake: *self, ring, cursor: Cursor::default() };
        let head = Head::new(Kind::Thread, 0, 0, 0, THREAD_WORDS);
        stream.raw(&[head.0, now(), u64::from(tid), 0x64_61_65_72_68_74, 0]);
        stream
    }

    /// Takes the next number of the address's shard.
    pub(crate) fn take_number(&self, addr: u64) -> u64 {
        self.shards[shard_of(addr)].fetch_add(1, Ordering::Relaxed) + 1
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
        self.write(at, words);
        self.ring.publish(&self.cursor);
        if self.cursor.position % 512 < words.len() as u64
            && self.ring.is_half_full(&mut self.cursor)
        {
            self.knock();
        }
    }

    /// Writes a world record: space first, then the number.
    fn world(&mut self, kind: Kind, rest: &[u64]) {
        let words = 3 + rest.len();
        let at = self.claim(words);
        let head = Head::new(kind, 0, 0, 0, words as u64);
        self.write(at, &[&[head.0, now(), 0], rest].concat());
        self.ring.publish_numbered(&self.cursor, at + 2, &self.fake.page().world);
    }

    /// An allocator event of a process with several threads, made as the recorder makes it.
    pub(crate) fn event(&mut self, kind: Kind, api: u8, addr: u64, size: u64, node: u32) {
        if self.cursor.position % 64 < 4 {
            self.raw(&[Head::new(Kind::Time, 0, 0, 0, TIME_WORDS).0, now()]);
        }
        let event = Event { kind, api, align_log2: 0, addr, size, usable: size, node };
        let record = event.encode(1);
        let at = self.claim(record.count as usize);
        self.write(at, &record.words[..record.count as usize]);
        let shard = &self.fake.shards[shard_of(addr)];
        self.ring.publish_numbered(&self.cursor, at + record.count - 1, shard);
        if self.cursor.position % 512 < 8 && self.ring.is_half_full(&mut self.cursor) {
            self.knock();
        }
    }

    fn write(&self, at: u64, words: &[u64]) {
        for (i, &word) in words.iter().enumerate() {
            self.ring.write(at + i as u64, word);
        }
    }

    pub(crate) fn node(&mut self, id: u64, parent: u64, ip: u64) {
        let world = self.fake.page().world.load(Ordering::Acquire);
        self.raw(&[node_head(NODE_EXACT, world), id | parent << 32, ip]);
    }

    pub(crate) fn module(&mut self, start: u64, end: u64, bias: u64, path: &[u8]) {
        let mut bytes = path.to_vec();
        bytes.resize(path.len().div_ceil(8) * 8, 0);
        let bytes: Vec<u64> =
            bytes.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect();
        let fixed = [start, end, bias, (path.len() as u64) << 32];
        self.world(Kind::Module, &[&fixed[..], &bytes].concat());
    }

    pub(crate) fn fork(&mut self, serial: u64) {
        self.world(Kind::Fork, &[serial]);
    }
}
