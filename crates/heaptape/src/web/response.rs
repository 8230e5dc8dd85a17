//! What goes back: a body and what browsers must know of it.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A peer that takes nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: Status,
    kind: &'static str,
    body: Arc<Vec<u8>>,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// The question makes no sense.
    Bad,
    /// By a name that is not this machine's.
    Misdirected,
    NotFound,
    NotAllowed,
    TooLarge,
    /// It cannot be answered: the body says why.
    Failed,
    /// Too many at once.
    Busy,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::Bad => "400 Bad Request",
            Status::Misdirected => "421 Misdirected Request",
            Status::NotFound => "404 Not Found",
            Status::NotAllowed => "405 Method Not Allowed",
            Status::TooLarge => "431 Request Header Fields Too Large",
            Status::Failed => "500 Internal Server Error",
            Status::Busy => "503 Service Unavailable",
        }
    }
}

/// Of every answer: nobody else may read, frame, guess or keep it, and the page itself runs and asks only what is here.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
connect-src 'self'; img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
X-Content-Type-Options: nosniff\r\n\
Referrer-Policy: no-referrer\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Cross-Origin-Opener-Policy: same-origin\r\n\
Cache-Control: no-store\r\n\
Connection: close\r\n";

impl Response {
    pub(super) fn html(body: &str) -> Response {
        Response::new("text/html; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(super) fn script(body: &str) -> Response {
        Response::new("text/javascript; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(super) fn style(body: &str) -> Response {
        Response::new("text/css; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(super) fn json(body: Vec<u8>) -> Response {
        Response::new("application/json", body)
    }

    pub(super) fn columns(body: Vec<u8>) -> Response {
        Response::new("application/octet-stream", body)
    }

    /// Why there is no answer, in a sentence.
    pub(super) fn error(status: Status, why: &str) -> Response {
        let body = format!("{why}\n").into_bytes();
        Response { status, ..Response::new("text/plain; charset=utf-8", body) }
    }

    fn new(kind: &'static str, body: Vec<u8>) -> Response {
        Response { status: Status::Ok, kind, body: Arc::new(body) }
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Sends it; of a HEAD request without the body.
    pub(super) fn write(&self, stream: &mut TcpStream, with_body: bool) -> io::Result<()> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let allow = if self.status == Status::NotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}{HEADERS}\r\n",
            self.status.line(),
            self.kind,
            self.body.len()
        );
        stream.write_all(head.as_bytes())?;
        if with_body {
            stream.write_all(&self.body)?;
        }
        stream.flush()
    }
}
