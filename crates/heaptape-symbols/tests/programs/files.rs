//! Which files are searched, which are believed, and what is said about the others.

use std::fs;
use std::path::Path;

use heaptape_symbols::{Reason, SearchPaths, Symbolizer};

use crate::support::{INLINED_C, Program, debug_dir, module, nowhere, outline};

const FULL: [&str; 3] = ["*innermost:2", "*middle:3", "outer:4"];
const SYMBOL_ONLY: [&str; 1] = ["outer:?"];

/// A program whose debug information is split off into `program.debug`.
fn split_off() -> Program {
    let program = Program::c(INLINED_C, &["-g"]);
    program.run("objcopy", &["--only-keep-debug", "program", "program.debug"]);
    program.run("strip", &["program"]);
    program
}

#[test]
fn a_debug_file_by_build_id() {
    let program = split_off();
    let dir = program.dir.path().join("debug");
    let place = program.build_id_path(&dir);
    fs::rename(program.dir.path().join("program.debug"), &place).unwrap();
    let mut symbolizer = Symbolizer::new(debug_dir(&dir));
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), FULL);
    let state = symbolizer.module_state(&program.module());
    assert_eq!((state.debug, state.why), (Some(place), None));

    // It is enough by itself, on a machine that does not have the program.
    let program_is_gone = module("/nowhere/program", &program.build_id());
    let mut symbolizer = Symbolizer::new(debug_dir(&dir));
    let resolved = symbolizer.resolve(&program_is_gone, program.return_address);
    assert_eq!(outline(&resolved.frames), FULL);
    assert_eq!(symbolizer.module_state(&program_is_gone).image, None);
}

#[test]
fn a_file_by_its_path_under_a_debug_directory_or_sysroot() {
    let program = split_off();
    for (name, search) in [
        ("opt/lib/program", debug_dir as fn(&Path) -> SearchPaths),
        ("opt/lib/program.debug", debug_dir),
        ("opt/lib/program", sysroot),
    ] {
        let root = tempfile::TempDir::new().unwrap();
        let place = root.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(program.dir.path().join("program.debug"), &place).unwrap();
        for path in ["/opt/lib/program", "/opt/bin/../lib/program"] {
            let module = module(path, &program.build_id());
            let mut symbolizer = Symbolizer::new(search(root.path()));
            let resolved = symbolizer.resolve(&module, program.return_address);
            assert_eq!(outline(&resolved.frames), FULL, "{name} {path}");
            assert_eq!(symbolizer.module_state(&module).image.as_ref(), Some(&place));
        }
    }
}

#[test]
fn a_debug_file_by_build_id_in_the_sysroot() {
    let program = split_off();
    let root = program.dir.path().join("root");
    let place = program.build_id_path(&root.join("usr/lib/debug"));
    fs::copy(program.dir.path().join("program.debug"), place).unwrap();
    let mut symbolizer = Symbolizer::new(sysroot(&root));
    let resolved = symbolizer.resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), FULL);
}

#[test]
fn a_debug_link_is_followed_if_its_crc_is_right() {
    for place in ["program.debug", ".debug/program.debug"] {
        let program = split_off();
        program.run("objcopy", &["--add-gnu-debuglink=program.debug", "program"]);
        let original = program.dir.path().join("program.debug");
        let place = program.dir.path().canonicalize().unwrap().join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(original, &place).unwrap();
        let mut symbolizer = Symbolizer::new(nowhere());
        let resolved = symbolizer.resolve(&program.module(), program.return_address);
        assert_eq!(outline(&resolved.frames), FULL);
        assert_eq!(symbolizer.module_state(&program.module()).debug.as_ref(), Some(&place));

        let mut bytes = fs::read(&place).unwrap();
        bytes.push(0);
        fs::write(&place, bytes).unwrap();
        let mut symbolizer = Symbolizer::new(nowhere());
        let resolved = symbolizer.resolve(&program.module(), program.return_address);
        assert_eq!(outline(&resolved.frames), SYMBOL_ONLY);
        let why = resolved.why.clone().unwrap().to_string();
        assert!(why.contains("program.debug: its CRC"), "{why}");
    }
}

#[test]
fn a_debug_link_under_the_debug_directory() {
    let program = split_off();
    program.run("objcopy", &["--add-gnu-debuglink=program.debug", "program"]);
    let root = tempfile::TempDir::new().unwrap();
    let beside = program.path.parent().unwrap().strip_prefix("/").unwrap();
    fs::create_dir_all(root.path().join(beside)).unwrap();
    let place = root.path().join(beside).join("program.debug");
    fs::copy(program.dir.path().join("program.debug"), &place).unwrap();
    fs::remove_file(program.dir.path().join("program.debug")).unwrap();
    // Not by its path: that would be the image, and here the image is found first.
    let resolved =
        Symbolizer::new(debug_dir(root.path())).resolve(&program.module(), program.return_address);
    assert_eq!(outline(&resolved.frames), FULL);
}

