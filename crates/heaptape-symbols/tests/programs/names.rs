//! Known functions, lines and inlined frames of real programs, by every kind of debug information.

use crate::support::{INLINED_C, Program, module, nowhere, outline};
use std::fs;

use heaptape_symbols::{Reason, Symbolizer};

const INLINED_OUTLINE: [&str; 3] = ["*innermost:2", "*middle:3", "outer:4"];

#[test]
fn inlined_frames_by_every_form_of_debug_information() {
    for flags in [
        &["-g"][..],
        &["-gdwarf-4"],
        &["-gdwarf-5"],
        &["-g", "-gz=zlib"],
        &["-g", "-gz=none", "-fdebug-types-section"],
        &["-gdwarf-4", "-gsplit-dwarf"],
        &["-gdwarf-5", "-gsplit-dwarf"],
        &["-g", "-Wl,--build-id=none"],
    ] {
        let program = Program::c(INLINED_C, flags);
        let resolved =
            Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
        assert_eq!(outline(&resolved.frames), INLINED_OUTLINE, "{flags:?}: {:?}", resolved.why);
        assert_eq!(resolved.why, None, "{flags:?}");
        let file = resolved.frames[0].file.as_deref().unwrap();
        assert!(file.starts_with('/') && file.ends_with("/program.c"), "{flags:?}: {file}");
    }
}

#[test]
fn a_package_of_split_units_replaces_them() {
    let program = Program::c(INLINED_C, &["-gdwarf-4", "-gsplit-dwarf"]);
    program.run("dwp", &["-e", "program", "-o", "program.dwp"]);
    fs::remove_file(program.dir.path().join("program.dwo")).unwrap();
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), INLINED_OUTLINE, "{:?}", resolved.why);

    fs::remove_file(program.dir.path().join("program.dwp")).unwrap();
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["outer:2"], "lines are in the program itself");
}

#[test]
fn sections_compressed_with_zstd() {
    let program = Program::c(INLINED_C, &["-g"]);
    compress_debug_sections_with_zstd(&program);
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), INLINED_OUTLINE, "{:?}", resolved.why);
}

#[test]
fn cpp_names_have_parameters() {
    let source = "extern \"C\" void mark(void);
namespace app {
template <class T> struct Box {
  __attribute__((noinline)) void put(T const& value, int n) { mark(); last = &value; count = n; }
  T const* last; int count;
};
}
int main() { app::Box<long> box; box.put(4L, 2); return 0; }
";
    let program = Program::cpp(source, &["-g"]);
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    let frame = &resolved.frames[0];
    assert_eq!(outline(&resolved.frames), ["app::Box<long>::put(long const&, int):4"]);
    assert!(frame.raw_function.as_deref().unwrap().starts_with("_ZN3app3BoxIlE3put"));
    assert_eq!(
        heaptape_symbols::short_name(frame.function.as_deref().unwrap()),
        "app::Box<…>::put"
    );
}

#[test]
fn rust_names_have_no_hash() {
    let source = "unsafe extern \"C\" { safe fn mark(); }
mod app {
    #[inline(always)]
    pub fn inlined() { crate::mark(); std::hint::black_box(()); }
    #[inline(never)]
    pub fn outer<T: Default>() -> T { inlined(); T::default() }
}
fn main() { std::process::exit(app::outer::<i32>()) }
";
    // The compiler's own choice of mangling has changed over time; v0 can be asked for.
    for mangling in ["-Csymbol-mangling-version=v0", "-Ccodegen-units=1"] {
        for level in ["-Cdebuginfo=2", "-Cdebuginfo=line-tables-only"] {
            let program = Program::rust(source, &["--edition=2024", mangling, level]);
            let mut symbolizer = Symbolizer::new(nowhere());
            let resolved = symbolizer.resolve(&program.module(), program.return_address);
            let case = format!("{mangling} {level}: {resolved:?}");
            assert_eq!(resolved.frames.len(), 2, "{case}");
            let names: Vec<_> =
                resolved.frames.iter().map(|f| f.function.clone().unwrap()).collect();
            assert!(names[0].ends_with("inlined") && resolved.frames[0].inlined, "{case}");
            assert!(names[1].contains("app::outer"), "{case}");
            assert!(!names[1].contains("::h"), "{case}");
            assert_eq!(
                (resolved.frames[0].line, resolved.frames[1].line),
                (Some(4), Some(6)),
                "{case}"
            );
        }
    }
}

#[test]
fn without_debug_information_the_symbol_table_names_functions() {
    let program = Program::c(INLINED_C, &["-g0"]);
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["outer:?"]);
    assert_eq!(resolved.why, Some(Reason::NoDebugInfo));
    let state = symbolizer.module_state(&program.module());
    assert_eq!((state.why, state.debug), (Some(Reason::NoDebugInfo), None));
    assert_eq!(state.image.as_deref(), Some(&*program.path));
    assert!(state.build_id_checked && state.symbol_count > 0);
}

