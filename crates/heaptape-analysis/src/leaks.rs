//! Leaks: what of the live blocks can still be reached, and what leads to it.
//!
//! The search itself was made while the process stood still (see `heaptape-collector`) and lies on the tape;
//! here its blocks meet their backtraces. Blocks of one kind and one backtrace make one record, as in memcheck.

use crate::hex;
use crate::metric::Weight;
use crate::names::{self, Frame, Names, file_name};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::suppressions::Suppressions;
use heaptape_tape::{
    BacktraceId, LeakBlock, LeakDoubts, LeakKind, LeakOwner, LeakPlace, LeakScan, LeakTotal,
    LiveBlock, LiveSet, Moment, PlaceKind, Process, ProcessId, Registers, TapeError, TimeNs,
};
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Most blocks of one way that are followed: longer ones are cut in their middle.
const MOST_STEPS: usize = 64;

/// The leaks of one process, as its last search found them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leaks {
    /// Which process.
    pub process: ProcessName,
    /// The search; `None`: there was none.
    pub search: Option<Search>,
    /// All searches of this process, in order.
    pub searches: Vec<SearchName>,
    /// Only blocks allocated after this search are counted and listed.
    pub since: Option<SearchName>,
    /// What was found, by kind.
    pub summary: LeakSummary,
    /// One for each kind and backtrace: the worst kinds first, the most bytes first among them.
    pub records: Vec<LeakRecord>,
    /// Those of other kinds than were asked for.
    pub hidden_records: u64,
}

/// One of several searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SearchName {
    /// Its number, of all on the tape.
    pub number: u32,
    /// When it was.
    pub time_ns: u64,
}

impl SearchName {
    fn of(scan: &LeakScan) -> SearchName {
        SearchName { number: scan.number, time_ns: scan.time.0 }
    }
}

/// Facts of the search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Search {
    /// Its number, of all on the tape.
    pub number: u32,
    /// When.
    pub time_ns: u64,
    /// How long the process waited for it.
    pub pause_ns: u64,
    /// Bytes that were searched.
    pub bytes_read: u64,
    /// What makes it less certain, as sentences without a full stop.
    pub doubts: Vec<&'static str>,
    /// Whether nothing can be called lost: what leads there may not be known.
    pub is_open: bool,
}

/// Bytes and blocks of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeakSummary {
    /// Nothing leads there.
    pub definite: Weight,
    /// Only lost blocks lead there.
    pub indirect: Weight,
    /// Only pointers into the middle of a block lead there.
    pub possible: Weight,
    /// Pointers from the program's memory lead there.
    pub reachable: Weight,
    /// Whatever they are, they are not to be shown.
    pub suppressed: Weight,
}

impl LeakSummary {
    /// What the last search of a process found, nothing suppressed; `None`: there was none.
    pub fn last(recording: &dyn Recording, process: ProcessId) -> Option<LeakSummary> {
        let scan = recording.leak_scans().iter().rfind(|scan| scan.process == process)?;
        let mut summary = LeakSummary::default();
        for kind in LeakKind::ALL {
            let LeakTotal { bytes, blocks } = scan.totals[kind as usize];
            *summary.of_mut(kind) = Weight { bytes, blocks };
        }
        Some(summary)
    }

    /// The bytes and blocks of one kind.
    pub fn of(&self, kind: LeakKind) -> &Weight {
        match kind {
            LeakKind::Definite => &self.definite,
            LeakKind::Indirect => &self.indirect,
            LeakKind::Possible => &self.possible,
            LeakKind::Reachable => &self.reachable,
        }
    }

    fn of_mut(&mut self, kind: LeakKind) -> &mut Weight {
        match kind {
            LeakKind::Definite => &mut self.definite,
            LeakKind::Indirect => &mut self.indirect,
            LeakKind::Possible => &mut self.possible,
            LeakKind::Reachable => &mut self.reachable,
        }
    }
}

/// Blocks of one kind that were allocated by one backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeakRecord {
    /// What became of them.
    #[serde(serialize_with = "kind_word")]
    pub kind: LeakKind,
    /// Bytes and blocks.
    #[serde(flatten)]
    pub weight: Weight,
    /// What is indirectly lost by them, where they are definitely lost.
    pub indirect: Weight,
    /// Which function allocated them.
    pub function: &'static str,
    /// From where, innermost first.
    pub backtrace: Vec<Frame>,
    /// The same, as the tape has it.
    #[serde(skip)]
    pub backtrace_id: BacktraceId,
    /// The one of them that keeps most alive.
    pub block: LeakedBlock,
    /// What leads to that one: from outside, or the lost block that owns it, to the pointer itself.
    pub path: Vec<Step>,
}

