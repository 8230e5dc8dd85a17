//! What vizzyreport reads: a tape or a log of vizzy, wound to a moment and told in the same words.

use crate::failure::Failure;
use crate::glue::WatchedTape;
use crate::recording::{loss_sentence, unseen};
use crate::seeds::vizzy_log::{self, Notes, Replayed};
use heaptape_analysis::Recording;
use heaptape_analysis::estimate;
use heaptape_analysis::process::{self, ProcessName};
use heaptape_analysis::usage::UsageCurve;
use heaptape_report::text::escape;
use heaptape_report::units;
use heaptape_tape::{LiveBlock, Moment, Process, Tape, TapeError, TimeNs, Totals};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// A recording that vizzyreport can read.
pub(crate) enum Source {
    /// One of ours.
    Tape(Box<WatchedTape>, PathBuf),
    /// One of vizzy's.
    Log(PathBuf),
}

/// What is known of some processes, and a sentence for each of which nothing is.
pub(crate) struct Known<T> {
    pub(crate) processes: Vec<T>,
    pub(crate) unknown: Vec<String>,
}

/// One process up to a moment.
pub(crate) struct History {
    /// Which, as printable text.
    pub(crate) process: String,
    /// The totals up to the moment.
    pub(crate) totals: Totals,
    /// The blocks live at the moment, by address; only if a moment was asked for.
    pub(crate) blocks: Vec<LiveBlock>,
    /// Addresses freed while no block began there, as far as they were kept.
    pub(crate) unmatched: Vec<u64>,
    /// What is missing or wrong, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// One process's live bytes over its whole time.
pub(crate) struct Usage {
    /// Which, as printable text.
    pub(crate) process: String,
    pub(crate) curve: UsageCurve,
    /// What is missing or wrong, a sentence each.
    pub(crate) notes: Vec<String>,
}

impl Source {
    /// Opens what is at `path`, by what it holds.
    pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
        match Tape::open(path) {
            Ok(tape) => Ok(Source::Tape(Box::new(WatchedTape(tape)), path.to_owned())),
            Err(TapeError::NotATape) => Ok(Source::Log(path.to_owned())),
            Err(error) => Err(Failure::unreadable(path, &error)),
        }
    }

    /// Every process that ran at `until`, up to then; without a moment, every process to its end.
    pub(crate) fn histories(&self, until: Option<TimeNs>) -> Result<Known<History>, Failure> {
        match self {
            Source::Tape(tape, path) => {
                let was_there = |p: &Process| until.is_none_or(|until| is_there(&**tape, p, until));
                known(&**tape, path, was_there, |p| tape_history(&**tape, p, until))
            }
            Source::Log(path) => {
                let replayed = replay(path, until, |_, _| {})?;
                Ok(Known::only(History {
                    process: String::new(),
                    totals: *replayed.live.totals(),
                    blocks: until.map_or_else(Vec::new, |_| replayed.live.sorted()),
                    notes: log_notes(&replayed),
                    unmatched: replayed.notes.unmatched,
                }))
            }
        }
    }
}

/// The curve of a log of vizzy.
pub(crate) fn log_usage(path: &Path) -> Result<Usage, Failure> {
    let mut curve = UsageCurve::new();
    let replayed = replay(path, None, |time, bytes| curve.push(time, bytes))?;
    curve.finish(replayed.end);
    let process = "the recorded program".to_owned();
    Ok(Usage { process, curve, notes: log_notes(&replayed) })
}

impl<T> Known<T> {
    fn only(process: T) -> Known<T> {
        Known { processes: vec![process], unknown: Vec::new() }
    }
}

/// Asks `tell` about every process that is `wanted`; a failure is one only if nothing else is known.
fn known<T>(
    tape: &dyn Recording,
    path: &Path,
    wanted: impl Fn(&Process) -> bool,
    tell: impl Fn(&Process) -> Result<T, TapeError>,
) -> Result<Known<T>, Failure> {
    let mut known = Known { processes: Vec::new(), unknown: Vec::new() };
    let mut failure = None;
    for process in tape.processes().iter().filter(|process| wanted(process)) {
        match tell(process) {
            Ok(told) => known.processes.push(told),
            Err(error) => {
                known.unknown.push(format!("{}: {error}", name(tape, process)));
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) if known.processes.is_empty() => Err(Failure::unreadable(path, &error)),
        _ => Ok(known),
    }
}

/// Whether vizzytrace may write its tape at `path`: nothing is there, or a recording, or an empty file.
pub(crate) fn may_replace(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_file() => return Ok(false),
        Ok(metadata) if metadata.len() == 0 => return Ok(true),
        Ok(_) => {}
    }
    match Tape::open(path) {
        Ok(_) | Err(TapeError::Version(_) | TapeError::Damaged(_) | TapeError::Memory { .. }) => {
            Ok(true)
        }
        Err(TapeError::Io(error)) => Err(error),
        Err(TapeError::NotATape) => vizzy_log::begins_as_log(BufReader::new(File::open(path)?)),
    }
}

