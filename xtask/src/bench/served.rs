//! `cargo xtask bench --served`: how soon `heaptape ui` answers on a tape of 100 million events.
//!
//! The tape is generated as that of a Python program; moments are random, each question is a request of its own.

use super::winding::EVENTS;
use super::{Bench, scratch};
use crate::command::{cargo, checked, root, succeed};
use crate::provenance;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Questions of each kind.
const QUESTIONS: u32 = 500;
/// Cells of a map.
const CELLS: u64 = 100_000;

/// A server that is ended with the bench.
struct Server {
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

/// Measures and prints a table for `bench/SERVED.md`.
pub(super) fn measure() -> Result<(), String> {
    for words in [
        &["build", "--release", "-p", "heaptape"][..],
        &["build", "--release", "-p", "heaptape-tape", "--example", "generate"],
    ] {
        succeed(&mut cargo(words))?;
    }
    let bench = Bench { heaptape: root().join("target/release/heaptape"), scratch: scratch()? };
    let tape = bench.scratch.join("served.tape");
    let generate = root().join("target/release/examples/generate");
    checked(Command::new(generate).args(["write", "python", &EVENTS.to_string()]).arg(&tape))?;
    let began = Instant::now();
    let mut command = Command::new(&bench.heaptape);
    command.arg("ui").arg(&tape).stdout(Stdio::piped()).stderr(Stdio::null());
    let server = Server::start(command)?;
    let ready = began.elapsed().as_secs_f64();
    println!("{}\n", provenance::machine());
    println!("| what | |\n|---|---|\n| the tape is read | {ready:.1} s |");
    let began = Instant::now();
    for part in ["", "app.js", "app.css", "overview.json"] {
        server.get(part)?;
    }
    for part in ["strings", "frames", "stacks", "times", "samples"] {
        server.get(&format!("p/0/{part}"))?;
    }
    server.get(&format!("p/0/peak?a=0&b={EVENTS}"))?;
    println!("| everything for the first page | {:.3} s |", began.elapsed().as_secs_f64());
    let layout = server.get(&format!("p/0/layout?t={}", EVENTS / 2))?;
    let layout: serde_json::Value = serde_json::from_slice(&layout).map_err(|e| e.to_string())?;
    let regions = layout["regions"].as_array().ok_or("a layout without regions")?;
    let (first, last) = (regions.first().ok_or("no region")?, regions.last().ok_or("no region")?);
    let lo = first["start"].as_u64().ok_or("no start")?;
    let cell = (last["end"].as_u64().ok_or("no end")? - lo).div_ceil(CELLS).max(1);
    let mut seed = 7_u64;
    for question in ["total", "weigh", "layout", "cells"] {
        let mut times = Vec::new();
        for _ in 0..QUESTIONS {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let t = (seed >> 20) % EVENTS;
            let path = match question {
                "layout" => format!("p/0/layout?t={t}"),
                "cells" => format!("p/0/cells?t={t}&lo={lo}&cell_bytes={cell}&count={CELLS}"),
                _ => format!("p/0/{question}?metric=live&t={t}&a=0&b={EVENTS}&q="),
            };
            let began = Instant::now();
            server.get(&path)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, p95) = (times[times.len() / 2], times[times.len() * 95 / 100]);
        println!("| `{question}` at a random moment | median {median:.1} ms, p95 {p95:.1} ms |");
    }
    println!("| resident memory at its peak | {:.0} MiB |", server.peak_mib()?);
    drop(server);
    fs::remove_file(&tape).map_err(|e| e.to_string())
}

impl Server {
    fn start(mut command: Command) -> Result<Server, String> {
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        let rest = line.trim().strip_prefix("http://").unwrap_or_default().to_owned();
        let (host, path) = rest.split_once('/').ok_or("heaptape ui printed no address")?;
        Ok(Server { child, host: host.to_owned(), root: format!("/{path}") })
    }

    /// The body of an answer.
    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
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

    fn peak_mib(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).map_err(|e| e.to_string())?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kib = line.split_whitespace().next().and_then(|it| it.parse::<f64>().ok());
        Ok(kib.ok_or("no VmHWM")? / 1024.0)
    }
}
