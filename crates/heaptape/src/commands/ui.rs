//! `heaptape ui`: the page, served on this machine.

use crate::cli::{OtherArgs, PROCESS_OF_PAGE, TapeArgs};
use crate::failure::{Failure, Outcome};
use crate::glue::found::Found;
use crate::glue::page::process_info;
use crate::glue::report::open_with_the_telling;
use crate::glue::sources::{self, SourceMap, SourcePaths};
use crate::glue::{Reading, with_stdout};
use crate::recording::tell;
use crate::web::door::Door;
use crate::web::process::{Ready, Served};
use crate::web::server;
use crate::web::site::{Side, Site};
use heaptape_analysis::index::Index;
use heaptape_analysis::info::Info;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_report::page::overview::{Overview, ProcessInfo};
use heaptape_tape::Process;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, ExitCode, Stdio};

/// Show everything in the browser
///
/// Serves the page of `heaptape report` on 127.0.0.1, for tapes of any size: the tape is read once, then every moment of
/// it can be asked for. Only who knows the address that is printed can see anything. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("memory", |memory| memory.default_value("900M")),
    mut_arg("process", |process| process.help(PROCESS_OF_PAGE)),
    after_help = "Examples:
  heaptape ui demo.tape
  heaptape ui demo.tape --open                     start the browser, too
  heaptape ui demo.tape --port 8080                from afar: ssh -L 8080:localhost:8080 HOST
  heaptape ui before.tape --diff after.tape        what is more, what is less
  heaptape ui demo.tape --source-map /build=$PWD   where the sources are now"
)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    #[command(flatten)]
    other: OtherArgs,
    /// The port [default: any that is free]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Open the page in a browser (xdg-open)
    #[arg(long)]
    open: bool,
    /// Sources that were in one folder are in another now (repeatable)
    #[arg(long, value_name = "FROM=TO")]
    source_map: Vec<SourceMap>,
}

pub(crate) fn run(args: Args) -> Outcome {
    // Better now than after minutes.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).map_err(|error| {
        Failure::request(format!("127.0.0.1:{}: cannot be listened at: {error}", args.port))
    })?;
    let door = listener
        .local_addr()
        .and_then(Door::new)
        .map_err(|error| Failure::request(format!("the server cannot be started: {error}")))?;
    sources::check(&args.source_map)?;
    let other = args.other.beside(&args.tape).map(Reading::open).transpose()?;
    let memory = args.tape.memory.bytes() / if other.is_some() { 2 } else { 1 };
    let sysroot = args.tape.sysroot.clone();
    let reading = Reading::open(args.tape)?;
    let mut first = Gathered::of(&reading, &reading.processes_of_page()?, memory)?;
    first.overview.has_other = other.is_some();
    let second = match &other {
        Some(other) => Some(Gathered::of(other, &[other.one_process()?], memory)?),
        None => None,
    };
    let sources = |tape| SourcePaths::new(tape, args.source_map.clone(), sysroot.clone());
    let second = match other.as_ref().zip(second.as_ref()) {
        Some((other, gathered)) => Some(side(other, gathered, sources(other.tape()))?),
        None => None,
    };
    let site = Site::new(side(&reading, &first, sources(reading.tape()))?, second);
    let url = door.url();
    with_stdout(|out| {
        writeln!(out, "{url}")?;
        Ok(())
    })?;
    tell(format_args!("heaptape: the page is at this address until Ctrl-C"));
    if args.open {
        open(&url);
    }
    server::serve(&listener, &door, &site)
        .map_err(|error| Failure::request(format!("the server has ended: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

/// What is known of a tape, and the processes that were asked for, each read once.
struct Gathered {
    overview: Overview,
    ready: Vec<Ready>,
}

impl Gathered {
    fn of(reading: &Reading, chosen: &[&Process], memory: u64) -> Result<Gathered, Failure> {
        let names = reading.names();
        let recording = reading.recording();
        let info = Info::compute(recording, &names).map_err(|error| reading.unreadable(error))?;
        let mut overview = Overview::of(recording, &reading.file_name(), info);
        let mut all_ready = Vec::new();
        for process in reading.tape().processes() {
            if !chosen.iter().any(|chosen| chosen.id == process.id) {
                let why = format!(
                    "It is not served; for this one: heaptape ui {} --process '#{}'",
                    reading.tape_word(),
                    process.id.0
                );
                overview.processes.push(ProcessInfo::left_out(recording, process, why));
                continue;
            }
            if !Lifetimes::fit(recording, process.id) {
                let why = "It has more events than a page can tell apart".to_owned();
                overview.processes.push(ProcessInfo::left_out(recording, process, why));
                continue;
            }
            let room = room_for(reading, process, memory, chosen.len() as u64);
            let read = Found::of(recording, &names, process).and_then(|found| {
                let ready = Ready::of(recording, &names, process, room, &found)?;
                let results = found.numbered(&ready.stacks);
                let (blocks, threads) = (ready.index.of_blocks, &ready.threads);
                let info = process_info(recording, process, blocks, threads, results)?;
                let has_contents = !recording.snapshots(process.id).is_empty();
                Ok((ProcessInfo { has_contents, ..info }, ready))
            });
            match read {
                Ok((info, ready)) => {
                    overview.has_contents |= info.has_contents;
                    overview.processes.push(info);
                    all_ready.push(ready);
                }
                Err(error) => {
                    let why = error.to_string();
                    reading.leave_out(error, chosen.len() == 1)?;
                    overview.processes.push(ProcessInfo::left_out(recording, process, why));
                }
            }
        }
        open_with_the_telling(&mut overview, reading);
        Ok(Gathered { overview, ready: all_ready })
    }
}

/// A tape as the server has it.
fn side<'a>(
    reading: &'a Reading,
    gathered: &'a Gathered,
    sources: SourcePaths,
) -> Result<Side<'a>, Failure> {
    let overview = serde_json::to_vec(&gathered.overview)
        .map_err(|error| Failure::request(format!("the overview cannot be written: {error}")))?;
    let processes = gathered.ready.iter().map(|ready| Served::new(reading.tape(), ready)).collect();
    Ok(Side { overview, processes, sources })
}

/// How large the part of an index may become that can be made smaller: three quarters of what is left beside the rest of
/// it and blocks of events decoded ahead.
fn room_for(reading: &Reading, process: &Process, memory: u64, processes: u64) -> u64 {
    let (tape, id) = (reading.tape(), process.id);
    let least = Index::least_bytes(tape.event_count(id), tape.totals(id).allocs);
    (memory / 4 * 3).saturating_sub(least) * 3 / 4 / processes.max(1)
}

/// Starts the browser. That it does not start is no failure: the address is printed.
fn open(url: &str) {
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        tell(format_args!("heaptape: xdg-open: {error}"));
    }
}
