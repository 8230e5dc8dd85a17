//! One ELF file: its identity, its links to other files, its sections.
//!
//! A thin view over the `object` crate that adds the bounds it does not have: on the number of
//! sections and on what compressed sections may grow to.

use object::read::elf::{ElfFile, FileHeader};
use object::{File, Object, ObjectSection, SectionFlags};

/// Linked files have tens of sections; each costs a search for its name, so thousands are refused.
const MAX_SECTIONS: usize = 8192;
/// Bytes of section names.
const MAX_SECTION_NAMES: u64 = 1 << 20;
/// What one compressed section may grow to, bytes.
const MAX_UNCOMPRESSED: u64 = 2 << 30;
/// How much larger than its compressed form a section may be, beyond the first
/// [`FREE_UNCOMPRESSED`] bytes. Debug information compresses three- to tenfold.
const MAX_EXPANSION: u64 = 64;
/// What any section may grow to, however small it was, bytes.
const FREE_UNCOMPRESSED: u64 = 16 << 20;

/// An ELF file in memory.
pub(crate) struct Elf<'a> {
    pub(crate) file: File<'a>,
}

/// A section's bytes, and whether they had to be decompressed.
pub(crate) enum SectionBytes<'a> {
    Borrowed(&'a [u8]),
    Decompressed(Vec<u8>),
}

/// Why bytes are not a usable ELF file.
#[derive(Debug)]
pub(crate) enum ElfError {
    NotElf,
    Broken(String),
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Elf<'a>, ElfError> {
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf);
        }
        let file = File::parse(bytes).map_err(|error| ElfError::Broken(error.to_string()))?;
        let (section_count, names_len) = match &file {
            File::Elf32(elf) => section_bounds(elf),
            File::Elf64(elf) => section_bounds(elf),
            _ => return Err(ElfError::NotElf),
        };
        if section_count > MAX_SECTIONS || names_len > MAX_SECTION_NAMES {
            return Err(ElfError::Broken(format!("it has {section_count} sections")));
        }
        Ok(Elf { file })
    }

    /// The GNU build id.
    pub(crate) fn build_id(&self) -> Option<&'a [u8]> {
        self.file.build_id().ok().flatten()
    }

    /// Name and CRC of the separate debug file.
    pub(crate) fn debug_link(&self) -> Option<(&'a [u8], u32)> {
        self.file.gnu_debuglink().ok().flatten()
    }

    /// Path and build id of the supplementary (dwz) file.
    pub(crate) fn alt_link(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.file.gnu_debugaltlink().ok().flatten()
    }

    /// Whether it carries debug information that can name functions and lines.
    pub(crate) fn has_debug_info(&self) -> bool {
        [".debug_info", ".zdebug_info"].iter().any(|name| {
            self.file
                .section_by_name(name)
                .is_some_and(|section| section.file_range().is_some_and(|(_, size)| size > 0))
        })
    }

    /// The bytes of the section of that name; empty when there is none.
    pub(crate) fn section(&self, name: &str) -> Result<SectionBytes<'a>, String> {
        let Some(section) = self.file.section_by_name(name) else {
            return Ok(SectionBytes::Borrowed(&[]));
        };
        let broken = |error: object::Error| format!("section {name}: {error}");
        let compressed = section.compressed_data().map_err(broken)?;
        if compressed.format == object::CompressionFormat::None {
            return Ok(SectionBytes::Borrowed(compressed.data));
        }
        let size = compressed.uncompressed_size;
        let may_grow_to =
            (compressed.data.len() as u64).saturating_mul(MAX_EXPANSION).max(FREE_UNCOMPRESSED);
        if size > may_grow_to.min(MAX_UNCOMPRESSED) {
            return Err(format!("section {name}: {size} bytes uncompressed are more than allowed"));
        }
        let bytes = compressed.decompress().map_err(broken)?;
        Ok(SectionBytes::Decompressed(bytes.into_owned()))
    }

    /// For each section by index: where it ends, if it holds code.
    pub(crate) fn code_ends(&self) -> Vec<Option<u64>> {
        let mut ends = Vec::new();
        for section in self.file.sections() {
            let index = section.index().0;
            if index >= ends.len() {
                ends.resize(index + 1, None);
            }
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags.0 & object::elf::SHF_EXECINSTR.0 != 0 {
                ends[index] = section.address().checked_add(section.size());
            }
        }
        ends
    }
}

/// Number of sections and bytes of their names.
fn section_bounds<'a, H: FileHeader>(elf: &ElfFile<'a, H>) -> (usize, u64) {
    use object::read::elf::SectionHeader;
    let sections = elf.elf_section_table();
    let endian = elf.endian();
    let names_len = elf
        .elf_header()
        .shstrndx(endian, elf.data())
        .ok()
        .and_then(|index| sections.section(object::SectionIndex(index as usize)).ok())
        .map_or(0, |section| section.sh_size(endian).into());
    (sections.len(), names_len)
}
