//! Reading a filter: words, and what each asks.

use super::number::{self, Interval};
use super::pattern::Pattern;

/// A filter that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockFilter {
    pub(super) words: Vec<Word>,
}

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// `-word`: it must not hold.
    pub(super) not: bool,
    pub(super) test: Test,
}

/// A word that asks nothing, and where it stands: in UTF-16 units, as browsers count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongWord {
    /// From here.
    pub from: usize,
    /// To here.
    pub to: usize,
    /// Why.
    pub message: String,
}

/// Where a text is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextField {
    Function,
    File,
    Module,
    /// The function of the call site.
    Site,
    /// Function, file or module.
    Any,
}

/// What is measured of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Size,
    Usable,
    Life,
    Age,
    Born,
    Freed,
    Realloc,
}

/// What a word asks of a block. Times in nanoseconds since the recording began.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Text(TextField, Pattern),
    Measure(Field, Interval),
    Alive(f64),
    Thread(String),
    Addr(Interval),
    Id(f64),
    Leaked,
    Temporary,
    Inherited,
    /// One of these classes.
    Leak(Vec<u8>),
    /// The function called, in one word: `operator-new`.
    Api(String),
}

/// The keys, each with an example.
const KEYS: [(&str, &str); 17] = [
    ("fn", "fn:parse"),
    ("file", "file:src/*.cpp"),
    ("mod", "mod:libfoo"),
    ("site", "site:main"),
    ("size", "size:>=64Ki, size:16..64"),
    ("usable", "usable:>1Mi"),
    ("life", "life:<1ms"),
    ("age", "age:>1s"),
    ("born", "born:0.2s..0.4s"),
    ("freed", "freed:>1s"),
    ("alive", "alive:0.5s"),
    ("thread", "thread:2, thread:worker"),
    ("addr", "addr:0x5555\u{2026}, addr:0x5555..0x6666"),
    ("id", "id:41237"),
    ("leak", "leak:definite"),
    ("api", "api:realloc, api:operator-new"),
    ("realloc", "realloc:>3"),
];

/// The classes of leaks, by number.
const LEAKS: [&str; 5] = ["none", "definite", "indirect", "possible", "reachable"];

impl BlockFilter {
    /// Reads a filter; all words that are wrong, where some are.
    pub fn parse(text: &str) -> Result<BlockFilter, Vec<WrongWord>> {
        let (mut words, mut wrong) = (Vec::new(), Vec::new());
        for (at, word) in split(text) {
            let not = word.starts_with('-') && word.len() > 1;
            match test(if not { &word[1..] } else { word }) {
                Ok(test) => words.push(Word { not, test }),
                Err(message) => {
                    let units = |text: &str| text.encode_utf16().count();
                    let from = units(&text[..at]);
                    wrong.push(WrongWord { from, to: from + units(word), message });
                }
            }
        }
        if wrong.is_empty() { Ok(BlockFilter { words }) } else { Err(wrong) }
    }

    /// Whether every block passes.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether backtraces alone decide.
    pub fn is_of_backtraces(&self) -> bool {
        self.words.iter().all(|word| matches!(word.test, Test::Text(..)))
    }
}

/// The words with their places; quotes hold spaces together.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let (mut from, mut quoted) = (None, false);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && !quoted {
            words.extend(from.take().map(|from: usize| (from, &text[from..at])));
        } else {
            quoted ^= c == '"';
            from.get_or_insert(at);
        }
    }
    words.extend(from.map(|from| (from, &text[from..])));
    words
}

/// What a word asks, or why it asks nothing.
fn test(word: &str) -> Result<Test, String> {
    let key = &word[..word.bytes().take_while(u8::is_ascii_lowercase).count()];
    let rest = &word[key.len()..];
    let colon = rest.starts_with(':');
    let written = !key.is_empty() && (colon || rest.starts_with(['<', '>', '=']));
    let value = if colon { &rest[1..] } else { rest }.replace('"', "");
    let known = KEYS.iter().find(|(name, _)| *name == key);
    // `std::string` and `operator<` are names.
    if !written || (known.is_none() && (!colon || value.starts_with(':'))) {
        return plain(word);
    }
    let Some((_, example)) = known else {
        let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no {key}: \u{2014} known are {}", names.join(", ")));
    };
    if value.is_empty() {
        return Err(format!("{key}: needs a value, as in {example}"));
    }
    with_key(key, &value).ok_or_else(|| {
        format!("{key}: cannot be \u{201c}{value}\u{201d}; write it as in {example}")
    })
}

