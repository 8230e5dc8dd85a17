//! RSS over time, in layers.

use super::Held;
use heaptape_tape::{Private, Sample};
use serde::Serialize;
use std::cmp::Reverse;

/// Samples of [`RssExplained`] at most: of more, the ones with most RSS in equal parts of the list, the first and the last.
pub const MOST_SAMPLES: usize = 480;

/// RSS over time; every list has one entry for each sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RssExplained {
    /// When.
    pub time_ns: Vec<u64>,
    /// From below; they add up to `rss` at each sample.
    pub layers: Vec<Layer>,
    /// Resident bytes, as the kernel counts them.
    pub rss: Vec<u64>,
    /// What could not be told apart, in a sentence; empty: nothing.
    pub note: String,
}

/// A part of RSS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// What it is.
    pub name: &'static str,
    /// What it holds, in a sentence.
    pub explanation: &'static str,
    /// Bytes, by sample.
    pub bytes: Vec<u64>,
}

/// The layers from below.
const LAYERS: [(&str, &str); 11] = [
    ("Blocks", "Asked for by the program, in memory that the allocator divides."),
    ("Large blocks", "Asked for by the program, each in a mapping of its own."),
    ("Rounding", "Given by the allocator beyond what was asked for."),
    (
        "Free in the allocator",
        "What glibc's heap and arenas have beyond that: free memory and headers.",
    ),
    ("Stack", "The first thread's."),
    ("Variables of modules", "Changed pages of mapped files."),
    (
        "Mapped otherwise",
        "By the program without malloc or by another allocator than glibc's; stacks of other threads; the recorder's own.",
    ),
    (
        "Rest of private memory",
        "Free memory in the allocator, its headers, stacks, variables of modules, and what was mapped otherwise.",
    ),
    (
        "Files",
        "Pages of the program, its libraries and other mapped files; the kernel can drop them.",
    ),
    ("Shared memory", "The recorder's own streams, and what the program shares."),
    ("Unaccounted", "Counted by the kernel in RSS and in none of its parts."),
];

/// RSS of one sample, by layer.
type Row = [u64; LAYERS.len()];

/// What samples consist of, with what was live at each. `whole`: every allocation is on the tape; `foreign`: the allocator
/// is not glibc's.
pub(super) fn explain(samples: &[Sample], at: &[Held], whole: bool, foreign: bool) -> RssExplained {
    let chosen = chosen(samples);
    let row =
        |&i: &usize| layers(&samples[i], if whole { at[i] } else { Held::default() }, foreign);
    let rows: Vec<Row> = chosen.iter().map(row).collect();
    let named = LAYERS.iter().enumerate().map(|(index, &(name, explanation))| Layer {
        name,
        explanation,
        bytes: rows.iter().map(|row| row[index]).collect(),
    });
    RssExplained {
        time_ns: chosen.iter().map(|&i| samples[i].time.0).collect(),
        layers: named.filter(|layer| layer.bytes.iter().any(|&bytes| bytes > 0)).collect(),
        rss: chosen.iter().map(|&i| samples[i].rss).collect(),
        note: note(samples, &chosen, whole),
    }
}

/// Takes bytes from what is left.
fn take(left: &mut u64, bytes: u64) -> u64 {
    let taken = bytes.min(*left);
    *left -= taken;
    taken
}

/// A sample as those layers; they add up to its RSS, whatever it says.
fn layers(sample: &Sample, held: Held, foreign: bool) -> Row {
    let mut left = sample.rss;
    let files = take(&mut left, sample.rss_file);
    let shared = take(&mut left, sample.rss_shmem);
    let mut private = take(&mut left, sample.rss_anon);
    let small = held.asked.saturating_sub(held.mapped);
    let Some(known) = &sample.private else {
        let blocks = take(&mut private, small);
        let large = take(&mut private, held.mapped);
        let rounding = take(&mut private, held.slack);
        return [blocks, large, rounding, 0, 0, 0, 0, private, files, shared, left];
    };
    let Private { heap, arenas, stack, files: modules, other: _ } = *known;
    let stack = take(&mut private, stack);
    let modules = take(&mut private, modules);
    let mut heap = take(&mut private, heap.saturating_add(arenas));
    let large = take(&mut private, held.mapped);
    let divided = if foreign { &mut private } else { &mut heap };
    let blocks = take(divided, small);
    let rounding = take(divided, held.slack);
    [blocks, large, rounding, heap, stack, modules, private, 0, files, shared, left]
}

fn note(samples: &[Sample], chosen: &[usize], whole: bool) -> String {
    let mut notes = Vec::new();
    if !whole {
        notes.push("The tape is a sample of the allocations: blocks cannot be told from other private memory.");
    } else {
        notes.push(
            "Which pages of a block are resident is not recorded: blocks count as far as the memory reaches that they may lie \
             in, so what was asked for and never touched makes other layers look smaller than they are.",
        );
    }
    if chosen.iter().any(|&i| samples[i].private.is_none()) {
        notes.push("Of some samples it is not recorded what private memory consists of.");
    } else if chosen.len() < samples.len().min(MOST_SAMPLES) {
        notes.push(
            "Only samples of which it is recorded what private memory consists of are shown.",
        );
    }
    notes.join(" ")
}

/// The samples that are shown: those that say what private memory consists of, if there are any; of too many, those with most
/// RSS.
fn chosen(samples: &[Sample]) -> Vec<usize> {
    let mut all: Vec<usize> = (0..samples.len()).collect();
    if samples.iter().any(|sample| sample.private.is_some()) {
        all.retain(|&i| samples[i].private.is_some());
    }
    if all.len() <= MOST_SAMPLES {
        return all;
    }
    let (last, parts) = (all.len() - 1, MOST_SAMPLES - 2);
    let part = |index: usize| 1 + (last - 1) * index / parts;
    let highest = |index: usize| {
        let some = all[part(index)..part(index + 1)].iter().copied();
        some.max_by_key(|&i| (samples[i].rss, Reverse(i)))
    };
    let between = (0..parts).filter_map(highest);
    std::iter::once(all[0]).chain(between).chain([all[last]]).collect()
}
