//! When, of what and where something was measured.

use crate::command::{output, root};
use std::fs;
use std::process::Command;

/// Today, in UTC: `2026-11-22`.
pub(crate) fn date() -> String {
    output(Command::new("date").arg("-u").arg("+%Y-%m-%d")).unwrap_or_default().trim().to_owned()
}

/// The commit at hand, with `+` if files were changed since.
pub(crate) fn commit() -> String {
    let git = |words: &[&str]| {
        let text = output(Command::new("git").args(words).current_dir(root()));
        text.unwrap_or_default().trim().to_owned()
    };
    let changed = if git(&["status", "--porcelain", "-uno"]).is_empty() { "" } else { "+" };
    git(&["rev-parse", "--short", "HEAD"]) + changed
}

/// Processors and kernel.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("?");
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = output(Command::new("uname").arg("-r")).unwrap_or_default();
    let kind = if cpu.contains(" hypervisor") { ", virtual machine" } else { "" };
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{cores} × {model}, Linux {}{kind}", kernel.trim())
}
