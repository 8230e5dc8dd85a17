//! Why resident memory is what it is: from what the program asked for to what the kernel counts.
//!
//! Two views. *Over time* ([`RssExplained`]): the layers add up to RSS at each sample, but the kernel's samples do not say
//! which pages are resident, so live blocks are taken to be, as far as private memory reaches; the note says so. *At the
//! end* ([`AtEnd`]): the tape holds the resident bytes of every mapping then, which tells apart the allocator's memory,
//! stacks, modules' variables and the rest.

use crate::extents::block_end;
use crate::layout::has_own_mapping;
use crate::recording::Recording;
use heaptape_tape::{Effect, LiveBlock, Mapping, PlaceKind, ProcessId, Sample, TimeNs};
use serde::Serialize;

/// Samples of [`RssExplained`] at most: of more, the ones with most RSS in equal parts of the list, the first and the last.
pub const MOST_SAMPLES: usize = 480;

/// glibc's arenas other than the first lie in stretches of this size that begin at a multiple of it.
const ARENA_BYTES: u64 = 64 << 20;

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

/// What is known of the resident memory of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Residence {
    /// The sample with most RSS; of several, the last.
    pub peak: Moment,
    /// The last sample.
    pub last: Moment,
    /// What was resident when it ended; `None`: not recorded.
    pub at_end: Option<AtEnd>,
    /// All of it over time.
    #[serde(skip)]
    pub explained: RssExplained,
}

/// RSS at one sample, and what was live then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub time_ns: u64,
    /// Resident bytes.
    pub rss_bytes: u64,
    /// Of that: private memory without a file.
    pub anonymous_bytes: u64,
    /// Of that: pages of files.
    pub file_bytes: u64,
    /// Of that: shared memory, the recorder's own included.
    pub shared_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// Bytes of the live blocks, as asked for; `None` in a sample of the allocations.
    pub live_bytes: Option<u64>,
    /// The same as the allocator gave them.
    pub usable_bytes: Option<u64>,
}

/// Resident private memory at the end, by what it is for. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AtEnd {
    /// When the mappings were looked at.
    pub time_ns: u64,
    /// The heap that `brk` made.
    pub heap: Part,
    /// Other memory that the allocator divides into blocks.
    pub arena: Part,
    /// Mappings of single blocks.
    pub mapped: Part,
    /// The first thread's stack.
    pub stack_bytes: u64,
    /// Stacks of other threads that were there at the end.
    pub thread_stack_bytes: u64,
    /// Changed pages of modules and other files: their variables.
    pub module_bytes: u64,
    /// What was mapped otherwise: by the program itself, for stacks of threads that are gone, by the recorder.
    pub other_bytes: u64,
    /// Arenas of glibc beside the first.
    pub arenas: u64,
}

/// Resident memory that an allocator divides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Resident bytes.
    pub resident_bytes: u64,
    /// Of those in blocks: asked for. At most; untouched ones are not resident.
    pub asked_bytes: u64,
    /// Of those in blocks: beyond what was asked for.
    pub rounding_bytes: u64,
    /// The rest: no block's. Free memory, and the allocator's headers.
    pub free_bytes: u64,
}

impl AtEnd {
    /// Resident bytes of the allocator.
    pub fn allocator_bytes(&self) -> u64 {
        [self.heap, self.arena, self.mapped].iter().map(|part| part.resident_bytes).sum()
    }

    /// Of those, bytes that are no block's.
    pub fn free_bytes(&self) -> u64 {
        [self.heap, self.arena, self.mapped].iter().map(|part| part.free_bytes).sum()
    }
}

/// Follows what is live, and notes it at each sample. Memory: 24 bytes a sample.
pub struct RssWatch<'a> {
    samples: &'a [Sample],
    page_bytes: u64,
    now: Held,
    at: Vec<Held>,
    /// The time of the next sample.
    until_ns: u64,
}