/// Whether to show the process at that time. A program that ran alone is shown after its end too, as
/// vizzy does: what is left then is what it never freed.
fn is_there(tape: &dyn Recording, process: &Process, time: TimeNs) -> bool {
    let (start, end) = process::span(tape, process.id);
    tape.processes().len() == 1 || (start <= time && time <= end)
}

fn tape_history(
    tape: &dyn Recording,
    process: &Process,
    until: Option<TimeNs>,
) -> Result<History, TapeError> {
    let (totals, blocks) = match until {
        Some(until) => {
            let live = tape.live_at(process.id, Moment::Time(until))?;
            (estimate::totals_at(tape, &live), live.sorted())
        }
        None => (process::totals(tape, process.id)?, Vec::new()),
    };
    Ok(History {
        process: name(tape, process),
        totals,
        blocks,
        unmatched: Vec::new(),
        notes: tape_notes(tape, process, &totals),
    })
}

fn name(tape: &dyn Recording, process: &Process) -> String {
    let name = ProcessName::of(tape, process);
    format!("pid {}: {}", name.pid, escape(name.command.join(" ").as_bytes()))
}

fn tape_notes(tape: &dyn Recording, process: &Process, totals: &Totals) -> Vec<String> {
    let condition = tape.condition();
    let unmatched = totals.unmatched_frees;
    let sample_bytes = tape.header().sample_bytes;
    [
        (sample_bytes > 0).then(|| {
            let mean = units::bytes(sample_bytes);
            format!(
                "this is a sample, one byte in {mean}: sums are estimates, blocks are those in it"
            )
        }),
        (!condition.complete).then(|| match condition.being_written {
            true => "still being recorded: this is what was on the tape by now".to_owned(),
            false => "the tape is cut: this is what was recorded".to_owned(),
        }),
        (condition.damaged_blocks > 0).then(|| {
            format!("{} damaged parts of the tape were skipped", condition.damaged_blocks)
        }),
        unseen(tape, process),
        loss_sentence(&process.losses),
        (unmatched > 0).then(|| format!("{unmatched} frees of addresses at which no block began")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn replay(
    path: &Path,
    until: Option<TimeNs>,
    watch: impl FnMut(TimeNs, u64),
) -> Result<Replayed, Failure> {
    let shown = || escape(path.as_os_str().as_encoded_bytes());
    let unreadable = |e: io::Error| Failure::unreadable(path, &TapeError::Io(e));
    let log = BufReader::new(File::open(path).map_err(unreadable)?);
    let replayed = vizzy_log::replay(log, until, watch).map_err(unreadable)?;
    let Notes { lines, skipped, first_skipped, .. } = &replayed.notes;
    match first_skipped {
        Some((line, why)) if skipped == lines => Err(Failure::Unreadable(format!(
            "{}: neither a tape nor a log of vizzy; of line {line}: {why}",
            shown()
        ))),
        None if *lines == 0 => {
            Err(Failure::Unreadable(format!("{}: is empty; nothing was recorded", shown())))
        }
        _ => Ok(replayed),
    }
}

fn log_notes(replayed: &Replayed) -> Vec<String> {
    let Notes { lines, skipped, first_skipped, mappings, repeated, backwards, unmatched } =
        &replayed.notes;
    let totals = replayed.live.totals();
    let more_unmatched = totals.unmatched_frees.saturating_sub(unmatched.len() as u64);
    let first = first_skipped
        .as_ref()
        .map_or_else(String::new, |(line, why)| format!("; of line {line}, the first: {why}"));
    [
        (*skipped, format!("{skipped} of {lines} lines make no sense and are left out{first}")),
        (*mappings, format!("{mappings} mmap and munmap lines are no blocks and are left out")),
        (*repeated, format!("{repeated} strdup lines repeat the malloc before them")),
        (*backwards, format!("{backwards} lines are earlier than one before them")),
        (totals.overlaid, format!("{} blocks began where one was live already", totals.overlaid)),
        (
            more_unmatched,
            format!("{more_unmatched} more frees of addresses at which no block began"),
        ),
    ]
    .into_iter()
    .filter_map(|(count, note)| (count > 0).then_some(note))
    .collect()
}
