//! A loaded ELF file as it lies in the memory of a process: where it is, its build id, its unwind tables.
//!
//! All is read from the process, not from files: so the kernel's own page of code, deleted files and those of
//! other mount namespaces are met alike. What is read is hostile.

use super::memory::{Memory, ProcessMemory};
use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, UnwindSection,
};
use heaptape_tape::{Mapping, Module, ModuleId, ProcessId, TimeNs};
use std::ops::Range;

/// Most bytes of unwind tables of one image.
const MOST_TABLES: u64 = 64 << 20;
/// Most program headers; linkers make a dozen.
const MOST_HEADERS: u16 = 128;
const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const NT_GNU_BUILD_ID: u32 = 3;
const MOST_NOTES: u64 = 4096;
const MOST_BUILD_ID: usize = 64;

pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// A loaded ELF file.
#[derive(Debug)]
pub(crate) struct Image {
    /// From its first mapped address to its last.
    pub(crate) range: Range<u64>,
    /// What must be subtracted from an address to get the one that the file states.
    pub(crate) bias: u64,
    path: Vec<u8>,
    build_id: Vec<u8>,
    segments: Vec<Segment>,
    tables: Option<Tables>,
}

/// The unwind tables of an image, with the addresses where they lie.
#[derive(Debug)]
struct Tables {
    header: Vec<u8>,
    header_at: u64,
    frames: Vec<u8>,
    frames_at: u64,
}

#[derive(Debug)]
struct Segment {
    kind: u32,
    addr: u64,
    length: u64,
}

impl Image {
    /// The image that holds an address; `None` when no ELF file does.
    pub(crate) fn at(memory: &mut ProcessMemory, maps: &[Mapping], addr: u64) -> Option<Image> {
        let place = maps.partition_point(|mapping| mapping.end <= addr);
        let here = maps.get(place).filter(|mapping| mapping.start <= addr)?;
        if here.name.is_empty() {
            // Code made at run time; and there may be many such mappings.
            return None;
        }
        let base = maps[..=place].iter().rev().find(|mapping| {
            mapping.name == here.name && mapping.offset == 0 && has_magic(memory, mapping.start)
        })?;
        let segments = segments(memory, base.start)?;
        let loads = || segments.iter().filter(|segment| segment.kind == PT_LOAD);
        let first = loads().map(|load| load.addr & !0xfff).min()?;
        let bias = base.start.wrapping_sub(first);
        let end = loads().map(|load| load.addr.saturating_add(load.length)).max()?;
        let range = base.start..bias.wrapping_add(end);
        if !range.contains(&addr) {
            return None;
        }
        Some(Image {
            tables: Tables::read(memory, &segments, bias),
            build_id: build_id(memory, &segments, bias).unwrap_or_default(),
            path: here.name.to_vec(),
            range,
            bias,
            segments,
        })
    }

    /// Where its first segment of that kind lies.
    pub(crate) fn segment(&self, kind: u32) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| segment.kind == kind)?;
        Some(self.bias.wrapping_add(segment.addr))
    }

    /// Whether its file has that name, though it may be deleted by now.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        let file = self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let file = file.strip_prefix(b"memfd:").unwrap_or(file);
        file.strip_suffix(b" (deleted)").unwrap_or(file) == name
    }

    /// It as a module of the tape, of no process yet.
    pub(crate) fn module(&self) -> Module {
        Module {
            id: ModuleId(0),
            process: ProcessId(0),
            path: self.path.clone(),
            build_id: self.build_id.clone(),
            start: self.range.start,
            end: self.range.end,
            bias: self.bias,
            loaded: TimeNs(0),
            unloaded: None,
        }
    }

    /// Calls `with` with the frame description that covers an address, and what its pointers are relative to.
    pub(crate) fn with_description<T>(
        &self,
        addr: u64,
        with: impl FnOnce(
            &EhFrame<Bytes<'_>>,
            &BaseAddresses,
            &gimli::FrameDescriptionEntry<Bytes<'_>>,
        ) -> Option<T>,
    ) -> Option<T> {
        let tables = self.tables.as_ref()?;
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(tables.header_at)
            .set_eh_frame(tables.frames_at);
        let frames = EhFrame::new(&tables.frames, LittleEndian);
        let header = EhFrameHdr::new(&tables.header, LittleEndian);
        let parsed = header.parse(&bases, 8).ok()?;
        let description = match parsed.table() {
            Some(table) => {
                table.fde_for_address(&frames, &bases, addr, EhFrame::cie_from_offset).ok()?
            }
            None => frames.fde_for_address(&bases, addr, EhFrame::cie_from_offset).ok()?,
        };
        with(&frames, &bases, &description)
    }
}

