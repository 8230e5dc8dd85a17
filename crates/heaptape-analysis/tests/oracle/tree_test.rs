//! Trees add up, and functions count once.

use crate::history::*;
use heaptape_analysis::tree::Tree;
use heaptape_analysis::{Weight, names};
use heaptape_tape::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn sum(weights: impl Iterator<Item = Weight>) -> Weight {
    let mut total = Weight::default();
    weights.for_each(|weight| total += weight);
    total
}

proptest! {
    #[test]
    fn trees_add_up(steps in steps(), inverted in any::<bool>()) {
        let recording = recording(&steps);
        let measure = "calls".parse().unwrap();
        let process = &recording.processes[0];
        let tree = Tree::compute(&recording, &FakeNames, process, measure, inverted, 0).unwrap();
        prop_assert_eq!(sum(tree.roots.iter().map(|root| tree.nodes[*root].total)), tree.total);
        prop_assert_eq!(sum(tree.nodes.iter().map(|node| node.own)), tree.total);
        for node in &tree.nodes {
            let mut parts = sum(node.children.iter().map(|child| tree.nodes[*child].total));
            parts += node.own;
            prop_assert_eq!(parts, node.total);
        }

        // Per function: every backtrace counts once, however often the function is on it.
        let mut totals: BTreeMap<Option<String>, u64> = BTreeMap::new();
        let mut own: BTreeMap<Option<String>, u64> = BTreeMap::new();
        for event in recording.events[&ProcessId(0)].iter().filter(|e| e.action.begins_block()) {
            let frames = names::backtrace(&recording, &FakeNames, event.backtrace);
            let mut on_it: BTreeSet<Option<String>> =
                frames.iter().map(|frame| Some(frame.function.to_string())).collect();
            if frames.is_empty() {
                on_it.insert(None);
            }
            on_it.into_iter().for_each(|function| *totals.entry(function).or_default() += 1);
            *own.entry(frames.first().map(|frame| frame.function.to_string())).or_default() += 1;
        }
        prop_assert_eq!(tree.functions.len(), totals.len());
        for function in &tree.functions {
            let name = function.frame.as_ref().map(|frame| frame.function.to_string());
            prop_assert_eq!(function.total.blocks, totals[&name]);
            prop_assert_eq!(function.own.blocks, own.get(&name).copied().unwrap_or(0));
        }
    }
}

/// What a reader sees of a level: frames and weights, heaviest first.
fn level<'a>(
    tree: &'a Tree,
    nodes: &'a [usize],
) -> impl Iterator<Item = (String, Weight, Weight)> + 'a {
    nodes.iter().map(|&index| {
        let node = &tree.nodes[index];
        (format!("{:?}", node.frame), node.total, node.own)
    })
}

proptest! {
    #[test]
    fn a_tree_cut_off_is_the_whole_one_down_to_its_light_nodes(
        steps in steps(), inverted in any::<bool>(), min_per_mille in 0_u64..400,
    ) {
        let recording = recording(&steps);
        let process = &recording.processes[0];
        let tree = |min| {
            let measure = "calls".parse().unwrap();
            Tree::compute(&recording, &FakeNames, process, measure, inverted, min).unwrap()
        };
        let (whole, cut) = (tree(0), tree(min_per_mille));
        prop_assert_eq!(&whole.functions, &cut.functions);
        let mut levels = vec![(whole.roots.clone(), cut.roots.clone())];
        let mut seen = 0;
        while let Some((all, kept)) = levels.pop() {
            prop_assert!(level(&whole, &all).eq(level(&cut, &kept)));
            seen += kept.len();
            for (&in_whole, &in_cut) in all.iter().zip(&kept) {
                let node = &cut.nodes[in_cut];
                if node.total.blocks * 1000 >= whole.total.blocks * min_per_mille {
                    levels.push((whole.nodes[in_whole].children.clone(), node.children.clone()));
                } else {
                    prop_assert!(node.children.is_empty());
                }
            }
        }
        prop_assert_eq!(seen, cut.nodes.len(), "nothing is kept that nobody sees");
    }
}
