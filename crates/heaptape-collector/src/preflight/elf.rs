//! What an ELF file says of itself. Files are hostile: everything is read through `object`'s checked
//! readers, and only the parts that are asked for.

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, ElfFile, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, FileKind, Object, ObjectSymbol};
use std::fs::File;
use std::io;
use std::path::Path;

/// The machine the recorder is built for.
const NATIVE: elf::Machine =
    if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };

/// An ELF file.
pub(super) struct Elf {
    file: ReadCache<File>,
    headers: Headers,
}

/// What decides whether the recorder can be loaded.
pub(super) struct Headers {
    pub(super) is_native: bool,
    /// What machine it is for.
    pub(super) machine: String,
    /// The dynamic loader it asks for.
    pub(super) loader: Option<String>,
}

/// Why a file was not looked into.
pub(super) enum NotElf {
    Unreadable(io::Error),
    Other(String),
}

/// What the sections and symbol tables tell.
#[derive(Default)]
pub(super) struct Code {
    /// The libraries it asks for.
    pub(super) needed: Vec<String>,
    pub(super) has_debug_info: bool,
    pub(super) has_build_id: bool,
    pub(super) has_symbols: bool,
    pub(super) own_malloc: bool,
    pub(super) own_new: bool,
    /// A known allocator that is linked in.
    pub(super) allocator: Option<&'static str>,
    /// The sanitizer it was built with.
    pub(super) sanitizer: Option<&'static str>,
}

/// Symbols that give away what is linked in.
const ALLOCATORS: [(&str, &str); 6] = [
    ("je_malloc", "jemalloc"),
    ("_rjem_malloc", "jemalloc"),
    ("mallctl", "jemalloc"),
    ("mi_malloc", "mimalloc"),
    ("tc_malloc", "tcmalloc"),
    ("TCMallocInternalMalloc", "tcmalloc"),
];
const SANITIZERS: [(&str, &str); 5] = [
    ("__asan_init", "AddressSanitizer"),
    ("__msan_init", "MemorySanitizer"),
    ("__tsan_init", "ThreadSanitizer"),
    ("__lsan_init", "LeakSanitizer"),
    ("__hwasan_init", "HWAddressSanitizer"),
];
/// The runtimes that insist on being loaded first and end the program if they are not.
const FIRST_COMERS: [(&str, &str); 5] = [
    ("libasan.so", "AddressSanitizer"),
    ("libtsan.so", "ThreadSanitizer"),
    ("liblsan.so", "LeakSanitizer"),
    ("libmsan.so", "MemorySanitizer"),
    ("libhwasan.so", "HWAddressSanitizer"),
];
/// `operator new(size_t)`, `operator new[](size_t)`.
const NEWS: [&str; 2] = ["_Znwm", "_Znam"];

/// Whether a library of that name is an allocator.
pub(super) fn is_allocator(library: &str) -> bool {
    ["libjemalloc.", "libtcmalloc", "libmimalloc"].iter().any(|name| library.starts_with(name))
}

impl Elf {
    /// Reads what the headers tell.
    pub(super) fn open(path: &Path) -> Result<Elf, NotElf> {
        let file = ReadCache::new(File::open(path).map_err(NotElf::Unreadable)?);
        let headers = match FileKind::parse(&file) {
            Ok(FileKind::Elf64) => read_headers::<FileHeader64<Endianness>>(&file),
            Ok(FileKind::Elf32) => read_headers::<FileHeader32<Endianness>>(&file),
            _ => return Err(NotElf::Other("not an ELF program".into())),
        };
        let headers =
            headers.map_err(|error| NotElf::Other(format!("damaged ELF file: {error}")))?;
        Ok(Elf { file, headers })
    }

    /// What the headers tell.
    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The sanitizer whose runtime it needs as a shared library: that one must be loaded first.
    pub(super) fn needs_to_be_first(&self) -> Option<&'static str> {
        let file = ElfFile::<FileHeader64<Endianness>, _>::parse(&self.file).ok()?;
        let libraries = needed(&file);
        let (_, tool) = FIRST_COMERS
            .iter()
            .find(|(library, _)| libraries.iter().any(|name| name.starts_with(library)))?;
        Some(tool)
    }

    /// What the sections and symbol tables tell; as much as can be read of a damaged file.
    pub(super) fn code(&self) -> Code {
        // Foreign machines are never asked about their code.
        match ElfFile::<FileHeader64<Endianness>, _>::parse(&self.file) {
            Ok(file) => read_code(&file),
            Err(_) => Code::default(),
        }
    }
}

fn read_headers<H: FileHeader<Endian = Endianness>>(
    data: &ReadCache<File>,
) -> object::Result<Headers> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let machine = header.e_machine(endian);
    let mut loader = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(path) = segment.interpreter(endian, data)? {
            loader = Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    let bits = if header.is_class_64() { 64 } else { 32 };
    Ok(Headers {
        is_native: bits == 64 && machine == NATIVE && header.is_little_endian(),
        machine: format!("{bits}-bit {}", machine_name(machine)),
        loader,
    })
}

fn machine_name(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86-64".into(),
        elf::EM_386 => "x86".into(),
        elf::EM_AARCH64 => "ARM".into(),
        elf::EM_ARM => "ARM".into(),
        elf::EM_RISCV => "RISC-V".into(),
        other => format!("machine {}", other.0),
    }
}

fn read_code<'d, R: ReadRef<'d>>(file: &ElfFile<'d, FileHeader64<Endianness>, R>) -> Code {
    let mut code = Code {
        has_symbols: file.symbols().next().is_some(),
        has_debug_info: file.section_by_name(".debug_info").is_some()
            || file.section_by_name(".zdebug_info").is_some(),
        has_build_id: matches!(file.build_id(), Ok(Some(_))),
        needed: needed(file),
        ..Code::default()
    };
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let Ok(name) = symbol.name() else { continue };
        if let Some(&(_, tool)) = SANITIZERS.iter().find(|(symbol, _)| *symbol == name) {
            code.sanitizer = Some(tool);
        }
        if !symbol.is_definition() {
            continue;
        }
        // A static `malloc` of the program shadows ours for its own calls as well as an exported one.
        code.own_malloc |= name == "malloc";
        code.own_new |= NEWS.contains(&name);
        if let Some(&(_, allocator)) = ALLOCATORS.iter().find(|(symbol, _)| *symbol == name) {
            code.allocator = Some(allocator);
        }
    }
    code
}

/// The names of the libraries that are asked for.
fn needed<'d, R: ReadRef<'d>>(file: &ElfFile<'d, FileHeader64<Endianness>, R>) -> Vec<String> {
    let endian = file.endian();
    let sections = file.elf_section_table();
    let Ok(Some((entries, strings))) = sections.dynamic(endian, file.data()) else {
        return Vec::new();
    };
    let Ok(strings) = sections.strings(endian, file.data(), strings) else { return Vec::new() };
    entries
        .iter()
        .filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED)
        .filter_map(|entry| entry.string(endian, strings).ok())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}
