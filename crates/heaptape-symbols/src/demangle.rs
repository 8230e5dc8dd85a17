//! Names for people: C++ (Itanium) and Rust (legacy and v0) demangling, and a short form for lists.

use std::borrow::Cow;
use std::fmt::{self, Write};

use cpp_demangle::{BorrowedSymbol, DemangleOptions, ParseOptions};

/// Longer mangled names stay as they are. The longest seen in real programs have some ten thousand
/// bytes.
const MAX_MANGLED_LEN: usize = 256 << 10;
/// A demangled name may be this long: back references let a short mangled name stand for an
/// exponentially long one.
const MAX_DEMANGLED_LEN: usize = 2 << 20;
/// How deep the C++ demangler may recurse; a nested template takes about five levels. Its own default
/// of 96 ends at names that real programs have. At this bound it stays well inside the stack of any
/// thread (2 MiB).
const MAX_DEPTH: u32 = 384;

/// The name as its author wrote it, with parameters for C++ and without hash for Rust. Names that are
/// not mangled, or not correctly, are returned unchanged.
pub fn demangle(raw: &str) -> Cow<'_, str> {
    if raw.len() > MAX_MANGLED_LEN {
        return Cow::Borrowed(raw);
    }
    let name = if raw.starts_with("_R") || is_rust_legacy(raw) {
        demangle_rust(raw)
    } else if raw.starts_with("_Z") {
        demangle_cpp(raw)
    } else {
        None
    };
    name.map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// Whether a name mangled like C++ ends in Rust's hash: `17h`, 16 hex digits, `E`.
fn is_rust_legacy(raw: &str) -> bool {
    let Some(rest) = raw.strip_prefix("_ZN") else { return false };
    rest.rfind("17h").is_some_and(|at| {
        let tail = &rest.as_bytes()[at + 3..];
        tail.len() > 16 && tail[..16].iter().all(u8::is_ascii_hexdigit) && tail[16] == b'E'
    })
}

fn demangle_rust(raw: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(raw).ok()?;
    let mut out = Bounded::default();
    // The alternate form leaves out the hash.
    write!(out, "{name:#}").ok()?;
    Some(out.0)
}

fn demangle_cpp(raw: &str) -> Option<String> {
    // A tail is a version (`@GLIBC_2.2.5`) or a compiler's suffix; it stays as it is.
    let parsing = ParseOptions::default().recursion_limit(MAX_DEPTH);
    let (symbol, tail) = BorrowedSymbol::with_tail_and_options(raw.as_bytes(), &parsing).ok()?;
    let mut out = Bounded::default();
    let writing = DemangleOptions::new().recursion_limit(MAX_DEPTH);
    symbol.structured_demangle(&mut out, &writing).ok()?;
    out.write_str(std::str::from_utf8(tail).ok()?).ok()?;
    Some(out.0)
}

/// Text that refuses to grow beyond [`MAX_DEMANGLED_LEN`].
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.0.len() + s.len() > MAX_DEMANGLED_LEN {
            return Err(fmt::Error);
        }
        self.0.push_str(s);
        Ok(())
    }
}

/// What comes before a name in the demangled form of a symbol that is no function of its own.
const PHRASES: [&str; 7] = [
    "non-virtual thunk to ",
    "virtual thunk to ",
    "covariant return thunk to ",
    "guard variable for ",
    "vtable for ",
    "typeinfo for ",
    "typeinfo name for ",
];

/// Operators whose characters would look like brackets or arrows, longest first, then the rest.
const OPERATORS: [&str; 45] = [
    " delete[]",
    " co_await",
    " delete",
    " new[]",
    " new",
    "<=>",
    "<<=",
    ">>=",
    "->*",
    "()",
    "[]",
    "\"\"",
    "<<",
    ">>",
    "<=",
    ">=",
    "->",
    "&&",
    "||",
    "++",
    "--",
    "==",
    "!=",
    "+=",
    "-=",
    "*=",
    "/=",
    "%=",
    "^=",
    "&=",
    "|=",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "&",
    "|",
    "~",
    "!",
    "=",
    ",",
];

