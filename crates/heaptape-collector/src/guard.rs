//! What allocator a program is to be given in place of its own.

use heaptape_wire::handshake as wire;

/// `--guard` and `--check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Where errors are to show.
    pub mode: GuardMode,
    /// How pages are made inaccessible.
    pub with: GuardWith,
    /// Of guard pages: one block in so many, at random; 0 and 1: each.
    pub one_in: u32,
    /// Of red zones: calls of a thread after which all blocks are looked at; 0: never.
    pub interval: u32,
    /// Bytes of freed blocks that are kept back: of address space with guard pages, of memory with red zones.
    pub quarantine: u64,
}

/// Where heap errors are to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardMode {
    /// Nowhere: the program has its own allocator.
    #[default]
    Off,
    /// At the access, past the end of a block.
    Right,
    /// At the access, before the start of a block.
    Left,
    /// At the access, past the end to the byte.
    Exact,
    /// When blocks are freed and at the end: red zones.
    Check,
}

/// How pages are made inaccessible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardWith {
    /// By the best there is.
    #[default]
    Any,
    /// By `MADV_GUARD_INSTALL` only.
    Markers,
    /// By mappings without access rights.
    Mappings,
}

impl Guard {
    /// The order for the recorders.
    pub(crate) fn wire(self) -> wire::Guard {
        wire::Guard {
            mode: match self.mode {
                GuardMode::Off => wire::GUARD_OFF,
                GuardMode::Right => wire::GUARD_RIGHT,
                GuardMode::Left => wire::GUARD_LEFT,
                GuardMode::Exact => wire::GUARD_EXACT,
                GuardMode::Check => wire::GUARD_CHECK,
            },
            with: match self.with {
                GuardWith::Any => wire::WITH_ANY,
                GuardWith::Markers => wire::WITH_MADVISE,
                GuardWith::Mappings => wire::WITH_MAPPINGS,
            },
            one_in: self.one_in,
            interval: self.interval,
            quarantine: self.quarantine,
        }
    }

    /// What the header of the tape says of it: an option's name and value.
    pub(crate) fn option(self) -> Option<(String, String)> {
        let mode = match self.mode {
            GuardMode::Off => return None,
            GuardMode::Right => "right",
            GuardMode::Left => "left",
            GuardMode::Exact => "exact",
            GuardMode::Check => "check",
        };
        let sample =
            if self.one_in > 1 { format!(" sample:{}", self.one_in) } else { String::new() };
        Some(("guard".into(), format!("{mode}{sample}")))
    }
}
