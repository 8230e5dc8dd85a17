//! Leaks as a page has them: with backtraces as numbers of its stacks. Written out they are megabytes where they are deep.

use heaptape_analysis::Weight;
use heaptape_analysis::leaks::{
    LeakRecord, LeakSummary, LeakedBlock, Leaks, Search, SearchName, Step, word,
};
use heaptape_analysis::stacks::Stacks;
use serde::{Serialize, Serializer};

/// Leaks, and the number of each record's stack.
#[derive(Debug)]
pub struct NumberedLeaks {
    leaks: Leaks,
    stacks: Vec<u32>,
}

impl NumberedLeaks {
    /// Numbers the backtraces of the records, which must be among those that the stacks were made of.
    pub fn of(leaks: Leaks, stacks: &Stacks) -> NumberedLeaks {
        let numbers = leaks.records.iter().map(|record| stacks.stack(record.backtrace_id));
        NumberedLeaks { stacks: numbers.collect(), leaks }
    }
}

/// `heaptape leaks --json` of a process, but for what a page has no use for.
#[derive(Serialize)]
struct Document<'a> {
    search: &'a Option<Search>,
    searches: &'a [SearchName],
    summary: &'a LeakSummary,
    records: Vec<Record<'a>>,
    hidden_records: u64,
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
    path: &'a [Step],
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
            path: &record.path,
        }
    }
}

impl Serialize for NumberedLeaks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Leaks { search, searches, summary, records, hidden_records, .. } = &self.leaks;
        let records = records.iter().zip(&self.stacks).map(Record::of).collect();
        Document { search, searches, summary, records, hidden_records: *hidden_records }
            .serialize(serializer)
    }
}
