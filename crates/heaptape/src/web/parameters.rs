//! The parameters of a question: `a=1&b=2&q=fn%3Aparse`.

use heaptape_analysis::block_filter::BlockFilter;
use heaptape_analysis::index::answers::{Measure, Metric};
use std::str::FromStr;

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

    pub(super) fn measure(&self) -> Result<Measure, String> {
        let filter = BlockFilter::parse(self.get("q").unwrap_or_default()).map_err(|wrong| {
            let wrong: Vec<String> = wrong.into_iter().map(|word| word.message).collect();
            wrong.join("; ")
        })?;
        Ok(Measure {
            metric: self.word::<Metric>("metric")?,
            t: self.position("t")?,
            a: self.position("a")?,
            b: self.position("b")?,
            filter,
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
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(Parameters::parse(bad).is_err(), "{bad}");
        }
    }
}
