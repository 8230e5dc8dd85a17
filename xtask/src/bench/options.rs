//! The words after `cargo xtask bench`.

/// How many rounds give stable minima on a machine that others use, too.
const ROUNDS: usize = 5;

/// What to do.
pub(super) struct Options {
    /// Measured rounds of each workload; one more comes first, for the caches and to watch memory.
    pub(super) rounds: usize,
    /// Only workloads whose name contains this.
    pub(super) only: Option<String>,
    /// Whether to keep the results in the repository.
    pub(super) write: bool,
    /// Small workloads and one round, for correctness.
    pub(super) short: bool,
    /// Measure nothing; draw the plot and the table of the README from the results that were kept.
    pub(super) plot: bool,
    /// Reports instead of recordings: what they weigh, and how they feel in a browser.
    pub(super) page: bool,
    /// Measure `heaptape ui` alone, on tapes of 100 million events.
    pub(super) served: bool,
    /// Guard mode and red zones beside memcheck and ASan, and what they cost where they are not used.
    pub(super) guard: bool,
}

impl Options {
    /// What `--short` means.
    pub(super) fn short() -> Self {
        Self {
            rounds: 1,
            only: None,
            write: false,
            short: true,
            plot: false,
            page: false,
            served: false,
            guard: false,
        }
    }

    /// Whether a workload of that name is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Whether nothing is left out.
    pub(super) fn everything(&self) -> bool {
        !self.short && self.only.is_none()
    }

    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self { rounds: ROUNDS, short: false, ..Self::short() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("bench: {word} needs a value"));
            match word.as_str() {
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|it| *it > 0);
                    options.rounds = rounds.ok_or("bench: --rounds needs a number above 0")?;
                }
                "--only" => options.only = Some(value()?.clone()),
                "--write" => options.write = true,
                "--short" => (options.short, options.rounds) = (true, 1),
                "--plot" => options.plot = true,
                "--page" => options.page = true,
                "--served" => options.served = true,
                "--guard" => options.guard = true,
                _ => return Err(format!("bench: {word} is not known")),
            }
        }
        if options.write && !options.everything() {
            return Err("bench: only the results of a whole bench are kept".into());
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
        let options = parse("--rounds 3 --only tree").unwrap();
        assert_eq!((options.rounds, options.only.as_deref()), (3, Some("tree")));
        assert_eq!(parse("--short").unwrap().rounds, 1);
        assert!(parse("--write").unwrap().everything());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["--rounds", "--rounds 0", "--faster", "--write --short", "--write --only tree"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
