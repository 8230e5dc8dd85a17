//! Names, paths and arguments that try to command the terminal.

use crate::fixture::{demo, views};
use heaptape_report::{Canvas, text};
use heaptape_tape::*;

const EVIL: &str = "evil\x1b]0;owned\x07\u{202e}txt.exe\r\n\t\u{200b}\u{9b}31m";

#[test]
fn nothing_reaches_the_terminal_unescaped() {
    let (mut recording, mut names) = demo();
    let bytes = [EVIL.as_bytes(), b"\xff\xfe"].concat();
    for (function, file, _) in &mut names.0 {
        *function = format!("{EVIL}{function}");
        *file = Some(format!("/src/{EVIL}.cpp"));
    }
    recording.header.command = vec![bytes.clone()];
    recording.header.cwd = bytes.clone();
    recording.header.host = EVIL.to_owned();
    recording.header.writer = EVIL.to_owned();
    recording.header.options = vec![(EVIL.to_owned(), EVIL.to_owned())];
    for process in &mut recording.processes {
        process.argv = vec![bytes.clone(); 3];
        process.exe = bytes.clone();
    }
    recording.threads.iter_mut().for_each(|thread| thread.name = bytes.clone());
    recording.modules.iter_mut().for_each(|module| module.path = bytes.clone());
    let pid = 1;
    recording.unrecorded =
        vec![Unrecorded { pid, time: TimeNs(0), exe: bytes, reason: EVIL.to_owned() }];
    for unicode in [false, true] {
        let canvas = Canvas { width: 80, color: false, unicode };
        for (name, drawn) in views(&recording, &names, &canvas) {
            let is_bad = |c: char| {
                let layout = c == '\n' || (c == '\t' && name == "tsv");
                (c.is_control() && !layout) || matches!(c, '\u{202e}' | '\u{200b}')
            };
            // JSON escapes control characters itself; programs read it, terminals do not.
            let found =
                drawn.chars().find(|c| is_bad(*c) && (name != "summary.json" || c.is_ascii()));
            assert_eq!(found, None, "{name}");
            let table = matches!(name, "tsv" | "summary.json" | "valgrind");
            for line in drawn.lines().filter(|_| !table) {
                // Words without a space cannot be broken; these are the paths in sentences.
                let has_long_word = line.split(' ').any(|word| text::width(word) > 60);
                assert!(text::width(line) <= 80 || has_long_word, "{name}: {line}");
            }
        }
    }
}

/// Whatever a tape holds, no view panics: empty process, no names, absurd times and sizes.
#[test]
fn absurd_recordings_are_drawn() {
    let (mut recording, names) = demo();
    recording.header.page_size = 0;
    recording.processes[0].end = TimeNs(0);
    recording.processes[0].start = TimeNs(u64::MAX);
    let events = recording.events.get_mut(&ProcessId(0)).unwrap();
    for (index, event) in events.iter_mut().enumerate() {
        event.thread = ThreadId(u32::MAX);
        event.backtrace = if index % 2 == 0 { BacktraceId(u32::MAX) } else { BacktraceId::NONE };
        event.size = u64::MAX - index as u64;
        event.addr = event.addr.wrapping_mul(0x1_0000_0001);
    }
    for (width, sample_bytes) in [(20, 0), (80, 0), (20, 1), (80, u64::MAX)] {
        recording.header.sample_bytes = sample_bytes;
        let canvas = Canvas { width, color: true, unicode: true };
        assert!(views(&recording, &names, &canvas).len() > 10);
    }
    recording.events.clear();
    assert!(
        views(&recording, &names, &Canvas { width: 80, color: false, unicode: true }).len() > 10
    );
}
