//! Writes the events of a tape anew, and says what each kind of block and each column takes: how to
//! compare two ways of encoding with the same, real events.
//!
//! ```text
//! cargo run --release -p heaptape-tape --example recode -- FILE… [--clock N] [--write DIRECTORY]
//! ```
//!
//! `--clock N`: the clock is read only at every N-th event, others have the time read last.

#[path = "../../tests/small/mod.rs"]
#[allow(unused)]
mod small;

use heaptape_tape::*;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut files, mut clock, mut write) = (Vec::new(), 1, None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or("a value is missing");
        match arg.as_str() {
            "--clock" => clock = value()?.parse()?,
            "--write" => write = Some(PathBuf::from(value()?)),
            _ => files.push(PathBuf::from(arg)),
        }
    }
    for file in files {
        let tape = Tape::open(&file)?;
        let (bytes, cost) = recode(&tape, clock)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        report(&name, &tape, &bytes, &cost);
        check(&tape, &bytes, clock)?;
        if let Some(directory) = &write {
            std::fs::write(directory.join(file.file_name().unwrap_or_default()), &bytes)?;
        }
    }
    Ok(())
}

/// What writing took: CPU time of the calls of [`TapeWriter::event`], and of all that was done.
struct Cost {
    calls: Duration,
    all: Duration,
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// CPU time of this process, in steps of 10 ms.
fn process_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(10 * ticks)
}

/// The tape that the writer of this version makes of the same events.
fn recode(tape: &Tape, clock: u64) -> Result<(Vec<u8>, Cost), Box<dyn Error>> {
    let mut writer = TapeWriter::new(Vec::new(), tape.header())?;
    for process in tape.processes() {
        writer.process_start(process)?;
    }
    for thread in tape.threads() {
        writer.thread_start(thread)?;
    }
    for module in tape.modules() {
        writer.module_load(module)?;
    }
    for node in tape.nodes().iter() {
        writer.backtrace_node(&node)?;
    }
    let events: Vec<(&Process, Vec<Event>)> = tape
        .processes()
        .iter()
        .map(|process| Ok((process, events(tape, process.id, clock)?)))
        .collect::<Result<_, TapeError>>()?;
    let (thread, process) = (thread_time(), process_time());
    for (process, events) in &events {
        for event in events {
            writer.event(process.id, event)?;
        }
    }
    let calls = thread_time() - thread;
    for (process, _) in &events {
        writer.process_end(process.id, process.end, process.ending, &process.losses)?;
    }
    let bytes = writer.finish()?;
    Ok((bytes, Cost { calls, all: process_time() - process }))
}

fn events(tape: &Tape, process: ProcessId, clock: u64) -> Result<Vec<Event>, TapeError> {
    let mut events = tape.events(process, 0).collect::<Result<Vec<Event>, TapeError>>()?;
    let mut now = TimeNs(0);
    for (index, event) in (0u64..).zip(&mut events) {
        if index.is_multiple_of(clock) {
            now = event.time;
        }
        event.time = now;
    }
    Ok(events)
}

/// The new tape must hold the very events.
fn check(tape: &Tape, bytes: &[u8], clock: u64) -> Result<(), Box<dyn Error>> {
    let again = small::open_bytes(bytes);
    let begun = thread_time();
    let decoded: usize = tape.processes().iter().map(|p| again.events(p.id, 0).count()).sum();
    let read = thread_time() - begun;
    let begun = thread_time();
    for process in tape.processes() {
        let mut live = LiveSet::new();
        for event in again.events(process.id, 0) {
            live.apply(&event?);
        }
    }
    let replayed = thread_time() - begun;
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / decoded as f64;
    println!(
        "  read: {:.1} ns an event, replayed: {:.1}",
        nanoseconds(read),
        nanoseconds(replayed)
    );
    for process in tape.processes() {
        if events(&again, process.id, 1)? != events(tape, process.id, clock)? {
            return Err("the new tape does not hold the same events".into());
        }
    }
    Ok(())
}

/// Bytes by kind of block and by column, each column packed on its own.
fn report(name: &str, tape: &Tape, bytes: &[u8], cost: &Cost) {
    let events: u64 = tape.processes().iter().map(|p| tape.event_count(p.id)).sum();
    let per_event = |bytes: usize| bytes as f64 / events as f64;
    println!("{name}: {events} events, {:.4} bytes an event", per_event(bytes.len()));
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / events as f64;
    let (calls, all) = (nanoseconds(cost.calls), nanoseconds(cost.all));
    println!("  written: {calls:.1} ns an event in calls, {all:.1} in all");
    for (kind, word) in
        [(small::META, "facts"), (small::EVENTS, "events"), (small::KEYFRAME, "keyframes")]
    {
        let blocks: Vec<small::Block> = small::blocks(bytes).filter(|b| b.kind == kind).collect();
        let stored = blocks.iter().map(|b| b.end - b.start).sum::<usize>();
        println!("  {word:<10} {:>6} blocks {:.4}", blocks.len(), per_event(stored));
        if kind != small::META {
            columns(&blocks, per_event);
        }
    }
}

fn columns(blocks: &[small::Block], per_event: impl Fn(usize) -> f64) {
    let mut sums: Vec<(usize, usize)> = Vec::new();
    for block in blocks {
        let run = match block.kind {
            small::KEYFRAME => split(&block.body)[0],
            _ => &block.body[..],
        };
        let mut parts = split(run);
        parts.extend(if block.kind == small::KEYFRAME {
            split(&block.body)[1..].to_vec()
        } else {
            vec![]
        });
        sums.resize(sums.len().max(parts.len()), (0, 0));
        for (sum, column) in sums.iter_mut().zip(parts) {
            let packed = zstd::bulk::compress(column, 3).map_or(0, |packed| packed.len());
            *sum = (sum.0 + column.len(), sum.1 + packed.min(column.len()));
        }
    }
    for (number, (raw, packed)) in sums.into_iter().enumerate() {
        println!("    column {number}: {:.4} raw, {:.4} packed", per_event(raw), per_event(packed));
    }
}

/// The columns of a body.
fn split(mut body: &[u8]) -> Vec<&[u8]> {
    let count = number(&mut body);
    let lens: Vec<usize> = (0..count).map(|_| number(&mut body)).collect();
    lens.into_iter()
        .map(|len| {
            let (column, rest) = body.split_at(len);
            body = rest;
            column
        })
        .collect()
}

fn number(body: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = body[0];
        *body = &body[1..];
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}
