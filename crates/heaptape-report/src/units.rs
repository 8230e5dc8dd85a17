//! Bytes, counts, times and shares as text. Nowhere else.
//!
//! Bytes are IEC units with three significant digits (four just below the next unit), exact with
//! separators where they matter. Zero prints 0.

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes in the largest fitting unit: `16 B`, `848 KiB`, `29.9 MiB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = (bytes.ilog2() / 10) as usize;
    let mut value = bytes as f64 / (1_u64 << (unit * 10)) as f64;
    if value.round() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A count with separators: `747,658`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted: `1 block`, `873 blocks`.
pub fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Exact bytes: `31,332,104 B`.
pub fn exact_bytes(bytes: u64) -> String {
    format!("{} B", count(bytes))
}

/// A moment, in seconds: `0.609 s`, `84.2 s`; with microseconds in the first tenth of a second, where
/// short programs live: `0.036998 s`.
pub fn seconds(ns: u64) -> String {
    match ns as f64 / 1e9 {
        0.0 => "0 s".to_owned(),
        s if s < 0.1 => format!("{s:.6} s"),
        s if s < 9.9995 => format!("{s:.3} s"),
        s => format!("{} s", three_digits(s)),
    }
}

/// A duration: `0.840 s`, `12.4 ms`.
pub fn duration(ns: u64) -> String {
    if ns < 100_000_000 { lifetime(ns) } else { seconds(ns) }
}

/// A duration that is passed in conversation, to the millisecond: `0.047 s`, `84.2 s`.
pub fn elapsed(ns: u64) -> String {
    match ns as f64 / 1e9 {
        s if s < 9.9995 => format!("{s:.3} s"),
        s => format!("{} s", three_digits(s)),
    }
}

/// A short time in the largest fitting unit: `17 us`, `12.4 ms`.
pub fn lifetime(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} us", three_digits(ns as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(ns as f64 / 1e6)),
        _ => seconds(ns),
    }
}

/// A moment in seconds, exactly: `0.609123`, as tapes are to the microsecond; `0.609123456` where one is not.
pub fn exact_seconds(ns: u64) -> String {
    if ns.is_multiple_of(1000) {
        return seconds_to_us(ns);
    }
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// A moment to the microsecond, in seconds: `0.609123`.
pub fn seconds_to_us(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000)
}

/// What share `part` is of `whole`: `80.3 %`, `100 %`, `<0.1 %`. Nothing of nothing is `0 %`.
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part == whole {
        return "100 %".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if p < 0.05 => "<0.1 %".to_owned(),
        // Rounding must not say "all" of what is not all.
        p if p > 99.9 && p < 100.0 => "99.9 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// A ratio between 0 and 1 as a share.
pub fn ratio(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (31_332_104, "29.9 MiB"),
            (10_239, "10.0 KiB"),
            (1023 * 1024 + 511, "1023 KiB"),
            (1024 * 1024 - 1, "1.00 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), text, "{number}");
        }
    }

    #[test]
    fn counts_and_times() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(seconds(609_000_000), "0.609 s");
        assert_eq!(seconds(9_999_900_000), "10.0 s");
        assert_eq!(seconds(36_998_000), "0.036998 s");
        assert_eq!(duration(36_998_000), "37.0 ms");
        assert_eq!(duration(840_000_000), "0.840 s");
        assert_eq!(elapsed(46_908_000), "0.047 s");
        assert_eq!(elapsed(84_240_000_000), "84.2 s");
        assert_eq!(lifetime(999), "999 ns");
        assert_eq!(lifetime(12_400_000), "12.4 ms");
        assert_eq!(exact_seconds(1_000_000_001), "1.000000001");
        assert_eq!(exact_seconds(2_463_000), "0.002463");
    }

    #[test]
    fn shares_never_claim_all_or_nothing() {
        assert_eq!(share(1, 1_000_000), "<0.1 %");
        assert_eq!(share(999_999, 1_000_000), "99.9 %");
        assert_eq!(share(5, 5), "100 %");
        assert_eq!(share(0, 5), "0 %");
        assert_eq!(share(803, 1000), "80.3 %");
    }
}
