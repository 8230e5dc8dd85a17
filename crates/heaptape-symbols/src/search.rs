//! Where files may be looked for, and how a path from a tape is joined to a directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::answer::Hex;

/// Where distributions install separate debug files.
const SYSTEM_DEBUG_DIR: &str = "/usr/lib/debug";

/// Directories to search besides the paths recorded on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPaths {
    /// Directories of separate debug files, searched first and in this order. Each may hold
    /// `.build-id/ab/cdef….debug`, and files under their full path.
    pub debug_dirs: Vec<PathBuf>,
    /// The root of a copy of the recorded machine's file system.
    pub sysroot: Option<PathBuf>,
}

impl SearchPaths {
    /// `debug_dirs` first, then the system's own directory of debug files.
    pub fn new(debug_dirs: Vec<PathBuf>, sysroot: Option<PathBuf>) -> SearchPaths {
        let mut search = SearchPaths { debug_dirs, sysroot };
        search.debug_dirs.push(PathBuf::from(SYSTEM_DEBUG_DIR));
        search
    }

    /// All directories of separate debug files: the given ones, then the sysroot's.
    pub(crate) fn all_debug_dirs(&self) -> Vec<PathBuf> {
        let in_sysroot =
            self.sysroot.as_deref().and_then(|root| join_inside(root, SYSTEM_DEBUG_DIR.as_bytes()));
        self.debug_dirs.iter().cloned().chain(in_sysroot).collect()
    }

    /// Where a file that the tape or a debug file names `path` may be: under each debug directory,
    /// under the sysroot, and at the path itself.
    pub(crate) fn places_of(&self, path: &[u8]) -> Vec<PathBuf> {
        let mut places = Vec::new();
        for dir in &self.debug_dirs {
            places.extend(join_inside(dir, path));
            places.extend(join_inside(dir, &[path, b".debug"].concat()));
        }
        places.extend(self.sysroot.as_deref().and_then(|root| join_inside(root, path)));
        places.push(path_of(path));
        places
    }
}

impl Default for SearchPaths {
    fn default() -> SearchPaths {
        SearchPaths::new(Vec::new(), None)
    }
}

/// The path those bytes are.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// `path` as a place below `root`, or `None` when its `..` components would leave `root`.
///
/// A `..` is taken back lexically, as in `/opt/app/bin/../lib/x.so`, which is how a loader that
/// follows `$ORIGIN/../lib` names its modules.
pub(crate) fn join_inside(root: &Path, path: &[u8]) -> Option<PathBuf> {
    let mut inside = Vec::new();
    for component in Path::new(OsStr::from_bytes(path)).components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => {
                inside.pop()?;
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if inside.is_empty() {
        return None;
    }
    Some(inside.into_iter().fold(root.to_path_buf(), |path, name| path.join(name)))
}

/// Where debug directories keep the debug file of that build id: `.build-id/ab/cdef….debug`.
pub(crate) fn build_id_path(dir: &Path, build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    Some(dir.join(format!(".build-id/{first:02x}/{}.debug", Hex(rest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_never_leaves_its_root() {
        let join = |path: &str| join_inside(Path::new("/root"), path.as_bytes());
        assert_eq!(join("/usr/lib/a.so"), Some("/root/usr/lib/a.so".into()));
        assert_eq!(join("lib/./a.so"), Some("/root/lib/a.so".into()));
        assert_eq!(join("/opt/bin/../lib/a.so"), Some("/root/opt/lib/a.so".into()));
        assert_eq!(join("/../etc/passwd"), None);
        assert_eq!(join("/a/../../etc/passwd"), None);
        assert_eq!(join("../a/b"), None);
        assert_eq!(join("/"), None);
        assert_eq!(join(""), None);
    }

    #[test]
    fn build_ids_are_split_after_the_first_byte() {
        let path = |id: &[u8]| build_id_path(Path::new("/d"), id);
        assert_eq!(path(&[0xab, 0xcd, 0x01]), Some("/d/.build-id/ab/cd01.debug".into()));
        assert_eq!(path(&[0xab]), None);
        assert_eq!(path(&[]), None);
        assert_eq!(path(&[1; 1000]), None);
    }
}