impl Tables {
    fn read(memory: &ProcessMemory, segments: &[Segment], bias: u64) -> Option<Tables> {
        let header = segments.iter().find(|segment| segment.kind == PT_GNU_EH_FRAME)?;
        if header.length > MOST_TABLES {
            return None;
        }
        let header_at = bias.wrapping_add(header.addr);
        let bytes = memory.bytes(header_at, header.length as usize)?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header_at);
        let parsed = EhFrameHdr::new(&bytes, LittleEndian).parse(&bases, 8).ok()?;
        let Pointer::Direct(frames_at) = parsed.eh_frame_ptr() else { return None };
        // They end somewhere in their segment, by a mark of their own.
        let stated = frames_at.wrapping_sub(bias);
        let load = segments.iter().find(|load| {
            load.kind == PT_LOAD
                && (load.addr..load.addr.saturating_add(load.length)).contains(&stated)
        })?;
        let length = load.addr.saturating_add(load.length) - stated;
        let frames = memory.bytes(frames_at, length.min(MOST_TABLES) as usize)?;
        Some(Tables { header: bytes, header_at, frames, frames_at })
    }
}

fn has_magic(memory: &mut ProcessMemory, addr: u64) -> bool {
    let mut magic = [0; 4];
    memory.read(addr, &mut magic) && &magic == b"\x7fELF"
}

/// The program headers of the ELF file that begins at `base`.
fn segments(memory: &mut ProcessMemory, base: u64) -> Option<Vec<Segment>> {
    let mut header = [0; HEADER_LEN];
    if !memory.read(base, &mut header) {
        return None;
    }
    let table = base.checked_add(word(&header, 32))?;
    let (size, count) = (half(&header, 54), half(&header, 56));
    if usize::from(size) != PROGRAM_HEADER_LEN || count > MOST_HEADERS {
        return None;
    }
    let mut bytes = vec![0; PROGRAM_HEADER_LEN * usize::from(count)];
    if !memory.read(table, &mut bytes) {
        return None;
    }
    let segment = |header: &[u8]| Segment {
        kind: u32::from_le_bytes(header[..4].try_into().expect("four bytes")),
        addr: word(header, 16),
        length: word(header, 40),
    };
    Some(bytes.chunks_exact(PROGRAM_HEADER_LEN).map(segment).collect())
}

/// The GNU build id, from the notes.
fn build_id(memory: &mut ProcessMemory, segments: &[Segment], bias: u64) -> Option<Vec<u8>> {
    let notes = segments.iter().filter(|s| s.kind == PT_NOTE && s.length <= MOST_NOTES);
    notes
        .filter_map(|segment| {
            let mut bytes = vec![0; segment.length as usize];
            memory.read(bias.wrapping_add(segment.addr), &mut bytes).then_some(())?;
            build_id_in(&bytes)
        })
        .next()
}

/// Each note: lengths of name and description, type, then both, filled up to four bytes.
fn build_id_in(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (head, rest) = notes.split_at_checked(12)?;
        let number =
            |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let padded = |length: u32| (length as usize).checked_next_multiple_of(4);
        let (name, rest) = rest.split_at_checked(padded(number(0))?)?;
        let (description, rest) = rest.split_at_checked(padded(number(4))?)?;
        if number(8) == NT_GNU_BUILD_ID && name == b"GNU\0" {
            let length = (number(4) as usize).min(MOST_BUILD_ID);
            return Some(description[..length].to_vec());
        }
        notes = rest;
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    #[test]
    fn our_own_code_lies_in_an_image_with_tables() {
        let pid = std::process::id();
        let maps = maps::of(pid).expect("we may look at ourselves");
        let code = our_own_code_lies_in_an_image_with_tables as fn() as usize as u64;
        let image = Image::at(&mut ProcessMemory::of(pid), &maps, code).expect("code is in a file");
        assert!(
            image.path.ends_with(std::env::current_exe().unwrap().as_os_str().as_encoded_bytes())
        );
        assert!(image.range.contains(&code) && image.bias == image.range.start);
        let covered = image.with_description(code, |_, _, fde| Some(fde.contains(code)));
        assert_eq!(covered, Some(true));
    }

    #[test]
    fn notes_that_lie_are_no_build_id() {
        let note = |name: u32, length: u32, kind: u32, rest: &[u8]| {
            [&name.to_le_bytes(), &length.to_le_bytes(), &kind.to_le_bytes(), rest].concat()
        };
        let id = note(4, 3, 3, b"GNU\0\x01\x02\x03\0");
        let other = note(4, 1, 1, b"GNU\0x\0\0\0");
        assert_eq!(build_id_in(&[other, id].concat()), Some(vec![1, 2, 3]));
        for lie in [note(4, 400, 3, b"GNU\0"), note(u32::MAX, u32::MAX, 3, b""), vec![0; 11]] {
            assert_eq!(build_id_in(&lie), None);
        }
    }
}
