//! The words for what may be found in a program, the same for every tool and in `targets/cases/cases.tsv`.

use std::collections::BTreeSet;

/// What sort of thing a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// A wrong free, realloc or delete.
    Free,
    /// A read or write where nothing is to be read or written.
    Access,
    /// A block that is still there at the end.
    Leak,
    /// An end by a signal.
    Crash,
}

/// All words but those of crashes: these are the signal's name and, where a tool tells it, what was wrong with the
/// address: `SIGSEGV:null`.
const WORDS: [(&str, Group); 15] = [
    ("double_free", Group::Free),
    ("invalid_free", Group::Free),
    ("mismatched_free", Group::Free),
    ("overflow_write", Group::Access),
    ("overflow_read", Group::Access),
    ("underflow_write", Group::Access),
    ("underflow_read", Group::Access),
    ("use_after_free_write", Group::Access),
    ("use_after_free_read", Group::Access),
    // Of an address that is near no block.
    ("wild_write", Group::Access),
    ("wild_read", Group::Access),
    ("definite", Group::Leak),
    ("indirect", Group::Leak),
    ("possible", Group::Leak),
    ("reachable", Group::Leak),
];

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) group: Group,
    pub(super) word: String,
}

/// What was found in a program, or is to be.
pub(super) type Findings = BTreeSet<Finding>;

impl Finding {
    /// An error for a word that is none of ours.
    pub(super) fn new(word: &str) -> Result<Self, String> {
        let known = WORDS.iter().find(|(known, _)| *known == word).map(|(_, group)| *group);
        let group = known.or(word.starts_with("SIG").then_some(Group::Crash));
        let group = group.ok_or_else(|| format!("{word:?} is no finding"))?;
        Ok(Self { group, word: word.to_owned() })
    }

    /// A finding whose word is written in this program.
    pub(super) fn known(word: &str) -> Self {
        Self::new(word).expect("a word of ours")
    }

    /// An end by the signal of that number.
    pub(super) fn signal(number: i32) -> Self {
        let name = match number {
            4 => "SIGILL",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            11 => "SIGSEGV",
            other => return Self { group: Group::Crash, word: format!("SIG{other}") },
        };
        Self::known(name)
    }

    /// The name of the signal alone; other findings as they are.
    pub(super) fn roughly(&self) -> &str {
        self.word.split(':').next().unwrap_or_default()
    }

    /// The word without the kind of access: the row of the report that counts it.
    pub(super) fn kind(&self) -> &str {
        match self.group {
            Group::Crash => "crash",
            _ => &self.word,
        }
    }
}

/// Findings in words; `-` where there are none.
pub(super) fn words(findings: &Findings) -> String {
    let words: Vec<&str> = findings.iter().map(|it| it.word.as_str()).collect();
    if words.is_empty() { "-".into() } else { words.join(",") }
}