#[test]
fn another_build_is_refused() {
    let program = Program::c(INLINED_C, &["-g"]);
    let mut recorded = program.build_id();
    recorded[0] ^= 1;
    let module = module(program.path.to_str().unwrap(), &recorded);
    let mut symbolizer = Symbolizer::new(nowhere());
    let resolved = symbolizer.resolve(&module, program.return_address);
    assert!(!resolved.is_named());
    let mismatch = Reason::BuildIdMismatch {
        expected: recorded,
        found: Some(program.build_id()),
        path: program.path.clone(),
    };
    assert_eq!(resolved.why, Some(mismatch.clone()));
    assert_eq!(symbolizer.module_state(&module).why, Some(mismatch.clone()));
    assert!(mismatch.to_string().contains("is another build"));
}

#[test]
fn without_a_recorded_build_id_the_file_is_taken_and_said_to_be_unchecked() {
    let program = Program::c(INLINED_C, &["-g"]);
    let module = module(program.path.to_str().unwrap(), b"");
    let mut symbolizer = Symbolizer::new(nowhere());
    assert_eq!(outline(&symbolizer.resolve(&module, program.return_address).frames), FULL);
    assert!(!symbolizer.module_state(&module).build_id_checked);
}

#[test]
fn missing_files_name_the_places_searched() {
    let search = SearchPaths::new(vec!["/debug".into()], Some("/root".into()));
    let why = Symbolizer::new(search).resolve(&module("/a/b.so", &[0xab, 0xcd]), 1).why.clone();
    let Some(Reason::FileMissing { searched }) = why else { panic!("{why:?}") };
    let searched: Vec<_> = searched.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        searched,
        [
            "/debug/.build-id/ab/cd.debug",
            "/usr/lib/debug/.build-id/ab/cd.debug",
            "/root/usr/lib/debug/.build-id/ab/cd.debug",
            "/debug/a/b.so",
            "/debug/a/b.so.debug",
            "/usr/lib/debug/a/b.so",
            "/usr/lib/debug/a/b.so.debug",
            "/root/a/b.so",
            "/a/b.so",
        ]
    );
}

#[test]
fn paths_that_leave_the_sysroot_are_not_followed() {
    let program = Program::c(INLINED_C, &["-g"]);
    let root = program.dir.path().join("root/deep");
    fs::create_dir_all(&root).unwrap();
    for path in ["/../../program", "../../program", "/x/../../../program"] {
        // Both with and without a build id that would prove it right.
        for build_id in [program.build_id(), Vec::new()] {
            let mut symbolizer = Symbolizer::new(sysroot(&root));
            let why =
                symbolizer.resolve(&module(path, &build_id), program.return_address).why.clone();
            assert!(matches!(why, Some(Reason::FileMissing { .. })), "{path}: {why:?}");
        }
    }
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo.to_str().unwrap(), "/dev/zero", "/dev/tty", "/", dir.path().to_str().unwrap()]
    {
        // A fifo that was opened would block for ever.
        let why = Symbolizer::new(nowhere()).resolve(&module(path, b""), 0x1000).why.clone();
        let said = why.unwrap().to_string();
        assert!(said.contains("not a regular file"), "{path}: {said}");
    }
}

#[test]
fn files_that_are_no_elf_are_refused() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("text");
    for content in ["", "#!/bin/sh\n", "\x7fEL"] {
        fs::write(&path, content).unwrap();
        let module = module(path.to_str().unwrap(), b"");
        let why = Symbolizer::new(nowhere()).resolve(&module, 0x1000).why.clone();
        assert_eq!(why, Some(Reason::NotElf { path: path.clone() }), "{content:?}");
    }
}

#[test]
fn a_supplementary_file_is_found_or_named() {
    let program = Program::c(INLINED_C, &["-g"]);
    let link = [&b"../dwz/common.debug\0"[..], &[0x77; 20]].concat();
    fs::write(program.dir.path().join("link"), link).unwrap();
    program.run("objcopy", &["--add-section", ".gnu_debugaltlink=link", "program"]);
    let why = Symbolizer::new(nowhere()).module_state(&program.module()).why.unwrap().to_string();
    assert!(why.contains("supplementary file ../dwz/common.debug was not found"), "{why}");

    // Once there is one of the right build id, it is used.
    let place = program.dir.path().canonicalize().unwrap().join("common.debug");
    program.run("gcc", &["-shared", "-Wl,--build-id", "mark.c", "-fPIC", "-o", "common.debug"]);
    let other = Program { path: place.clone(), ..program };
    let link = [&b"common.debug\0"[..], &other.build_id()].concat();
    fs::write(other.dir.path().join("link"), link).unwrap();
    other.run("objcopy", &["--update-section", ".gnu_debugaltlink=link", "program"]);
    let module = module(other.path.with_file_name("program").to_str().unwrap(), b"");
    let state = Symbolizer::new(nowhere()).module_state(&module);
    assert_eq!((state.supplementary, state.why), (Some(place), None));
}

fn sysroot(root: &Path) -> SearchPaths {
    SearchPaths { debug_dirs: Vec::new(), sysroot: Some(root.to_path_buf()) }
}
