//! The tools that look at the cases: heaptape in each of its modes, and those beside it.

use super::build::Programs;
use super::finding::Findings;
use super::process::Scratch;
use super::table::Case;
use super::{asan, heaptape, memcheck};
use std::collections::BTreeMap;
use std::path::Path;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    /// heaptape as it is.
    Plain,
    /// With a guard page after each block.
    Guard,
    /// With a guard page before each block.
    Left,
    /// With redzones.
    Check,
    /// Valgrind.
    Memcheck,
    /// gcc's address and leak sanitizers.
    Asan,
}

impl Tool {
    /// All of them, as columns of the report.
    pub(super) const ALL: [Self; 6] =
        [Self::Plain, Self::Guard, Self::Left, Self::Check, Self::Memcheck, Self::Asan];

    /// Its name on the command line and in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Guard => "guard",
            Self::Left => "left",
            Self::Check => "check",
            Self::Memcheck => "memcheck",
            Self::Asan => "asan",
        }
    }

    pub(super) fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| format!("cases: {name:?} is no mode"))
    }

    /// Whether it is heaptape, whose findings are asserted; what others find is only reported.
    pub(super) fn is_ours(self) -> bool {
        !matches!(self, Self::Memcheck | Self::Asan)
    }

    /// The options of `heaptape run` that make this mode.
    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Guard => &["--guard"],
            Self::Left => &["--guard=left"],
            Self::Check => &["--check"],
            _ => &[],
        }
    }

    /// Runs a case, with its mistake or without it, and says what the tool finds.
    pub(super) fn look(
        self,
        case: &Case,
        twin: Twin,
        programs: &Programs,
        heaptape: &Path,
    ) -> Result<Seen, String> {
        let scratch = Scratch::new()?;
        let words = [case.argument.as_str(), twin.argument()];
        match self {
            Self::Memcheck => memcheck::look(&programs.plain(&case.source), words, &scratch),
            Self::Asan => asan::look(&programs.sanitized(&case.source), words, &scratch),
            _ => heaptape::look(heaptape, self, &programs.plain(&case.source), words, &scratch),
        }
    }
}

/// With the mistake or without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    Bad,
    Good,
}

impl Twin {
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
        }
    }
}

/// What a tool said of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) findings: Findings,
    /// Bytes of each class of leaks, by its word.
    pub(super) leaked: BTreeMap<String, u64>,
}
