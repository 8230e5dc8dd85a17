//! Reads the CSV logs of vizzy: `sec,usec,function,0xaddr,size`, one call a line.
//!
//! The lines are replayed into a [`LiveSet`], as the events of a tape would be. A line that makes no
//! sense is skipped, counted, and the first one named; memory is bounded by the live blocks. vizzy logs
//! a `realloc` as a `free` and a `realloc` line, and a `strdup` a second time under its own name: that
//! second line is the block of the first.

use heaptape_tape::{Action, Api, BacktraceId, Effect, Event, LiveSet, ThreadId, TimeNs};
use std::io::{self, BufRead, Read};

/// Longer lines are no log lines; bytes.
const MAX_LINE: u64 = 512;

/// How many of the frees that matched no block are kept by address.
const MAX_UNMATCHED: usize = 10;

/// A log, replayed up to some moment.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The blocks live at that moment, and the totals up to it.
    pub(crate) live: LiveSet,
    /// The time of the last line that was replayed, from the first line on.
    pub(crate) end: TimeNs,
    /// What else there is to say about the log.
    pub(crate) notes: Notes,
}

/// What a log holds beside blocks, and what is wrong with it. Counts are lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// All lines read.
    pub(crate) lines: u64,
    /// Lines that make no sense; they were skipped.
    pub(crate) skipped: u64,
    /// The first of them: its number from 1, and what is wrong with it.
    pub(crate) first_skipped: Option<(u64, String)>,
    /// `mmap` and `munmap`: no blocks.
    pub(crate) mappings: u64,
    /// `strdup` lines that repeat the `malloc` before them.
    pub(crate) repeated: u64,
    /// Lines with an earlier time than a line before them.
    pub(crate) backwards: u64,
    /// The first addresses that were freed while no block began there.
    pub(crate) unmatched: Vec<u64>,
}

/// Replays the log, as far as the lines whose time is not after `until`. `watch` is told the live bytes
/// after every change.
pub(crate) fn replay(
    mut log: impl BufRead,
    until: Option<TimeNs>,
    mut watch: impl FnMut(TimeNs, u64),
) -> io::Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut first_us = None;
    let mut line = Vec::new();
    while next_line(&mut log, &mut line)? {
        replayed.notes.lines += 1;
        let call = match parse(&line) {
            Ok(call) => call,
            Err(why) => {
                replayed.skip(why);
                continue;
            }
        };
        let since_first = call.time_us.saturating_sub(*first_us.get_or_insert(call.time_us));
        let mut time = TimeNs(since_first.saturating_mul(1000));
        if time < replayed.end || call.time_us < first_us.unwrap_or(0) {
            replayed.notes.backwards += 1;
            time = replayed.end;
        }
        if until.is_some_and(|until| time > until) {
            break;
        }
        replayed.end = time;
        replayed.apply(&call, time);
        watch(time, replayed.live.totals().live_bytes);
    }
    Ok(replayed)
}

/// Whether the first line is one of vizzy's.
pub(crate) fn begins_as_log(mut log: impl BufRead) -> io::Result<bool> {
    let mut line = Vec::new();
    Ok(next_line(&mut log, &mut line)? && parse(&line).is_ok())
}

impl Replayed {
    fn skip(&mut self, why: &str) {
        self.notes.skipped += 1;
        self.notes.first_skipped.get_or_insert_with(|| (self.notes.lines, why.to_owned()));
    }

    fn apply(&mut self, call: &Call, time: TimeNs) {
        let action = match call.what {
            What::Mapping => {
                self.notes.mappings += 1;
                return;
            }
            What::Repeats if self.live.get(call.addr).is_some_and(|b| b.size == call.size) => {
                self.notes.repeated += 1;
                return;
            }
            What::Allocates(_) | What::Repeats => Action::Alloc,
            What::Frees => Action::Free,
        };
        if self.live.totals().alloc_bytes.checked_add(call.size).is_none() {
            return self.skip("its size and those before it are more than 64 bits can count");
        }
        let effect = self.live.apply(&Event {
            time,
            thread: ThreadId(0),
            action,
            api: match call.what {
                What::Allocates(api) => api,
                What::Frees => Api::Free,
                What::Repeats | What::Mapping => Api::Malloc,
            },
            align_log2: 0,
            addr: call.addr,
            size: call.size,
            usable: 0,
            backtrace: BacktraceId::NONE,
        });
        if effect == Effect::Unmatched && self.notes.unmatched.len() < MAX_UNMATCHED {
            self.notes.unmatched.push(call.addr);
        }
    }
}

/// One line of the log.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    time_us: u64,
    what: What,
    addr: u64,
    size: u64,
}

/// What the function of a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Allocates(Api),
    Frees,
    /// `strdup`: allocates by a `malloc` that has its own line.
    Repeats,
    Mapping,
}

impl What {
    fn of(function: &str) -> Option<What> {
        Some(match function {
            "malloc" => What::Allocates(Api::Malloc),
            "calloc" => What::Allocates(Api::Calloc),
            "realloc" => What::Allocates(Api::Realloc),
            "posix_memalign" => What::Allocates(Api::PosixMemalign),
            "aligned_alloc" => What::Allocates(Api::AlignedAlloc),
            "valloc" => What::Allocates(Api::Valloc),
            "free" => What::Frees,
            "strdup" => What::Repeats,
            "mmap" | "munmap" => What::Mapping,
            _ => return None,
        })
    }
}

