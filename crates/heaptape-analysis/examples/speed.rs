//! Measures how fast a tape is read: events a second of its first process for reading alone, with
//! replay, and with what a view gathers; by one thread, and with others that decode ahead. Where other
//! programs run too, the processor time of the single thread says more than the time that passed.
//!
//! ```text
//! cargo run --release -p heaptape-tape --example generate -- write gcc 100000000 gcc.tape
//! cargo run --release -p heaptape-analysis --example speed -- gcc.tape
//! ```

use heaptape_analysis::names::{Frame, Names};
use heaptape_analysis::summary::Summary;
use heaptape_analysis::{Recording, replay};
use heaptape_tape::*;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Every place is a function of its own.
struct Addresses;

impl Names for Addresses {
    fn frames(&self, _: BacktraceId, node: &BacktraceNode) -> Arc<[Frame]> {
        let name: Arc<str> = format!("{:#x}", node.address).into();
        Arc::from([Frame {
            function: Arc::clone(&name),
            short: name,
            file: None,
            line: 0,
            module: None,
            inlined: false,
            why: None,
            named: true,
        }])
    }

    fn module_state(&self, _: ModuleId) -> String {
        String::new()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: speed TAPE")?;
    let limits = Limits::default();
    for readers in [0, limits.readers.max(1)] {
        let tape = Tape::open_within(Path::new(&path), Limits { readers, ..limits })?;
        println!("{readers} threads decode ahead");
        measure(&tape, "read", read)?;
        measure(&tape, "read, replay", replay_only)?;
        measure(&tape, "read, replay, summary", summary)?;
    }
    Ok(())
}

fn measure(
    tape: &Tape,
    what: &str,
    work: impl Fn(&Tape) -> Result<u64, TapeError>,
) -> Result<(), TapeError> {
    let (begun, cpu_before) = (Instant::now(), cpu_seconds()?);
    let result = work(tape)?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu_before);
    let rate = |seconds: f64| tape.event_count(ProcessId(0)) as f64 / seconds / 1e6;
    println!(
        "  {what:22} {seconds:6.2} s {:6.1} M events/s   processor {cpu:6.2} s {:6.1} M events/s  ({result:x})",
        rate(seconds),
        rate(cpu)
    );
    Ok(())
}

/// Processor time of all threads so far, as the kernel counts it in hundredths of a second.
fn cpu_seconds() -> std::io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = after_name.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}

fn read(tape: &Tape) -> Result<u64, TapeError> {
    let mut sum = 0_u64;
    tape.runs(ProcessId(0), 0..EventIndex::MAX, &mut |events| {
        sum = events.iter().fold(sum, |sum, event| sum.wrapping_add(event.addr));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sum)
}

fn replay_only(tape: &Tape) -> Result<u64, TapeError> {
    let mut live = tape.live_at_start(ProcessId(0))?;
    let nothing = &mut |_: &Event, _: &Effect<&LiveBlock>, _: &Totals| {};
    replay::whole(tape, ProcessId(0), &mut live, nothing)?;
    Ok(live.totals().live_bytes)
}

fn summary(tape: &Tape) -> Result<u64, TapeError> {
    let process = &Recording::processes(tape)[0];
    let summary = Summary::compute(tape, &Addresses, process, 10)?;
    Ok(summary.never_freed.live.total.bytes)
}
