//! The memory of a process's cgroup, as far as it can be read: how near it is to its limit, and what the kernel
//! says after a death, when a process that was killed for want of memory tells nothing any more.

use heaptape_tape::{CgroupMemory, ProcessId, TimeNs};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where cgroups are mounted, on every system we know.
const ROOT: &str = "/sys/fs/cgroup";
/// Version 1 says that there is no limit by a number as large as can be.
const NO_LIMIT: u64 = 1 << 62;

/// The files of a cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// As `/proc/PID/cgroup` names it.
    path: Vec<u8>,
    /// Its folder, and that of the outermost group that we see.
    folder: PathBuf,
    root: PathBuf,
    names: &'static Names,
}

/// What the files are called.
#[derive(Debug)]
struct Names {
    max: &'static str,
    high: &'static str,
    current: &'static str,
    peak: &'static str,
    events: &'static str,
    /// Beyond which the kernel reclaims or kills. Version 1's soft limit only says who is to give way first.
    limits: &'static [&'static str],
}

const VERSION_2: Names = Names {
    max: "memory.max",
    high: "memory.high",
    current: "memory.current",
    peak: "memory.peak",
    events: "memory.events",
    limits: &["memory.max", "memory.high"],
};

const VERSION_1: Names = Names {
    max: "memory.limit_in_bytes",
    high: "memory.soft_limit_in_bytes",
    current: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
    limits: &["memory.limit_in_bytes"],
};

impl Cgroup {
    /// The cgroup of a process that counts its memory; `None` where its files cannot be seen.
    pub(crate) fn of(pid: u32) -> Option<Cgroup> {
        if pid == 0 {
            return None;
        }
        let text = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
        Cgroup::named_in(&text, Path::new(ROOT))
    }

    /// The same, from the text of `/proc/PID/cgroup` and where cgroups are mounted.
    fn named_in(text: &[u8], mounted: &Path) -> Option<Cgroup> {
        let roots = [
            (&VERSION_1, mounted.join("memory")),
            (&VERSION_2, mounted.to_owned()),
            (&VERSION_2, mounted.join("unified")),
        ];
        roots.into_iter().find_map(|(names, root)| {
            let path = path_in(text, std::ptr::eq(names, &VERSION_1))?;
            let inside = OsStr::from_bytes(path.strip_prefix(b"/")?);
            // In a container the root may be the group itself, under its name outside.
            let folder = [root.join(inside), root.clone()]
                .into_iter()
                .find(|folder| folder.join(names.current).is_file())?;
            Some(Cgroup { path: path.to_vec(), folder, root, names })
        })
    }

    /// The share of its limit that its memory takes, in percent: of every group from this one up to the root, that
    /// of the nearest to its limit. `None` where there is no limit or it cannot be read.
    pub(crate) fn percent_used(&self) -> Option<u64> {
        let shares =
            self.usages().filter_map(|(_, used, limit)| used.checked_mul(100)?.checked_div(limit));
        shares.max()
    }

    /// Bytes that may still be used, cached files given up for them: of every group from this one up to the root, of the one
    /// with least left. `None` where there is no limit or it cannot be read.
    pub(crate) fn left(&self) -> Option<u64> {
        let left = self.usages().map(|(group, used, limit)| {
            let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
            let needed = used.saturating_sub(cached(&statistics).unwrap_or(0));
            limit.saturating_sub(needed)
        });
        left.min()
    }

    /// Memory used and the limit of it, in bytes: of every group that has one, from this one up to the root.
    fn usages(&self) -> impl Iterator<Item = (&Path, u64, u64)> {
        let groups = self.folder.ancestors().take_while(|group| group.starts_with(&self.root));
        groups.filter_map(|group| {
            let used = number(&group.join(self.names.current))?;
            let limits = self.names.limits.iter().filter_map(|limit| number(&group.join(limit)));
            Some((group, used, limits.min()?))
        })
    }

