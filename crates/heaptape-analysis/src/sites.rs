//! Call sites: backtraces grouped by their first frame outside allocator and runtime wrappers.

use crate::estimate::Variance;
use crate::metric::{Weight, Weights};
use crate::names::{self, Frame, Names};
use crate::pools::known_pool;
use crate::recording::Recording;
use crate::table::Table;
use crate::wrappers;
use heaptape_tape::BacktraceId;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

/// A call site, as results hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Site {
    /// The first frame outside wrappers; the innermost frame when all are. `None` for blocks without
    /// a backtrace.
    pub frame: Option<Frame>,
}

impl Site {
    /// What sites are ordered by where they weigh the same.
    pub(crate) fn name(&self) -> Option<(&str, Option<&str>, u32, Option<&str>)> {
        let frame = self.frame.as_ref()?;
        Some((&frame.function, frame.file.as_deref(), frame.line, frame.module.as_deref()))
    }
}

/// The number of a [`Site`] in its [`Sites`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u32);

/// What identifies a site: two backtraces with the same function, file and line are one.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    function: Arc<str>,
    file: Option<Arc<str>>,
    line: u32,
    module: Option<Arc<str>>,
}

/// Finds the call site of backtraces, and remembers it.
pub struct Sites<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    by_backtrace: Table<BacktraceId, Option<SiteId>>,
    by_key: FxHashMap<Option<Key>, SiteId>,
    sites: Vec<Site>,
}

/// A site and what is attributed to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteWeight {
    /// Who.
    #[serde(flatten)]
    pub site: Site,
    /// How much.
    #[serde(flatten)]
    pub weight: Weight,
    /// Its standard error, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
    /// What the call site really called, in the backtrace that weighs most: a wrapper, or a runtime's
    /// function. `None` when it called the allocator itself.
    pub called: Option<Arc<str>>,
    /// What a language runtime keeps here on purpose; see [`crate::pools`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_pool: Option<&'static str>,
    /// The backtrace that weighs most.
    #[serde(skip)]
    pub backtrace: BacktraceId,
    /// Whether its live bytes only grew; see [`crate::summary`]. `None` where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growing: Option<bool>,
}

impl<'a> Sites<'a> {
    /// What it takes for a backtrace.
    pub(crate) const BYTES_BY_BACKTRACE: u64 = size_of::<Option<SiteId>>() as u64;

    /// No site known yet.
    pub fn new(recording: &'a dyn Recording, names: &'a dyn Names) -> Sites<'a> {
        Sites {
            recording,
            names,
            by_backtrace: Table::default(),
            by_key: FxHashMap::default(),
            sites: Vec::new(),
        }
    }

    /// The site of a backtrace.
    pub fn of(&mut self, backtrace: BacktraceId) -> SiteId {
        if let Some(&Some(id)) = self.by_backtrace.get(backtrace) {
            return id;
        }
        let site = self.find(backtrace);
        let key = site.frame.as_ref().map(|frame| Key {
            function: Arc::clone(&frame.function),
            file: frame.file.clone(),
            line: frame.line,
            module: frame.module.clone(),
        });
        let next = SiteId(self.sites.len() as u32);
        let id = *self.by_key.entry(key).or_insert(next);
        if id == next {
            self.sites.push(site);
        }
        *self.by_backtrace.of(backtrace) = Some(id);
        id
    }

    /// The site of that number.
    pub fn get(&self, id: SiteId) -> &Site {
        &self.sites[id.0 as usize]
    }

    fn find(&self, backtrace: BacktraceId) -> Site {
        let mut leaf: Option<Frame> = None;
        for (id, node) in names::walk(self.recording, backtrace) {
            for frame in self.names.frames(id, &node).iter() {
                if !wrappers::is_wrapper(frame) {
                    return Site { frame: Some(frame.clone()) };
                }
                leaf.get_or_insert_with(|| frame.clone());
            }
        }
        Site { frame: leaf }
    }

    /// The innermost function of a backtrace, where it is not the call site itself.
    fn called(&self, backtrace: BacktraceId, site: &Site) -> Option<Arc<str>> {
        let (id, node) = names::walk(self.recording, backtrace).next()?;
        let frames = self.names.frames(id, &node);
        let innermost = frames.first()?;
        let is_site = site.frame.as_ref().is_some_and(|f| f.function == innermost.function);
        (!is_site).then(|| Arc::clone(&innermost.short))
    }

    /// Weights by site, heaviest first by `key`; ties by name, so that the order is the same each time.
    pub fn ranked(&mut self, weights: &Weights, key: impl Fn(&Weight) -> u64) -> Vec<SiteWeight> {
        let mut by_site: FxHashMap<SiteId, (Weight, u64, BacktraceId, Variance)> =
            FxHashMap::default();
        for (backtrace, weight) in weights.iter() {
            let entry = by_site.entry(self.of(backtrace)).or_default();
            entry.0 += weight;
            entry.3 += weights.variance(backtrace).unwrap_or_default();
            let heavier = (key(&weight), std::cmp::Reverse(backtrace));
            if entry.2 == BacktraceId::NONE || heavier > (entry.1, std::cmp::Reverse(entry.2)) {
                (entry.1, entry.2) = (key(&weight), backtrace);
            }
        }
        let mut ranked: Vec<SiteWeight> = by_site
            .into_iter()
            .map(|(id, (weight, _, backtrace, variance))| SiteWeight {
                error: weights.variance(backtrace).map(|_| variance.error()),
                called: self.called(backtrace, self.get(id)),
                known_pool: known_pool(self.get(id), &weight),
                site: self.get(id).clone(),
                weight,
                backtrace,
                growing: None,
            })
            .collect();
        ranked.sort_by(|a, b| {
            key(&b.weight).cmp(&key(&a.weight)).then_with(|| a.site.name().cmp(&b.site.name()))
        });
        ranked
    }
}
