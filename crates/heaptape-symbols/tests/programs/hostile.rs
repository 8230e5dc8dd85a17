//! ELF and DWARF that want to hurt: whatever the bytes, an answer with a reason.

use std::fs;

use heaptape_symbols::{Reason, Symbolizer};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{INLINED_C, Program, module, nowhere};

/// Asks about every hundredth or so address of a file of these bytes, believing any build id.
fn survive(program: &Program, bytes: &[u8]) {
    let path = program.dir.path().join("hostile");
    fs::write(&path, bytes).unwrap();
    let module = module(path.to_str().unwrap(), b"");
    let mut symbolizer = Symbolizer::new(nowhere());
    let near = program.return_address;
    for address in (near - 200..near + 200).step_by(37).chain([near, 1, u64::MAX]) {
        let resolved = symbolizer.resolve(&module, address);
        assert!(!resolved.frames.is_empty());
        assert!(resolved.is_named() || resolved.why.is_some());
        // A panic that was caught is a defect worth a look, here as in the field.
        let why = format!("{:?}", resolved.why);
        assert!(!why.contains("internal error"), "{why}");
    }
    symbolizer.module_state(&module);
}

#[test]
fn files_cut_anywhere_are_survived() {
    let program = Program::c(INLINED_C, &["-g"]);
    let bytes = fs::read(&program.path).unwrap();
    for len in (0..300).chain((300..bytes.len()).step_by(61)) {
        survive(&program, &bytes[..len]);
    }
}

#[test]
fn damaged_files_are_survived() {
    let programs =
        [Program::c(INLINED_C, &["-gdwarf-4"]), Program::c(INLINED_C, &["-gdwarf-5", "-gz=zlib"])];
    for program in &programs {
        let original = fs::read(&program.path).unwrap();
        let debug_at = debug_range(&original);
        let anywhere = (0..original.len(), any::<u8>());
        // Most bytes of a program are code that nobody reads here.
        let in_debug = (debug_at, any::<u8>());
        let damage = prop::collection::vec(prop_oneof![anywhere, in_debug], 1..30);
        let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&damage, |damage| {
                let mut bytes = original.clone();
                damage.iter().for_each(|&(at, byte)| bytes[at] = byte);
                survive(program, &bytes);
                Ok(())
            })
            .unwrap();
    }
}

/// From the first debug section to the end of the file (which includes the section headers).
fn debug_range(bytes: &[u8]) -> std::ops::Range<usize> {
    use object::{Object, ObjectSection};
    let file = object::File::parse(bytes).unwrap();
    let first = file
        .sections()
        .filter(|section| section.name().unwrap().starts_with(".debug"))
        .filter_map(|section| section.file_range())
        .map(|(at, _)| at as usize)
        .min();
    first.unwrap()..bytes.len()
}

#[test]
fn debug_information_nested_a_million_deep_is_survived() {
    let program = Program::c(INLINED_C, &["-g0"]);
    // One unit, DWARF 4, that covers all addresses: compile_unit, subprogram, then a million
    // inlined_subroutines, each the child of the one before.
    let abbrev: &[u8] = &[
        1, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0, // compile_unit: low_pc addr, high_pc data8
        2, 0x2e, 1, 0x11, 0x01, 0x12, 0x07, 0, 0, // subprogram: the same
        3, 0x1d, 1, 0, 0, // inlined_subroutine: nothing
        0,
    ];
    let range = [&1u64.to_le_bytes()[..], &u64::MAX.wrapping_sub(2).to_le_bytes()].concat();
    let depth = 1_000_000;
    let body = [&[4, 0, 0, 0, 0, 0, 8, 1][..], &range, &[2], &range, &vec![3; depth]].concat();
    let info = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
    let why = resolve_with_dwarf(&program, abbrev, &info);
    assert!(why.contains("nested too deeply"), "{why}");
}

#[test]
fn debug_information_that_is_read_again_and_again_ends() {
    let program = Program::c(INLINED_C, &["-g0"]);
    // Units that all cover every address and share one table of abbreviations, which is long and
    // has to be read for each of them: work that grows with the square of the file.
    let mut abbrev = vec![1, 0x11, 0, 0x11, 0x01, 0x12, 0x07, 0, 0];
    for code in 2u32..60_000 {
        abbrev.extend(leb128(code));
        abbrev.extend([0x24, 0, 0, 0]);
    }
    abbrev.push(0);
    let range = [&1u64.to_le_bytes()[..], &u64::MAX.wrapping_sub(2).to_le_bytes()].concat();
    let mut info = Vec::new();
    for unit in 0..60_000u32 {
        // Each begins reading at another place of the table, so that no result can be shared.
        let at = if unit == 0 { 0 } else { abbrev.len() as u32 - 1 - 6 * (unit % 50_000) };
        let body = [&[4, 0][..], &at.to_le_bytes(), &[8, 1], &range].concat();
        info.extend((body.len() as u32).to_le_bytes());
        info.extend(body);
    }
    let why = resolve_with_dwarf(&program, &abbrev, &info);
    assert!(why.contains("more work"), "{why}");
}

#[test]
fn a_section_that_claims_to_be_huge_is_not_decompressed() {
    let program = Program::c(INLINED_C, &["-g", "-gz=zlib"]);
    let mut bytes = fs::read(&program.path).unwrap();
    let sections: Vec<usize> = {
        use object::{Object, ObjectSection};
        let file = object::File::parse(&*bytes).unwrap();
        let section = file.section_by_name(".debug_info").unwrap();
        vec![section.file_range().unwrap().0 as usize]
    };
    for at in sections {
        bytes[at + 8..at + 16].copy_from_slice(&(1u64 << 40).to_le_bytes());
    }
    fs::write(&program.path, bytes).unwrap();
    let state = Symbolizer::new(nowhere()).module_state(&program.module());
    let why = state.why.unwrap().to_string();
    assert!(why.contains("more than allowed"), "{why}");
}

#[test]
fn function_names_of_megabytes_are_kept() {
    let name = "n".repeat(2 << 20);
    let source = INLINED_C.replace("outer", &name);
    let program = Program::c(&source, &["-g"]);
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert_eq!(resolved.frames[2].function.as_deref(), Some(&*name));
}

/// Gives `program` those sections and asks for the reason at its address.
fn resolve_with_dwarf(program: &Program, abbrev: &[u8], info: &[u8]) -> String {
    fs::write(program.dir.path().join("abbrev"), abbrev).unwrap();
    fs::write(program.dir.path().join("info"), info).unwrap();
    let add = ["--add-section", ".debug_abbrev=abbrev", "--add-section", ".debug_info=info"];
    program.run("objcopy", &[&add[..], &["program"]].concat());
    let resolved = Symbolizer::new(nowhere()).resolve(&program.module(), program.return_address);
    assert!(matches!(resolved.why, Some(Reason::Unreadable(_))), "{:?}", resolved.why);
    // The symbol table still answers.
    assert_eq!(resolved.frames[0].function.as_deref(), Some("outer"));
    resolved.why.as_ref().unwrap().to_string()
}

fn leb128(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
