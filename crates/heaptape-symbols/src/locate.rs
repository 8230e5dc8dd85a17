//! Which files on this machine belong to a module of a tape.

use std::io;
use std::path::{Path, PathBuf};

use crate::answer::Reason;
use crate::elf::{Elf, ElfError};
use crate::mapped::MappedFile;
use crate::search::{SearchPaths, build_id_path, join_inside, path_of};

/// A file that was found and belongs to the module.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) bytes: MappedFile,
}

/// The files of one module.
#[derive(Default)]
pub(crate) struct Located {
    /// The module itself.
    pub(crate) image: Option<Found>,
    /// A separate file with its debug information.
    pub(crate) debug: Option<Found>,
    /// The supplementary (dwz) file of whichever has the debug information.
    pub(crate) supplementary: Option<Found>,
    /// Why there is neither an image nor a debug file.
    pub(crate) why_nothing: Option<Reason>,
    /// Why a separate debug file that was found is not used.
    pub(crate) why_no_debug: Option<Reason>,
}

/// How a file must prove that it belongs to the module.
#[derive(Clone, Copy)]
enum Proof<'a> {
    /// Its build id is this one.
    BuildId(&'a [u8]),
    /// Its whole content has this CRC-32, and its build id, if it has one, is not another than this.
    Crc(u32, Option<&'a [u8]>),
    /// The tape has no build id for the module: any ELF file of that name.
    Nothing,
}

/// Looks for the files of the module with this path and build id (empty: not known).
pub(crate) fn locate(search: &SearchPaths, path: &[u8], build_id: &[u8]) -> Located {
    let mut trail = Trail::default();
    let debug_dirs = search.all_debug_dirs();
    let by_build_id = |trail: &mut Trail, build_id: &[u8]| {
        debug_dirs
            .iter()
            .filter_map(|dir| build_id_path(dir, build_id))
            .find_map(|place| trail.open(&place, Proof::BuildId(build_id)))
    };

    let mut debug = by_build_id(&mut trail, build_id);
    let debug_refused = trail.refused.take();
    let proof = if build_id.is_empty() { Proof::Nothing } else { Proof::BuildId(build_id) };
    let image = search
        .places_of(path)
        .iter()
        // A relative path is relative to a directory that is not recorded: only a build id can
        // tell that the file found from here is the right one.
        .filter(|place| place.is_absolute() || !build_id.is_empty())
        .find_map(|place| trail.open(place, proof));
    let image_refused = trail.refused.take();

    if let Some(image) = &image
        && debug.is_none()
        && let Ok(elf) = Elf::parse(&image.bytes)
        && !elf.has_debug_info()
    {
        // With a recorded build id, the search by build id has been made above.
        if build_id.is_empty() {
            debug = elf.build_id().and_then(|own| by_build_id(&mut trail, own));
        }
        debug = debug.or_else(|| by_debug_link(&mut trail, &debug_dirs, image, path, &elf));
    }

    let supplementary = debug
        .as_ref()
        .or(image.as_ref())
        .and_then(|user| find_supplementary(&mut trail, search, &debug_dirs, user));
    let why_nothing = (image.is_none() && debug.is_none()).then(|| {
        image_refused
            .unwrap_or(Reason::FileMissing { searched: std::mem::take(&mut trail.searched) })
    });
    let why_no_debug = if debug.is_none() { debug_refused.or(trail.refused) } else { None };
    Located { image, debug, supplementary, why_nothing, why_no_debug }
}

/// The file that the image's `.gnu_debuglink` names, where debuggers look for it: beside the image,
/// in `.debug/` beside it, and under each debug directory at the image's path.
fn by_debug_link(
    trail: &mut Trail,
    debug_dirs: &[PathBuf],
    image: &Found,
    module_path: &[u8],
    elf: &Elf<'_>,
) -> Option<Found> {
    let (name, crc) = elf.debug_link()?;
    // The link is a bare file name; anything else would lead elsewhere.
    if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." {
        return None;
    }
    let name = path_of(name);
    let beside = image.path.parent()?;
    let module_dir = path_of(module_path).parent().map(Path::to_path_buf).unwrap_or_default();
    let module_dir = module_dir.into_os_string().into_encoded_bytes();
    [beside.join(&name), beside.join(".debug").join(&name)]
        .into_iter()
        .chain(debug_dirs.iter().filter_map(|dir| Some(join_inside(dir, &module_dir)?.join(&name))))
        .filter(|place| *place != image.path)
        .find_map(|place| trail.open(&place, Proof::Crc(crc, elf.build_id())))
}

/// The file that `user`'s `.gnu_debugaltlink` names.
fn find_supplementary(
    trail: &mut Trail,
    search: &SearchPaths,
    debug_dirs: &[PathBuf],
    user: &Found,
) -> Option<Found> {
    let elf = Elf::parse(&user.bytes).ok()?;
    let (name, build_id) = elf.alt_link()?;
    if build_id.is_empty() {
        return None;
    }
    let named = path_of(name);
    let places = if named.is_absolute() {
        search.places_of(name)
    } else {
        vec![user.path.parent()?.join(named)]
    };
    debug_dirs
        .iter()
        .filter_map(|dir| build_id_path(dir, build_id))
        .chain(places)
        .find_map(|place| trail.open(&place, Proof::BuildId(build_id)))
}

/// What the search has met so far.
#[derive(Default)]
struct Trail {
    searched: Vec<PathBuf>,
    refused: Option<Reason>,
}

impl Trail {
    /// The file at `place`, if it is there and proves that it belongs to the module.
    fn open(&mut self, place: &Path, proof: Proof<'_>) -> Option<Found> {
        if self.searched.iter().any(|searched| searched == place) {
            return None;
        }
        self.searched.push(place.to_path_buf());
        match try_open(place, proof) {
            Ok(found) => Some(found),
            Err(None) => None,
            Err(Some(reason)) => {
                self.refused.get_or_insert(reason);
                None
            }
        }
    }
}

/// Opens the file; `Err(None)` when there is none, else the reason why it is not used.
fn try_open(place: &Path, proof: Proof<'_>) -> Result<Found, Option<Reason>> {
    let unreadable =
        |what: String| Some(Reason::Unreadable(format!("{}: {what}", place.display())));
    let bytes = MappedFile::open(place).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => None,
        _ => unreadable(error.to_string()),
    })?;
    let elf = Elf::parse(&bytes).map_err(|error| match error {
        ElfError::NotElf => Some(Reason::NotElf { path: place.to_path_buf() }),
        ElfError::Broken(what) => unreadable(what),
    })?;
    let mismatch = |expected: &[u8]| {
        Some(Reason::BuildIdMismatch {
            expected: expected.to_vec(),
            found: elf.build_id().map(<[u8]>::to_vec),
            path: place.to_path_buf(),
        })
    };
    match proof {
        Proof::BuildId(expected) if elf.build_id() != Some(expected) => {
            return Err(mismatch(expected));
        }
        Proof::Crc(_, Some(expected)) if elf.build_id().is_some_and(|id| id != expected) => {
            return Err(mismatch(expected));
        }
        Proof::Crc(crc, _) if crc32fast::hash(&bytes) != crc => {
            return Err(unreadable("its CRC is not the one the module states".to_owned()));
        }
        _ => {}
    }
    Ok(Found { path: place.to_path_buf(), bytes })
}