/// A block, as a way names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeakedBlock {
    /// Its number; `None` for a block inherited over `fork`.
    pub block: Option<u64>,
    /// Where it starts.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes that would go with it if it were freed, its own included.
    pub retained: u64,
}

/// A pointer on the way to a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Step {
    /// Outside of all blocks.
    Root(RootName),
    /// In a block.
    Block {
        /// Which.
        #[serde(flatten)]
        block: LeakedBlock,
        /// Bytes from its start to the pointer.
        offset: u64,
        /// Who allocated it.
        site: Option<Frame>,
    },
    /// Blocks that are not shown.
    More {
        /// How many.
        blocks: u64,
    },
}

/// A place outside of all blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootName {
    /// What kind of place: `variable`, `stack`, `register`, `thread`, `memory`.
    pub what: &'static str,
    /// The variable and the offset in it (`cache+8`), the register, what is mapped; empty when not known.
    pub name: String,
    /// The module's file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<Arc<str>>,
    /// Kernel id of the thread; 0: none.
    pub tid: u32,
    /// Where the pointer lies; 0 for registers.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
}

/// The word for a kind, as options and JSON have it.
pub fn word(kind: LeakKind) -> &'static str {
    match kind {
        LeakKind::Definite => "definite",
        LeakKind::Indirect => "indirect",
        LeakKind::Possible => "possible",
        LeakKind::Reachable => "reachable",
    }
}

fn kind_word<S: Serializer>(kind: &LeakKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*kind))
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// No kind.
    pub const NONE: Kinds = Kinds(0);
    /// Every kind.
    pub const ALL: Kinds = Kinds(15);
    /// What memcheck shows by default.
    pub const LOST: Kinds = Kinds(1 << LeakKind::Definite as u8 | 1 << LeakKind::Possible as u8);

    /// Whether a kind is in it.
    pub fn has(self, kind: LeakKind) -> bool {
        self.0 >> kind as u8 & 1 != 0
    }

    /// `definite,possible`, `all` or `none`; `None` for other words.
    pub fn parse(text: &str) -> Option<Kinds> {
        match text {
            "all" => return Some(Kinds::ALL),
            "none" => return Some(Kinds::NONE),
            _ => {}
        }
        let bit = |text: &str| {
            LeakKind::ALL.into_iter().find(|kind| word(*kind) == text).map(|kind| 1 << kind as u8)
        };
        text.split(',')
            .map(|text| bit(text.trim()))
            .try_fold(Kinds::NONE, |kinds, bit| Some(Kinds(kinds.0 | bit?)))
    }
}

/// What is asked for.
pub struct Question<'a> {
    /// Records of these kinds are shown.
    pub show: Kinds,
    /// What is not to be shown.
    pub suppressions: &'a mut Suppressions,
    /// Only the block with that number, whatever its kind.
    pub block: Option<u64>,
    /// Only searches with these numbers.
    pub among: Option<&'a [u32]>,
    /// Only blocks allocated after the search of that number, if it is one of this process.
    pub since: Option<u32>,
}

impl Question<'_> {
    /// Whatever the last search has found.
    pub fn all(show: Kinds, suppressions: &mut Suppressions) -> Question<'_> {
        Question { show, suppressions, block: None, among: None, since: None }
    }
}

impl Leaks {
    /// Reads a search of a process: the last of those asked for.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        question: &mut Question<'_>,
    ) -> Result<Leaks, TapeError> {
        let scans = || recording.leak_scans().iter().filter(|scan| scan.process == process.id);
        let is_asked =
            |scan: &&LeakScan| question.among.is_none_or(|all| all.contains(&scan.number));
        let scan = scans().rfind(is_asked);
        let since = question.since.and_then(|number| scans().find(|scan| scan.number == number));
        let mut leaks = Leaks {
            process: ProcessName::of(recording, process),
            search: scan.map(Search::of),
            searches: scans().map(SearchName::of).collect(),
            since: since.map(SearchName::of),
            summary: LeakSummary::default(),
            records: Vec::new(),
            hidden_records: 0,
        };
        let Some(scan) = scan else { return Ok(leaks) };
        let found = Found::read(recording, names, scan)?;
        for group in found.groups(question.block, since.map(|scan| scan.time)) {
            leaks.add(&found, group, question);
        }
        let severity = |kind| match kind {
            LeakKind::Definite => 0,
            LeakKind::Possible => 1,
            LeakKind::Indirect => 2,
            LeakKind::Reachable => 3,
        };
        let weight = |record: &LeakRecord| record.weight.bytes + record.indirect.bytes;
        leaks.records.sort_by(|a, b| {
            let by_kind = severity(a.kind).cmp(&severity(b.kind));
            by_kind.then(weight(b).cmp(&weight(a))).then(a.block.address.cmp(&b.block.address))
        });
        Ok(leaks)
    }

    fn add(&mut self, found: &Found<'_>, group: Group, question: &mut Question<'_>) {
        let backtrace = names::backtrace(found.recording, found.names, group.backtrace);
        let function = group.function;
        if question.suppressions.matches(group.kind, function, &backtrace, &group.weight) {
            self.summary.suppressed += group.weight;
            return;
        }
        *self.summary.of_mut(group.kind) += group.weight;
        if !question.show.has(group.kind) && question.block.is_none() {
            self.hidden_records += 1;
            return;
        }
        self.records.push(LeakRecord {
            kind: group.kind,
            weight: group.weight,
            indirect: group.indirect,
            function,
            backtrace,
            backtrace_id: group.backtrace,
            block: found.block(group.first),
            path: found.path(group.first),
        });
    }
}