/// A demangled name cut to what tells functions apart in a list: no parameters, no return type, no
/// ABI tags, template arguments as `<…>`.
///
/// `std::vector<int, std::allocator<int> >::push_back(int const&)` becomes
/// `std::vector<…>::push_back`. A name whose brackets do not match is returned unchanged.
pub fn short_name(name: &str) -> String {
    for phrase in PHRASES {
        if let Some(rest) = name.strip_prefix(phrase) {
            return format!("{phrase}{}", shorten(rest).unwrap_or_else(|| rest.to_owned()));
        }
    }
    shorten(name).unwrap_or_else(|| name.to_owned())
}

/// The short form; `None` when the brackets of `name` do not match.
fn shorten(name: &str) -> Option<String> {
    let mut out = String::new();
    // Rust's `<A as B>` whose `>` is still to come; inside, spaces are part of the name.
    let mut open_qualified = 0usize;
    let mut conversion = false;
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(len) = operator_len(&out, rest) {
            out.push_str(&rest[..len]);
            conversion = len == "operator ".len() && rest[..len].ends_with(' ');
            rest = &rest[len..];
            // `operator<< <char>`: the space only keeps the brackets apart.
            if rest.starts_with(" <") {
                rest = &rest[1..];
            }
            if rest.starts_with('<') {
                rest = &rest[balanced_len(rest)?..];
                out.push_str("<…>");
            }
            continue;
        }
        match c {
            '<' if opens_qualified(&out, rest) => {
                open_qualified += 1;
                out.push('<');
                rest = &rest[1..];
            }
            '<' => {
                rest = &rest[balanced_len(rest)?..];
                out.push_str("<…>");
            }
            '>' if out.ends_with('-') => {
                out.push('>');
                rest = &rest[1..];
            }
            '>' => {
                open_qualified = open_qualified.checked_sub(1)?;
                out.push('>');
                rest = &rest[1..];
            }
            '(' if rest.starts_with("(anonymous namespace)") => {
                out.push_str("(anonymous namespace)");
                rest = &rest["(anonymous namespace)".len()..];
            }
            '(' if open_qualified > 0 || out.ends_with("decltype") => {
                let len = balanced_len(rest)?;
                out.push_str(if len == 2 { "()" } else { "(…)" });
                rest = &rest[len..];
            }
            // A function that returns a pointer to a function wraps its own name: `void (*f(int))()`.
            '(' if rest.starts_with("(*") || rest.starts_with("(&") => return None,
            '(' => {
                // What follows the parameters (`const`, `[clone .cold]`) goes too, unless the
                // function is but the scope of a local name.
                rest = &rest[balanced_len(rest)?..];
                rest = rest.find("::").map_or("", |at| &rest[at..]);
                conversion = false;
            }
            '[' if open_qualified == 0 => rest = &rest[balanced_len(rest)?..],
            '{' => {
                let len = balanced_len(rest)?;
                out.push_str(&rest[..len]);
                rest = &rest[len..];
            }
            ')' | ']' | '}' if open_qualified == 0 => return None,
            ' ' if out.ends_with("decltype") => rest = &rest[1..],
            ' ' if open_qualified == 0 && !conversion => {
                // So far it was the return type.
                out.clear();
                rest = &rest[1..];
            }
            _ => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    (open_qualified == 0 && !out.is_empty()).then_some(out)
}

/// Whether the `<` at the start of `rest` begins a Rust path in brackets rather than arguments.
fn opens_qualified(out: &str, rest: &str) -> bool {
    rest.starts_with("<impl ")
        || !out.ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '_' | ':' | '>' | ')' | ']' | '}' | '…')
        })
}

/// Length of the operator's name (`operator<`, `operator new[]`, of a conversion just `operator `)
/// that `rest` begins with, if it does and is not the middle of a longer word.
fn operator_len(before: &str, rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("operator")?;
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(in_word) {
        return None;
    }
    let word = "operator".len();
    for operator in OPERATORS {
        if let Some(tail) = after.strip_prefix(operator)
            && !(operator.ends_with(char::is_alphabetic) && tail.starts_with(in_word))
        {
            return Some(word + operator.len() + literal_suffix_len(operator, tail));
        }
    }
    after.starts_with(' ').then_some(word + 1)
}