/// Live bytes.
#[derive(Clone, Copy, Default)]
struct Held {
    asked: u64,
    usable: u64,
    /// Asked for, of blocks with a mapping of their own.
    mapped: u64,
}

impl<'a> RssWatch<'a> {
    /// Of a process that begins with these blocks.
    pub fn new<'b>(
        recording: &'a dyn Recording,
        process: ProcessId,
        live: impl Iterator<Item = &'b LiveBlock>,
    ) -> RssWatch<'a> {
        let samples = recording.samples(process);
        let page_bytes = crate::layout::page_bytes(recording);
        let (now, at) = (Held::default(), Vec::new());
        let mut watch = RssWatch { samples, page_bytes, now, at, until_ns: 0 };
        watch.until_ns = watch.next_sample_ns();
        live.for_each(|block| watch.begin(block));
        watch
    }

    /// Takes notice of what an event did.
    #[inline]
    pub fn note(&mut self, time: TimeNs, effect: &Effect) {
        while time.0 > self.until_ns {
            self.take_sample();
        }
        match effect {
            Effect::Began(block, overlaid) => {
                if let Some(gone) = overlaid {
                    self.end(gone);
                }
                self.begin(block);
            }
            Effect::Ended(block) => self.end(block),
            Effect::Restored(block) => self.begin(block),
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
        }
    }

    fn next_sample_ns(&self) -> u64 {
        self.samples.get(self.at.len()).map_or(u64::MAX, |sample| sample.time.0)
    }

    #[cold]
    fn take_sample(&mut self) {
        self.at.push(self.now);
        self.until_ns = self.next_sample_ns();
    }

    #[inline]
    fn begin(&mut self, block: &LiveBlock) {
        self.now.asked = self.now.asked.wrapping_add(block.size);
        self.now.usable = self.now.usable.wrapping_add(block.usable.max(block.size));
        self.now.mapped = self.now.mapped.wrapping_add(self.mapped(block));
    }

    #[inline]
    fn end(&mut self, block: &LiveBlock) {
        self.now.asked = self.now.asked.wrapping_sub(block.size);
        self.now.usable = self.now.usable.wrapping_sub(block.usable.max(block.size));
        self.now.mapped = self.now.mapped.wrapping_sub(self.mapped(block));
    }

    #[inline]
    fn mapped(&self, block: &LiveBlock) -> u64 {
        if has_own_mapping(block, self.page_bytes) { block.size } else { 0 }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        (self.at.capacity() * size_of::<Held>()) as u64
    }

    /// The history is over. `whole`: every allocation is on the tape; `at_end`: what was resident then. `None` where
    /// nothing was sampled.
    pub fn finish(mut self, whole: bool, at_end: Option<AtEnd>) -> Option<Residence> {
        while self.at.len() < self.samples.len() {
            self.take_sample();
        }
        let moment = |index: usize| self.moment(index, whole);
        let last = self.samples.len().checked_sub(1)?;
        let peak = (0..=last).max_by_key(|&i| self.samples[i].rss)?;
        Some(Residence {
            peak: moment(peak),
            last: moment(last),
            at_end,
            explained: self.explained(whole),
        })
    }

    fn moment(&self, index: usize, whole: bool) -> Moment {
        let (sample, held) = (&self.samples[index], &self.at[index]);
        Moment {
            time_ns: sample.time.0,
            rss_bytes: sample.rss,
            anonymous_bytes: sample.rss_anon,
            file_bytes: sample.rss_file,
            shared_bytes: sample.rss_shmem,
            swap_bytes: sample.swap,
            live_bytes: whole.then_some(held.asked),
            usable_bytes: whole.then_some(held.usable),
        }
    }

    fn explained(&self, whole: bool) -> RssExplained {
        let chosen = chosen(self.samples);
        let rows: Vec<[u64; LAYERS.len()]> =
            chosen.iter().map(|&i| layers(&self.samples[i], &self.at[i], whole)).collect();
        let layer = |index: usize| rows.iter().map(|row| row[index]).collect::<Vec<u64>>();
        let named = (0..).zip(LAYERS).map(|(index, (name, explanation))| Layer {
            name,
            explanation,
            bytes: layer(index),
        });
        let short = chosen.iter().any(|&i| {
            whole
                && self.at[i].asked > self.samples[i].rss_anon.saturating_add(self.samples[i].swap)
        });
        RssExplained {
            time_ns: chosen.iter().map(|&i| self.samples[i].time.0).collect(),
            layers: named.filter(|layer| layer.bytes.iter().any(|&bytes| bytes > 0)).collect(),
            rss: chosen.iter().map(|&i| self.samples[i].rss).collect(),
            note: note(whole, short),
        }
    }
}

