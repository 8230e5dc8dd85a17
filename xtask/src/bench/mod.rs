//! `cargo xtask bench`: what recording costs beside heaptrack and beside a library that only counts, how large the
//! tapes are, how long reading them takes, and whether all of it was recorded.
//!
//! Each workload runs in interleaved rounds (bare, counted, heaptape, heaptrack, bare, …), because machines are
//! shared and noisy: what disturbs one of them disturbs the others. Time never fails a bench; loss, wrong order and
//! wrong backtraces do.

mod checks;
mod depths;
mod goals;
mod guard;
mod keep;
mod memory;
mod needs;
mod options;
mod page;
mod plot;
mod process;
mod record;
mod report;
mod results;
mod samples;
mod served;
mod stages;
mod winding;
mod workloads;

use crate::command::{cargo, root, succeed};
use options::Options;
use results::Results;
use std::fs;
use std::path::PathBuf;

/// Runs the benchmark as the words after `bench` say.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let options = Options::parse(words)?;
    if options.guard {
        return guard::run(&options);
    }
    if options.plot {
        return plot::draw(&Results::read()?);
    }
    if options.page {
        return page::run(&options);
    }
    if options.served {
        return served::measure(options.write);
    }
    let results = measure(&options)?;
    if options.write {
        results.write()?;
        report::keep(&results)?;
        plot::draw(&results)?;
    }
    verdict(&results)
}

/// The bench that every change must pass: small, and only correctness counts.
pub(crate) fn short() -> Result<(), String> {
    verdict(&measure(&Options::short())?)
}

fn measure(options: &Options) -> Result<Results, String> {
    println!("==> bench{}", if options.short { " --short" } else { "" });
    let programs = needs::find(!options.short);
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape"]))?;
    let bench = Bench { heaptape: root().join("target/release/heaptape"), scratch: scratch()? };
    let mut results = Results::begin(options.rounds);
    if !options.short {
        results.notes.extend(programs.notes());
    }
    for workload in workloads::all(&bench, options, &programs, &mut results.notes)? {
        let row = record::workload(&bench, &workload, options, &programs)?;
        println!("{}", report::line(&row));
        results.workloads.push(row);
    }
    if options.everything() {
        match winding::measure(&bench) {
            Ok(winding) => results.winding = winding,
            Err(why) => results.faults.push(format!("tapes of 100 million events: {why}")),
        }
        results.stages = stages::measure(&mut results.notes);
        match depths::measure(&bench) {
            Ok(depths) => results.stages.extend(depths),
            Err(why) => results.notes.push(format!("backtraces by depth were not measured: {why}")),
        }
    }
    results.conditions.end();
    if options.short {
        results.notes.iter().for_each(|note| println!("  {note}"));
    } else {
        println!("\n{}", report::entry(&results));
    }
    Ok(results)
}

/// An error that names all that was not right.
fn verdict(results: &Results) -> Result<(), String> {
    let faults = results.all_faults();
    match faults.len() {
        0 => Ok(()),
        count => Err(format!("bench: {count} faults\n{}", faults.join("\n"))),
    }
}

/// What every part of the bench needs to know.
struct Bench {
    /// The program under test, built with optimisation.
    heaptape: PathBuf,
    /// A folder for whatever is made on the way; it may be deleted at any time between benches.
    scratch: PathBuf,
}

fn scratch() -> Result<PathBuf, String> {
    let scratch = root().join("target/bench");
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    Ok(scratch)
}
