//! The ledgers themselves: a test against a wrong ledger would prove nothing.

use super::build;
use super::ledger::{Act, Page, parse};
use super::run;
use super::valgrind::Summary;
use std::collections::BTreeMap;

/// The pages of a bare run of `targets/NAME`.
fn pages(name: &str) -> Vec<Page> {
    let outcome = run::bare(&[build::target(name).into()]);
    let pages = parse(&outcome.ledger);
    assert!(!pages.is_empty(), "{name} kept no ledger");
    pages
}

/// No ledger gives back more of a size than was taken by anybody.
#[test]
fn balance() {
    for name in ["realloc_forms", "realloc_race", "reuse_storm", "new_forms", "exceptions", "rust"]
    {
        let mut blocks: BTreeMap<u64, i64> = BTreeMap::new();
        for ((act, _, size), count) in pages(name).iter().flat_map(|page| &page.counts) {
            *blocks.entry(*size).or_default() += match act {
                Act::Took => *count as i64,
                Act::Gave => -(*count as i64),
                Act::Failed => 0,
            };
        }
        assert!(blocks.values().all(|&count| count >= 0), "{name}: {blocks:?}");
    }
}

/// These programs allocate nothing that is not in their ledger: valgrind must count the same.
#[test]
fn are_honest() {
    for name in ["deep", "frames", "longjmp", "fibers", "jit", "atexit", "signal"] {
        let pages = pages(name);
        let said = Summary::of_page(&pages[0]);
        assert_eq!(said, Summary::of_valgrind(&build::target(name)), "{name} (left) and valgrind");
    }
}

#[test]
fn are_read_as_written() {
    let pages = parse("process 7 3 fork\ntook new[] 5 2\nfailed malloc 9 1\npeak 10\nend\n");
    assert_eq!(pages.len(), 1);
    assert_eq!(
        (pages[0].pid, pages[0].parent, pages[0].forked, pages[0].peak),
        (7, 3, true, Some(10))
    );
    assert_eq!(pages[0].counts[&(Act::Took, "new[]".to_owned(), 5)], 2);
    assert_eq!(pages[0].counts[&(Act::Failed, "malloc".to_owned(), 9)], 1);
}
