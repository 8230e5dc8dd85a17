//! Leaks that are not to be shown: files in the forms of LeakSanitizer and of valgrind, as people have them.
//!
//! * LeakSanitizer: `leak:pattern` on a line. It matches if a function, a source file or a module of any frame holds
//!   the pattern; `*` stands for anything, `^` and `$` for beginning and end.
//! * valgrind: `{ name Memcheck:Leak match-leak-kinds: … fun:… obj:… src:… … }`, line by line. The frames must match
//!   from the innermost on; `...` stands for any number of frames, `*` and `?` as in file names. Suppressions of
//!   other errors are passed over.
//!
//! Functions are compared with and without their parameters, modules by their file name.

use crate::leaks::Kinds;
use crate::metric::Weight;
use crate::names::{Frame, file_name};
use crate::wrappers::qualified_name;
use heaptape_tape::LeakKind;
use serde::Serialize;

/// All suppressions that were given.
#[derive(Clone, Debug, Default)]
pub struct Suppressions {
    list: Vec<(Suppression, Rule)>,
}

/// One suppression and its use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// Its name, or its pattern.
    pub name: String,
    /// The file it is from, as it was named.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// What it has suppressed.
    #[serde(flatten)]
    pub used: Weight,
}

#[derive(Clone, Debug)]
enum Rule {
    /// LeakSanitizer's.
    Anywhere(String),
    /// valgrind's.
    Frames(Kinds, Vec<FrameRule>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum FrameRule {
    Function(String),
    Object(String),
    Source(String),
    AnyNumber,
}

impl Suppressions {
    /// Adds those of a file. `demangle` makes a readable name of a mangled one. Fails with the line and what is wrong
    /// there.
    pub fn add(
        &mut self,
        file: &str,
        text: &str,
        demangle: &dyn Fn(&str) -> String,
    ) -> Result<(), String> {
        let mut lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        while let Some((line, number)) = lines.next() {
            let wrong = |what: &str| Err(format!("{file}:{number}: {what}"));
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(pattern) = line.strip_prefix("leak:") {
                self.push(file, number, pattern.trim(), Rule::Anywhere(pattern.trim().to_owned()));
            } else if line == "{" {
                let mut body = Vec::new();
                loop {
                    match lines.next() {
                        Some(("}", _)) => break,
                        Some((line, _)) if line.starts_with('#') || line.is_empty() => {}
                        Some((line, _)) => body.push(line),
                        None => return wrong("this suppression has no end"),
                    }
                }
                match entry(&body, demangle) {
                    Ok(Some((name, rule))) => self.push(file, number, name, rule),
                    Ok(None) => {}
                    Err(what) => return wrong(&what),
                }
            } else if !line.split_once(':').is_some_and(|(kind, _)| is_other_sanitizer(kind)) {
                return wrong("expected leak:PATTERN or a suppression in braces");
            }
        }
        Ok(())
    }

    fn push(&mut self, file: &str, line: usize, name: &str, rule: Rule) {
        let used = Weight::default();
        let (name, file) = (name.to_owned(), file.to_owned());
        self.list.push((Suppression { name, file, line, used }, rule));
    }

    /// Whether one of them, which then counts it, matches blocks of that kind that `function` allocated.
    pub fn matches(
        &mut self,
        kind: LeakKind,
        function: &str,
        backtrace: &[Frame],
        weight: &Weight,
    ) -> bool {
        let found = self.list.iter_mut().find(|(_, rule)| match rule {
            Rule::Anywhere(pattern) => anywhere(pattern, backtrace),
            Rule::Frames(kinds, rules) => kinds.has(kind) && frames(rules, function, backtrace),
        });
        match found {
            Some((suppression, _)) => {
                suppression.used += *weight;
                true
            }
            None => false,
        }
    }

    /// All of them, with their use.
    pub fn all(&self) -> impl Iterator<Item = &Suppression> {
        self.list.iter().map(|(suppression, _)| suppression)
    }
}

/// Lines of files that are for other sanitizers as well.
fn is_other_sanitizer(kind: &str) -> bool {
    !kind.is_empty()
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// A suppression of valgrind's; `None` if it is for another tool or another error.
fn entry<'a>(
    body: &[&'a str],
    demangle: &dyn Fn(&str) -> String,
) -> Result<Option<(&'a str, Rule)>, String> {
    let [name, tools, rest @ ..] = body else {
        return Err("expected a name and Memcheck:Leak".to_owned());
    };
    let Some((tools, error)) = tools.split_once(':') else {
        return Err(format!("expected Memcheck:Leak, not {tools}"));
    };
    if error.trim() != "Leak" || !tools.split(',').any(|tool| tool.trim() == "Memcheck") {
        return Ok(None);
    }
    let (mut kinds, mut rules) = (Kinds::ALL, Vec::new());
    for line in rest {
        if let Some(words) = line.strip_prefix("match-leak-kinds:") {
            kinds = Kinds::parse(words.trim()).ok_or_else(|| format!("unknown kinds: {words}"))?;
        } else if let Some(function) = line.strip_prefix("fun:") {
            let is_mangled = function.starts_with("_Z") && !function.contains(['*', '?']);
            let name = if is_mangled { demangle(function) } else { function.to_owned() };
            rules.push(FrameRule::Function(name));
        } else if let Some(object) = line.strip_prefix("obj:") {
            rules.push(FrameRule::Object(object.to_owned()));
        } else if let Some(source) = line.strip_prefix("src:") {
            rules.push(FrameRule::Source(source.to_owned()));
        } else if *line == "..." {
            rules.push(FrameRule::AnyNumber);
        } else {
            return Err(format!("expected fun:, obj:, src: or ..., not {line}"));
        }
    }
    if rules.is_empty() {
        return Err("it has no frames".to_owned());
    }
    Ok(Some((name, Rule::Frames(kinds, rules))))
}

fn anywhere(pattern: &str, backtrace: &[Frame]) -> bool {
    backtrace.iter().any(|frame| {
        let names = [Some(&frame.function), frame.file.as_ref(), frame.module.as_ref()];
        names.into_iter().flatten().any(|name| holds(pattern, name))
    })
}

/// LeakSanitizer's way: the pattern may be anywhere in the text, unless it says otherwise.
fn holds(pattern: &str, text: &str) -> bool {
    let (pattern, from_start) = match pattern.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let star = |wanted: bool| if wanted { "" } else { "*" };
    // `?` means itself here.
    is_like(&format!("{}{pattern}{}", star(from_start), star(to_end)), text, false)
}

/// Whether the frames, the allocator's function the innermost of them, match from the first on.
fn frames(rules: &[FrameRule], function: &str, backtrace: &[Frame]) -> bool {
    // By rule, whether it can begin at the current frame: a step per frame keeps hostile files harmless.
    let mut states = vec![false; rules.len() + 1];
    states[0] = true;
    skip_any(rules, &mut states);
    for at in 0..=backtrace.len() {
        if states[rules.len()] {
            return true;
        }
        let mut next = vec![false; rules.len() + 1];
        for (state, rule) in rules.iter().enumerate().filter(|(state, _)| states[*state]) {
            if *rule == FrameRule::AnyNumber {
                next[state] = true;
            } else if at == 0 && is_allocator(rule, function)
                || at > 0 && is_frame(rule, &backtrace[at - 1])
            {
                next[state + 1] = true;
            }
        }
        states = next;
        skip_any(rules, &mut states);
    }
    states[rules.len()]
}

fn skip_any(rules: &[FrameRule], states: &mut [bool]) {
    for (state, rule) in rules.iter().enumerate() {
        if states[state] && *rule == FrameRule::AnyNumber {
            states[state + 1] = true;
        }
    }
}

/// valgrind's own functions stand for the allocator's: only their names can match.
fn is_allocator(rule: &FrameRule, function: &str) -> bool {
    match rule {
        FrameRule::Function(pattern) => {
            is_like(pattern, function, true)
                // The names of all forms of new begin so; they are told apart by their parameters.
                || function.starts_with("operator new") && qualified_name(pattern) == function
        }
        FrameRule::Object(pattern) => pattern.contains("vgpreload") || pattern == "*",
        FrameRule::Source(_) | FrameRule::AnyNumber => false,
    }
}

fn is_frame(rule: &FrameRule, frame: &Frame) -> bool {
    match rule {
        FrameRule::Function(pattern) => {
            let function = &frame.function;
            is_like(pattern, function, true) || is_like(pattern, qualified_name(function), true)
        }
        FrameRule::Object(pattern) => frame
            .module
            .as_ref()
            .is_some_and(|module| is_like(file_name(pattern), module, true) || pattern == "*"),
        FrameRule::Source(pattern) => {
            let numbered = pattern.rsplit_once(':').and_then(|(file, line)| {
                let line: u32 = line.parse().ok()?;
                Some((file, Some(line)))
            });
            let (file, line) = numbered.unwrap_or((pattern, None));
            let is_file =
                |path: &str| is_like(file, path, true) || is_like(file, file_name(path), true);
            frame.file.as_ref().is_some_and(|path| is_file(path))
                && line.is_none_or(|line| line == frame.line)
        }
        FrameRule::AnyNumber => true,
    }
}

/// Whether a text is like a pattern with `*` and, where it is wanted, `?`.
fn is_like(pattern: &str, text: &str, one: bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star did not fit.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == text[t] || one && byte == b'?' => {
                p += 1;
                t += 1;
            }
            _ => match again {
                Some((after, from)) => {
                    again = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// An entry that suppresses leaks of that kind from that backtrace, here and by valgrind.
pub fn entry_for(kind: LeakKind, function: &str, backtrace: &[Frame]) -> String {
    let is_operator = function.starts_with("operator");
    let mut text = format!(
        "{{\n   <insert_a_suppression_name_here>\n   Memcheck:Leak\n   match-leak-kinds: {}\n   fun:{}\n",
        crate::leaks::word(kind),
        if is_operator { "_Zn*" } else { function }
    );
    let of_library = |frame: &&Frame| is_operator && frame.function.starts_with("operator new");
    let within = backtrace.iter().take_while(of_library).count();
    if within > 0 {
        // One form of the operator calls another, unless valgrind stands in its place.
        text.push_str("   ...\n");
    }
    for frame in backtrace[within..].iter().take(MOST_FRAMES) {
        let line = match &frame.module {
            _ if frame.named => format!("   fun:{}\n", raw_pattern(frame)),
            Some(module) => format!("   obj:*/{module}\n"),
            None => "   obj:*\n".to_owned(),
        };
        text.push_str(&line);
        // Outside of it valgrind shows nothing.
        if &*frame.function == "main" {
            break;
        }
    }
    text.push('}');
    text
}

/// A pattern for a function that fits before demangling, too: the names of its scopes and its own, one after the
/// other.
fn raw_pattern(frame: &Frame) -> String {
    let name = qualified_name(&frame.function);
    let is_of_name = |c: char| c.is_alphanumeric() || "_.$@".contains(c);
    // Debug information names functions of C++ without their parameters.
    let is_c = frame.file.as_ref().is_none_or(|file| file.ends_with(".c") || file.ends_with(".h"));
    let is_plain = *name == *frame.function && name.chars().all(is_of_name);
    if name == "main" || is_c && is_plain {
        return name.to_owned();
    }
    let mut words: Vec<&str> = Vec::new();
    let (mut depth, mut rest) = (0u32, name);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c| !is_of_name(c)).map_or(rest, |end| &rest[..end]);
        if depth == 0 && word == "operator" {
            break;
        }
        match first {
            '<' | '(' | '{' | '[' => depth += 1,
            '>' | ')' | '}' | ']' => depth = depth.saturating_sub(1),
            // What comes of std is abbreviated; of a constructor the class is said once.
            _ if depth == 0 && !word.is_empty() && word != "std" && words.last() != Some(&word) => {
                words.push(word);
            }
            _ => {}
        }
        rest = &rest[word.len().max(first.len_utf8())..];
    }
    match words[..] {
        [] => "*".to_owned(),
        _ => format!("*{}*", words.join("*")),
    }
}

/// valgrind's bound on the frames of a suppression.
const MOST_FRAMES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str, line: u32, module: &str) -> Frame {
        Frame {
            function: function.into(),
            short: function.into(),
            file: Some(file.into()),
            line,
            module: Some(module.into()),
            inlined: false,
            why: None,
            named: true,
        }
    }

    fn trace() -> Vec<Frame> {
        vec![
            frame("app::grow(int)", "src/app.cpp", 12, "libapp.so.1"),
            frame("run", "src/run.c", 7, "demo"),
            frame("main", "src/run.c", 40, "demo"),
        ]
    }

    fn suppressed(text: &str, kind: LeakKind) -> bool {
        let mut all = Suppressions::default();
        all.add("f", text, &|name| name.replace("_ZN3app4growEi", "app::grow(int)")).unwrap();
        let is = all.matches(kind, "malloc", &trace(), &Weight::block(5));
        let used = all.all().map(|s| s.used.bytes).sum::<u64>();
        assert_eq!(used, if is { 5 } else { 0 });
        is
    }

    #[test]
    fn patterns_of_leak_sanitizer() {
        let is = |pattern: &str| {
            suppressed(&format!("# mine\nrace:x\nleak:{pattern}\n"), LeakKind::Definite)
        };
        for yes in ["grow", "^app::", "libapp.so", "run.c$", "a*w(int)$", "^run$", "src/*.c"] {
            assert!(is(yes), "{yes}");
        }
        for no in ["^grow", "libapp$", "malloc", "?un", "ma?n"] {
            assert!(!is(no), "{no}");
        }
    }

    #[test]
    fn frames_of_valgrind() {
        let is = |frames: &str| {
            suppressed(&format!("{{\n n\n Memcheck:Leak\n{frames}\n}}\n"), LeakKind::Definite)
        };
        for yes in [
            "fun:malloc",
            "fun:malloc\nfun:_ZN3app4growEi\nfun:run",
            "fun:m?lloc\n...\nfun:main",
            "...\nobj:*/libapp.so*",
            "match-leak-kinds: definite\nfun:malloc\nsrc:app.cpp:12\n",
            "...",
            "fun:*\nfun:app::grow",
        ] {
            assert!(is(yes), "{yes}");
        }
        for no in [
            "fun:main",
            "fun:malloc\nfun:main",
            "match-leak-kinds: possible,reachable\nfun:malloc",
            "fun:malloc\nsrc:app.cpp:13",
            "fun:malloc\n...\nfun:run\nfun:run",
        ] {
            assert!(!is(no), "{no}");
        }
        assert!(!suppressed("{\n n\n Memcheck:Addr4\n fun:malloc\n}", LeakKind::Definite));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong =
            |text: &str| Suppressions::default().add("f", text, &str::to_owned).unwrap_err();
        assert_eq!(wrong("\nnonsense"), "f:2: expected leak:PATTERN or a suppression in braces");
        assert_eq!(wrong("{\n n\n Memcheck:Leak\n fun:x"), "f:1: this suppression has no end");
        assert!(wrong("{\n n\n Memcheck:Leak\n what:x\n}").contains("not what:x"));
    }

    #[test]
    fn what_is_generated_suppresses() {
        let text = entry_for(LeakKind::Definite, "malloc", &trace());
        assert!(suppressed(&text, LeakKind::Definite), "{text}");
        assert!(!suppressed(&text, LeakKind::Possible));
    }

    /// valgrind compares names as they are before demangling, and shows nothing outside of main.
    #[test]
    fn what_is_generated_fits_raw_names() {
        let mut trace = trace();
        trace.insert(0, frame("operator new(unsigned long)", "", 0, "libstdc++.so.6"));
        trace.push(frame("__libc_start_main", "", 0, "libc.so.6"));
        let text = entry_for(LeakKind::Definite, "operator new", &trace);
        assert!(
            text.ends_with("fun:_Zn*\n   ...\n   fun:*app*grow*\n   fun:run\n   fun:main\n}"),
            "{text}"
        );
        for (function, pattern) in [
            ("main", "main"),
            ("forget", "*forget*"),
            ("forget()", "*forget*"),
            ("lab::Keeper::make<double>", "*lab*Keeper*make*"),
            ("std::vector<int, std::allocator<int> >::push_back(int&&)", "*vector*push_back*"),
            ("(anonymous namespace)::Box::Box(int)", "*Box*"),
            ("Box::~Box()", "*Box*"),
            ("a::Box::operator<(a::Box const&)", "*a*Box*"),
            ("<alloc::vec::Vec<T> as Drop>::drop", "*drop*"),
            ("{{closure}}", "*"),
        ] {
            assert_eq!(raw_pattern(&frame(function, "a.cpp", 1, "a")), pattern);
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        assert!(!is_like(&"*a".repeat(60), &"a".repeat(50), true));
    }
}
