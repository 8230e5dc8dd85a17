//! Numbers with units, and intervals of them, as the page's filter writes them.

/// Numbers from `lo` to `hi`; the ends belong to it unless they are open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) open_lo: bool,
    pub(super) open_hi: bool,
}

impl Interval {
    /// That number and more.
    pub(super) fn from(lo: f64) -> Interval {
        Interval { lo, hi: f64::INFINITY, open_lo: false, open_hi: false }
    }

    /// `>=64Ki`, `<1ms`, `=8`, `8`, `1..4` (both ends belong to it), `1..`, `..4`.
    pub(super) fn parse(text: &str, number: impl Fn(&str) -> Option<f64>) -> Option<Interval> {
        if let Some((from, to)) = text.split_once("..") {
            let end =
                |text: &str, open: f64| if text.is_empty() { Some(open) } else { number(text) };
            let (lo, hi) = (end(from, f64::NEG_INFINITY)?, end(to, f64::INFINITY)?);
            let some = lo <= hi && text != "..";
            return some.then_some(Interval { lo, hi, open_lo: false, open_hi: false });
        }
        let sign = ["<=", ">=", "<", ">", "="].into_iter().find(|sign| text.starts_with(sign));
        let sign = sign.unwrap_or_default();
        let value = number(&text[sign.len()..])?;
        let (lo, hi) = match sign {
            "<" | "<=" => (f64::NEG_INFINITY, value),
            ">" | ">=" => (value, f64::INFINITY),
            _ => (value, value),
        };
        Some(Interval { lo, hi, open_lo: sign == ">", open_hi: sign == "<" })
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (if self.open_lo { value > self.lo } else { value >= self.lo })
            && (if self.open_hi { value < self.hi } else { value <= self.hi })
    }
}

/// Digits with at most one point among them, and the unit behind.
fn with_unit(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let written = match fraction {
        None => !whole.is_empty(),
        Some(fraction) => !fraction.is_empty() && !fraction.contains('.'),
    };
    let is_unit = unit.chars().all(|c| c.is_ascii_alphabetic() || c == '\u{b5}' || c == '\u{3bc}');
    if !written || !is_unit {
        return None;
    }
    Some((digits.parse().ok()?, unit))
}

/// `64`, `64Ki`, `64K`, `64KiB`, `1.5M`: powers of 1024.
pub(super) fn bytes(text: &str) -> Option<f64> {
    let (number, unit) = with_unit(text)?;
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == unit)?;
    Some(number * 1024_f64.powi(power as i32))
}

/// `0.5s`, `20ms`, `17us`, `17µs`; without a unit seconds. In nanoseconds, rounded.
pub(super) fn time(text: &str) -> Option<f64> {
    let (number, unit) = with_unit(text)?;
    let unit = match unit {
        "" | "s" => 1e9,
        "ms" => 1e6,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ns" => 1.0,
        "min" => 60e9,
        _ => return None,
    };
    Some((number * unit).round())
}

/// Up to 15 digits.
pub(super) fn count(text: &str) -> Option<f64> {
    let plausible = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plausible { text.parse().ok() } else { None }
}

/// An address: hexadecimal with `0x`, or decimal.
pub(super) fn address(text: &str) -> Option<f64> {
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) if (1..=14).contains(&digits.len()) => {
            let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal.then(|| u64::from_str_radix(digits, 16).ok().map(|addr| addr as f64))?
        }
        Some(_) => None,
        None => count(text),
    }
}