/// Length of the suffix of a literal operator: ` _km` in `operator"" _km`.
fn literal_suffix_len(operator: &str, tail: &str) -> usize {
    if operator != "\"\"" {
        return 0;
    }
    let end = tail
        .char_indices()
        .find(|&(i, c)| !(c.is_alphanumeric() || c == '_' || (i == 0 && c == ' ')));
    end.map_or(tail.len(), |(i, _)| i)
}

/// Length of the bracketed text that `text` begins with, both brackets included.
///
/// Inside round brackets, `<` and `>` that do not match are comparisons and are ignored.
fn balanced_len(text: &str) -> Option<usize> {
    let mut open: Vec<char> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(len) = operator_len(&text[..at], &text[at..]) {
            at += len;
            continue;
        }
        match c {
            '<' | '(' | '[' | '{' => open.push(c),
            '>' if text[..at].ends_with('-') => {}
            '>' if open.last() == Some(&'<') => {
                open.pop();
            }
            ')' | ']' | '}' => {
                let opener = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                while open.pop()? != opener {}
            }
            _ => {}
        }
        at += c.len_utf8();
        if open.is_empty() {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn demangles_cpp_and_both_rust_manglings() {
        for (raw, name) in [
            ("main", "main"),
            ("_ZN3foo3barEi", "foo::bar(int)"),
            ("_Znwm", "operator new(unsigned long)"),
            ("_ZN3foo3bar17h0123456789abcdefE", "foo::bar"),
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE.llvm.42", "core::ptr::drop_in_place"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_ZN3foo3bar17hzzzz", "_ZN3foo3bar17hzzzz"),
            ("_Z", "_Z"),
            ("_R", "_R"),
        ] {
            assert_eq!(demangle(raw), name, "{raw}");
        }
    }

    #[test]
    fn short_names() {
        for (full, short) in [
            ("main", "main"),
            ("foo(int)", "foo"),
            ("int foo<int>(int)", "foo<…>"),
            ("unsigned long ns::foo<int, char>(int)", "ns::foo<…>"),
            (
                "std::vector<int, std::allocator<int> >::push_back(int const&)",
                "std::vector<…>::push_back",
            ),
            ("operator new(unsigned long)", "operator new"),
            ("operator new[](unsigned long)", "operator new[]"),
            ("operator delete(void*)", "operator delete"),
            ("Foo::operator()(int) const", "Foo::operator()"),
            ("Foo::operator<(Foo const&) const", "Foo::operator<"),
            ("bool operator< <int>(A<int> const&)", "operator<<…>"),
            ("std::ostream& operator<< <char>(std::ostream&)", "operator<<<…>"),
            ("Foo::operator->() const", "Foo::operator->"),
            ("Foo::operator<=>(Foo const&) const", "Foo::operator<=>"),
            ("Foo::operator unsigned int() const", "Foo::operator unsigned int"),
            ("Foo::operator std::vector<int>()", "Foo::operator std::vector<…>"),
            ("operator\"\" _km(long double)", "operator\"\" _km"),
            ("operators::run(int)", "operators::run"),
            ("my_operator<int>(int)", "my_operator<…>"),
            ("(anonymous namespace)::foo(int)", "(anonymous namespace)::foo"),
            ("foo[abi:cxx11](int)", "foo"),
            ("foo(int) [clone .cold]", "foo"),
            ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()"),
            ("foo(int) const::{lambda()#1}::operator()() const", "foo::{lambda()#1}::operator()"),
            ("A<(1 > 0)>::f()", "A<…>::f"),
            ("A<&(B::operator>(int))>::f()", "A<…>::f"),
            ("decltype (a+b) foo<int>(int)", "foo<…>"),
            ("vtable for Foo<int>", "vtable for Foo<…>"),
            ("alloc::vec::Vec<T>::push", "alloc::vec::Vec<…>::push"),
            ("alloc::vec::Vec<T,A>::push::{{closure}}", "alloc::vec::Vec<…>::push::{{closure}}"),
            (
                "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop",
                "<alloc::vec::Vec<…> as core::ops::drop::Drop>::drop",
            ),
            (
                "core::fmt::num::<impl core::fmt::Debug for u8>::fmt",
                "core::fmt::num::<impl core::fmt::Debug for u8>::fmt",
            ),
            ("core::ptr::drop_in_place::<(u8, [u8; 3])>", "core::ptr::drop_in_place::<…>"),
            ("<F as core::ops::FnOnce<(A,)>>::call_once", "<F as core::ops::FnOnce<…>>::call_once"),
            ("void (*get(int))(char)", "void (*get(int))(char)"),
            ("broken<", "broken<"),
            ("broken)", "broken)"),
            ("", ""),
        ] {
            assert_eq!(short_name(full), short, "{full}");
        }
    }

    #[test]
    fn deep_nesting_is_demangled_or_left() {
        let nested = |n: usize| format!("_Z1f{}i{}", "1AI".repeat(n), "E".repeat(n));
        assert_eq!(demangle(&nested(3)), "f(A<A<A<int> > >)");
        assert!(demangle(&nested(60)).starts_with("f(A<A<"));
        // Whatever the rule that recurses, this thread's stack of 2 MiB is enough.
        for rule in [
            "P", "F", "FP", "1AI", "1AIJ", "N1AI", "N", "NN", "Z", "Z1f", "Z1fI", "X", "Xcl",
            "XcvP", "Xdt", "XsrS", "Lz", "LZ", "L_Z", "IL_Z1f", "Dp", "DTcl", "DTnt", "A_", "A1_",
            "M", "MP", "U3foo", "U3fooI", "UlP", "UlF", "NUlP", "TL", "sZ", "on", "cv", "cvP",
            "GV", "TV", "TVN", "Th0_", "NK", "NKR", "1AIXnt", "1AIXaa", "1AIXqu", "1AIXilP",
            "1AIXnw_P", "DO", "Dv_", "St", "NSt",
        ] {
            for end in ["", "i", "iE", "v", "1a"] {
                for n in [100, 1000, 30_000] {
                    short_name(&demangle(&format!("_Z{}{}", rule.repeat(n), end.repeat(n))));
                    short_name(&demangle(&format!("_Z1f{}{}", rule.repeat(n), end.repeat(n))));
                }
            }
        }
    }

    #[test]
    fn exponential_back_references_end_at_the_bound() {
        assert_eq!(demangle(&doublings(1)), "f(A<int, int>, A<A<int, int>, A<int, int> >)");
        let raw = doublings(60);
        assert_eq!(demangle(&raw), raw);
    }

    /// A function whose every parameter is a pair of the one before: 2^n times `int` in full.
    fn doublings(n: usize) -> String {
        let parameter = |i| format!("S_IS{0}_S{0}_E", base36(i));
        std::iter::once("_Z1f1AIiiE".to_owned()).chain((0..n).map(parameter)).collect()
    }

    fn base36(n: usize) -> String {
        let digit = |d: usize| char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[d]);
        if n < 36 { digit(n).to_string() } else { format!("{}{}", digit(n / 36), digit(n % 36)) }
    }

    proptest! {
        #[test]
        fn hostile_names_are_survived(tail in "[ -~…\u{0}é]{0,200}", prefix in "(_Z|_ZN|_R|)") {
            let raw = format!("{prefix}{tail}");
            short_name(&demangle(&raw));
        }

        #[test]
        fn hostile_manglings_are_survived(
            tail in "(N|E|S_|S0_|T_|I|J|L|Z|K|P|R|F|v|i|X|cl|sZ|D|1a|3foo|17h0123456789abcdefE|_|0|Ul|Ut|DpT_|C1|O){0,60}",
            prefix in "(_Z|_ZN|_R)",
        ) {
            let raw = format!("{prefix}{tail}");
            short_name(&demangle(&raw));
        }

        #[test]
        fn brackets_are_survived(name in "([a-z<>(){}\\[\\]:& -]|operator|…){0,60}") {
            prop_assert!(short_name(&name).len() <= name.len() * 3 + 8);
        }
    }
}
