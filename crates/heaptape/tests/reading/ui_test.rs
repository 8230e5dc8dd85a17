//! `heaptape ui` from outside, by a plain TCP client: who gets in, what hostile requests do, and whether the numbers are
//! those of the table of all blocks.

use crate::tapes::{TestTape, heaptape, stdout, write_tape};
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_tape::{ProcessId, Tape};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server, ended with the test.
struct Server {
    child: Child,
    port: u16,
    /// `/<token>/`.
    root: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Server {
    fn of(tape: &Path) -> Server {
        Server::with(tape, &[])
    }

    fn with(tape: &Path, options: &[&str]) -> Server {
        let mut command = heaptape(&[&["ui", tape.to_str().unwrap()], options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest =
            line.trim().strip_prefix("http://127.0.0.1:").expect("an address of this machine");
        let (port, path) = rest.split_once('/').unwrap();
        Server { child, port: port.parse().unwrap(), root: format!("/{path}") }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes and reads until the end.
    fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // A server that refuses may close before everything is sent.
        let _ = stream.write_all(bytes);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(reply.len());
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { status, head, body: reply.get(end + 4..).unwrap_or_default().to_vec() }
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> Reply {
        self.raw(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", &format!("{}{path}", self.root), &format!("127.0.0.1:{}", self.port))
    }

    fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// What packed columns say beside the columns.
    fn meta(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        let length = u32::from_le_bytes(reply.body[..4].try_into().unwrap()) as usize;
        let head: Value = serde_json::from_slice(&reply.body[4..4 + length]).unwrap();
        head["meta"].clone()
    }

    /// The bytes of a column of packed columns.
    fn column(&self, path: &str, name: &str) -> Vec<u8> {
        let body = self.get(path).body;
        let length = u32::from_le_bytes(body[..4].try_into().unwrap()) as usize;
        let head: Value = serde_json::from_slice(&body[4..4 + length]).unwrap();
        let mut at = 4 + length;
        for column in head["columns"].as_array().unwrap() {
            let width = if column["type"] == "u8" { 1 } else { 4 };
            let bytes = column["length"].as_u64().unwrap() as usize * width;
            if column["name"] == name {
                return body[at..at + bytes].to_vec();
            }
            at += bytes.next_multiple_of(8);
        }
        panic!("no column {name}")
    }
}

fn tape(name: &str, blocks: u64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write_tape(&path, b"./demo", blocks);
    (folder, path)
}

#[test]
fn the_page_and_its_parts_are_served() {
    let (_folder, tape) = tape("served.tape", 20);
    let server = Server::of(&tape);
    let page = server.get("");
    assert_eq!(page.status, 200);
    assert!(String::from_utf8(page.body).unwrap().contains("<script src=\"app.js\">"));
    for header in [
        "Content-Security-Policy: default-src 'none'; script-src 'self';",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
    ] {
        assert!(page.head.contains(header), "{}", page.head);
    }
    assert!(!page.head.to_lowercase().contains("access-control"), "{}", page.head);
    for part in
        ["app.js", "app.css", "p/0/strings", "p/0/frames", "p/0/stacks", "p/0/times", "p/0/samples"]
    {
        let reply = server.get(part);
        assert_eq!(reply.status, 200, "{part}");
        assert!(!reply.body.is_empty(), "{part}");
    }
    let head = server.ask("HEAD", &server.root, &format!("localhost:{}", server.port));
    assert_eq!((head.status, head.body.len()), (200, 0));
    let overview = server.json("overview.json");
    assert_eq!(overview["processes"][0]["event_count"], 32);
    assert_eq!(overview["version"], 1);
}

#[test]
fn a_second_tape_is_served_beside_the_first() {
    let ((_folder, one), (_other_folder, other)) = (tape("one.tape", 20), tape("other.tape", 60));
    let server = Server::with(&one, &["--diff", other.to_str().unwrap()]);
    assert_eq!(server.json("overview.json")["has_other"], true);
    assert_eq!(server.json("other/overview.json")["tape"], "other.tape");
    let question = "p/0/total?metric=alloc&t=0&a=0&b=92&q=";
    assert_eq!(server.json(&format!("other/{question}"))["blocks"], 61);
    assert_eq!(server.get("other/p/0/stacks").body, server.get("p/0/stacks").body);
    for path in ["other", "other/", "other/app.js", "other/other/overview.json", "other/p/1/stacks"]
    {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    let alone = Server::of(&one);
    assert_eq!(alone.json("overview.json")["has_other"], false);
    assert_eq!(alone.get("other/overview.json").status, 404);
}

#[test]
fn who_does_not_know_the_way_gets_nothing() {
    let (_folder, tape) = tape("door.tape", 4);
    let server = Server::of(&tape);
    let host = format!("127.0.0.1:{}", server.port);
    let other_token = format!("/{}/overview.json", "0".repeat(32));
    for path in ["/", "/overview.json", "//", &other_token, server.root.trim_end_matches('/')] {
        assert_eq!(server.ask("GET", path, &host).status, 404, "{path}");
    }
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", ""] {
        let reply = server.ask("GET", &server.root, host);
        assert_eq!(reply.status, 421, "{host}");
    }
    let none = server.raw(format!("GET {} HTTP/1.1\r\n\r\n", server.root).as_bytes());
    assert_eq!(none.status, 421, "no name at all");
    let two = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n", server.root);
    assert_eq!(server.raw(two.as_bytes()).status, 421);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get"] {
        assert_eq!(server.ask(method, &server.root, &host).status, 405, "{method}");
    }
    for path in [
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "p/0/../../x",
        "p/0/",
        "p/1/peak",
        "p/x/peak",
        "p/0/nothing",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn hostile_requests_are_survived() {
    let (_folder, tape) = tape("hostile.tape", 4);
    let server = Server::of(&tape);
    // Heads that never end, while others are answered.
    let mut slow: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    let gone = server.connect();
    gone.shutdown(Shutdown::Both).unwrap();
    assert_eq!(server.get("overview.json").status, 200);
    let large = format!("GET {} HTTP/1.1\r\nX: {}\r\n\r\n", server.root, "x".repeat(40_000));
    assert!(matches!(server.raw(large.as_bytes()).status, 431 | 0));
    for senseless in ["\r\n\r\n", "GET\r\n\r\n", "GET / SPDY\r\n\r\n", "\u{0}\u{1}\r\n\r\n"] {
        assert_eq!(server.raw(senseless.as_bytes()).status, 400, "{senseless:?}");
    }
    assert_eq!(server.raw(b"GET /\xff\xfe HTTP/1.1\r\n\r\n").status, 400);
    for bad in [
        "p/0/peak",
        "p/0/peak?a=1",
        "p/0/peak?a=x&b=2",
        "p/0/total?metric=none&t=0&a=0&b=0&q=",
        "p/0/total?metric=live&t=0&a=0&b=0&q=size:zap",
        "p/0/total?metric=live&t=0&a=0&b=0&q=%zz",
        "p/0/cells?t=0&lo=0&cell_bytes=1&count=99999999999",
        "p/0/time_map?lo=0&hi=1&a=0&b=1&width=8000&height=8000&by=site",
        "p/0/time_map?lo=0&hi=1&a=0&b=1&width=2&height=2&by=colour",
        "p/0/time_map?lo=0&hi=1&a=0&b=1&width=2&height=2&by=size&limits=2,1",
        "p/0/time_map?lo=0&hi=1&a=0&b=1&width=2&height=2&by=site&q=size:zap",
        "p/0/blocks?metric=live&t=0&a=0&b=0&q=&sort=zap&descending=false&offset=0&limit=10",
        "p/0/blocks?metric=live&t=0&a=0&b=0&q=&sort=id&descending=false&offset=99999999&limit=10",
    ] {
        let reply = server.get(bad);
        assert_eq!(reply.status, 400, "{bad}");
        assert!(!reply.body.is_empty(), "{bad}: says why");
    }
    // Numbers from the ends of what there is.
    for odd in [
        "p/0/peak?a=99999999999&b=0",
        "p/0/live?t=4294967295&lo=18446744073709551615&hi=0&limit=1",
        "p/0/cells?t=1&lo=18446744073709551615&cell_bytes=18446744073709551615&count=3",
        "p/0/envelope?from_ns=18446744073709551615&to_ns=0&buckets=3",
        "p/0/envelope?from_ns=0&to_ns=18446744073709551615&buckets=0",
        "p/0/time_map?lo=18446744073709551615&hi=0&a=9&b=1&width=2&height=2&by=lifetime&limits=1,5&q=age:>1s",
        "p/0/history?addr=18446744073709551615&limit=0",
        "p/0/events?before=4294967295&lo=0&hi=18446744073709551615&most=5",
        "p/0/block?id=18446744073709551615",
        "p/0/block?id=0",
        "p/0/contents?id=1&t=9",
        "p/0/source?frame=4294967295",
        "p/0/pinned?t=9&site=4294967295",
        "p/0/series?from_ns=0&to_ns=9&points=0&most=0",
        "p/0/series?from_ns=18446744073709551615&to_ns=0&points=1&most=9",
        "p/0/series?from_ns=0&to_ns=18446744073709551615&points=3&most=9",
        "p/0/histograms?metric=diff&t=0&a=9&b=3&q=",
    ] {
        assert_eq!(server.get(odd).status, 200, "{odd}");
    }
}

#[test]
fn numbers_are_those_of_the_table_of_all_blocks() {
    let (_folder, path) = tape("numbers.tape", 400);
    let server = Server::of(&path);
    let tape = Tape::open(&path).unwrap();
    let all = Lifetimes::of(&tape, ProcessId(0), &|_| true).unwrap();
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u32 % (all.events + 1)
    };
    for _ in 0..40 {
        let (x, y) = (random(), random());
        let (a, b) = (x.min(y), x.max(y));
        for (metric, span) in [
            ("live", (a, a)),
            ("kept", (a, b)),
            ("leaked", (a, b)),
            ("alloc", (a, b)),
            ("freed", (a, b)),
            ("diff", (a, b)),
        ] {
            let (from, to) = span;
            let mut expected = (0_i64, 0_i64);
            for block in &all.blocks {
                let begun = from <= block.born && block.born < to;
                let sign = match metric {
                    "live" => i64::from(block.is_live(a)),
                    "kept" => i64::from(begun && to <= block.died),
                    "leaked" => i64::from(begun && block.died == u32::MAX),
                    "alloc" => i64::from(begun),
                    "freed" => i64::from(from <= block.died && block.died < to),
                    _ => i64::from(block.is_live(to)) - i64::from(block.is_live(from)),
                };
                expected.0 += sign * block.size as i64;
                expected.1 += sign;
            }
            let measure = format!("metric={metric}&t={a}&a={a}&b={b}");
            let total = server.json(&format!("p/0/total?{measure}&q="));
            assert_eq!(total["bytes"], expected.0, "{measure}");
            assert_eq!(total["blocks"], expected.1, "{measure}");
            let weighed = server.meta(&format!("p/0/weigh?{measure}&q="));
            assert_eq!(
                weighed["total"],
                serde_json::json!({ "bytes": expected.0, "blocks": expected.1 })
            );
            let small =
                server.json(&format!("p/0/total?{measure}&q=size%3A%3C%3D100+size%3A%3E100"));
            assert_eq!(small["blocks"], 0, "no block is both");
        }
    }
    // What the report's own results say.
    let summary: Value =
        serde_json::from_str(&stdout(&["summary", path.to_str().unwrap(), "--json"])).unwrap();
    let overview = server.json("overview.json");
    let peak = &overview["processes"][0]["peak"];
    let found = server.json(&format!("p/0/peak?a=0&b={}", all.events));
    assert_eq!((&found["position"], &found["bytes"]), (&peak["position"], &peak["bytes"]));
    assert_eq!(overview["processes"][0]["summary"]["peak"], summary["results"][0]["peak"]);
    let layout: Value =
        serde_json::from_str(&stdout(&["layout", path.to_str().unwrap(), "--json"])).unwrap();
    let served = server.json(&format!("p/0/layout?t={}", all.events));
    let known = &layout["results"][0]["layout"];
    for field in ["used_bytes", "live_bytes", "span_bytes"] {
        assert_eq!(served["total"][field], known[field], "{field}");
        assert!(served["total"][field].as_u64().is_some_and(|bytes| bytes > 0), "{field}");
    }
}

/// Held against the command: at each snapshot the bytes that it knows, and no others.
#[test]
fn contents_are_those_of_the_command() {
    let tape = TestTape::with_contents();
    let server = Server::of(Path::new(tape.path()));
    for (block, size, snapshots) in [(1, 64, &["#1", "#2"][..]), (3, 9000, &["#1", "#2"])] {
        let whole = format!("p/0/contents?id={block}&t=4");
        let captures = server.column(&whole, "captures");
        assert_eq!(captures.len(), 4 * snapshots.len());
        for (position, snapshot) in captures.chunks(4).zip(snapshots) {
            let position = u32::from_le_bytes(position.try_into().unwrap());
            let path = format!("p/0/contents?id={block}&t={position}");
            assert_eq!(server.meta(&path)["captured"]["position"], position);
            let number = format!("#{block}");
            let told = stdout(&[
                "contents",
                tape.path(),
                &number,
                "--at",
                snapshot,
                "--length",
                "9000",
                "--json",
            ]);
            let told: Value = serde_json::from_str(&told).unwrap();
            let (mut bytes, mut known) = (vec![0; size], vec![0; size]);
            for stretch in told["results"][0]["recorded"].as_array().unwrap() {
                let at = stretch["at"].as_u64().unwrap() as usize;
                let digits = stretch["bytes"].as_str().unwrap().as_bytes();
                for (place, digits) in (at..).zip(digits.chunks(2)) {
                    let digits = std::str::from_utf8(digits).unwrap();
                    bytes[place] = u8::from_str_radix(digits, 16).unwrap();
                    known[place] = 1;
                }
            }
            assert!(known.contains(&1), "{path}: nothing is recorded");
            assert_eq!(server.column(&path, "known"), known, "{path}");
            let mut served = server.column(&path, "bytes");
            served.iter_mut().zip(&known).for_each(|(byte, known)| *byte *= known);
            assert_eq!(served, bytes, "{path}");
        }
    }
    let freed = server.meta("p/0/contents?id=99&t=4");
    assert_eq!(freed["captured"], Value::Null, "there is no such block");
}

#[test]
fn a_signal_ends_it() {
    let (_folder, tape) = tape("end.tape", 4);
    let mut server = Server::of(&tape);
    assert_eq!(server.get("overview.json").status, 200);
    let pid = server.child.id().to_string();
    // Not SIGINT: a shell that starts the tests in the background has them ignore it.
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    server.child.wait().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err(), "nobody listens any more");
}
