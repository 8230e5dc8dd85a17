//! Which events to show.

use crate::moment::{When, parse_duration};
use crate::names::{self, Names};
use crate::recording::Recording;
use heaptape_tape::{Action, Api, BacktraceId, TimeNs};
use rustc_hash::FxHashMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A kind of event, as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A block began.
    Alloc,
    /// A block ended.
    Free,
    /// Either half of a realloc, and failed ones.
    Realloc,
    /// An allocation failed.
    Failed,
    /// A mapping came or went.
    Map,
    /// This function was called.
    Api(Api),
}

impl Kind {
    fn matches(self, action: Action, api: Api) -> bool {
        match self {
            Kind::Alloc => action.begins_block(),
            Kind::Free => action.ends_block(),
            Kind::Realloc => {
                use Action::{ReallocAlloc, ReallocFail, ReallocRelease};
                matches!(action, ReallocAlloc | ReallocFail | ReallocRelease)
            }
            Kind::Failed => matches!(action, Action::AllocFail | Action::ReallocFail),
            Kind::Map => matches!(action, Action::Map | Action::Unmap),
            Kind::Api(wanted) => api == wanted,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Kind, String> {
        Ok(match word {
            "alloc" => Kind::Alloc,
            "free" => Kind::Free,
            "realloc" => Kind::Realloc,
            "failed" => Kind::Failed,
            "map" => Kind::Map,
            _ => {
                let named = |api: &&Api| api.name() == word || api.name().replace(' ', "-") == word;
                let api = Api::ALL.iter().find(named).ok_or(
                    "expected alloc, free, realloc, failed, map, or a function as malloc or operator-new",
                )?;
                Kind::Api(*api)
            }
        })
    }
}

/// A range of sizes: `64`, `64K..`, `..1M`, `1K..64K` (both ends belong to it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeRange(pub RangeInclusive<u64>);

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<SizeRange, String> {
        let bound = |text: &str, open: u64| {
            if text.is_empty() { Some(open) } else { parse_bytes(text) }
        };
        let range = match text.split_once("..") {
            Some((low, high)) => bound(low, 0).zip(bound(high, u64::MAX)),
            None => parse_bytes(text).map(|size| (size, size)),
        };
        match range {
            Some((low, high)) if low <= high => Ok(SizeRange(low..=high)),
            _ => Err("expected a size or a range of sizes: 64, 64K.., ..1M, 1K..64K".to_owned()),
        }
    }
}

/// Bytes: a whole number, or one with K, M, G or T (powers of 1024; `KiB` and `KB` mean the same).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A range of times: `0.2..0.5`, `100ms..`, `..peak`, `50%..end`; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// From here.
    pub from: When,
    /// To here.
    pub to: When,
}

/// What is wrong with a range that ends before it begins.
const BACKWARDS: &str = "this range ends before it begins";

impl FromStr for TimeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeRange, String> {
        // The dots of `0...5` would be ambiguous; `..` splits at its first occurrence.
        let (from, to) = text.split_once("..").ok_or("expected a range of moments: 0.2..0.5")?;
        let bound = |text: &str, open| if text.is_empty() { Ok(open) } else { text.parse() };
        let range = TimeRange { from: bound(from, When::Start)?, to: bound(to, When::End)? };
        match (range.from, range.to) {
            (When::Time(from), When::Time(to)) if from > to => Err(BACKWARDS.to_owned()),
            (When::Share(from), When::Share(to)) if from > to => Err(BACKWARDS.to_owned()),
            _ => Ok(range),
        }
    }
}

/// What an event must be to be shown. Everything that is `None` or empty lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kernel thread id.
    pub tid: Option<u32>,
    /// One of these.
    pub kinds: Vec<Kind>,
    /// The size asked for; of a free: the size of its block.
    pub sizes: Option<SizeRange>,
    /// Concerns a block that contains this address.
    pub address: Option<u64>,
    /// When.
    pub times: Option<TimeRange>,
    /// The block lived at most so long (frees only).
    pub max_lifetime: Option<Lifetime>,
    /// Some frame of its backtrace, or of its block's allocation, has this in function, file or module.
    pub text: Option<String>,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(pub TimeNs);

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Lifetime, String> {
        parse_duration(text)
            .map(Lifetime)
            .ok_or_else(|| "expected a time: 0.5, 20ms, 17us".to_owned())
    }
}

impl Filter {
    pub(crate) fn kind_matches(&self, action: Action, api: Api) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.matches(action, api))
    }

    pub(crate) fn size_matches(&self, size: u64) -> bool {
        self.sizes.as_ref().is_none_or(|range| range.0.contains(&size))
    }
}

/// Whether backtraces contain a text; remembers its answers.
pub(crate) struct TextMatch<'a> {
    text: &'a str,
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    known: FxHashMap<BacktraceId, bool>,
}

impl<'a> TextMatch<'a> {
    pub(crate) fn new(text: &'a str, recording: &'a dyn Recording, names: &'a dyn Names) -> Self {
        TextMatch { text, recording, names, known: FxHashMap::default() }
    }

    pub(crate) fn matches(&mut self, backtrace: BacktraceId) -> bool {
        let mut pending = Vec::new();
        let mut found = false;
        for (id, node) in names::walk(self.recording, backtrace) {
            if let Some(&known) = self.known.get(&id) {
                found = known;
                break;
            }
            pending.push(id);
            let has = |text: &Option<std::sync::Arc<str>>| {
                text.as_deref().is_some_and(|text| text.contains(self.text))
            };
            found = self.names.frames(id, &node).iter().any(|frame| {
                frame.function.contains(self.text) || has(&frame.file) || has(&frame.module)
            });
            if found {
                break;
            }
        }
        // Every backtrace that was passed on the way ends in the same callers.
        self.known.extend(pending.into_iter().map(|id| (id, found)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("64".parse(), Ok(SizeRange(64..=64)));
        assert_eq!("1K..64KiB".parse(), Ok(SizeRange(1024..=65536)));
        assert_eq!("2M..".parse(), Ok(SizeRange(2 << 20..=u64::MAX)));
        assert_eq!("..10".parse(), Ok(SizeRange(0..=10)));
        for bad in ["", "x", "5..1", "99999999999999999999", "16777216T", "-1"] {
            assert!(bad.parse::<SizeRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds() {
        assert_eq!("alloc".parse(), Ok(Kind::Alloc));
        assert_eq!("operator-new[]".parse(), Ok(Kind::Api(Api::NewArray)));
        assert_eq!("posix_memalign".parse(), Ok(Kind::Api(Api::PosixMemalign)));
        assert!("nothing".parse::<Kind>().is_err());
    }

    #[test]
    fn times() {
        let range: TimeRange = "0.2..peak".parse().unwrap();
        assert_eq!(range, TimeRange { from: "200ms".parse().unwrap(), to: When::Peak });
        let open: TimeRange = "50%..".parse().unwrap();
        assert_eq!(open.to, When::End);
        assert!("0.5".parse::<TimeRange>().is_err());
    }
}
