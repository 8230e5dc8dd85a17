//! Connections: each is one request, in a thread of its own.

use super::door::Door;
use super::request::{Method, NoRequest, Request};
use super::response::{Response, Status};
use super::site::Site;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Connections at once. A browser has six.
const MOST_CONNECTIONS: usize = 48;

/// Answers requests for as long as the process lives.
pub(crate) fn serve(listener: &TcpListener, door: &Door, site: &Site<'_>) -> io::Result<()> {
    let open = AtomicUsize::new(0);
    thread::scope(|scope| {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    _ => {
                        // Too many files are open, as it may be: those in work will be closed.
                        thread::sleep(Duration::from_millis(50));
                        continue;
                    }
                },
            };
            if open.fetch_add(1, Ordering::AcqRel) >= MOST_CONNECTIONS {
                let _ = stream.set_nonblocking(true);
                let _ = Response::error(Status::Busy, "too many at once").write(&mut stream, true);
                open.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let open = &open;
            let connection = move || {
                // A fault of ours must not end the others' answers.
                let _ = catch_unwind(AssertUnwindSafe(|| talk(stream, door, site)));
                open.fetch_sub(1, Ordering::AcqRel);
            };
            if thread::Builder::new().spawn_scoped(scope, connection).is_err() {
                open.fetch_sub(1, Ordering::AcqRel);
            }
        }
    })
}

fn talk(mut stream: TcpStream, door: &Door, site: &Site<'_>) {
    let _ = stream.set_nodelay(true);
    let (response, with_body) = match Request::read(&mut stream) {
        Ok(request) => {
            let with_body = request.method != Method::Head;
            let answered = catch_unwind(AssertUnwindSafe(|| answer(&request, &stream, door, site)));
            let failed = || Response::error(Status::Failed, "this question made heaptape fail");
            (answered.unwrap_or_else(|_| failed()), with_body)
        }
        Err(NoRequest::Gone) => return,
        Err(NoRequest::TooLarge) => (Response::error(Status::TooLarge, "too large"), true),
        Err(NoRequest::Senseless) => (Response::error(Status::Bad, "not a request"), true),
    };
    if response.write(&mut stream, with_body).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

fn answer(request: &Request, stream: &TcpStream, door: &Door, site: &Site<'_>) -> Response {
    if request.method == Method::Other {
        return Response::error(Status::NotAllowed, "only GET");
    }
    if !door.is_host(request.host.as_deref()) {
        return Response::error(Status::Misdirected, "not by this name");
    }
    match door.inside(&request.path) {
        None => Response::error(
            Status::NotFound,
            "nothing is here; open the address that heaptape ui printed",
        ),
        Some(path) => {
            let peer = Peer { stream, looking: Mutex::new(()) };
            site.answer(path, &request.query, &|| peer.is_gone())
        }
    }
}

/// Who waits for an answer.
struct Peer<'a> {
    stream: &'a TcpStream,
    /// One looks at a time: the way to look is a state of the stream.
    looking: Mutex<()>,
}

impl Peer<'_> {
    /// Whether nobody waits for the answer any more. Several threads that work on it may ask.
    fn is_gone(&self) -> bool {
        let _own = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        is_gone(self.stream)
    }
}

/// Whether the peer has closed the connection: nobody waits for the answer.
fn is_gone(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let gone = match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).is_err() || gone
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread looked while another had just made the stream wait again: it waited until the time for a head was up.
    #[test]
    fn several_threads_may_look_whether_somebody_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let asker = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let peer = Peer { stream: &stream, looking: Mutex::new(()) };
        let look = || (0..20_000).any(|_| peer.is_gone());
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(look)).collect();
            assert!(all.into_iter().all(|one| !one.join().unwrap()));
        });
        drop(asker);
        while !peer.is_gone() {}
    }
}
