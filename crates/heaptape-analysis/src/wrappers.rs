//! Which frames are nobody's call site: allocators, their wrappers, and language runtimes.
//!
//! A call site is the first frame that is none of these. The lists are plain and public, so that a
//! surprising call site can be understood: a frame is skipped by the file it lies in
//! ([`MODULE_PREFIXES`]), by its function's exact name ([`FUNCTIONS`]), by the start of its qualified
//! name ([`FUNCTION_PREFIXES`]), or because its source file is one of a language's library.

use crate::names::Frame;

/// Modules of the C and C++ runtimes, by the start of their file name.
pub const MODULE_PREFIXES: &[&str] = &[
    "ld-linux",
    "ld-musl",
    "libc.so",
    "libc-2.",
    "libc++.so",
    "libc++abi.so",
    "libdl.so",
    "libgcc_s.so",
    "libpthread.so",
    "libstdc++.so",
];

/// Allocation functions and wrappers that only pass a request on.
pub const FUNCTIONS: &[&str] = &[
    // the C library, also where it is linked in
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "valloc",
    "pvalloc",
    "strdup",
    "strndup",
    "__strdup",
    "__strndup",
    "wcsdup",
    "asprintf",
    "vasprintf",
    "getline",
    "getdelim",
    "free",
    "cfree",
    // GNU programs
    "xmalloc",
    "xcalloc",
    "xrealloc",
    "xreallocarray",
    "xzalloc",
    "xnmalloc",
    "xnrealloc",
    "x2realloc",
    "x2nrealloc",
    "xpalloc",
    "xmemdup",
    "xstrdup",
    "xstrndup",
    "ximalloc",
    "xicalloc",
    "xizalloc",
    "xirealloc",
    "imalloc",
    "irealloc",
    "ireallocarray",
    "do_xmalloc",
    "do_xmallocz",
    "xmallocz",
    "xmemdupz",
    // GLib
    "g_malloc",
    "g_malloc0",
    "g_malloc_n",
    "g_malloc0_n",
    "g_realloc",
    "g_realloc_n",
    "g_try_malloc",
    "g_try_malloc0",
    "g_try_malloc_n",
    "g_try_realloc",
    "g_slice_alloc",
    "g_slice_alloc0",
    "g_memdup",
    "g_memdup2",
    "g_strdup",
    "g_strndup",
    // CPython
    "PyMem_Malloc",
    "PyMem_Calloc",
    "PyMem_Realloc",
    "PyMem_RawMalloc",
    "PyMem_RawCalloc",
    "PyMem_RawRealloc",
    "PyObject_Malloc",
    "PyObject_Calloc",
    "PyObject_Realloc",
    "_PyMem_RawMalloc",
    "_PyMem_RawCalloc",
    "_PyMem_RawRealloc",
    "_PyObject_Malloc",
    "_PyObject_Calloc",
    "_PyObject_Realloc",
    "_PyObject_Arena",
    "_PyObject_ArenaMalloc",
    "_PyObject_ArenaMmap",
    "pymalloc_alloc",
    "new_arena",
    "allocate_from_new_pool",
    // others
    "CRYPTO_malloc",
    "CRYPTO_zalloc",
    "CRYPTO_calloc",
    "CRYPTO_realloc",
    "CRYPTO_strdup",
    "sqlite3Malloc",
    "sqlite3MemMalloc",
    "sqlite3MemRealloc",
    "sqlite3_malloc",
    "sqlite3_malloc64",
    "sqlite3_realloc",
    "sqlite3_realloc64",
    "sqlite3Realloc",
    "Perl_safesysmalloc",
    "Perl_safesyscalloc",
    "Perl_safesysrealloc",
    "zmalloc",
    "zcalloc",
    "zcalloc_num",
    "zrealloc",
    "zmalloc_usable",
    "zcalloc_usable",
    "zrealloc_usable",
    "ztrymalloc",
    "ztrycalloc",
    "ztryrealloc",
    "ztrymalloc_usable",
    "ztrycalloc_usable",
    "ztryrealloc_usable",
    "zstrdup",
    "av_malloc",
    "av_mallocz",
    "av_realloc",
    // Rust
    "__rust_alloc",
    "__rust_alloc_zeroed",
    "__rust_realloc",
    "__rdl_alloc",
    "__rdl_alloc_zeroed",
    "__rdl_realloc",
    "__rg_alloc",
    "__rg_realloc",
    "exchange_malloc",
];

