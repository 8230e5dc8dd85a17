//! What a page knows before any table is opened: `Overview` of `ui/src/data/types.ts`, field by field.

use super::leaks::NumberedLeaks;
use crate::canvas::Canvas;
use crate::findings::{self, FindingDocument};
use crate::summary::{self, SummaryDocument};
use crate::{ending, header, units};
use heaptape_analysis::Weight;
use heaptape_analysis::contents::SnapshotFacts;
use heaptape_analysis::crash::Crashes;
use heaptape_analysis::errors::Errors;
use heaptape_analysis::findings::Findings;
use heaptape_analysis::info::Info;
use heaptape_analysis::names::{file_name, text};
use heaptape_analysis::process::ProcessName;
use heaptape_analysis::recording::Recording;
use heaptape_analysis::rss::RssExplained;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::unresolved::Unresolved;
use heaptape_tape::{Api, Process};
use serde::{Serialize, Serializer};

/// The version of the layout that pages know.
pub const VERSION: u32 = 1;

/// The tape as a whole.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// [`VERSION`].
    pub version: u32,
    /// Who wrote it: `heaptape 0.1.0`.
    pub tool: String,
    /// The tape's file name.
    pub tape: String,
    /// The command line that was recorded.
    pub command: Vec<String>,
    /// When, as ISO 8601 with offset.
    pub recorded_at: String,
    /// On which machine.
    pub host: String,
    /// Times are multiples of this.
    pub tick_ns: u64,
    /// `None`: all allocations are on the tape.
    pub sampling: Option<Sampling>,
    /// The functions that blocks name by number.
    pub apis: Vec<&'static str>,
    /// The processes, by number.
    pub processes: Vec<ProcessInfo>,
    /// The one that is shown first.
    pub first: u32,
    /// What is missing from the recording, a line each.
    pub losses: Vec<String>,
    /// As `heaptape info --json`.
    pub info: Info,
    /// Blocks whose addresses are too large to show.
    pub left_out: u64,
    /// Whether bytes of the program's memory are in it.
    pub has_contents: bool,
    /// Whether a second recording is there, to compare with.
    pub has_other: bool,
    /// Licences of what the page is made of.
    pub third_party: &'static str,
}

/// How a sample was taken.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sampling {
    /// One byte in so many was chosen.
    pub interval_bytes: u64,
}

/// Frames without a name, and all.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UnnamedFrames {
    unnamed: u64,
    of: u64,
    /// Where they are, when they are more than a few: no loss of the recording.
    pub(super) notice: Option<String>,
}

impl UnnamedFrames {
    /// Of the backtraces of one process.
    pub(super) fn of(unresolved: &Unresolved) -> UnnamedFrames {
        let mut said = Vec::new();
        header::render_unresolved(&mut said, &ONE_LINE, unresolved)
            .expect("memory takes everything");
        UnnamedFrames {
            unnamed: unresolved.unresolved,
            of: unresolved.frames,
            notice: notes(&said).into_iter().next(),
        }
    }
}

/// A moment of a process, and what was live then.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeakInfo {
    /// After so many events.
    pub position: u64,
    /// When.
    pub time_ns: u64,
    /// What was live.
    #[serde(flatten)]
    pub weight: Weight,
}

/// A thread.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadName {
    /// Its kernel id.
    pub tid: u32,
    /// Its name.
    pub name: String,
}

/// A snapshot of contents.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SnapshotName {
    /// After so many events.
    pub position: u64,
    /// When.
    pub time_ns: u64,
    /// Why.
    pub reason: &'static str,
}

/// That not all blocks are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capped {
    /// Blocks in the table.
    pub kept_blocks: u64,
    /// Blocks of the process.
    pub of_blocks: u64,
    /// Moments at which sums are exact.
    pub grid: u32,
}

/// What is known of a process before its tables are opened.
#[derive(Debug, Serialize)]
pub struct ProcessInfo {
    /// Its number on the tape.
    pub id: u32,
    /// Its pid.
    pub pid: u32,
    /// The program's file name.
    pub name: String,
    /// Its command line.
    pub argv: Vec<String>,
    /// When its recording began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How it ended, in words.
    pub ending: String,
    /// Its events.
    pub event_count: u64,
    /// Its blocks, inherited ones included.
    pub block_count: u64,
    /// The first moment of most live bytes.
    pub peak: PeakInfo,
    /// What was live in the end.
    pub at_exit: Weight,
    /// Whether its tables are there.
    pub included: bool,
    /// Why not.
    pub why_not: Option<String>,
    /// Whether some of its blocks are missing.
    pub capped: Option<Capped>,
    /// Bytes of a page of memory.
    pub page_bytes: u32,
    /// Its threads, by the number that blocks have.
    pub threads: Vec<ThreadName>,
    /// What was found out about it.
    #[serde(flatten)]
    pub results: Results,
    /// Its snapshots.
    pub snapshots: Vec<SnapshotName>,
    /// Whether bytes of its memory are there.
    pub has_contents: bool,
}

/// The results of the other commands, as their `--json` has them (but for backtraces of leaks); `None` where there are
/// none.
#[derive(Debug, Default)]
pub struct Results {
    /// `heaptape summary`; findings and resident memory are taken from it, too.
    pub summary: Option<Summary>,
    /// `heaptape errors`.
    pub errors: Option<Errors>,
    /// `heaptape leaks`.
    pub leaks: Option<NumberedLeaks>,
    /// `heaptape crash`.
    pub crash: Option<Crashes>,
}

