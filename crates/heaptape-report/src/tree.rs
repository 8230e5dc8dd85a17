//! Call trees and function totals, as text.

use crate::canvas::{Canvas, Ink};
use crate::header;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::tree::{Tree, TreeNode};
use heaptape_analysis::{Frame, Metric, Weight};
use std::io::{self, Write};

/// How much of a tree is shown.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Nodes below this share of the total are added up, per mille.
    pub min_per_mille: u64,
    /// Deepest level, from 1.
    pub max_depth: usize,
    /// Most nodes below one node, and most functions of a list.
    pub top: usize,
}

/// Writes a tree. `sentence` says what is measured.
pub fn render_tree(
    out: &mut dyn Write,
    canvas: &Canvas,
    tree: &Tree,
    sentence: &str,
    cut: &Cut,
) -> io::Result<()> {
    render_head(out, canvas, tree, sentence)?;
    let painter = Painter { canvas, tree, cut };
    painter.level(out, &tree.roots, 1)
}

/// Writes the functions by total. A backtrace counts once for each function on it.
pub fn render_functions(
    out: &mut dyn Write,
    canvas: &Canvas,
    tree: &Tree,
    sentence: &str,
    cut: &Cut,
) -> io::Result<()> {
    render_head(out, canvas, tree, sentence)?;
    let error = if tree.error.is_some() { " ".repeat(10) } else { String::new() };
    let heading = format!("  {:>9} {:>7}{error}  {:>9} {:>7}  function", "total", "", "self", "");
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))?;
    let painter = Painter { canvas, tree, cut };
    let shown = tree.functions.iter().take_while(|function| painter.is_shown(&function.total));
    let shown = shown.take(cut.top).collect::<Vec<_>>();
    for function in &shown {
        let own = painter.figures(&function.own);
        let error = painter.error(&function.total, function.error.as_ref());
        let head = format!("{}{error}{own}", painter.figures(&function.total));
        painter.line(out, &head, "", function.frame.as_ref())?;
    }
    if let Some(rest @ 1..) = tree.functions.len().checked_sub(shown.len()) {
        let rest = units::counted(rest as u64, "other function");
        writeln!(out, "{:39}{error}{rest}", "")?;
    }
    Ok(())
}

fn render_head(
    out: &mut dyn Write,
    canvas: &Canvas,
    tree: &Tree,
    sentence: &str,
) -> io::Result<()> {
    header::render_process(out, canvas, &tree.process, &[])?;
    header::render_unresolved(out, canvas, &tree.unresolved)?;
    header::render_estimates(out, canvas, &tree.process)?;
    let error = tree.error.as_ref();
    let bytes_error = error.map_or_else(String::new, |error| {
        format!(" {}", sites::plus_minus(canvas, &units::bytes(error.bytes)))
    });
    writeln!(
        out,
        "\n{sentence}: {}{bytes_error} in {}\n",
        canvas.paint(Ink::Strong, &units::bytes(tree.total.bytes)),
        sites::blocks(canvas, &tree.total, error),
    )
}

struct Painter<'a> {
    canvas: &'a Canvas,
    tree: &'a Tree,
    cut: &'a Cut,
}

impl Painter<'_> {
    fn is_shown(&self, weight: &Weight) -> bool {
        let unit = self.tree.unit;
        let (part, whole) = (unit.of(weight), unit.of(&self.tree.total));
        u128::from(part) * 1000 >= u128::from(whole) * u128::from(self.cut.min_per_mille)
            && part > 0
    }

    fn figures(&self, weight: &Weight) -> String {
        let unit = self.tree.unit;
        let share = units::share(unit.of(weight), unit.of(&self.tree.total));
        format!("  {:>9} {share:>7}", sites::figure(unit, weight))
    }

    /// The column of standard errors, in a sample: a share of the figure before it, or nothing for a sum of
    /// lines whose errors are not known.
    fn error(&self, weight: &Weight, error: Option<&Weight>) -> String {
        if self.tree.error.is_none() {
            return String::new();
        }
        let unit = self.tree.unit;
        let error = error.map_or_else(String::new, |error| {
            let share = units::share(unit.of(error), unit.of(weight));
            sites::plus_minus(self.canvas, &share)
        });
        format!(" {}", text::right(&error, 9))
    }

    fn line(
        &self,
        out: &mut dyn Write,
        head: &str,
        indent: &str,
        frame: Option<&Frame>,
    ) -> io::Result<()> {
        let before = format!("{head}  {indent}");
        let room = self.canvas.width.saturating_sub(text::width(&before));
        writeln!(out, "{before}{}", sites::fitted(self.canvas, frame, room, true))
    }

    /// The nodes of one level. A chain of only children is not indented further: backtraces are deep
    /// and lines are short.
    fn level(&self, out: &mut dyn Write, start: &[usize], depth: usize) -> io::Result<()> {
        // An explicit stack: trees may be thousands of levels deep.
        let mut stack: Vec<Task> = Vec::new();
        self.push_level(&mut stack, start, depth, 0);
        while let Some(task) = stack.pop() {
            match task {
                Task::Rest { count, weight, indent } => {
                    let rest = format!("{} more", units::count(count));
                    let error = self.error(&weight, None);
                    let figures = self.figures(&weight);
                    writeln!(out, "{figures}{error}  {}{rest}", indent_of(indent))?;
                }
                Task::Node { index, depth, indent } => {
                    let node: &TreeNode = &self.tree.nodes[index];
                    let error = self.error(&node.total, node.error.as_ref());
                    let head = format!("{}{error}", self.figures(&node.total));
                    self.line(out, &head, &indent_of(indent), node.frame.as_deref())?;
                    let next = indent + usize::from(node.children.len() > 1 || depth == 1);
                    self.push_level(&mut stack, &node.children, depth + 1, next);
                }
            }
        }
        Ok(())
    }

    fn push_level(&self, stack: &mut Vec<Task>, nodes: &[usize], depth: usize, indent: usize) {
        let is_shown = |index: &&usize| self.is_shown(&self.tree.nodes[**index].total);
        let limit = if depth > self.cut.max_depth { 0 } else { self.cut.top };
        // Heaviest first, so the shown ones are a prefix.
        let shown = nodes.iter().take_while(is_shown).take(limit).count();
        let (shown, rest) = nodes.split_at(shown);
        if !rest.is_empty() {
            let mut weight = Weight::default();
            rest.iter().for_each(|index| weight += self.tree.nodes[*index].total);
            stack.push(Task::Rest { count: rest.len() as u64, weight, indent });
        }
        stack.extend(shown.iter().rev().map(|&index| Task::Node { index, depth, indent }));
    }
}

enum Task {
    Node { index: usize, depth: usize, indent: usize },
    Rest { count: u64, weight: Weight, indent: usize },
}

/// Two columns a level; the deepest levels share one.
fn indent_of(levels: usize) -> String {
    "  ".repeat(levels.min(20))
}

/// What a metric measures, as the sentence above every view of it.
pub fn sentence(metric: Metric, time_ns: Option<u64>) -> String {
    let time = time_ns.map_or_else(String::new, units::seconds);
    match metric {
        Metric::Live(_) => format!("Bytes live at {time}"),
        Metric::Peak => format!("Bytes live at the peak, {time}"),
        Metric::Leaked => "Bytes allocated and never freed".to_owned(),
        Metric::Allocated => "Bytes allocated, freed or not".to_owned(),
        Metric::Calls => "Calls that allocated".to_owned(),
        Metric::Temporary => "Blocks freed before the same thread's next allocation".to_owned(),
    }
}