    /// What the kernel says now.
    pub(crate) fn read(&self, process: ProcessId, time: TimeNs) -> CgroupMemory {
        let number = |name: &str| number(&self.folder.join(name));
        CgroupMemory {
            process,
            time,
            path: self.path.clone(),
            max: number(self.names.max),
            high: number(self.names.high),
            current: number(self.names.current),
            peak: number(self.names.peak),
            oom_kills: fs::read_to_string(self.folder.join(self.names.events))
                .ok()
                .and_then(|text| oom_kills(&text)),
        }
    }
}

/// The number in a file; `max` is none.
fn number(file: &Path) -> Option<u64> {
    let number: Option<u64> = fs::read_to_string(file).ok()?.trim().parse().ok();
    number.filter(|&value| value < NO_LIMIT)
}

/// The path in `/proc/PID/cgroup`: of the memory controller of version 1 (`4:memory:/path`), or of version 2
/// (`0::/path`).
fn path_in(text: &[u8], version_1: bool) -> Option<&[u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let mut controllers = controllers.split(|&byte| byte == b',');
        let wanted: &[u8] = if version_1 { b"memory" } else { b"" };
        controllers.any(|controller| controller == wanted).then_some(path)
    })
}

/// The line `oom_kill 3`.
fn oom_kills(text: &str) -> Option<u64> {
    statistic(text, "oom_kill ")
}

/// Bytes of files that were not used lately, which the kernel gives up first; of a group with all below it.
fn cached(statistics: &str) -> Option<u64> {
    let version_1 = statistic(statistics, "total_inactive_file ");
    version_1.or_else(|| statistic(statistics, "inactive_file "))
}

fn statistic(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_name_the_group() {
        let mixed = b"9:name=systemd:/\n4:cpu,memory:/a:b\n0::/c\n";
        assert_eq!(path_in(mixed, true), Some(&b"/a:b"[..]));
        assert_eq!(path_in(mixed, false), Some(&b"/c"[..]));
        assert_eq!(path_in(b"0::/c\n", true), None);
        assert_eq!(path_in(b"x\n\n", false), None);
    }

    #[test]
    fn the_nearest_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let percent = |groups: &str| {
            Cgroup::named_in(groups.as_bytes(), root.path()).and_then(|it| it.percent_used())
        };
        assert_eq!(percent("0::/a/b\n"), None, "nothing is limited");
        write("a/b/memory.current", "900\n");
        write("a/b/memory.max", "max\n");
        assert_eq!(percent("0::/a/b\n"), None);
        write("a/memory.current", "920\n");
        write("a/memory.max", "1000\n");
        assert_eq!(percent("0::/a/b\n"), Some(92));
        write("a/b/memory.high", "910\n");
        assert_eq!(percent("0::/a/b\n"), Some(98));
        let left = |groups: &str| {
            Cgroup::named_in(groups.as_bytes(), root.path()).and_then(|it| it.left())
        };
        assert_eq!(left("0::/a/b\n"), Some(10));
        write("a/b/memory.stat", "anon 1\ninactive_file 300\n");
        assert_eq!(left("0::/a/b\n"), Some(80), "the outer one has less");
        write("memory/c/memory.usage_in_bytes", "50\n");
        write("memory/c/memory.limit_in_bytes", "100\n");
        assert_eq!(percent("3:cpu:/c\n2:memory:/c\n"), Some(50));
        write("memory/c/memory.stat", "inactive_file 1\ntotal_inactive_file 20\n");
        assert_eq!(left("2:memory:/c\n"), Some(70));
        assert_eq!(percent("3:cpu:/c\nnonsense\n0::/../../..\n"), None);
    }

    #[test]
    fn deaths_are_counted() {
        assert_eq!(oom_kills("low 0\noom 4\noom_kill 3\noom_group_kill 1\n"), Some(3));
        assert_eq!(oom_kills("under_oom 0\n"), None);
    }
}
