//! Blocks as columns: `Blocks` of `ui/src/data/types.ts`.

use heaptape_analysis::index::answers::Answers;
use heaptape_analysis::lifetimes::Lifetime;
use heaptape_report::page::columns::Table;

/// A table with these blocks.
pub(super) fn table<'a>(answers: &'a Answers<'_>, rows: &'a [Lifetime]) -> Table<'a> {
    let count = rows.len();
    let (stacks, thread) = (answers.stacks, answers.thread);
    Table::new()
        .f64("id", count, |row| rows[row].id.0 as f64)
        .f64("addr", count, |row| rows[row].addr as f64)
        .f64("size", count, |row| rows[row].size as f64)
        .f64("usable", count, |row| rows[row].usable as f64)
        .u32("born", count, |row| rows[row].born)
        .u32("died", count, |row| rows[row].died)
        .u32("stack", count, move |row| stacks.stack(rows[row].backtrace))
        .u32("freed_stack", count, move |row| stacks.stack(rows[row].freed_backtrace))
        .u16("thread", count, move |row| thread(rows[row].thread))
        .u16("freed_thread", count, move |row| thread(rows[row].freed_thread))
        .u8("api", count, |row| rows[row].api)
        .u8("flags", count, |row| rows[row].flags)
        .u8("leak", count, |row| rows[row].leak)
}
