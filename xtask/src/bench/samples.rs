//! Numbers of several rounds: their minimum, median and range, and ratios between them.

/// A ratio of overheads: of the minima, and its range over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    /// Of the minima of all rounds, which noise disturbs least.
    pub(super) best: f64,
    /// The lowest of any round.
    pub(super) low: f64,
    /// The highest of any round.
    pub(super) high: f64,
}

pub(super) fn minimum(samples: &[f64]) -> Option<f64> {
    samples.iter().copied().reduce(f64::min)
}

pub(super) fn maximum(samples: &[f64]) -> Option<f64> {
    samples.iter().copied().reduce(f64::max)
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// (ours − bare) ÷ (theirs − bare). `None` where the divisor is noise: within 2 % of bare, or within twice the
/// distance of the minimum of bare from its median.
pub(super) fn overhead_ratio(bare: &[f64], ours: &[f64], theirs: &[f64]) -> Option<Ratio> {
    let least = minimum(bare)?;
    let noise = (least * 0.02).max((median(bare)? - least) * 2.0);
    let ratio = |bare: f64, ours: f64, theirs: f64| {
        (theirs - bare > noise).then(|| (ours - bare) / (theirs - bare))
    };
    let best = ratio(least, minimum(ours)?, minimum(theirs)?)?;
    let rounds = bare.iter().zip(ours).zip(theirs);
    let each: Vec<f64> = rounds.filter_map(|((b, o), t)| ratio(*b, *o, *t)).collect();
    Some(Ratio { best, low: minimum(&each)?, high: maximum(&each)? })
}

/// The geometric mean; what is below one hundredth counts as that, since overheads can measure as nothing.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms = values.iter().map(|it| it.max(0.01).ln());
    (!values.is_empty()).then(|| (logarithms.sum::<f64>() / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_are_found() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert!((geometric_mean(&[0.5, 2.0]).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn overheads_are_compared_by_round_and_by_minima() {
        let ratio = overhead_ratio(&[1.0, 1.0], &[1.5, 1.25], &[2.0, 3.0]).unwrap();
        assert_eq!(ratio, Ratio { best: 0.25, low: 0.125, high: 0.5 });
    }

    #[test]
    fn noise_is_not_divided_by_noise() {
        assert_eq!(overhead_ratio(&[1.0], &[1.5], &[1.01]), None);
        assert_eq!(overhead_ratio(&[1.0, 1.1, 1.3], &[1.5; 3], &[1.15; 3]), None);
    }
}
