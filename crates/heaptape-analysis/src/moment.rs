//! Moments as people write them: `0.521`, `521ms`, `50%`, `peak`, `start`, `end`.

use crate::process;
use crate::recording::Recording;
use heaptape_tape::{Moment, ProcessId, TapeError, TimeNs};
use serde::Serialize;
use std::str::FromStr;

/// A moment of a process, before it is known when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the first event.
    Start,
    /// So long after the recording began.
    Time(TimeNs),
    /// This share of the process's recorded time, in millionths.
    Share(u32),
    /// The first moment of most live bytes.
    Peak,
    /// The end of the recording of the process.
    End,
}

/// A moment, found on a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Instant {
    /// When it was.
    pub time_ns: u64,
    /// The same for the tape: exact even where events share a time.
    #[serde(skip)]
    pub moment: Moment,
}

impl When {
    /// How a moment may be written, for help and errors.
    pub const FORMS: &'static str = "seconds (0.521), 521ms, 17us, 40ns, 50%, start, peak or end";

    /// Finds the moment in a process's history.
    pub fn resolve(
        self,
        recording: &dyn Recording,
        process: ProcessId,
    ) -> Result<Instant, TapeError> {
        let (start, end) = process::span(recording, process);
        let at = |time: TimeNs| Instant { time_ns: time.0, moment: Moment::Time(time) };
        Ok(match self {
            When::Start => Instant { time_ns: start.0, moment: Moment::Event(0) },
            When::Time(time) => at(time),
            When::Share(millionths) => {
                let span = u128::from(end.0.saturating_sub(start.0));
                let part = span * u128::from(millionths.min(1_000_000)) / 1_000_000;
                at(TimeNs(start.0 + u64::try_from(part).expect("a part of a u64")))
            }
            When::Peak => {
                let totals = process::totals(recording, process)?;
                let moment = Moment::Event(totals.peak_event);
                Instant { time_ns: totals.peak_time.0.max(start.0), moment }
            }
            When::End => Instant { time_ns: end.0, moment: Moment::End },
        })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        let parsed = match text {
            "start" => Some(When::Start),
            "peak" => Some(When::Peak),
            "end" | "exit" => Some(When::End),
            _ => parse_number(text),
        };
        parsed.ok_or_else(|| format!("expected a moment: {}", When::FORMS))
    }
}

fn parse_number(text: &str) -> Option<When> {
    if let Some(percent) = text.strip_suffix('%') {
        let millionths = decimal(percent.trim_end(), 4)?;
        return (millionths <= 1_000_000).then_some(When::Share(millionths as u32));
    }
    parse_duration(text).map(When::Time)
}

/// Parses a duration: seconds, or a number with `s`, `ms`, `us` or `ns`.
pub fn parse_duration(text: &str) -> Option<TimeNs> {
    let units = [("ns", 0), ("us", 3), ("\u{b5}s", 3), ("ms", 6), ("s", 9), ("", 9)];
    let (number, digits) =
        units.iter().find_map(|(unit, digits)| Some((text.strip_suffix(unit)?, *digits)))?;
    decimal(number.trim_end(), digits).map(TimeNs)
}

/// A decimal number times 10^`digits`, exactly; further digits are cut off.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let mut value: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    for place in 0..digits {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> u64 {
        match text.parse() {
            Ok(When::Time(TimeNs(ns))) => ns,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn moments_are_exact_to_the_nanosecond() {
        assert_eq!(time("0.521"), 521_000_000);
        assert_eq!(time("0.123456789"), 123_456_789);
        assert_eq!(time("521ms"), 521_000_000);
        assert_eq!(time("1.5 ms"), 1_500_000);
        assert_eq!(time("17us"), 17_000);
        assert_eq!(time("40ns"), 40);
        assert_eq!(time(".5"), 500_000_000);
        assert_eq!(time("3s"), 3_000_000_000);
    }

    #[test]
    fn words_and_shares() {
        assert_eq!("peak".parse(), Ok(When::Peak));
        assert_eq!("end".parse(), Ok(When::End));
        assert_eq!("50%".parse(), Ok(When::Share(500_000)));
        assert_eq!("99.9 %".parse(), Ok(When::Share(999_000)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ".", "-1", "1e3", "101%", "5m", "peak ", "99999999999999999999", "\u{661}"]
        {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
