//! In which ways a program is run.

use super::programs::Program;
use crate::bench::Bench;
use crate::command::output;
use crate::packages::on_path;
use serde::{Deserialize, Serialize};
use std::process::Command;

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::bench) enum Mode {
    /// Alone.
    Bare,
    /// By `heaptape run`, its blocks those of its own allocator.
    Recorded,
    Guard,
    GuardLeft,
    GuardSample,
    Check,
    /// Looking at all blocks every 1,000 calls.
    CheckOften,
    Memcheck,
    /// Compiled for ASan, which then sees loads and stores.
    AsanRebuilt,
    /// Under a preloaded ASan, which then sees calls only.
    AsanPreloaded,
}

impl Mode {
    pub(super) const ALL: [Self; 10] = [
        Self::Bare,
        Self::Recorded,
        Self::Guard,
        Self::GuardLeft,
        Self::GuardSample,
        Self::Check,
        Self::CheckOften,
        Self::Memcheck,
        Self::AsanRebuilt,
        Self::AsanPreloaded,
    ];

    /// As tables name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Recorded => "`heaptape run`",
            Self::Guard => "`--guard`",
            Self::GuardLeft => "`--guard=left`",
            Self::GuardSample => "`--guard=sample:1000`",
            Self::Check => "`--check`",
            Self::CheckOften => "`--check=1000`",
            Self::Memcheck => "memcheck",
            Self::AsanRebuilt => "ASan, rebuilt",
            Self::AsanPreloaded => "ASan, preloaded only",
        }
    }

    /// What it adds to `heaptape run`; `None` where that takes no part.
    pub(super) fn option(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Recorded => Some(&[]),
            Self::Guard => Some(&["--guard"]),
            Self::GuardLeft => Some(&["--guard=left"]),
            Self::GuardSample => Some(&["--guard=sample:1000"]),
            Self::Check => Some(&["--check"]),
            Self::CheckOften => Some(&["--check=1000"]),
            _ => None,
        }
    }

    /// Whether the program gets another allocator from heaptape.
    pub(super) fn guards(self) -> bool {
        self.option().is_some_and(|it| !it.is_empty())
    }

    /// Too slow for more than one round, which is then the one that is watched, too.
    pub(super) fn once(self) -> bool {
        matches!(self, Self::Memcheck | Self::CheckOften)
    }

    /// Whether this program can be run so here.
    pub(super) fn possible(self, program: &Program) -> bool {
        match self {
            Self::Memcheck => on_path("valgrind"),
            Self::AsanRebuilt => program.rebuilt.is_some(),
            Self::AsanPreloaded => libasan().is_some(),
            _ => true,
        }
    }

    /// `measure total TOOL… measure app PROGRAM…`; under valgrind, which would run the inner one, too, without it.
    pub(super) fn command(self, bench: &Bench, program: &Program) -> Command {
        let mut command = bench.measured("total");
        command.env("LC_ALL", "C").envs(program.workload.environment.iter().copied());
        if let Some(options) = self.option() {
            command.arg(&bench.heaptape).args(["run", "-qfo"]).arg(bench.tape()).args(options);
            command.arg("--");
        }
        match self {
            Self::Memcheck => command.args(["valgrind", "-q", "--tool=memcheck"]),
            _ => command.arg(bench.scratch.join("measure")).arg(bench.scratch.join("app")),
        };
        if matches!(self, Self::AsanRebuilt | Self::AsanPreloaded) {
            command.env("ASAN_OPTIONS", "detect_leaks=0");
        }
        if self == Self::AsanPreloaded {
            command.envs(libasan().map(|library| ("LD_PRELOAD", library)));
        }
        let words = &program.workload.command;
        match (&program.rebuilt, self) {
            (Some(rebuilt), Self::AsanRebuilt) => command.arg(rebuilt),
            _ => command.arg(&words[0]),
        };
        command.args(&words[1..]);
        command
    }
}

/// gcc's library of ASan; the name alone where there is none.
fn libasan() -> Option<String> {
    let path = output(Command::new("gcc").arg("-print-file-name=libasan.so")).ok()?;
    path.contains('/').then(|| path.trim().to_owned())
}
