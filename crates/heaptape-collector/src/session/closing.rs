//! What a session found that is not on the tape as an event, in sentences for the user.

use super::Snapshots;
use crate::check::Checks;
use crate::contents::Copied;
use heaptape_tape::{Guarded, Losses, Unrecorded};
use std::io;
use std::time::Duration;

/// What the session found, for the outcome.
#[derive(Default)]
pub(crate) struct Closing {
    pub(crate) losses: Losses,
    pub(crate) checks: Checks,
    pub(crate) guarded: Vec<Guarded>,
    pub(crate) unrecorded: Vec<Unrecorded>,
    pub(crate) warnings: Vec<String>,
    /// Processes still ran when the recording ended.
    pub(crate) left_running: bool,
    /// The tape could not be written any further.
    pub(crate) broken: Option<io::Error>,
    /// What was copied of memory.
    pub(crate) copied: Copied,
    /// Most bytes that waited for their turn in our memory.
    pub(crate) most_behind: usize,
    /// How long a process waited at its end to be looked at, at most.
    pub(crate) longest_end: Duration,
    /// Recorders of another build.
    pub(super) strangers: u64,
    /// Processes that were not searched for leaks.
    pub(super) unsearched: u64,
    /// Processes that were not searched for leaks: `ulimit -v` leaves us too little.
    pub(super) cramped: u64,
    /// Forked processes whose fork was not seen.
    pub(super) orphans: u64,
    /// Why a connection could not be taken, the last time it could not.
    pub(super) unheard: Option<io::Error>,
    /// Unrecorded programs beyond those named.
    pub(super) unnamed: u64,
}

impl Closing {
    /// Says in sentences what has been counted.
    pub(super) fn conclude(mut self, copied: Copied, wanted: &Snapshots) -> Closing {
        self.copied = copied;
        let mut say = |count: u64, sentence: String| {
            if count > 0 {
                self.warnings.push(sentence);
            }
        };
        let of_processes = [
            (self.strangers, "not recorded: the recorder of another heaptape was in the way"),
            (self.orphans, "left without inherited blocks: the fork was not seen"),
            (self.unsearched, "not searched for leaks: the launcher was too far behind"),
            (
                self.cramped,
                "not searched for leaks: the limit of address space (ulimit -v) is too low",
            ),
        ];
        for (count, what) in of_processes {
            let who = if count == 1 { "process was" } else { "processes were" };
            say(count, format!("{count} {who} {what}"));
        }
        say(self.unnamed, format!("{} more programs could not be recorded", self.unnamed));
        say(
            copied.over_budget,
            format!(
                "contents: pages of {} bytes left out, beyond the budget of {}",
                copied.over_budget, wanted.budget
            ),
        );
        say(
            copied.unreadable,
            format!("contents: pages of {} bytes could not be read", copied.unreadable),
        );
        say(
            copied.running,
            format!(
                "contents: {} of {} snapshots are not of one instant, the process ran on meanwhile",
                copied.running, copied.snapshots
            ),
        );
        if let Some(error) = &self.unheard {
            self.warnings.push(format!("a process may be missing, it could not be heard: {error}"));
        }
        self
    }
}
