//! Compiles the programs of `targets/` as their `build:` lines say, once per change of the sources.
//! In such a line `{NAME}` and `{NAME.VARIANT}` stand for the library made of another source.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the sources.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets").canonicalize().expect("targets/")
}

/// The program made of `targets/NAME.{c,cpp,rs}` by its `// build:` line.
pub(crate) fn target(name: &str) -> PathBuf {
    compile(name, "// build: ", &name.replace('/', "."))
}

/// The program made of the same source by its `// build(VARIANT):` line.
pub(crate) fn variant(name: &str, variant: &str) -> PathBuf {
    let file_name = format!("{}.{variant}", name.replace('/', "."));
    compile(name, &format!("// build({variant}): "), &file_name)
}

fn compile(name: &str, marker: &str, file_name: &str) -> PathBuf {
    let sources = sources();
    let source = ["c", "cpp", "rs"]
        .map(|extension| sources.join(format!("{name}.{extension}")))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no target {name}"));
    let text = fs::read_to_string(&source).expect("readable source");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(marker))
        .unwrap_or_else(|| panic!("{} has no line {marker:?}", source.display()));
    let words: Vec<String> = line.split_whitespace().map(library).collect();

    let mut hash = DefaultHasher::new();
    (&text, &words).hash(&mut hash);
    for ledger in ["ledger.h", "ledger.rs"] {
        fs::read(sources.join(ledger)).expect("readable ledger").hash(&mut hash);
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../heaptape-targets");
    let folder = built.join(format!("{:016x}", hash.finish()));
    let program = folder.join(file_name);
    if !program.exists() {
        fs::create_dir_all(&folder).expect("a folder for the target");
        // Tests run side by side: each builds under a name of its own, the last rename wins.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let own = folder.join(format!("{file_name}.{process}.{thread:?}"));
        // The source first: a linker takes libraries for what was before them.
        let output = Command::new(&words[0])
            .arg("-o")
            .arg(&own)
            .arg(&source)
            .args(&words[1..])
            .output()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&own, &program).expect("the target in its place");
    }
    program.canonicalize().expect("the target's path")
}

/// A word of a `build:` line, with the path of the library in place of its name.
fn library(word: &str) -> String {
    let Some(name) = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) else {
        return word.to_owned();
    };
    let path = match name.split_once('.') {
        Some((name, kind)) => variant(name, kind),
        None => target(name),
    };
    path.to_str().expect("a plain path").to_owned()
}
