//! The head of a request, read within bounds of time and size.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Most bytes of a head. Browsers send about one KiB.
const MOST_BYTES: usize = 16 << 10;
/// A head that is not there after this time never will be.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The path, without the query; still as it was sent.
    pub(super) path: String,
    /// What follows the question mark.
    pub(super) query: String,
    /// `None`: there was none, or several.
    pub(super) host: Option<String>,
}

/// What is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    /// As GET, without the body.
    Head,
    /// Anything else: refused.
    Other,
}

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// The connection ended, or took too long.
    Gone,
    /// More than there may be.
    TooLarge,
    /// Not HTTP.
    Senseless,
}

impl Request {
    /// Reads a head.
    pub(super) fn read(stream: &mut TcpStream) -> Result<Request, NoRequest> {
        let until = Instant::now() + PATIENCE;
        let mut head = Vec::new();
        let mut some = [0; 2048];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
                return Err(NoRequest::Gone);
            }
            let count = match stream.read(&mut some) {
                Ok(0) | Err(_) => return Err(NoRequest::Gone),
                Ok(count) => count,
            };
            // The end may lie across two reads.
            let looked_at = head.len().saturating_sub(3);
            head.extend_from_slice(&some[..count]);
            if let Some(end) = head[looked_at..].windows(4).position(|four| four == b"\r\n\r\n") {
                return Request::parse(&head[..looked_at + end]);
            }
            if head.len() >= MOST_BYTES {
                return Err(NoRequest::TooLarge);
            }
        }
    }

    fn parse(head: &[u8]) -> Result<Request, NoRequest> {
        let text = std::str::from_utf8(head).map_err(|_| NoRequest::Senseless)?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (method, target, version, words.next())
        else {
            return Err(NoRequest::Senseless);
        };
        if !target.starts_with('/') || target.contains(|c: char| c.is_control()) {
            return Err(NoRequest::Senseless);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut hosts = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
        });
        let host = hosts.next().filter(|_| hosts.next().is_none());
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        Ok(Request { method, path: path.to_owned(), query: query.to_owned(), host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_apart() {
        let head = b"GET /t/p/0/peak?a=1&b=2 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX: y";
        let request = Request::parse(head).unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/t/p/0/peak", "a=1&b=2"));
        assert_eq!(request.host.as_deref(), Some("127.0.0.1:80"));
        let two = Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\nhost: b").unwrap();
        assert_eq!(two.host, None, "one of two hosts could be a lie");
        for senseless in [
            "",
            "GET",
            "GET /",
            "GET x HTTP/1.1",
            "GET / HTTP/2",
            "GET /\t HTTP/1.1",
            "GET / a HTTP/1.1",
        ] {
            assert_eq!(
                Request::parse(senseless.as_bytes()),
                Err(NoRequest::Senseless),
                "{senseless}"
            );
        }
        assert_eq!(Request::parse(b"GET /\xff HTTP/1.1"), Err(NoRequest::Senseless));
    }
}
