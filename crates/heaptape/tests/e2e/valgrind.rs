//! valgrind's count of a program's allocations: a witness that is not ours.

use super::ledger::{Act, Page};
use heaptape_tape::Totals;
use std::path::Path;
use std::process::Command;

/// What a heap summary states.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    bytes_at_exit: u64,
    blocks_at_exit: u64,
    allocs: u64,
    frees: u64,
    bytes: u64,
}

impl Summary {
    /// The tape's, of one process.
    pub(crate) fn of_tape(totals: &Totals) -> Summary {
        Summary {
            bytes_at_exit: totals.live_bytes,
            blocks_at_exit: totals.live_blocks,
            allocs: totals.allocs,
            frees: totals.frees,
            bytes: totals.alloc_bytes,
        }
    }

    /// The ledger's: what the program itself knows.
    pub(crate) fn of_page(page: &Page) -> Summary {
        let sum = |wanted: Act, weigh: fn(u64) -> u64| -> u64 {
            let rows = page.counts.iter().filter(|((act, _, _), _)| *act == wanted);
            rows.map(|((_, _, size), count)| weigh(*size) * count).sum()
        };
        let (count, bytes) = (|_| 1, |size| size);
        Summary {
            bytes_at_exit: sum(Act::Took, bytes) - sum(Act::Gave, bytes),
            blocks_at_exit: sum(Act::Took, count) - sum(Act::Gave, count),
            allocs: sum(Act::Took, count),
            frees: sum(Act::Gave, count),
            bytes: sum(Act::Took, bytes),
        }
    }

    /// valgrind's, of its own run of the program. It frees nothing of libc's and libstdc++'s at exit,
    /// which would be its own frees, not the program's.
    pub(crate) fn of_valgrind(program: &Path) -> Summary {
        let output = Command::new("valgrind")
            .args(["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"])
            .args(["--run-libc-freeres=no", "--run-cxx-freeres=no"])
            .arg(program)
            .output()
            .expect("valgrind (package valgrind)");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let numbers = |marker: &str| -> Vec<u64> {
            let line = text.lines().find(|line| line.contains(marker));
            let rest = line.and_then(|line| line.split(marker).nth(1)).unwrap_or_else(|| {
                panic!("valgrind does not say {marker:?}: {text}");
            });
            let digits = rest.replace(',', "");
            digits.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let (at_exit, usage) = (numbers("in use at exit:"), numbers("total heap usage:"));
        Summary {
            bytes_at_exit: at_exit[0],
            blocks_at_exit: at_exit[1],
            allocs: usage[0],
            frees: usage[1],
            bytes: usage[2],
        }
    }
}
