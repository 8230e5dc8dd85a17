//! How much address space the launcher itself may still take: `ulimit -v` is meant for the program, and binds us too.
//!
//! What needs much is left out where there is too little, and said: an allocation that fails would end us.

use std::fs;

/// Bytes that may still be mapped; `None` where there is no limit, or it is not known.
pub(crate) fn left() -> Option<u64> {
    let limit = soft_limit(&fs::read_to_string("/proc/self/limits").ok()?)?;
    let mapped = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = mapped.split_ascii_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(pages.saturating_mul(PAGE)))
}

/// x86-64 has no other.
const PAGE: u64 = 4096;

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_counts() {
        let limits = "Max processes   1  2  processes\nMax address space         153600000            unlimited            bytes\n";
        assert_eq!(soft_limit(limits), Some(153_600_000));
        assert_eq!(
            soft_limit(
                "Max address space         unlimited            unlimited            bytes\n"
            ),
            None
        );
        assert_eq!(soft_limit(""), None);
    }
}
