//! Small programs built on the spot by the system's compilers, which tell the address they came by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use heaptape_symbols::{Frame, SearchPaths};
use heaptape_tape::{Module, ModuleId, ProcessId, TimeNs};
use object::Object;
use tempfile::TempDir;

/// Prints the return address of its call, that is an address inside the function it is inlined in.
const MARK: &str = "#include <stdio.h>
void mark(void) { printf(\"%lx\\n\", (unsigned long)__builtin_return_address(0)); fflush(stdout); }
";

/// Two functions inlined into `outer`, on lines 2 to 4.
pub(crate) const INLINED_C: &str = "void mark(void);
static inline __attribute__((always_inline)) void innermost(void) { mark(); }
static inline __attribute__((always_inline)) void middle(void) { innermost(); }
__attribute__((noinline)) void outer(void) { middle(); }
int main(void) { outer(); return 0; }
";

/// Code that is not position-independent, so that addresses are those the file states.
const FLAGS: [&str; 6] =
    ["-O2", "-no-pie", "-fno-pie", "-fno-optimize-sibling-calls", "-Wl,--build-id", "-rdynamic"];

/// A directory that is removed at the end, and a program in it.
pub(crate) struct Program {
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
    /// The address after the program's call of `mark`.
    pub(crate) return_address: u64,
}

impl Program {
    pub(crate) fn c(source: &str, flags: &[&str]) -> Program {
        Program::compiled("gcc", "program.c", source, flags)
    }

    pub(crate) fn cpp(source: &str, flags: &[&str]) -> Program {
        Program::compiled("g++", "program.cpp", source, flags)
    }

    pub(crate) fn rust(source: &str, flags: &[&str]) -> Program {
        let dir = sources("program.rs", source);
        run(dir.path(), "gcc", &["-c", "mark.c"]);
        let fixed =
            ["-O", "-Crelocation-model=static", "-Clink-args=mark.o -no-pie -Wl,--build-id"];
        let compiler = option_env!("RUSTC").unwrap_or("rustc");
        let arguments = [&fixed[..], flags, &["program.rs", "-o", "program"]].concat();
        run(dir.path(), compiler, &arguments);
        Program::started(dir)
    }

    fn compiled(compiler: &str, file: &str, source: &str, flags: &[&str]) -> Program {
        let dir = sources(file, source);
        // Without debug information, so that only the program's own can answer.
        run(dir.path(), "gcc", &["-O2", "-fno-pie", "-g0", "-c", "mark.c"]);
        run(dir.path(), compiler, &[&FLAGS[..], flags, &["-c", file, "-o", "program.o"]].concat());
        let link = [&FLAGS[..], flags, &["program.o", "mark.o", "-o", "program"]].concat();
        run(dir.path(), compiler, &link);
        Program::started(dir)
    }

    fn started(dir: TempDir) -> Program {
        let path = dir.path().canonicalize().unwrap().join("program");
        let said = run(dir.path(), path.to_str().unwrap(), &[]);
        let return_address = u64::from_str_radix(said.trim(), 16).unwrap();
        Program { dir, path, return_address }
    }

    /// The program as a tape's module.
    pub(crate) fn module(&self) -> Module {
        module(self.path.to_str().unwrap(), &self.build_id())
    }

    pub(crate) fn build_id(&self) -> Vec<u8> {
        let bytes = fs::read(&self.path).unwrap();
        object::File::parse(&*bytes).unwrap().build_id().unwrap().unwrap_or_default().to_vec()
    }

    /// Runs a tool in the program's directory.
    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) {
        run(self.dir.path(), tool, arguments);
    }

    /// Where the program's debug file would be in the debug directory `dir`.
    pub(crate) fn build_id_path(&self, dir: &Path) -> PathBuf {
        let id: String = self.build_id().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = dir.join(".build-id").join(&id[..2]).join(format!("{}.debug", &id[2..]));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

pub(crate) fn module(path: &str, build_id: &[u8]) -> Module {
    Module {
        id: ModuleId(0),
        process: ProcessId(0),
        path: path.as_bytes().to_vec(),
        build_id: build_id.to_vec(),
        start: 0x40_0000,
        end: 0x50_0000,
        bias: 0,
        loaded: TimeNs(0),
        unloaded: None,
    }
}

/// Searches nowhere but at the recorded path.
pub(crate) fn nowhere() -> SearchPaths {
    SearchPaths { debug_dirs: Vec::new(), sysroot: None }
}

/// Searches that debug directory.
pub(crate) fn debug_dir(dir: &Path) -> SearchPaths {
    SearchPaths { debug_dirs: vec![dir.to_path_buf()], sysroot: None }
}

/// `function:line` of each frame, `*` before the inlined ones.
pub(crate) fn outline(frames: &[Frame]) -> Vec<String> {
    let name = |frame: &Frame| frame.function.clone().unwrap_or("?".to_owned());
    let line = |frame: &Frame| frame.line.map_or("?".to_owned(), |line| line.to_string());
    let star = |frame: &Frame| if frame.inlined { "*" } else { "" };
    frames.iter().map(|f| format!("{}{}:{}", star(f), name(f), line(f))).collect()
}

fn sources(file: &str, source: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("mark.c"), MARK).unwrap();
    fs::write(dir.path().join(file), source).unwrap();
    dir
}

/// Runs a tool and returns what it printed. The compilers and binutils are required: a missing one
/// fails the test.
fn run(dir: &Path, tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|error| panic!("this test needs {tool}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?} failed:\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}
