//! What vizzyreport reads: a tape or a log of vizzy, wound to a moment and told in the same words.

use crate::failure::Failure;
use crate::recording::{loss_sentence, unseen};
use crate::seeds::vizzy_log::{self, Notes, Replayed};
use heaptape_analysis::process::{self, ProcessName};
use heaptape_analysis::usage::UsageCurve;
use heaptape_report::text::escape;
use heaptape_tape::{LiveBlock, LiveSet, Moment, Process, Tape, TapeError, TimeNs, Totals};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// A recording that vizzyreport can read.
pub(crate) enum Source {
    /// One of ours.
    Tape(Box<Tape>, PathBuf),
    /// One of vizzy's.
    Log(PathBuf),
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
            Ok(tape) => Ok(Source::Tape(Box::new(tape), path.to_owned())),
            Err(TapeError::NotATape) => Ok(Source::Log(path.to_owned())),
            Err(error) => Err(Failure::unreadable(path, &error)),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Source::Tape(_, path) | Source::Log(path) => path,
        }
    }

    /// Every process that ran at `until`, up to then; without a moment, every process to its end.
    pub(crate) fn histories(&self, until: Option<TimeNs>) -> Result<Vec<History>, Failure> {
        match self {
            Source::Tape(tape, path) => tape
                .processes()
                .iter()
                .filter(|p| until.is_none_or(|until| is_there(tape, p, until)))
                .map(|p| tape_history(tape, p, until).map_err(|e| Failure::unreadable(path, &e)))
                .collect(),
            Source::Log(path) => {
                let replayed = replay(path, until, |_, _| {})?;
                Ok(vec![History {
                    process: String::new(),
                    totals: *replayed.live.totals(),
                    blocks: until.map_or_else(Vec::new, |_| replayed.live.sorted()),
                    notes: log_notes(&replayed),
                    unmatched: replayed.notes.unmatched,
                }])
            }
        }
    }

    /// The curve of every process.
    pub(crate) fn usages(&self) -> Result<Vec<Usage>, Failure> {
        match self {
            Source::Tape(tape, path) => tape
                .processes()
                .iter()
                .map(|p| tape_usage(tape, p).map_err(|e| Failure::unreadable(path, &e)))
                .collect(),
            Source::Log(path) => {
                let mut curve = UsageCurve::new();
                let replayed = replay(path, None, |time, bytes| curve.push(time, bytes))?;
                curve.finish(replayed.end);
                let process = "the recorded program".to_owned();
                Ok(vec![Usage { process, curve, notes: log_notes(&replayed) }])
            }
        }
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
        Ok(_) | Err(TapeError::Version(_) | TapeError::Damaged(_)) => Ok(true),
        Err(TapeError::Io(error)) => Err(error),
        Err(TapeError::NotATape) => vizzy_log::begins_as_log(BufReader::new(File::open(path)?)),
    }
}

/// Whether to show the process at that time. A program that ran alone is shown after its end too, as
/// vizzy does: what is left then is what it never freed.
fn is_there(tape: &Tape, process: &Process, time: TimeNs) -> bool {
    let (start, end) = process::span(tape, process.id);
    tape.processes().len() == 1 || (start <= time && time <= end)
}

fn tape_history(
    tape: &Tape,
    process: &Process,
    until: Option<TimeNs>,
) -> Result<History, TapeError> {
    let moment = until.map_or(Moment::End, Moment::Time);
    let live = tape.live_at(process.id, moment)?;
    Ok(History {
        process: name(tape, process),
        totals: match until {
            Some(_) => *live.totals(),
            None => process::totals(tape, process.id)?,
        },
        blocks: until.map_or_else(Vec::new, |_| live.sorted()),
        unmatched: Vec::new(),
        notes: tape_notes(tape, process, live.totals()),
    })
}

fn tape_usage(tape: &Tape, process: &Process) -> Result<Usage, TapeError> {
    let mut live: LiveSet = tape.live_at_start(process.id)?;
    let (start, end) = process::span(tape, process.id);
    let mut curve = UsageCurve::new();
    curve.push(start, live.totals().live_bytes);
    for event in tape.events(process.id, 0) {
        let event = event?;
        live.apply(&event);
        curve.push(event.time, live.totals().live_bytes);
    }
    curve.finish(end);
    let notes = tape_notes(tape, process, live.totals());
    Ok(Usage { process: name(tape, process), curve, notes })
}

fn name(tape: &Tape, process: &Process) -> String {
    let name = ProcessName::of(tape, process);
    format!("pid {}: {}", name.pid, escape(name.command.join(" ").as_bytes()))
}

fn tape_notes(tape: &Tape, process: &Process, totals: &Totals) -> Vec<String> {
    let condition = tape.condition();
    let unmatched = totals.unmatched_frees;
    [
        (!condition.complete).then(|| "the tape is cut: this is what was recorded".to_owned()),
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
