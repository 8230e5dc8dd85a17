//! Leaks as a page has them: the worst records, with backtraces as numbers of its stacks and of long ways their ends. Written
//! out they are megabytes where they are deep. What is left out is counted.

use heaptape_analysis::Weight;
use heaptape_analysis::leaks::{
    LeakRecord, LeakSummary, LeakedBlock, Leaks, RootName, Search, SearchName, Step, word,
};
use heaptape_analysis::stacks::Stacks;
use heaptape_tape::BacktraceId;
use serde::{Serialize, Serializer};

/// Records of a process that are shown one by one.
const MOST_RECORDS: usize = 100;
/// Steps at each end of a way that are shown.
const ENDS: usize = 6;

/// The worst leaks, and what the others come to.
#[derive(Debug)]
pub struct WorstLeaks {
    leaks: Leaks,
    hidden: Hidden,
}

/// Records that are not shown.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Hidden {
    records: u64,
    #[serde(flatten)]
    weight: Weight,
}

impl WorstLeaks {
    /// Leaves out the records that are too many; the worst come first.
    pub fn of(mut leaks: Leaks) -> WorstLeaks {
        let hidden = hide_rest(&mut leaks.records);
        WorstLeaks { leaks, hidden }
    }

    /// The backtraces of the records.
    pub fn backtraces(&self) -> impl Iterator<Item = BacktraceId> {
        self.leaks.records.iter().map(|record| record.backtrace_id)
    }

    /// Numbers the backtraces, which must be among those that the stacks were made of.
    pub fn numbered(self, stacks: &Stacks) -> NumberedLeaks {
        let numbers = self.backtraces().map(|backtrace| stacks.stack(backtrace)).collect();
        NumberedLeaks { worst: self, stacks: numbers }
    }
}

fn hide_rest(records: &mut Vec<LeakRecord>) -> Hidden {
    let mut hidden = Hidden::default();
    for record in records.drain(MOST_RECORDS.min(records.len())..) {
        hidden.records += 1;
        hidden.weight += record.weight;
    }
    hidden
}

/// Leaks, and the number of each record's stack.
#[derive(Debug)]
pub struct NumberedLeaks {
    worst: WorstLeaks,
    stacks: Vec<u32>,
}

/// `heaptape leaks --json` of a process, but for what a page has no use for.
#[derive(Serialize)]
struct Document<'a> {
    search: &'a Option<Search>,
    searches: &'a [SearchName],
    summary: &'a LeakSummary,
    records: Vec<Record<'a>>,
    hidden: Hidden,
}

#[derive(Serialize)]
struct Record<'a> {
    kind: &'static str,
    #[serde(flatten)]
    weight: Weight,
    indirect: Weight,
    function: &'static str,
    stack: u32,
    block: &'a LeakedBlock,
    path: Vec<PathStep<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "in", rename_all = "snake_case")]
enum PathStep<'a> {
    Root(&'a RootName),
    Block {
        #[serde(flatten)]
        block: &'a LeakedBlock,
        offset: u64,
        /// The function, by its short name.
        site: Option<&'a str>,
    },
    More {
        blocks: u64,
    },
}

impl<'a> PathStep<'a> {
    fn of(step: &'a Step) -> PathStep<'a> {
        match step {
            Step::Root(root) => PathStep::Root(root),
            Step::Block { block, offset, site } => {
                let site = site.as_ref().map(|frame| &*frame.short);
                PathStep::Block { block, offset: *offset, site }
            }
            Step::More { blocks } => PathStep::More { blocks: *blocks },
        }
    }
}

/// The steps at both ends of a way, and between them how many blocks there are.
fn ends(path: &[Step]) -> Vec<PathStep<'_>> {
    // Saying that there is one more takes as much room as showing it.
    if path.len() <= 2 * ENDS + 1 {
        return path.iter().map(PathStep::of).collect();
    }
    let (first, rest) = path.split_at(ENDS);
    let (between, last) = rest.split_at(rest.len() - ENDS);
    let count = |step: &Step| if let Step::More { blocks } = step { *blocks } else { 1 };
    let more = PathStep::More { blocks: between.iter().map(count).sum() };
    let (first, last) = (first.iter().map(PathStep::of), last.iter().map(PathStep::of));
    first.chain([more]).chain(last).collect()
}

impl<'a> Record<'a> {
    fn of((record, &stack): (&'a LeakRecord, &u32)) -> Record<'a> {
        Record {
            kind: word(record.kind),
            weight: record.weight,
            indirect: record.indirect,
            function: record.function,
            stack,
            block: &record.block,
            path: ends(&record.path),
        }
    }
}

impl Serialize for NumberedLeaks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WorstLeaks { leaks, hidden } = &self.worst;
        let Leaks { search, searches, summary, records, .. } = leaks;
        let records = records.iter().zip(&self.stacks).map(Record::of).collect();
        Document { search, searches, summary, records, hidden: *hidden }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::LeakKind;

    fn step(block: u64) -> Step {
        let block = LeakedBlock { block: Some(block), address: 0, size: 1, retained: 1 };
        Step::Block { block, offset: 0, site: None }
    }

    fn said(path: &[Step]) -> Vec<String> {
        let word = |step: &PathStep<'_>| match step {
            PathStep::Root(_) => "root".to_owned(),
            PathStep::Block { block, .. } => block.block.unwrap().to_string(),
            PathStep::More { blocks } => format!("{blocks} more"),
        };
        ends(path).iter().map(word).collect()
    }

    #[test]
    fn records_that_are_too_many_are_counted() {
        let record = |bytes| LeakRecord {
            kind: LeakKind::Definite,
            weight: Weight { bytes, blocks: 2 },
            indirect: Weight::default(),
            function: "malloc",
            backtrace: Vec::new(),
            backtrace_id: BacktraceId::NONE,
            block: LeakedBlock { block: None, address: 0, size: 1, retained: 1 },
            path: Vec::new(),
        };
        let mut records: Vec<LeakRecord> = (0..103).rev().map(record).collect();
        let Hidden { records: hidden, weight } = hide_rest(&mut records);
        assert_eq!((records.len(), records[99].weight.bytes), (100, 3));
        assert_eq!((hidden, weight), (3, Weight { bytes: 2 + 1, blocks: 6 }));
        assert_eq!(hide_rest(&mut records).records, 0);
    }

    #[test]
    fn of_a_long_way_there_are_its_ends_and_how_much_lies_between() {
        let short: Vec<Step> = (0..13).map(step).collect();
        assert_eq!(said(&short).join(" "), "0 1 2 3 4 5 6 7 8 9 10 11 12");
        let long: Vec<Step> = (0..64).map(step).collect();
        assert_eq!(said(&long).join(" "), "0 1 2 3 4 5 52 more 58 59 60 61 62 63");
        // What is left out already counts as what it stands for.
        let mut cut = long.clone();
        cut.insert(20, Step::More { blocks: 1000 });
        assert_eq!(said(&cut)[6], "1052 more");
    }
}