impl Search {
    fn of(scan: &LeakScan) -> Search {
        let all = [
            (
                LeakDoubts::NOT_STOPPED,
                "the process could not be stopped (ptrace is refused): its registers are not known, and its stacks \
                 were searched as a whole",
            ),
            (
                LeakDoubts::THREADS_MISSING,
                "some threads did not stop in time: their registers are not known",
            ),
            (
                LeakDoubts::INHERITED_UNKNOWN,
                "of a forked process only its own blocks are judged; whatever the rest of its heap points to counts as \
                 reachable",
            ),
            (
                LeakDoubts::FOREIGN_ALLOCATOR,
                "the program has an allocator of its own: what it keeps beside the blocks was not searched",
            ),
            (
                LeakDoubts::BLOCKS_MISSING,
                "not every allocation is recorded: whatever the rest of the heap points to counts as reachable",
            ),
            (
                LeakDoubts::POINTERS_MISSING,
                "there are more pointers than can be counted: what looks lost may be reachable",
            ),
        ];
        let doubts = all.into_iter().filter(|(doubt, _)| scan.doubts.has(*doubt));
        Search {
            number: scan.number,
            time_ns: scan.time.0,
            pause_ns: scan.pause_ns,
            bytes_read: scan.bytes_read,
            doubts: doubts.map(|(_, words)| words).collect(),
            is_open: scan.doubts.has(LeakDoubts::POINTERS_MISSING),
        }
    }
}

/// Blocks of one kind and backtrace, while they are counted.
struct Group {
    kind: LeakKind,
    backtrace: BacktraceId,
    function: &'static str,
    weight: Weight,
    indirect: Weight,
    /// The one that retains most.
    first: usize,
}

/// A search with what is known of its blocks.
struct Found<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    scan: &'a LeakScan,
    blocks: Vec<LeakBlock>,
    live: LiveSet,
}

