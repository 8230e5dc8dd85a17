//! How near the memory of a process's control group is to its limit.
//!
//! Of every group from the process's own up to the root, the one that is nearest counts: version 2
//! (`memory.max` and `memory.high`), or version 1 where memory is a hierarchy of its own.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted, on every system we know.
const ROOT: &str = "/sys/fs/cgroup";

/// The share of its limit that the memory of a process's control group takes, in percent; `None` where there is
/// no limit or it cannot be read.
pub(crate) fn percent_used(pid: u32) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    percent_of(&groups, Path::new(ROOT))
}

/// The same, from the text of `/proc/PID/cgroup`.
fn percent_of(groups: &str, root: &Path) -> Option<u64> {
    let nearest = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, names) = match controllers {
            "" => (root.to_path_buf(), ("memory.current", &["memory.max", "memory.high"][..])),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), ("memory.usage_in_bytes", &["memory.limit_in_bytes"][..]))
            }
            _ => return None,
        };
        nearest_from(&root, path, names.0, names.1)
    });
    nearest.max()
}

fn nearest_from(root: &Path, path: &str, used: &str, limits: &[&str]) -> Option<u64> {
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    let shares = groups.filter_map(|group| {
        let used = number(&group.join(used))?;
        let limit = limits.iter().filter_map(|limit| number(&group.join(limit))).min()?;
        used.checked_mul(100)?.checked_div(limit)
    });
    shares.max()
}

/// The number in a file; `max` is none.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let percent = |groups: &str| percent_of(groups, root.path());
        assert_eq!(percent("0::/a/b\n"), None, "nothing is limited");
        write("a/b/memory.current", "900\n");
        write("a/b/memory.max", "max\n");
        assert_eq!(percent("0::/a/b\n"), None);
        write("a/memory.current", "920\n");
        write("a/memory.max", "1000\n");
        assert_eq!(percent("0::/a/b\n"), Some(92));
        write("a/b/memory.high", "910\n");
        assert_eq!(percent("0::/a/b\n"), Some(98));
        write("memory/c/memory.usage_in_bytes", "50\n");
        write("memory/c/memory.limit_in_bytes", "100\n");
        assert_eq!(percent("3:cpu:/c\n2:memory:/c\n"), Some(50));
        assert_eq!(percent("3:cpu:/c\nnonsense\n0::/../../..\n"), None);
    }
}