#[derive(Serialize)]
struct ResultsDocument<'a> {
    summary: Option<SummaryDocument<'a>>,
    findings: Vec<FindingDocument<'a>>,
    /// Sentences: what was looked for.
    checked: Vec<String>,
    /// What could not be looked for, and why.
    unchecked: Vec<String>,
    rss: Option<&'a RssExplained>,
    unnamed_frames: Option<UnnamedFrames>,
    errors: Option<&'a Errors>,
    leaks: Option<&'a NumberedLeaks>,
    crash: Option<&'a Crashes>,
}

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary = self.summary.as_ref();
        let nothing = Findings::default();
        let found = findings::document(summary.map_or(&nothing, |summary| &summary.findings));
        let residence = summary.and_then(|summary| summary.residence.as_ref());
        let document = ResultsDocument {
            summary: summary.map(summary::document),
            findings: found.found,
            checked: found.checked,
            unchecked: found.unchecked,
            rss: residence.map(|residence| &residence.explained),
            unnamed_frames: summary.map(|summary| UnnamedFrames::of(&summary.unresolved)),
            errors: self.errors.as_ref(),
            leaks: self.leaks.as_ref(),
            crash: self.crash.as_ref(),
        };
        document.serialize(serializer)
    }
}

impl Overview {
    /// Of a tape with that file name; its processes, which of them comes first, and what is left out is still to be said.
    pub fn of(recording: &dyn Recording, tape: &str, info: Info) -> Overview {
        let header = recording.header();
        let sampled = header.sample_bytes > 0;
        Overview {
            version: VERSION,
            tool: format!("heaptape {}", env!("CARGO_PKG_VERSION")),
            tape: tape.to_owned(),
            command: info.command.clone(),
            recorded_at: iso_8601(header.epoch_unix_ns / 1_000_000_000),
            host: header.host.clone(),
            tick_ns: header.tick_ns,
            sampling: sampled.then_some(Sampling { interval_bytes: header.sample_bytes }),
            apis: Api::ALL.iter().map(|api| api.name()).collect(),
            processes: Vec::new(),
            first: 0,
            losses: losses(&info),
            left_out: 0,
            has_contents: false,
            has_other: false,
            info,
            third_party: super::THIRD_PARTY,
        }
    }
}

impl ProcessInfo {
    /// Of a process whose tables are not there, and why.
    pub fn left_out(recording: &dyn Recording, process: &Process, why: String) -> ProcessInfo {
        let totals = recording.totals(process.id);
        let name = ProcessName::of(recording, process);
        let exe = text(&process.exe);
        let program = if exe.is_empty() { name.command.first().cloned() } else { Some(exe) };
        ProcessInfo {
            id: process.id.0,
            pid: process.pid,
            name: program.as_deref().map(file_name).unwrap_or_default().to_owned(),
            start_ns: name.start_ns,
            end_ns: name.end_ns,
            ending: ending::words(&name.ending),
            argv: name.command,
            event_count: recording.event_count(process.id),
            block_count: totals.allocs,
            peak: PeakInfo {
                position: totals.peak_event,
                time_ns: totals.peak_time.0.max(name.start_ns),
                weight: Weight { bytes: totals.peak_bytes, blocks: totals.peak_blocks },
            },
            at_exit: Weight { bytes: totals.live_bytes, blocks: totals.live_blocks },
            included: false,
            why_not: Some(why),
            capped: None,
            page_bytes: recording.header().page_size,
            threads: Vec::new(),
            results: Results::default(),
            snapshots: recording.snapshots(process.id).iter().map(snapshot_name).collect(),
            has_contents: false,
        }
    }
}

fn snapshot_name(snapshot: &heaptape_tape::Snapshot) -> SnapshotName {
    let facts = SnapshotFacts::from(snapshot);
    SnapshotName { position: facts.events, time_ns: facts.time_ns, reason: facts.reason }
}

/// As text that is never broken into lines.
const ONE_LINE: Canvas = Canvas { width: usize::MAX / 2, color: false, unicode: true };

/// What is missing, as the first lines of every view have it.
fn losses(info: &Info) -> Vec<String> {
    let canvas = ONE_LINE;
    let mut lines = Vec::new();
    for process in &info.processes {
        let lost = &process.name.lost;
        if lost.any() || lost.truncated_backtraces > 0 {
            let command = crate::text::command(&canvas, &process.name.command);
            let words = header::lost_words(lost).join(", ");
            lines.push(format!("{words} ({command}, pid {})", process.name.pid));
        }
    }
    if info.quality.damaged_blocks > 0 {
        let blocks = units::counted(info.quality.damaged_blocks, "tape block");
        lines.push(format!("{blocks} damaged: what was in them is not known"));
    }
    let mut missing = Vec::new();
    header::render_missing(&mut missing, &canvas, &info.quality, &info.unrecorded)
        .expect("memory takes everything");
    lines.extend(notes(&missing));
    lines
}

/// Notes as they are written for the terminal, without their marks.
fn notes(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(written);
    text.lines().map(|line| line.trim_start_matches("! ").to_owned()).collect()
}

/// Seconds since 1970 as `2026-11-22T07:29:52+00:00`.
fn iso_8601(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    // By eras of 400 years that begin on a 1st of March (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (1_795_332_592, "2026-11-22T07:29:52+00:00"),
            (4_107_542_399, "2100-02-28T23:59:59+00:00"),
        ] {
            assert_eq!(iso_8601(unix), text);
        }
        assert!(iso_8601(u64::MAX / 1_000_000_000).starts_with("2554"));
    }
}