impl<'a> Found<'a> {
    fn read(
        recording: &'a dyn Recording,
        names: &'a dyn Names,
        scan: &'a LeakScan,
    ) -> Result<Found<'a>, TapeError> {
        let live = recording.live_at(scan.process, Moment::Event(scan.event))?;
        let list = scan.blocks().saturating_mul(2 * size_of::<LeakBlock>() as u64);
        recording.afford(live.bytes().saturating_add(list))?;
        let blocks = recording.leak_blocks(scan)?;
        Ok(Found { recording, names, scan, blocks, live })
    }

    fn live(&self, block: &LeakBlock) -> Option<&LiveBlock> {
        self.live.get(block.addr)
    }

    /// Counts the blocks, or only the one of that number, or only those allocated later.
    fn groups(&self, only: Option<u64>, since: Option<TimeNs>) -> Vec<Group> {
        let is_counted = |live: &LiveBlock| {
            only.is_none_or(|only| only == live.id.0) && since.is_none_or(|since| live.time > since)
        };
        let leaders = self.leaders();
        let mut groups: FxHashMap<(LeakKind, BacktraceId), Group> = FxHashMap::default();
        let mut indirect: FxHashMap<usize, Weight> = FxHashMap::default();
        for (block, &leader) in self.blocks.iter().zip(&leaders) {
            if block.kind == LeakKind::Indirect
                && let Some(live) =
                    self.live(block).filter(|live| is_counted(live) || only.is_some())
            {
                *indirect.entry(leader as usize).or_default() += Weight::block(live.size);
            }
        }
        for (at, block) in self.blocks.iter().enumerate() {
            let Some(live) = self.live(block) else { continue };
            if !is_counted(live) {
                continue;
            }
            let group = groups.entry((block.kind, live.backtrace)).or_insert_with(|| Group {
                kind: block.kind,
                backtrace: live.backtrace,
                function: live.api.name(),
                weight: Weight::default(),
                indirect: Weight::default(),
                first: at,
            });
            group.weight += Weight::block(live.size);
            if let Some(more) = indirect.get(&at) {
                group.indirect += *more;
            }
            if block.retained > self.blocks[group.first].retained {
                group.first = at;
            }
        }
        groups.into_values().collect()
    }

    /// By block: the outermost one that leads to it. Of a tape that lies, any.
    fn leaders(&self) -> Vec<u32> {
        let mut leaders: Vec<u32> = vec![u32::MAX; self.blocks.len()];
        let mut way = Vec::new();
        for start in 0..self.blocks.len() as u32 {
            let mut at = start;
            let leader = loop {
                let known = leaders[at as usize];
                if known != u32::MAX {
                    break known;
                }
                // Marks the way, so that a circle ends it.
                leaders[at as usize] = start;
                way.push(at);
                match self.blocks[at as usize].owner {
                    LeakOwner::Block { block, .. } if (block as usize) < self.blocks.len() => {
                        at = block;
                    }
                    _ => break at,
                }
            };
            way.drain(..).for_each(|at| leaders[at as usize] = leader);
        }
        leaders
    }

    fn block(&self, at: usize) -> LeakedBlock {
        let block = &self.blocks[at];
        let live = self.live(block);
        LeakedBlock {
            block: live.map(|live| live.id.0),
            address: block.addr,
            size: live.map_or(0, |live| live.size),
            retained: block.retained,
        }
    }

    /// What leads to a block, the outermost first.
    fn path(&self, at: usize) -> Vec<Step> {
        let mut inward = Vec::new();
        let (mut at, mut more) = (at, 0);
        // As many steps as there are blocks, on a tape that does not lie.
        for step in 0..=self.blocks.len() {
            match self.blocks[at].owner {
                LeakOwner::Nobody => break,
                LeakOwner::Root { place, address } => {
                    inward.push(Step::Root(self.root(place, address)));
                    break;
                }
                LeakOwner::Block { block, offset } => {
                    let Some(owner) = self.blocks.get(block as usize) else { break };
                    at = block as usize;
                    let is_end = matches!(owner.owner, LeakOwner::Root { .. } | LeakOwner::Nobody);
                    if step < MOST_STEPS || is_end {
                        if more > 0 {
                            inward.push(Step::More { blocks: more });
                        }
                        inward.push(self.step(at, offset));
                    } else {
                        more += 1;
                    }
                }
            }
        }
        inward.reverse();
        inward
    }

    fn step(&self, at: usize, offset: u64) -> Step {
        let backtrace = self.live(&self.blocks[at]).map_or(BacktraceId::NONE, |b| b.backtrace);
        let frames = names::walk(self.recording, backtrace).flat_map(|(id, node)| {
            let frames = self.names.frames(id, &node);
            (0..frames.len()).map(move |at| frames[at].clone())
        });
        let site = frames.into_iter().find(|frame| !crate::wrappers::is_wrapper(frame));
        Step::Block { block: self.block(at), offset, site }
    }

    fn root(&self, place: u32, address: u64) -> RootName {
        let nowhere = LeakPlace::memory(0, Vec::new());
        let place = self.scan.places.get(place as usize).unwrap_or(&nowhere);
        let root = |what, name| RootName { what, name, module: None, tid: place.tid, address };
        match place.kind {
            PlaceKind::Data => {
                let path = names::text(&place.name);
                let at = address.wrapping_sub(place.start);
                let name = match self.names.variable(&place.name, at) {
                    Some((name, 0)) => name.to_string(),
                    Some((name, offset)) => format!("{name}+{offset}"),
                    None => format!("+{at:#x}"),
                };
                let module = Some(Arc::from(file_name(&path)));
                RootName { module, ..root("variable", name) }
            }
            PlaceKind::Stack => root("stack", String::new()),
            PlaceKind::Registers => {
                let name = Registers::NAMES.get(address as usize).copied().unwrap_or("");
                RootName { address: 0, ..root("register", name.to_owned()) }
            }
            PlaceKind::Thread => root("thread", String::new()),
            PlaceKind::Memory => root("memory", names::text(&place.name)),
        }
    }
}

/// Whether a record counts as an error.
pub fn count_errors(leaks: &[Leaks], kinds: Kinds) -> u64 {
    let blocks = |leaks: &Leaks| {
        let counted = LeakKind::ALL.into_iter().filter(|kind| kinds.has(*kind));
        counted.map(|kind| leaks.summary.of(kind).blocks).sum::<u64>()
    };
    leaks.iter().map(blocks).sum()
}