#[test]
fn stripped_programs_are_named_by_what_they_export() {
    let program = Program::c(INLINED_C, &["-g"]);
    program.run("strip", &["program"]);
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["outer:?"]);
    assert_eq!(resolved.why, Some(Reason::NoDebugInfo));
}

#[test]
fn an_address_outside_all_functions_has_no_name() {
    let program = Program::c(INLINED_C, &["-g0"]);
    for address in [0, 1, u64::MAX, 0x10] {
        let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), address);
        assert_eq!(outline(&resolved.frames), ["?:?"]);
        assert_eq!(resolved.why, Some(Reason::AddressNotCovered));
        assert!(!resolved.is_named());
    }
}

#[test]
fn public_aliases_are_preferred_and_zero_size_symbols_count() {
    let source = "void mark(void);
__attribute__((noinline)) void __hidden_alias(void) { mark(); }
void shown(void) __attribute__((alias(\"__hidden_alias\")));
int main(void) { __hidden_alias(); return 0; }
";
    let program = Program::c(source, &["-g0"]);
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["shown:?"]);

    let assembler = "void mark(void);
__asm__(\".text\\n.globl bare\\nbare:\\n push %rbp\\n call mark\\n pop %rbp\\n ret\\n\");
void bare(void);
int main(void) { bare(); return 0; }
";
    let program = Program::c(assembler, &["-g0"]);
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["bare:?"]);
}

#[test]
fn a_mini_symbol_table_names_what_was_stripped() {
    let source = INLINED_C.replace("void outer", "static void outer");
    let program = Program::c(&source, &["-g0"]);
    program.run("cp", &["program", "symbols"]);
    program.run("objcopy", &["--strip-debug", "symbols"]);
    program.run("strip", &["program"]);
    let stripped = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert_eq!(stripped.why, Some(Reason::AddressNotCovered));

    let symbols = fs::read(program.dir.path().join("symbols")).unwrap();
    fs::write(program.dir.path().join("symbols.xz"), xz(&symbols)).unwrap();
    program.run("objcopy", &["--add-section", ".gnu_debugdata=symbols.xz", "program"]);
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), ["outer:?"]);
    assert_eq!(resolved.why, Some(Reason::NoDebugInfo));
}

#[test]
fn the_vdso_is_no_file() {
    for path in ["[vdso]", "linux-vdso.so.1"] {
        let mut symbolizer = Symbolizer::default();
        assert_eq!(symbolizer.resolve(&module(path, b""), 0x100).why, Some(Reason::Vdso));
        assert_eq!(symbolizer.module_state(&module(path, b"")).why, Some(Reason::Vdso));
    }
}

/// An xz file with that content.
fn xz(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// As `objcopy --compress-debug-sections=zstd`, which older binutils do not know.
fn compress_debug_sections_with_zstd(program: &Program) {
    use object::{Object, ObjectSection};
    let bytes = fs::read(&program.path).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    for section in file.sections() {
        let name = section.name().unwrap();
        if !name.starts_with(".debug") {
            continue;
        }
        let data = section.data().unwrap();
        let mut compressed = Vec::new();
        // Elf64_Chdr: type ELFCOMPRESS_ZSTD, reserved, size, alignment.
        compressed.extend(2u32.to_le_bytes());
        compressed.extend(0u32.to_le_bytes());
        compressed.extend((data.len() as u64).to_le_bytes());
        compressed.extend(1u64.to_le_bytes());
        compressed.extend(zstd::encode_all(data, 3).unwrap());
        fs::write(program.dir.path().join("section"), compressed).unwrap();
        program.run("objcopy", &["--update-section", &format!("{name}=section"), "program"]);
    }
    set_compressed_flag(program);
}

/// Sets `SHF_COMPRESSED` on every debug section.
fn set_compressed_flag(program: &Program) {
    use object::read::elf::FileHeader;
    let mut bytes = fs::read(&program.path).unwrap();
    let header = object::elf::FileHeader64::<object::LittleEndian>::parse(&*bytes).unwrap();
    let endian = object::LittleEndian;
    let table_at = header.e_shoff(endian) as usize;
    let sections = header.sections(endian, &*bytes).unwrap();
    let flags_at: Vec<usize> = sections
        .iter()
        .enumerate()
        .filter(|(_, s)| sections.section_name(endian, s).unwrap().starts_with(b".debug"))
        .map(|(i, _)| table_at + i * 64 + 8)
        .collect();
    assert!(!flags_at.is_empty());
    for at in flags_at {
        let flags = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) | 0x800;
        bytes[at..at + 8].copy_from_slice(&flags.to_le_bytes());
    }
    fs::write(&program.path, bytes).unwrap();
}
