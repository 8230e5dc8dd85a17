//! The working directory of a recording: a fresh directory of ours with the preload library in it.
//!
//! Its name is random and it belongs to this user, so nobody else can put another library in its
//! place. It must allow code to be mapped; where no directory does, the library stays an anonymous
//! file of the launcher.

use crate::sys::{fd, random_bytes};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file name of the library in the working directory.
pub(crate) const LIBRARY: &str = "libheaptape.so";

/// Where the preload library lies for this recording; dropped, it is removed.
pub(crate) enum Library {
    /// In a directory of ours.
    File { directory: PathBuf, keep: bool },
    /// In the launcher's memory, for as long as it lives.
    Memory(OwnedFd),
}

impl Library {
    /// Lays the library down where targets can load it.
    pub(crate) fn lay(image: &[u8]) -> io::Result<Library> {
        for parent in candidates().iter().filter(|parent| is_safe(parent)) {
            if let Ok(directory) = lay_in(parent, image) {
                return Ok(Library::File { directory, keep: false });
            }
        }
        let memory = fd::memfd(c"libheaptape.so", 0)?;
        let mut file = File::from(memory);
        file.write_all(image)?;
        Ok(Library::Memory(file.into()))
    }

    /// The path to preload.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Library::File { directory, .. } => directory.join(LIBRARY),
            Library::Memory(memory) => {
                format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd()).into()
            }
        }
    }

    /// Leaves the library where it is: processes still run whose children will want to load it.
    pub(crate) fn keep(&mut self) {
        if let Library::File { keep, .. } = self {
            *keep = true;
        }
    }

    /// The value of LD_PRELOAD: ours, then what the user had.
    pub(crate) fn preload(&self, users: Option<&OsStr>) -> OsString {
        let mut value = self.path().into_os_string();
        for entry in users.map(OsStr::as_bytes).unwrap_or_default().split(|b| b" :".contains(b)) {
            // Of a launcher around this one: two recorders in a process would record each other.
            let ours = Path::new(OsStr::from_bytes(entry)).file_name() == Some(LIBRARY.as_ref());
            if !entry.is_empty() && !ours {
                value.push(":");
                value.push(OsStr::from_bytes(entry));
            }
        }
        value
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Library::File { directory, keep: false } = self {
            // Nothing depends on it any more; a directory that stays is only untidy.
            let _ = fs::remove_file(directory.join(LIBRARY));
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Directories to try, best first.
fn candidates() -> Vec<PathBuf> {
    let from_env = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(std::env::var_os);
    let fixed = ["/tmp", "/var/tmp", "/dev/shm"].map(OsString::from);
    from_env
        .chain(fixed)
        .map(PathBuf::from)
        .chain(std::env::current_dir())
        .filter_map(|path| fs::canonicalize(path).ok())
        // The loader splits LD_PRELOAD at these and expands the last.
        .filter(|path| !path.as_os_str().as_bytes().iter().any(|b| b" :\t\n$".contains(b)))
        .collect()
}

/// Whether nobody else can put another directory in the place of ours: every directory on the way is ours or
/// root's, and where others may write only the owner of an entry may rename it.
fn is_safe(parent: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    parent.ancestors().all(|directory| {
        fs::symlink_metadata(directory).is_ok_and(|found| {
            let trusted = found.uid() == 0 || found.uid() == fd::user();
            let guarded = found.mode() & OTHERS_WRITE == 0 || found.mode() & STICKY != 0;
            trusted && guarded
        })
    })
}

fn lay_in(parent: &Path, image: &[u8]) -> io::Result<PathBuf> {
    let random = u128::from_ne_bytes(random_bytes::<16>()?);
    let directory = parent.join(format!("heaptape-{random:032x}"));
    // Others may pass through: a target that changes its user still loads the library.
    fs::DirBuilder::new().mode(0o711).create(&directory)?;
    let laid = lay_file(&directory, image);
    if laid.is_err() {
        let _ = fs::remove_file(directory.join(LIBRARY));
        let _ = fs::remove_dir(&directory);
    }
    laid.map(|()| directory)
}

fn lay_file(directory: &Path, image: &[u8]) -> io::Result<()> {
    let made = fs::symlink_metadata(directory)?;
    if !made.is_dir() || made.uid() != fd::user() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let open = File::open(directory)?;
    fd::set_mode(&open, 0o711)?;
    let path = directory.join(LIBRARY);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&path)?;
    file.write_all(image)?;
    fd::set_mode(&file, 0o444)?;
    drop(file);
    if fd::can_be_code(&File::open(&path)?) {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_laid_down_and_removed() {
        let library = Library::lay(b"\x7fELF not really").unwrap();
        let path = library.path();
        assert_eq!(fs::read(&path).unwrap(), b"\x7fELF not really");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o444);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o7777, 0o711);
        drop(library);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn only_directories_that_others_cannot_replace_are_used() {
        use std::os::unix::fs::PermissionsExt;
        assert!(is_safe(Path::new("/tmp")));
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().canonicalize().unwrap().join("inside");
        fs::create_dir(&inside).unwrap();
        assert!(is_safe(&inside));
        for (mode, safe) in [(0o777, false), (0o1777, true), (0o770, false), (0o755, true)] {
            fs::set_permissions(&inside, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_safe(&inside), safe, "{mode:o}");
        }
        assert!(!is_safe(&inside.join("not-there")));
    }

    #[test]
    fn the_users_preload_follows_ours() {
        let library = Library::File { directory: "/d".into(), keep: true };
        let value = |users: &str| library.preload(Some(OsStr::new(users)));
        assert_eq!(library.preload(None), "/d/libheaptape.so");
        assert_eq!(value("/a.so b.so"), "/d/libheaptape.so:/a.so:b.so");
        assert_eq!(value("/x/libheaptape.so:/a.so"), "/d/libheaptape.so:/a.so");
    }
}
