//! Builds the library that is preloaded into targets and leaves it where the binary embeds it.
//!
//! Three direct compiler calls: wire, recorder, preload. They have no dependencies but `core`, so no
//! package manager is needed, and `cargo build` and `cargo install` alone give a working tool. The flags of the
//! surrounding build are left out on purpose: the library runs in other people's programs and must not
//! inherit a sanitizer, a coverage run or another panic strategy.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let crates = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    for name in ["wire", "recorder", "preload"] {
        let folder = crates.join(format!("heaptape-{name}/src"));
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    compile(&crates, &out, "wire", &[]);
    compile(&crates, &out, "recorder", &["wire"]);
    compile(&crates, &out, "preload", &["recorder", "wire"]);
}

/// Compiles one crate; the last of them as the library itself.
fn compile(crates: &Path, out: &Path, name: &str, uses: &[&str]) {
    let source = crates.join(format!("heaptape-{name}/src/lib.rs"));
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap());
    rustc.arg(&source).arg("--crate-name").arg(format!("heaptape_{name}"));
    rustc.args(["--edition=2024", "-Copt-level=3", "-Cpanic=abort", "-Cforce-unwind-tables=yes"]);
    rustc.args(["-Ccodegen-units=1", "--cap-lints=allow", "-Crelocation-model=pic"]);
    rustc.arg("--target").arg(env::var_os("TARGET").unwrap()).arg("-L").arg(out);
    for used in uses {
        let rlib = out.join(format!("libheaptape_{used}.rlib"));
        rustc.arg("--extern").arg(format!("heaptape_{used}={}", rlib.display()));
    }
    if name == "preload" {
        rustc.args(["--crate-type=cdylib", "--cfg=heaptape_preload", "-Cstrip=symbols"]);
        // Every access from one of the three crates to another would go by the global offset table.
        rustc.arg("-Clto=fat");
        // Bound at load: a lazily bound call would go through the loader inside malloc.
        rustc.args(["-Clink-arg=-nostartfiles", "-Clink-arg=-Wl,-z,now,-z,relro"]);
        rustc.args(["-Clink-arg=-Wl,-soname,libheaptape.so", "-Clink-arg=-Wl,--no-as-needed,-lc"]);
        rustc.arg("-o").arg(out.join("libheaptape_preload.so"));
    } else {
        rustc.arg("--crate-type=rlib");
        rustc.arg("-o").arg(out.join(format!("libheaptape_{name}.rlib")));
    }
    let status = rustc.status().unwrap_or_else(|e| panic!("cannot run rustc: {e}"));
    assert!(status.success(), "the preload library did not compile: {rustc:?}");
}
