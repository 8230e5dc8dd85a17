//! Bars and curves made of characters.

use crate::canvas::Canvas;
use heaptape_analysis::series::Series;

const BLOCKS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];
const SHADES: [char; 9] = ['.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// A bar of at most `columns` for `part` of `whole`; anything that is not zero has ink.
pub fn bar(part: u64, whole: u64, columns: usize) -> String {
    let exact = part as f64 / whole.max(1) as f64 * columns as f64;
    let cells = (exact.round() as usize).min(columns);
    "#".repeat(if part > 0 { cells.max(1) } else { 0 })
}

/// Live bytes over time: each cell shows the most that was live at any moment of it.
pub fn sparkline(canvas: &Canvas, series: &Series, columns: usize) -> String {
    let count = series.buckets.len();
    let columns = columns.min(count).max(1);
    let cells: Vec<u64> = (0..columns)
        .map(|cell| {
            let range = cell * count / columns..(cell + 1) * count / columns;
            series.buckets[range].iter().map(|bucket| bucket.max_bytes).max().unwrap_or(0)
        })
        .collect();
    let most = cells.iter().copied().max().unwrap_or(0);
    let levels: &[char] = if canvas.unicode { &BLOCKS } else { &SHADES };
    cells.into_iter().map(|bytes| level(levels, bytes, most)).collect()
}

fn level(levels: &[char], bytes: u64, most: u64) -> char {
    if bytes == 0 {
        return ' ';
    }
    let share = bytes as f64 / most as f64;
    let index = (share * levels.len() as f64).ceil() as usize;
    levels[index.clamp(1, levels.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_analysis::series::Bucket;

    #[test]
    fn a_spike_is_never_lost() {
        let mut buckets = vec![Bucket { min_bytes: 1, max_bytes: 1 }; 100];
        buckets[77].max_bytes = 80;
        let series = Series { start_ns: 0, end_ns: 1, buckets };
        let canvas = Canvas { width: 80, color: false, unicode: false };
        assert_eq!(sparkline(&canvas, &series, 10), ".......@..");
    }

    #[test]
    fn bars_have_ink_for_anything() {
        assert_eq!(bar(1, 1_000_000, 16), "#");
        assert_eq!(bar(0, 10, 16), "");
        assert_eq!(bar(10, 10, 4), "####");
        assert_eq!(bar(20, 10, 4), "####");
    }
}
