//! Whether recorders hold their own backtraces against another unwinder's, and what came of it.

use heaptape_wire::handshake::{OPT_CHECK, OPT_CHECK_LIBGCC};

/// What every backtrace is compared with while recording. Slow: for tests of the recorder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    #[default]
    Off,
    /// A plain walk by the recorder's own rules.
    Walk,
    /// That, and libgcc's `_Unwind_Backtrace`.
    Libgcc,
}

impl Check {
    /// `OPT_*` for the recorders.
    pub(crate) fn wire_options(self) -> u32 {
        match self {
            Check::Off => 0,
            Check::Walk => OPT_CHECK,
            Check::Libgcc => OPT_CHECK | OPT_CHECK_LIBGCC,
        }
    }
}

/// Counts of compared backtraces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Those compared.
    pub checked: u64,
    /// Those that differed.
    pub differing: u64,
    /// Those of which libgcc, if it was asked, did not know all frames, or that were taken before it was
    /// loaded.
    pub unchecked: u64,
}

impl Checks {
    /// Both together.
    pub(crate) fn plus(self, other: Checks) -> Checks {
        Checks {
            checked: self.checked.saturating_add(other.checked),
            differing: self.differing.saturating_add(other.differing),
            unchecked: self.unchecked.saturating_add(other.unchecked),
        }
    }
}
