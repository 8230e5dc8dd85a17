//! A server that is asked, and ended with the bench.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

/// A running `heaptape ui`.
pub(super) struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    host: String,
    /// `/<token>/`.
    root: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it, and waits until it answers. Its output must be piped.
    pub(super) fn start(mut command: Command) -> Result<Server, String> {
        let child = command.spawn().map_err(|e| e.to_string())?;
        let mut server = Server { child, host: String::new(), root: String::new() };
        let mut line = String::new();
        let out = server.child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        let rest = line.trim().strip_prefix("http://").unwrap_or_default();
        let (host, path) = rest.split_once('/').ok_or("heaptape ui printed no address")?;
        (server.host, server.root) = (host.to_owned(), format!("/{path}"));
        Ok(server)
    }

    /// The body of an answer.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut stream = TcpStream::connect(&self.host).map_err(|e| e.to_string())?;
        let (root, host) = (&self.root, &self.host);
        write!(stream, "GET {root}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
            .map_err(|e| e.to_string())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).map_err(|e| e.to_string())?;
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no answer")?;
        if !reply.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&reply)));
        }
        Ok(reply.split_off(end + 4))
    }

    /// Its resident memory at most, MiB.
    pub(super) fn peak_mib(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).map_err(|e| e.to_string())?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kib = line.split_whitespace().next().and_then(|it| it.parse::<f64>().ok());
        Ok(kib.ok_or("no VmHWM")? / 1024.0)
    }
}