fn plain(word: &str) -> Result<Test, String> {
    let text = word.replace('"', "");
    let id = word.strip_prefix('#').and_then(number::count);
    Ok(match (word, id) {
        ("realloc", _) => Test::Measure(Field::Realloc, Interval::from(1.0)),
        ("leaked", _) => Test::Leaked,
        ("temp", _) => Test::Temporary,
        ("inherited", _) => Test::Inherited,
        (_, Some(id)) => Test::Id(id),
        _ if text.is_empty() => return Err("there is nothing between the quotes".to_owned()),
        _ => Test::Text(TextField::Any, Pattern::new(&text)),
    })
}

fn with_key(key: &str, value: &str) -> Option<Test> {
    let text = |field| Some(Test::Text(field, Pattern::new(value)));
    let within = |field, number: fn(&str) -> Option<f64>| {
        Interval::parse(value, number).map(|within| Test::Measure(field, within))
    };
    match key {
        "fn" => text(TextField::Function),
        "file" => text(TextField::File),
        "mod" => text(TextField::Module),
        "site" => text(TextField::Site),
        "size" => within(Field::Size, number::bytes),
        "usable" => within(Field::Usable, number::bytes),
        "realloc" => within(Field::Realloc, number::count),
        "life" => within(Field::Life, number::time),
        "age" => within(Field::Age, number::time),
        "born" => within(Field::Born, number::time),
        "freed" => within(Field::Freed, number::time),
        "alive" => number::time(value).map(Test::Alive),
        "thread" => Some(Test::Thread(value.to_owned())),
        "addr" => Interval::parse(value, number::address).map(Test::Addr),
        "id" => number::count(value).map(Test::Id),
        "leak" => {
            let class = |name| LEAKS.iter().position(|known| *known == name).map(|it| it as u8);
            value.split(',').map(class).collect::<Option<Vec<u8>>>().map(Test::Leak)
        }
        _ => Some(Test::Api(value.replace(' ', "-"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Test {
        let filter = BlockFilter::parse(text).unwrap();
        assert_eq!(filter.words.len(), 1, "{text}");
        filter.words[0].test.clone()
    }

    fn interval(text: &str) -> (f64, f64, bool, bool) {
        match one(text) {
            Test::Measure(_, it) | Test::Addr(it) => (it.lo, it.hi, it.open_lo, it.open_hi),
            other => panic!("{text}: {other:?}"),
        }
    }

    /// The words of docs/page.md.
    #[test]
    fn words_ask_what_they_say() {
        const MORE: f64 = f64::INFINITY;
        assert_eq!(interval("size:>=64Ki"), (65_536.0, MORE, false, false));
        assert_eq!(interval("size>3"), (3.0, MORE, true, false));
        assert_eq!(interval("size:1.5MiB"), (1_572_864.0, 1_572_864.0, false, false));
        assert_eq!(interval("life:<1ms"), (-MORE, 1e6, false, true));
        assert_eq!(interval("born:0.2s..0.4s"), (2e8, 4e8, false, false));
        assert_eq!(interval("addr:0x5555.."), (21_845.0, MORE, false, false));
        assert_eq!(interval("realloc"), (1.0, MORE, false, false));
        assert_eq!(interval("realloc>3"), (3.0, MORE, true, false));
        assert_eq!(one("alive:17\u{b5}s"), Test::Alive(17_000.0));
        assert_eq!(one("#41237"), Test::Id(41_237.0));
        assert_eq!(one("leak:definite,reachable"), Test::Leak(vec![1, 4]));
        assert_eq!(one("std::string"), Test::Text(TextField::Any, Pattern::new("std::string")));
        assert_eq!(one("operator<"), Test::Text(TextField::Any, Pattern::new("operator<")));
        assert_eq!(one("fn:\"a b\""), Test::Text(TextField::Function, Pattern::new("a b")));
        assert!(BlockFilter::parse("-leaked").unwrap().words[0].not);
        assert!(BlockFilter::parse("  ").unwrap().is_empty());
    }

    #[test]
    fn wrong_words_are_told_with_their_place() {
        let places = |text: &str| -> Vec<(usize, usize)> {
            BlockFilter::parse(text).unwrap_err().iter().map(|it| (it.from, it.to)).collect()
        };
        assert_eq!(places("fn:a size:x life: zap:1"), [(5, 11), (12, 17), (18, 23)]);
        assert_eq!(places("\u{1f600} born:9..1"), [(3, 12)], "in units of UTF-16");
        assert_eq!(places("\"\""), [(0, 2)]);
        for wrong in
            ["size:..", "size:1..2..3", "addr:0x", "leak:bad", "life:1h", "size:1..", "id:x"]
        {
            assert_eq!(BlockFilter::parse(wrong).is_err(), wrong != "size:1..", "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,40}") {
            let _ = BlockFilter::parse(&text);
        }
    }
}