/// Namespaces of language runtimes, and allocation operators.
pub const FUNCTION_PREFIXES: &[&str] = &[
    "operator new",
    "operator delete",
    "std::",
    "__gnu_cxx::",
    "__cxxabiv1::",
    "__cxa_",
    "alloc::",
    "core::",
    "hashbrown::",
    "<std::",
    "<alloc::",
    "<core::",
    "<hashbrown::",
    "<&alloc::",
    "_ZSt",
];

/// Rust's primitive types.
const RUST_PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
    "i128", "isize", "f32", "f64", "()",
];

/// Whether a frame is an allocator, a wrapper of one, or a language runtime.
pub fn is_wrapper(frame: &Frame) -> bool {
    let in_runtime = frame
        .module
        .as_deref()
        .is_some_and(|module| MODULE_PREFIXES.iter().any(|prefix| module.starts_with(prefix)));
    let name = qualified_name(&frame.function);
    in_runtime
        || frame.file.as_deref().is_some_and(is_runtime_source)
        || FUNCTIONS.contains(&name)
        || FUNCTION_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || is_rust_library_impl(name)
}

/// Whether a file belongs to the sources of Rust's library, its hash maps, or C++'s library. Functions
/// inlined from there have names without namespaces where a program has debug information for lines only.
fn is_runtime_source(path: &str) -> bool {
    let is_rust_library = (path.starts_with("/rustc/") && path.contains("/library/"))
        || path.contains("/rustlib/src/rust/library/");
    is_rust_library || path.contains("/hashbrown-") || path.starts_with("/usr/include/c++/")
}

/// Whether it is a function of Rust's own implementation of its own trait, as in
/// `<u8 as alloc::vec::spec_from_elem::SpecFromElem>::from_elem`.
///
/// Other crates may not implement these traits for primitive types, slices and bare parameters.
fn is_rust_library_impl(name: &str) -> bool {
    let Some((of, rest)) = name.strip_prefix('<').and_then(|name| name.split_once(" as ")) else {
        return false;
    };
    let is_parameter = of.len() <= 2 && of.bytes().all(|b| b.is_ascii_uppercase());
    (is_parameter || of.starts_with('[') || RUST_PRIMITIVES.contains(&of))
        && ["alloc::", "core::", "std::"].iter().any(|library| rest.starts_with(library))
}

