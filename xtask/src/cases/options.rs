//! The words after `cargo xtask cases`.

use super::tool::Tool;

/// What to do.
pub(super) struct Options {
    /// Only cases whose name contains this.
    pub(super) only: Option<String>,
    /// Who looks.
    pub(super) tools: Vec<Tool>,
    /// Cases looked at at once.
    pub(super) jobs: usize,
    /// heaptape alone, each case in the modes that have something to say of it.
    pub(super) short: bool,
    /// Whether to keep the results in the repository.
    pub(super) write: bool,
    /// Appended to each build line.
    pub(super) build: Vec<String>,
}

impl Options {
    /// What `--short` means.
    pub(super) fn short() -> Self {
        let tools = Tool::ALL.into_iter().filter(|it| it.is_ours()).collect();
        Self { only: None, tools, jobs: 2, short: true, write: false, build: Vec::new() }
    }

    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self { tools: Tool::ALL.into(), short: false, ..Self::short() };
        let mut chosen = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("cases: {word} needs a value"));
            match word.as_str() {
                "--only" => options.only = Some(value()?.clone()),
                "--mode" => chosen.push(Tool::named(value()?)?),
                "--jobs" => {
                    let jobs = value()?.parse().ok().filter(|it| *it > 0);
                    options.jobs = jobs.ok_or("cases: --jobs needs a number above 0")?;
                }
                "--build" => options.build.push(value()?.clone()),
                "--short" => options = Self { short: true, tools: Self::short().tools, ..options },
                "--write" => options.write = true,
                _ => return Err(format!("cases: {word} is not known")),
            }
        }
        let whole = options.only.is_none() && chosen.is_empty() && options.build.is_empty();
        if options.write && (options.short || !whole) {
            return Err("cases: only the results of a whole run are kept".into());
        }
        if !chosen.is_empty() {
            options.tools = chosen;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_understood() {
        let options = parse("--only leaks --mode plain --mode asan --jobs 4 --build -O2").unwrap();
        assert_eq!(options.tools, [Tool::Plain, Tool::Asan]);
        assert_eq!((options.jobs, options.build[0].as_str()), (4, "-O2"));
        assert!(parse("--short").unwrap().tools.iter().all(|it| it.is_ours()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["--mode gdb", "--jobs 0", "--only", "--write --short", "--write --only x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
