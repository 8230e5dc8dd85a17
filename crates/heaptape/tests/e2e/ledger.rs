//! A ledger, read: what each process of a run says it did (`targets/ledger.h`).

use std::collections::{BTreeMap, BTreeSet};

/// What a program did with blocks of one size by one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Took,
    Gave,
    Failed,
}

/// How often which act was done, by which function (`malloc`, `new[]`, …), with which size.
pub(crate) type Counts = BTreeMap<(Act, String, u64), u64>;

/// One process's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) forked: bool,
    pub(crate) counts: Counts,
    /// Most bytes of these sizes that were live at once, where the program can know.
    pub(crate) peak: Option<u64>,
}

impl Page {
    /// The sizes the page speaks about.
    pub(crate) fn sizes(&self) -> BTreeSet<u64> {
        self.counts.keys().map(|(_, _, size)| *size).collect()
    }

    /// The page without what differs from run to run.
    pub(crate) fn anonymous(&self) -> Page {
        Page { pid: 0, parent: 0, ..self.clone() }
    }
}

/// The pages of a ledger, in the order they were written.
pub(crate) fn parse(text: &str) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut page = Page::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap_or_else(|_| panic!("{line:?}"));
        match words[0] {
            "process" => {
                page = Page {
                    pid: number(1) as u32,
                    parent: number(2) as u32,
                    forked: words[3] == "fork",
                    ..Page::default()
                };
            }
            "peak" => page.peak = Some(number(1)),
            "end" => pages.push(std::mem::take(&mut page)),
            act => {
                let act = match act {
                    "took" => Act::Took,
                    "gave" => Act::Gave,
                    "failed" => Act::Failed,
                    _ => panic!("no ledger line: {line:?}"),
                };
                page.counts.insert((act, words[1].to_owned(), number(2)), number(3));
            }
        }
    }
    pages
}