/// The qualified name in a demangled signature: without return type and parameters.
///
/// `void std::vector<int>::push_back(int&&)` → `std::vector<int>::push_back`.
pub fn qualified_name(signature: &str) -> &str {
    let signature = signature.split(" [clone").next().unwrap_or(signature);
    let mut depth = 0_u32;
    let mut start = 0;
    for (at, c) in signature.char_indices() {
        match c {
            '(' if depth == 0 && !signature[at..].starts_with("(anonymous namespace)") => {
                return &signature[start..at];
            }
            '<' | '[' | '{' | '(' => depth += 1,
            '>' if signature[..at].ends_with('-') => {} // an arrow
            '>' | ']' | '}' | ')' => depth = depth.saturating_sub(1),
            // `operator new`, `operator<`, `operator bool`: the rest is the name, whatever it holds.
            'o' if depth == 0 && is_operator(signature, at) => {
                return operator_name(signature, start, at);
            }
            ' ' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    &signature[start..]
}

fn is_operator(signature: &str, at: usize) -> bool {
    let before = signature[..at].chars().next_back();
    let after = signature[at..].strip_prefix("operator").map(|rest| rest.chars().next());
    matches!(before, None | Some(' ' | ':'))
        && matches!(after, Some(next) if next.is_none_or(|c| !c.is_alphanumeric() && c != '_'))
}

fn operator_name(signature: &str, start: usize, at: usize) -> &str {
    let symbols = at + "operator".len();
    let from = if signature[symbols..].starts_with("()") { symbols + 2 } else { symbols };
    let end = signature[from..].find('(').map_or(signature.len(), |paren| from + paren);
    &signature[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn frame(function: &str, module: &str) -> Frame {
        Frame {
            function: function.into(),
            short: function.into(),
            file: None,
            line: 0,
            module: (!module.is_empty()).then(|| Arc::from(module)),
            inlined: false,
            why: None,
            named: true,
        }
    }

    #[test]
    fn names_are_found_in_signatures() {
        for (signature, name) in [
            ("main", "main"),
            (
                "void std::vector<int, std::allocator<int> >::push_back(int&&)",
                "std::vector<int, std::allocator<int> >::push_back",
            ),
            ("operator new(unsigned long)", "operator new"),
            ("ns::T::operator()(int) const", "ns::T::operator()"),
            ("bool ns::operator< <int>(int, int)", "ns::operator< <int>"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("void (anonymous namespace)::g()", "(anonymous namespace)::g"),
            ("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec<T,A>::push"),
            (
                "<alloc::string::String as core::clone::Clone>::clone",
                "<alloc::string::String as core::clone::Clone>::clone",
            ),
            ("cooperator(int)", "cooperator"),
            ("operator_table()", "operator_table"),
            ("", ""),
            (">>>)))((", ">>>)))"),
            ("<F as FnOnce() -> i32>::call", "<F as FnOnce() -> i32>::call"),
            ("f(int) [clone .cold]", "f"),
            ("f [clone .part.0]", "f"),
        ] {
            assert_eq!(qualified_name(signature), name, "{signature}");
        }
    }

    #[test]
    fn wrappers_are_skipped_and_users_are_not() {
        assert!(is_wrapper(&frame("operator new(unsigned long)", "libstdc++.so.6")));
        assert!(is_wrapper(&frame("void std::vector<user::T>::reserve(unsigned long)", "demo")));
        assert!(is_wrapper(&frame("xmalloc", "bash")));
        assert!(is_wrapper(&frame("<alloc::vec::Vec<T> as core::clone::Clone>::clone", "demo")));
        assert!(is_wrapper(&frame("fopen", "libc.so.6")));
        assert!(is_wrapper(&frame("<u8 as alloc::vec::spec::SpecFromElem>::from_elem", "demo")));
        assert!(is_wrapper(&frame("<T as alloc::slice::hack::ConvertVec>::to_vec", "demo")));
        assert!(is_wrapper(&frame("<[user::T] as alloc::borrow::ToOwned>::to_owned", "demo")));
        assert!(!is_wrapper(&frame("<user::T as core::clone::Clone>::clone", "demo")));
        assert!(!is_wrapper(&frame("<u8 as user::Trait>::make", "demo")));
        assert!(!is_wrapper(&frame("std_like::f(std::string)", "demo")));
        assert!(!is_wrapper(&frame("user::make(std::vector<int>)", "demo")));
        assert!(!is_wrapper(&frame("libcurl_init", "libcurl.so.4")));
    }

    #[test]
    fn a_name_without_its_namespace_is_known_by_its_file() {
        let at = |file: &str| Frame { file: Some(file.into()), ..frame("alloc", "demo") };
        for file in [
            "/rustc/59807616e1fa/library/alloc/src/alloc.rs",
            "/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/ops/function.rs",
            "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs",
            "/usr/include/c++/12/bits/new_allocator.h",
        ] {
            assert!(is_wrapper(&at(file)), "{file}");
        }
        for file in ["/home/me/rustc/library/alloc.rs", "/src/c++/alloc.h", "alloc.rs"] {
            assert!(!is_wrapper(&at(file)), "{file}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_name(text in "\\PC{0,40}") {
            proptest::prop_assert!(text.contains(qualified_name(&text)));
        }
    }
}