impl Moment {
    /// Live bytes that cannot be resident: those beyond all private memory. A lower bound.
    pub fn untouched_bytes(&self) -> u64 {
        let room = self.anonymous_bytes.saturating_add(self.swap_bytes);
        self.live_bytes.unwrap_or(0).saturating_sub(room)
    }
}

/// The layers from below.
const LAYERS: [(&str, &str); 7] = [
    ("Blocks", "Asked for by the program, in memory that the allocator divides."),
    ("Large blocks", "Asked for by the program, each in a mapping of its own."),
    ("Rounding", "Given by the allocator beyond what was asked for."),
    (
        "Rest of private memory",
        "Free memory inside the allocator and its headers, stacks, variables of modules, and what was mapped without malloc.",
    ),
    (
        "Files",
        "Pages of the program, its libraries and other mapped files; the kernel can drop them.",
    ),
    ("Shared memory", "The recorder's own streams, and what the program shares."),
    ("Unaccounted", "Counted by the kernel in RSS and in none of its parts."),
];

/// A sample as those layers.
fn layers(sample: &Sample, held: &Held, whole: bool) -> [u64; LAYERS.len()] {
    let mut left = sample.rss;
    let mut take = |bytes: u64| {
        let taken = bytes.min(left);
        left -= taken;
        taken
    };
    let (file, shared, private) =
        (take(sample.rss_file), take(sample.rss_shmem), take(sample.rss_anon));
    let mut rest = private;
    let mut of_private = |bytes: u64| {
        let taken = if whole { bytes.min(rest) } else { 0 };
        rest -= taken;
        taken
    };
    let blocks = of_private(held.asked.saturating_sub(held.mapped));
    let large = of_private(held.mapped);
    let rounding = of_private(held.usable.saturating_sub(held.asked));
    [blocks, large, rounding, rest, file, shared, left]
}

fn note(whole: bool, short: bool) -> String {
    if !whole {
        return "The tape is a sample of the allocations: blocks cannot be told from other private memory.".to_owned();
    }
    let mut note = "Which pages of a block are resident is not recorded: blocks count as far as private memory reaches, so \
        memory that was asked for and never touched makes the layers above them look smaller than they are."
        .to_owned();
    if short {
        note.push_str(" At some moments more was live than private memory is resident.");
    }
    note
}

/// The samples that are shown: see [`MOST_SAMPLES`].
fn chosen(samples: &[Sample]) -> Vec<usize> {
    if samples.len() <= MOST_SAMPLES {
        return (0..samples.len()).collect();
    }
    let last = samples.len() - 1;
    let parts = MOST_SAMPLES - 2;
    let part = |index: usize| 1 + (last - 1) * index / parts;
    let highest = |index: usize| {
        (part(index)..part(index + 1)).max_by_key(|&i| (samples[i].rss, std::cmp::Reverse(i)))
    };
    std::iter::once(0).chain((0..parts).filter_map(highest)).chain([last]).collect()
}

