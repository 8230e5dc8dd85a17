//! The parameters of a question: `a=1&b=2&q=fn%3Aparse`.

use heaptape_analysis::block_filter::BlockFilter;
use heaptape_analysis::index::answers::{Measure, Metric};
use heaptape_analysis::index::time_map::By;
use std::str::FromStr;

/// Groups of sizes or lifetimes that can be told apart.
const MOST_LIMITS: usize = 64;

/// Names and values, decoded.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(query: &str) -> Result<Parameters, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, String>>().map(Parameters)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number; pages write them as JavaScript does, a fraction is cut off.
    pub(super) fn number(&self, name: &str) -> Result<u64, String> {
        let text = self.get(name).ok_or_else(|| format!("{name} is missing"))?;
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        match text.parse::<f64>() {
            // `as` keeps what is too large or too small at the ends.
            Ok(number) if !number.is_nan() => Ok(number as u64),
            _ => Err(format!("{name} is no number")),
        }
    }

    /// A position: what is beyond all is the last one.
    pub(super) fn position(&self, name: &str) -> Result<u32, String> {
        Ok(u32::try_from(self.number(name)?).unwrap_or(u32::MAX))
    }

    /// A number up to `most`.
    pub(super) fn count(&self, name: &str, most: usize) -> Result<usize, String> {
        match usize::try_from(self.number(name)?) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(format!("{name} can be {most} at most")),
        }
    }

    pub(super) fn word<T: FromStr<Err = String>>(&self, name: &str) -> Result<T, String> {
        self.get(name).ok_or_else(|| format!("{name} is missing"))?.parse()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// What groups of blocks are told apart by.
    pub(super) fn by(&self) -> Result<By, String> {
        Ok(match self.get("by").ok_or("by is missing")? {
            "site" => By::Site,
            "size" => By::Size(self.limits()?),
            "lifetime" => By::Lifetime(self.limits()?),
            "thread" => By::Thread,
            "leak" => By::Leak,
            by => return Err(format!("blocks are not told apart by {by}")),
        })
    }

    /// `limits`: numbers with commas between them, in ascending order.
    fn limits(&self) -> Result<Vec<f64>, String> {
        let words = self.get("limits").ok_or("limits are missing")?.split(',');
        let limits: Vec<f64> = words
            .map(|word| word.parse().map_err(|_| format!("limits: {word:?} is no number")))
            .collect::<Result<_, String>>()?;
        if limits.len() > MOST_LIMITS {
            return Err(format!("{MOST_LIMITS} limits at most"));
        }
        // A NaN is in no order.
        if limits.is_sorted() { Ok(limits) } else { Err("limits must ascend".to_owned()) }
    }

    pub(super) fn filter(&self) -> Result<BlockFilter, String> {
        BlockFilter::parse(self.get("q").unwrap_or_default()).map_err(|wrong| {
            let wrong: Vec<String> = wrong.into_iter().map(|word| word.message).collect();
            wrong.join("; ")
        })
    }

    pub(super) fn measure(&self) -> Result<Measure, String> {
        Ok(Measure {
            metric: self.word::<Metric>("metric")?,
            t: self.position("t")?,
            a: self.position("a")?,
            b: self.position("b")?,
            filter: self.filter()?,
        })
    }
}

/// `%3A` → `:`, `+` → space.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                let plain = digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
                rest = rest.get(2..).unwrap_or_default();
                let value = plain.and_then(|two| u8::from_str_radix(two, 16).ok());
                value.ok_or("a % without two digits")?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let parameters =
            Parameters::parse("q=fn%3Aa+b%26&n=1e3&x=9007199254740992&f=true&e").unwrap();
        assert_eq!(parameters.get("q"), Some("fn:a b&"));
        assert_eq!(parameters.number("n"), Ok(1000));
        assert_eq!(parameters.number("x"), Ok(1 << 53));
        assert!(parameters.flag("f") && !parameters.flag("e"));
        assert!(parameters.number("q").is_err() && parameters.number("none").is_err());
        assert!(parameters.count("n", 999).is_err());
        let by = |query: &str| Parameters::parse(query).unwrap().by();
        assert_eq!(by("by=size&limits=1,2.5,1e30"), Ok(By::Size(vec![1.0, 2.5, 1e30])));
        assert_eq!(by("by=thread"), Ok(By::Thread));
        let many = format!("by=size&limits=1{}", ",1".repeat(MOST_LIMITS));
        for bad in
            ["by=", "by=size", "by=size&limits=2,1", "by=size&limits=1,NaN", "limits=1", &many]
        {
            assert!(by(bad).is_err(), "{bad}");
        }
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(Parameters::parse(bad).is_err(), "{bad}");
        }
    }
}
