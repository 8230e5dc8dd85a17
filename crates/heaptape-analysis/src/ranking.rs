//! The heaviest call sites, and what the others weigh together.

use crate::metric::{Unit, Weight, Weights};
use crate::sites::{SiteWeight, Sites};
use serde::Serialize;

/// Call sites by weight. The weights of `sites` and `rest` add up to `total`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ranking {
    /// All of it.
    pub total: Weight,
    /// Its standard error, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
    /// The heaviest, heaviest first.
    pub sites: Vec<SiteWeight>,
    /// How many sites are not in `sites`.
    pub rest_sites: u64,
    /// What they weigh.
    pub rest: Weight,
}

impl Ranking {
    /// The `top` heaviest sites by `unit`.
    pub fn of(weights: &Weights, sites: &mut Sites<'_>, unit: Unit, top: usize) -> Ranking {
        let mut ranked = sites.ranked(weights, |weight| unit.of(weight));
        let others = ranked.split_off(top.min(ranked.len()));
        let mut rest = Weight::default();
        others.iter().for_each(|site| rest += site.weight);
        Ranking {
            total: weights.total(),
            error: weights.error(),
            sites: ranked,
            rest_sites: others.len() as u64,
            rest,
        }
    }
}