/// What was resident when a process ended; `None` where its last map does not say. `blocks`: those live then, by address.
pub fn at_end(
    recording: &dyn Recording,
    process: ProcessId,
    blocks: &[LiveBlock],
) -> Option<AtEnd> {
    let map = recording.memory_maps().iter().rfind(|map| map.process == process)?;
    if map.resident.len() != map.mappings.len() {
        return None;
    }
    let stacks = thread_stacks(recording, process);
    let page_bytes = crate::layout::page_bytes(recording);
    let mut end = AtEnd { time_ns: map.time.0, ..AtEnd::default() };
    for (mapping, &resident) in map.mappings.iter().zip(&map.resident) {
        let first = blocks.partition_point(|block| block.addr < mapping.start);
        let inside = blocks[first..].iter().take_while(|block| block.addr < mapping.end);
        let kind = kind(mapping, &stacks, inside.clone(), page_bytes);
        end.arenas += u64::from(kind == Kind::Arena && is_glibc_arena(mapping));
        end.add(kind, resident, inside, mapping.end);
    }
    Some(end)
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heap,
    Arena,
    Mapped,
    Stack,
    ThreadStack,
    Module,
    Other,
}

fn kind<'a>(
    mapping: &Mapping,
    stacks: &[u64],
    mut blocks: impl Iterator<Item = &'a LiveBlock>,
    page_bytes: u64,
) -> Kind {
    match &mapping.name[..] {
        b"[heap]" => return Kind::Heap,
        b"[stack]" => return Kind::Stack,
        name if name.starts_with(b"/") => return Kind::Module,
        _ => {}
    }
    if stacks.iter().any(|sp| (mapping.start..mapping.end).contains(sp)) {
        return Kind::ThreadStack;
    }
    if let Some(first) = blocks.next() {
        let all_own = std::iter::once(first).chain(blocks).all(|b| has_own_mapping(b, page_bytes));
        return if all_own { Kind::Mapped } else { Kind::Arena };
    }
    if is_glibc_arena(mapping) { Kind::Arena } else { Kind::Other }
}

/// Whether a mapping looks like an arena of glibc, by where it begins.
fn is_glibc_arena(mapping: &Mapping) -> bool {
    mapping.name.is_empty()
        && mapping.access.read
        && mapping.access.write
        && mapping.start % ARENA_BYTES == 0
        && mapping.end - mapping.start <= ARENA_BYTES
}

/// Stack pointers of the threads that were there at the last search for leaks.
fn thread_stacks(recording: &dyn Recording, process: ProcessId) -> Vec<u64> {
    let scan = recording.leak_scans().iter().rfind(|scan| scan.process == process);
    let places = scan.map_or(&[][..], |scan| &scan.places);
    let stacks = places.iter().filter(|place| place.kind == PlaceKind::Stack && place.start > 0);
    stacks.map(|place| place.start).collect()
}

impl AtEnd {
    fn add<'a>(
        &mut self,
        kind: Kind,
        resident: u64,
        blocks: impl Iterator<Item = &'a LiveBlock>,
        end: u64,
    ) {
        match kind {
            Kind::Heap | Kind::Arena | Kind::Mapped => {}
            Kind::Stack => return self.stack_bytes += resident,
            Kind::ThreadStack => return self.thread_stack_bytes += resident,
            Kind::Module => return self.module_bytes += resident,
            Kind::Other => return self.other_bytes += resident,
        }
        let (mut asked, mut usable) = (0_u64, 0_u64);
        for block in blocks {
            let inside = end - block.addr;
            asked = asked.saturating_add(block.size.min(inside));
            usable = usable.saturating_add((block_end(block) - block.addr).min(inside));
        }
        // Neighbouring mappings are one for the kernel: what is in none of these blocks may be anybody's.
        let resident = if kind == Kind::Mapped {
            let own = resident.min(usable);
            self.other_bytes += resident - own;
            own
        } else {
            resident
        };
        let part = match kind {
            Kind::Heap => &mut self.heap,
            Kind::Arena => &mut self.arena,
            _ => &mut self.mapped,
        };
        let asked = asked.min(resident);
        let rounding = (usable - usable.min(asked)).min(resident - asked);
        part.resident_bytes += resident;
        part.asked_bytes += asked;
        part.rounding_bytes += rounding;
        part.free_bytes += resident - asked - rounding;
    }
}