/// Reads a line without its end into `line`; one that is too long is read over and left too long.
fn next_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    log.by_ref().take(MAX_LINE + 1).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > MAX_LINE {
        log.skip_until(b'\n')?;
    }
    Ok(true)
}

fn parse(line: &[u8]) -> Result<Call, &'static str> {
    if line.len() as u64 > MAX_LINE {
        return Err("it is too long");
    }
    let line = std::str::from_utf8(line).map_err(|_| "it is not text")?.trim();
    let fields: Vec<&str> = line.split(',').collect();
    let &[seconds, micros, function, addr, size] = fields.as_slice() else {
        return Err("it has not the five fields sec,usec,function,0xaddr,size");
    };
    let what = What::of(function).ok_or("its function is not one that vizzy logs")?;
    Ok(Call {
        time_us: time_us(seconds, micros).ok_or("its time is not a time")?,
        what,
        addr: address(addr).ok_or("its address is not an address")?,
        size: match size {
            "" if what == What::Frees => 0,
            _ => size.parse().map_err(|_| "its size is not a number of bytes")?,
        },
    })
}

fn time_us(seconds: &str, micros: &str) -> Option<u64> {
    let micros: u64 = micros.parse().ok().filter(|&m| m < 1_000_000)?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

/// An address as `%p` prints it.
fn address(text: &str) -> Option<u64> {
    match text {
        "(nil)" => Some(0),
        _ => u64::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replay_all(log: &str) -> Replayed {
        replay(log.as_bytes(), None, |_, _| {}).expect("memory is readable")
    }

    const LOG: &str = "\
1700000000,999990,malloc,0x5000,100
1700000000,999995,calloc,0x6000,24
1700000001,10,free,0x5000,
1700000001,20,realloc,0x7000,200
1700000001,30,malloc,0x8000,6
1700000001,31,strdup,0x8000,6
1700000002,0,mmap,0x7f0000000000,4096
1700000002,5,munmap,0x7f0000000000,4096
";

    #[test]
    fn a_log_of_vizzy() {
        let log = replay_all(LOG);
        let totals = log.live.totals();
        assert_eq!((totals.allocs, totals.frees, totals.alloc_bytes), (4, 1, 330));
        assert_eq!((totals.live_bytes, totals.live_blocks, totals.peak_bytes), (230, 3, 230));
        assert_eq!(log.end, TimeNs(1_000_015_000));
        let expected = Notes { lines: 8, mappings: 2, repeated: 1, ..Notes::default() };
        assert_eq!(log.notes, expected);
    }

    #[test]
    fn wound_to_a_moment() {
        let at = |us: u64| {
            let until = Some(TimeNs(us * 1000));
            let log = replay(LOG.as_bytes(), until, |_, _| {}).expect("memory is readable");
            log.live.sorted().iter().map(|b| b.addr).collect::<Vec<_>>()
        };
        assert_eq!(at(0), [0x5000]);
        assert_eq!(at(19), [0x5000, 0x6000]);
        assert_eq!(at(20), [0x6000]);
        assert_eq!(at(30), [0x6000, 0x7000]);
    }

    #[test]
    fn the_curve_is_watched() {
        let mut seen = Vec::new();
        replay(LOG.as_bytes(), None, |t, bytes| seen.push((t.0 / 1000, bytes)))
            .expect("memory is readable");
        assert_eq!(seen[..4], [(0, 100), (5, 124), (20, 24), (30, 224)]);
    }

    #[test]
    fn senseless_lines_are_counted_and_the_first_is_named() {
        let log = replay_all(
            "1,0,malloc,0x10,1\nhello\n1,0,malloc,0x20,-5\n1,0,gets,0x30,1\n1,1000000,malloc,0x40,1\n\n\
             1,0,malloc,0x50,\n1,0,malloc,50,1\n1,0,free,0x10,\n",
        );
        assert_eq!(log.notes.skipped, 7);
        let (line, why) = log.notes.first_skipped.expect("some were skipped");
        assert_eq!((line, why.contains("five fields")), (2, true));
        assert_eq!(log.live.totals().live_blocks, 0);
    }

    #[test]
    fn a_huge_line_costs_no_memory_and_no_other_line() {
        let log = replay_all(&format!("{}\n1,0,malloc,0x10,7\n", "9".repeat(100_000)));
        assert_eq!((log.notes.lines, log.notes.skipped), (2, 1));
        assert_eq!(log.live.totals().live_bytes, 7);
    }

    #[test]
    fn time_never_runs_back_and_unmatched_frees_are_kept() {
        let log = replay_all("5,0,malloc,0x10,1\n4,0,free,0x10,\n6,0,free,0x10,\n5,5,free,0x99,\n");
        assert_eq!(log.notes.backwards, 2);
        assert_eq!(log.end, TimeNs(1_000_000_000));
        assert_eq!(log.notes.unmatched, [0x10, 0x99]);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(log in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = replay(log.as_slice(), None, |_, _| {});
        }

        #[test]
        fn hostile_fields_never_panic(
            lines in proptest::collection::vec(
                (any::<u64>(), "[0-9]{1,7}", "(malloc|free|calloc|strdup|mmap|x)", 0u64..4, any::<u64>()),
                0..100,
            )
        ) {
            let mut log = String::new();
            for (sec, usec, function, addr, size) in &lines {
                log += &format!("{sec},{usec},{function},{addr:#x},{size}\n");
            }
            let replayed = replay_all(&log);
            prop_assert_eq!(replayed.notes.lines, lines.len() as u64);
        }
    }
}
