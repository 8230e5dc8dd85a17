//! Every view, character by character.

use crate::fixture::{demo, views};
use heaptape_report::{Canvas, text};
use std::fs;
use std::path::Path;

const WIDE: Canvas = Canvas { width: 100, color: false, unicode: true };
const NARROW: Canvas = Canvas { width: 80, color: false, unicode: false };

/// Compares with the golden of that name, or writes it when asked to. A missing one is a failure.
fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views/goldens").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(actual, expected, "{name} differs; UPDATE_GOLDENS=1 writes it anew");
}

#[test]
fn wide_views() {
    let (recording, names) = demo();
    for (name, text) in views(&recording, &names, &WIDE) {
        check(&format!("{name}.100.txt"), &text);
    }
}

#[test]
fn narrow_seven_bit_views() {
    let (recording, names) = demo();
    for (name, text) in views(&recording, &names, &NARROW) {
        if matches!(name, "summary" | "at" | "events") {
            check(&format!("{name}.80.txt"), &text);
        }
        assert!(text.is_ascii(), "{name}");
    }
}

#[test]
fn no_line_is_wider_than_the_canvas() {
    let (recording, names) = demo();
    for width in [80, 100, 137] {
        for (name, drawn) in views(&recording, &names, &Canvas { width, ..WIDE }) {
            if matches!(name, "tsv" | "summary.json" | "valgrind") {
                continue;
            }
            for line in drawn.lines() {
                assert!(text::width(line) <= width, "{name} at {width}: {line}");
            }
        }
    }
}

/// A sample says so on top of every view, and how far off its sums may be.
#[test]
fn views_of_a_sample() {
    let (mut recording, names) = demo();
    recording.header.sample_bytes = 4096;
    for (name, text) in views(&recording, &names, &WIDE) {
        if matches!(name, "summary" | "at" | "tree" | "functions" | "info" | "addr") {
            check(&format!("sample.{name}.100.txt"), &text);
        }
    }
    for canvas in [WIDE, NARROW] {
        for (name, drawn) in views(&recording, &names, &canvas) {
            let narrow = drawn.lines().all(|line| text::width(line) <= canvas.width);
            assert!(
                narrow || matches!(name, "tsv" | "summary.json" | "valgrind"),
                "{name}: {drawn}"
            );
            assert!(canvas.unicode || drawn.is_ascii(), "{name}: {drawn}");
        }
    }
}

/// Colour adds escape sequences and changes nothing else; without colour there are none.
#[test]
fn colour_is_only_added() {
    let (recording, names) = demo();
    let plain = views(&recording, &names, &WIDE);
    let coloured = views(&recording, &names, &Canvas { color: true, ..WIDE });
    for ((name, plain), (_, coloured)) in plain.iter().zip(&coloured) {
        assert!(!plain.contains('\x1b'), "{name}");
        assert_eq!(&strip(coloured), plain, "{name}");
    }
    assert!(coloured[0].1.contains('\x1b'));
}

fn strip(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// A tape that was cut says so on the first lines of the summary.
#[test]
fn a_cut_tape_is_shown_as_one() {
    let (mut recording, names) = demo();
    recording.condition.complete = false;
    recording.processes[0].losses.events = 3;
    let summary = &views(&recording, &names, &WIDE)[0].1;
    let head: String = summary.lines().take(4).collect::<Vec<_>>().join("\n");
    assert!(head.contains("3 events lost"), "{head}");
    assert!(head.contains("TAPE CUT"), "{head}");
    assert!(head.contains("! The recording was not ended in order"), "{head}");
}
