//! What is found out about real programs, built here.

use super::*;
use std::os::unix::fs::symlink;

fn look(path: &Path) -> Inspection {
    inspect(path.as_os_str(), Path::new("/"))
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A 64-bit ELF header for that machine with one program header of that type.
fn elf(machine: u16, segment: u32, interpreter: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(2u16.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for word in [0u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(segment.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    let length = interpreter.len() as u64 + 1;
    for word in [120u64, 0, 0, length, length, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(interpreter.as_bytes());
    bytes.push(0);
    bytes
}

const X86_64: u16 = 62;
const LOAD: u32 = 1;
const INTERP: u32 = 3;

fn reason(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    write(&path, bytes);
    look(&path).recordable().unwrap_err()
}

#[test]
fn this_program_is_recordable() {
    let inspection = look(&std::env::current_exe().unwrap());
    assert_eq!(inspection.recordable(), Ok(()), "{inspection:?}");
    assert!(inspection.interpreters.is_empty());
    // Built by cargo: it has symbols.
    assert!(!inspection.findings.iter().any(|finding| finding.what.contains("stripped")));
}

#[test]
fn commands_are_looked_up_and_scripts_followed() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    write(&script, b"#!/usr/bin/env -S sh -e\necho\n");
    let inspection = look(&script);
    assert_eq!(inspection.recordable(), Ok(()));
    assert_eq!(inspection.binary().file_name().unwrap(), "sh");
    let sh = inspect(OsStr::new("sh"), Path::new("."));
    assert_eq!(sh.binary(), inspection.binary());

    write(&script, b"#!/no/such/interpreter\n");
    assert!(look(&script).recordable().unwrap_err().contains("/no/such/interpreter"));
    write(&script, format!("#!{}\n", script.display()).as_bytes());
    assert!(look(&script).recordable().is_err());
    write(&script, b"echo no first line\n");
    assert_eq!(look(&script).binary(), Path::new("/bin/sh"));
}

#[test]
fn programs_without_a_loader_of_ours_are_named() {
    assert!(reason(&elf(X86_64, LOAD, "")).contains("statically linked"));
    assert!(reason(&elf(X86_64, INTERP, "/lib/ld-musl-x86_64.so.1")).contains("musl"));
    assert!(reason(&elf(X86_64, INTERP, "/system/bin/linker64")).contains("linker64"));
    assert!(reason(&elf(243, INTERP, "/lib/ld-linux.so")).contains("64-bit RISC-V"));
    assert!(reason(b"\x00\x01nothing").contains("not an ELF"));
    assert!(reason(&elf(X86_64, LOAD, "")[..100]).contains("damaged"));
}

#[test]
fn programs_that_are_not_there_or_not_programs_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    assert!(look(&path).recordable().unwrap_err().contains("not found"));
    assert!(look(dir.path()).recordable().unwrap_err().contains("directory"));
    symlink("x", &path).unwrap();
    assert!(look(&path).recordable().is_err());
    assert_eq!(resolve(OsStr::new(""), Path::new("/")), Err(Missing::NotFound));
}

#[test]
fn only_programs_that_will_run_are_obstacles() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let obstacle = || obstacle(OsStr::new("./x"), dir.path());
    assert_eq!(obstacle(), None);
    write(&path, b"#!/no/such/interpreter\n");
    assert_eq!(obstacle(), None);
    write(&path, &elf(X86_64, LOAD, ""));
    assert!(obstacle().unwrap().contains("statically linked"));
}

#[test]
fn a_malloc_of_the_programs_own_is_a_blind_spot() {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("own.c"), dir.path().join("own"));
    let compile = |text: &str| {
        fs::write(&source, text).unwrap();
        let mut cc = std::process::Command::new("cc");
        assert!(cc.arg("-o").args([&program, &source]).status().unwrap().success());
        blind_spot(program.as_os_str(), Path::new("/"))
    };
    assert_eq!(compile("int main(void) { return 0; }"), None);
    let own = "void *malloc(unsigned long n) { return (void *)(n * 0); }\n\
               int main(void) { return 0; }\n";
    assert!(compile(own).unwrap().contains("its own malloc"));
    let jemalloc = compile(&format!("int mallctl;\n{own}"));
    assert!(jemalloc.unwrap().contains("jemalloc"));
}

#[test]
fn cut_and_flipped_programs_are_survived() {
    let whole = fs::read("/bin/true").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        write(&path, &whole[..at]);
        look(&path);
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        write(&path, &flipped);
        look(&path);
    }
}
