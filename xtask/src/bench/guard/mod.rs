//! `cargo xtask bench --guard`: what guard mode and red zones cost beside memcheck and AddressSanitizer, and that they
//! cost nothing where they are not used. Kept in `bench/guard.json`, from which `bench/GUARD.md` and a table of
//! `bench/RESULTS.md` are made.
//!
//! Each program runs in interleaved rounds in every mode; whatever changes what it prints is a fault, and so is a
//! recording that found something, lost something or guarded nothing.

mod kept;
mod modes;
mod programs;
mod rounds;
mod sqlite;
mod tables;
mod unused;

use super::options::Options;
use super::{Bench, needs, report, scratch};
use crate::command::{cargo, output, root, succeed};
use crate::packages::{install, on_path};
pub(super) use kept::Kept;
use std::process::Command;
pub(super) use tables::ratios;

/// Measures, prints, and keeps the results if asked to.
pub(super) fn run(options: &Options) -> Result<(), String> {
    if options.plot {
        return draw(&Kept::read()?.ok_or("bench --guard: nothing was kept")?);
    }
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape"]))?;
    let bench = Bench { heaptape: root().join("target/release/heaptape"), scratch: scratch()? };
    let installed = needs::find(true);
    let mut kept = Kept::begin(options.rounds);
    kept.notes.extend(installed.missing());
    kept.notes.push(memcheck());
    for program in programs::all(&bench, options, &installed, &mut kept.notes)? {
        println!("==> guard: {}", program.name());
        let row = rounds::measure(&bench, &program, options.rounds)?;
        kept.programs.push(row);
    }
    match unused::measure(&bench, options, &installed, &mut kept.notes) {
        Ok(unused) => kept.unused = unused,
        Err(why) => kept.notes.push(format!("instructions were not counted: {why}")),
    }
    if kept.programs.is_empty() && kept.unused.is_empty() {
        return Err("bench --guard: there is no such program".into());
    }
    kept.end();
    println!("\n{}", tables::file(&kept));
    if options.write {
        kept.write()?;
        draw(&kept)?;
    }
    verdict(&kept)
}

/// Makes the tables that are kept of the numbers.
fn draw(kept: &Kept) -> Result<(), String> {
    tables::write(kept)?;
    report::keep_guard(kept)
}

fn verdict(kept: &Kept) -> Result<(), String> {
    let faults = kept.all_faults();
    match faults.len() {
        0 => Ok(()),
        count => Err(format!("bench --guard: {count} faults\n{}", faults.join("\n"))),
    }
}

/// Which memcheck there is, installed if it can be.
fn memcheck() -> String {
    if !on_path("valgrind")
        && let Err(why) = install(&["valgrind"])
    {
        return format!("without memcheck: {why}");
    }
    let versions =
        [("valgrind", "--version"), ("gcc", "-dumpfullversion")].map(|(program, word)| {
            output(Command::new(program).arg(word)).unwrap_or_default().trim().to_owned()
        });
    format!("beside memcheck of {} and ASan of gcc-{}", versions[0], versions[1])
}
