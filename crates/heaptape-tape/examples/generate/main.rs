//! Writes a tape of a made-up program of any length, and measures reading it.
//!
//! ```text
//! cargo run --release -p heaptape-tape --example generate -- write python|gcc|tree|hoard|maze EVENTS FILE
//! cargo run --release -p heaptape-tape --example generate -- read FILE
//! cargo run --release -p heaptape-tape --example generate -- at FILE PERCENT
//! ```

mod program;

use heaptape_tape::*;
use program::{Kind, Program};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["write", kind, events, file] => write(kind_of(kind)?, events.parse()?, Path::new(file))?,
        ["read", file] => read(Path::new(file))?,
        ["at", file, percent] => at(Path::new(file), percent.parse()?)?,
        _ => {
            return Err(
                "usage: generate write KIND EVENTS FILE | read FILE | at FILE PERCENT".into()
            );
        }
    }
    println!("peak resident: {}", peak_resident()?);
    Ok(())
}

fn kind_of(name: &str) -> Result<Kind, String> {
    match name {
        "python" => Ok(Kind::Python),
        "gcc" => Ok(Kind::Gcc),
        "tree" => Ok(Kind::Tree),
        "hoard" => Ok(Kind::Hoard),
        "maze" => Ok(Kind::Maze),
        _ => Err(format!("unknown kind of program: {name}")),
    }
}

fn write(kind: Kind, events: u64, path: &Path) -> Result<(), Box<dyn Error>> {
    let header = Header { tick_ns: 1000, ..Header::default() };
    let begun = Instant::now();
    let mut tape = TapeWriter::new(BufWriter::new(File::create(path)?), &header)?;
    let mut program = Program::begin(kind, 1, &mut tape)?;
    let mut last = TimeNs(0);
    for _ in 0..events {
        let event = program.event();
        last = event.time;
        tape.event(ProcessId(0), &event)?;
    }
    tape.process_end(ProcessId(0), last, Ending::Exited(0), &Losses::default())?;
    tape.finish()?;
    let bytes = std::fs::metadata(path)?.len();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{events} events, {bytes} bytes: {:.3} bytes per event, {:.2} M events/s",
        bytes as f64 / events as f64,
        events as f64 / seconds / 1e6
    );
    Ok(())
}

fn read(path: &Path) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let tape = Tape::open(path)?;
    println!("open: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    let (mut events, mut sum) = (0u64, 0u64);
    for event in tape.events(ProcessId(0), 0) {
        sum = sum.wrapping_add(event?.addr);
        events += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{events} events (sum {sum:x}): {:.2} M events/s", events as f64 / seconds / 1e6);
    Ok(())
}

fn at(path: &Path, percent: f64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let tape = Tape::open(path)?;
    let end = tape.processes()[0].end.0;
    let moment = Moment::Time(TimeNs((end as f64 * percent / 100.0) as u64));
    let live = tape.live_at(ProcessId(0), moment)?;
    println!(
        "{} blocks, {} bytes live: {:.0} ms",
        live.totals().live_blocks,
        live.totals().live_bytes,
        begun.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

/// As the kernel says it.
fn peak_resident() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("unknown").trim().to_string())
}
