//! Wakes the collector when a descriptor has news.
//!
//! The collector sleeps on the doorbell, a word of shared memory, because that is the way rung
//! thousands of times a second. Sockets, signals and dying processes are rare; this small thread
//! waits for them and rings the same bell. It also beats the session's heart: a collector that is busy or
//! waits for a slow disk is alive, one that was stopped or killed has no thread that beats.

use super::{check, fd, futex};
use crate::sys::memory::SessionMemory;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The watcher and its thread; dropped, the thread ends.
pub(crate) struct Watch {
    epoll: Arc<OwnedFd>,
    news: Arc<AtomicBool>,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the thread. It inherits the signal mask of the caller.
    pub(crate) fn start(session: Arc<SessionMemory>) -> io::Result<Watch> {
        // SAFETY: plain call.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just made.
        let epoll = Arc::new(unsafe { fd::own(epoll) });
        let news = Arc::new(AtomicBool::new(true));
        // The pipe closed is the word to stop.
        let (stopped, stop) = fd::pipe()?;
        let thread = std::thread::Builder::new().name("heaptape-watch".into()).spawn({
            let (epoll, news) = (Arc::clone(&epoll), Arc::clone(&news));
            move || run(&epoll, &news, &session, &stopped)
        })?;
        let watch = Watch { epoll, news, stop: Some(stop), thread: Some(thread) };
        Ok(watch)
    }

    /// Watches a descriptor until it is closed. Its news is told once each time it comes
    /// (edge-triggered), so the collector reads until nothing is left.
    pub(crate) fn add(&self, fd: &impl AsFd) -> io::Result<()> {
        add(&self.epoll, fd.as_fd().as_raw_fd(), 0)
    }

    /// Whether there is news; it stays.
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    /// Whether there was news since this was last asked.
    pub(crate) fn take_news(&self) -> bool {
        // Acquire pairs with the release store of the thread: the kernel's state is older than it.
        self.news.swap(false, Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

/// Registers a descriptor with a tag.
fn add(epoll: &OwnedFd, fd: libc::c_int, tag: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: tag };
    // SAFETY: the kernel copies the event.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })
        .map(drop)
}

/// Time between two heartbeats; threads of a target lose patience after seconds.
const BEAT_MS: libc::c_int = 250;
/// The tag of the pipe that says stop.
const STOP: u64 = 1;

fn run(epoll: &OwnedFd, news: &AtomicBool, session: &SessionMemory, stopped: &OwnedFd) {
    if add(epoll, stopped.as_raw_fd(), STOP).is_err() {
        return;
    }
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    loop {
        // SAFETY: room for as many events as we say.
        let got = check(unsafe {
            libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, BEAT_MS)
        });
        session.page().heartbeat.fetch_add(1, Ordering::Relaxed);
        let got = match got {
            Ok(0) => continue,
            Ok(got) => got as usize,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if events[..got].iter().any(|event| { event.u64 } == STOP) {
            return;
        }
        news.store(true, Ordering::Release);
        let doorbell = &session.page().doorbell;
        doorbell.fetch_add(1, Ordering::SeqCst);
        futex::wake_all(doorbell);
    }
}
