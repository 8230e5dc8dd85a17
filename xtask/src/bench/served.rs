//! `cargo xtask bench --served`: how soon `heaptape ui` answers on tapes of 100 million events.
//!
//! The tapes are generated, as those of a Python program, a compiler and a C++ tree. Moments, ranges and windows are
//! random and all different: each question is a request of its own, and none is answered from memory.

mod client;
mod questions;

use super::winding::EVENTS;
use super::{Bench, keep, scratch};
use crate::command::{cargo, checked, root, succeed};
use crate::provenance;
use client::Server;
use questions::{Asker, QUESTIONS, WHOLE};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What the generated programs are like.
const STREAMS: [&str; 3] = ["python", "gcc", "tree"];
/// Milliseconds that 95 of 100 answers to what is moved by hand may take.
const GOAL_MS: f64 = 100.0;
/// MiB that the server may take.
const GOAL_MIB: f64 = 1024.0;

/// Times of the answers to one question, ms, ascending.
struct Times(Vec<f64>);

impl Times {
    fn of(mut times: Vec<f64>) -> Times {
        times.sort_by(f64::total_cmp);
        Times(times)
    }

    /// The time within which so many of 100 answers came.
    fn within(&self, percent: usize) -> f64 {
        self.0.get((self.0.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

/// What was measured of one stream.
struct Stream {
    read_seconds: f64,
    peak_mib: f64,
    /// By question.
    answers: Vec<(&'static str, Times)>,
    whole: Vec<(&'static str, Times)>,
}

/// Measures, prints a table, and keeps it in `bench/SERVED.md` where `write` says so.
pub(super) fn measure(write: bool) -> Result<(), String> {
    for words in [
        &["build", "--release", "-p", "heaptape"][..],
        &["build", "--release", "-p", "heaptape-tape", "--example", "generate"],
    ] {
        succeed(&mut cargo(words))?;
    }
    let bench = Bench { heaptape: root().join("target/release/heaptape"), scratch: scratch()? };
    let mut load = vec![keep::load(0)];
    let mut streams = Vec::new();
    for stream in STREAMS {
        println!("==> served: {EVENTS} events like those of {stream}");
        streams.push(of_stream(&bench, stream)?);
        load.push(keep::load(0));
    }
    let text = table(&streams, &load);
    println!("\n{text}");
    if write {
        let path = root().join("bench/SERVED.md");
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn of_stream(bench: &Bench, stream: &str) -> Result<Stream, String> {
    let tape = bench.scratch.join("served.tape");
    let generate = root().join("target/release/examples/generate");
    checked(Command::new(generate).args(["write", stream, &EVENTS.to_string()]).arg(&tape))?;
    let began = Instant::now();
    let mut command = Command::new(&bench.heaptape);
    command.arg("ui").arg(&tape).stdout(Stdio::piped()).stderr(Stdio::null());
    let server = Server::start(command)?;
    let read_seconds = began.elapsed().as_secs_f64();
    let mut asker = Asker::new(&server, EVENTS)?;
    let answers = asker.all(&questions::AT_HAND)?;
    let whole = asker.all(&questions::OF_ALL)?;
    let peak_mib = server.peak_mib()?;
    drop(server);
    fs::remove_file(&tape).map_err(|e| e.to_string())?;
    Ok(Stream { read_seconds, peak_mib, answers, whole })
}

fn table(streams: &[Stream], load: &[f64]) -> String {
    let row = |name: &str, goal: &str, cell: &dyn Fn(&Stream) -> String| {
        let cells: Vec<String> = streams.iter().map(cell).collect();
        format!("| {name} | {goal} | {} |\n", cells.join(" | "))
    };
    let head = |first: &str| {
        format!(
            "| {first} | goal | {} |\n|---|---|{}\n",
            STREAMS.join(" | "),
            "---|".repeat(STREAMS.len())
        )
    };
    let loads: Vec<String> = load.iter().map(|it| format!("{it:.1}")).collect();
    let mut text = format!(
        "# How soon `heaptape ui` answers\n\n\
         Tapes of {} million events, generated like those of a Python program (50,000 blocks live at once), a compiler\n\
         (400,000, 6000 call sites) and a C++ tree (200,000, freed in no order). Each question is an HTTP request of its\n\
         own, at random moments, ranges and windows that are all different. Written by `cargo xtask bench --served\n\
         --write`, {}, commit {}, on {}; load average before and after each stream: {}.\n\n",
        EVENTS / 1_000_000,
        provenance::date(),
        provenance::commit(),
        provenance::machine(),
        loads.join(", "),
    );
    text += &head("what");
    let seconds = |it: &Stream| format!("{:.1} s", it.read_seconds);
    text += &row("the tape is read: index, summary, errors, leaks", "–", &seconds);
    let peak = |it: &Stream| format!("{:.0} MiB", it.peak_mib);
    text += &row("resident memory at its peak", &format!("{GOAL_MIB:.0} MiB"), &peak);
    let times = |times: &Times| {
        let [p50, p95, max] = [50, 95, 100].map(|percent| times.within(percent));
        format!("{p50:.0}, {p95:.0}, {max:.0}")
    };
    text += &format!(
        "\nWhat is moved by hand: median, p95 and most of {QUESTIONS}, ms; the goal is for p95.\n\n"
    );
    text += &head("question");
    let goal = format!("{GOAL_MS:.0}");
    for (at, (name, _)) in streams.first().map_or(&[][..], |it| &it.answers).iter().enumerate() {
        text += &row(name, &goal, &|stream| times(&stream.answers[at].1));
    }
    text += &format!("\nOf the whole history: median and most of {WHOLE}, seconds.\n\n");
    text += &head("question");
    for (at, (name, _)) in streams.first().map_or(&[][..], |it| &it.whole).iter().enumerate() {
        text += &row(name, "–", &|stream| {
            let seconds = |percent| stream.whole[at].1.within(percent) / 1e3;
            format!("{:.2}, {:.2}", seconds(50), seconds(100))
        });
    }
    let slow = |stream: &Stream| stream.answers.iter().any(|(_, times)| times.within(95) > GOAL_MS);
    let large = |stream: &Stream| stream.peak_mib > GOAL_MIB;
    let missed = streams.iter().filter(|stream| slow(stream) || large(stream)).count();
    text + &match missed {
        0 => "\nAll goals are met.\n".to_owned(),
        _ => format!("\nGoals are missed on {missed} of {} streams.\n", streams.len()),
    }
}
