//! probe
use heaptape_analysis::index::{Index, measure::Signed, span::Span, winder::Winder};
use heaptape_tape::*;
use std::time::Instant;
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
        .collect::<Vec<_>>()
        .join(" ")
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let most: u64 = args[2].parse::<u64>().unwrap() << 20;
    let tape = Tape::open(args[1].as_ref()).unwrap();
    let t = Instant::now();
    let index = Index::build(&tape, ProcessId(0), most).unwrap();
    println!(
        "build {:?} cells {} of {} long {} bytes {} MiB {}",
        t.elapsed(),
        index.cells(),
        index.cell_events(),
        index.long_blocks(),
        index.bytes() >> 20,
        rss()
    );
    let w = Winder::new(&tape, &index);
    let mut seed = 12345u64;
    let mut rnd = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as u32 % index.events
    };
    for name in ["live", "kept", "alloc", "diff", "peak"] {
        let mut all = Vec::new();
        for _ in 0..60 {
            let (a, b) = (rnd(), rnd());
            let (a, b) = (a.min(b), a.max(b));
            let t = Instant::now();
            let span = match name {
                "live" => Span::Live(a),
                "kept" => Span::Kept(a, b),
                "alloc" => Span::Alloc(a, b),
                _ => Span::Diff(a, b),
            };
            if name == "peak" {
                w.peak(a, b, &|| false).unwrap();
            } else {
                let mut sum = Signed::default();
                w.weigh(span, &|| false, &mut |_, x, s| sum.add(x, s)).unwrap();
                std::hint::black_box(sum);
            }
            all.push(t.elapsed());
        }
        all.sort();
        println!("{name}: median {:?} p95 {:?} max {:?}", all[30], all[56], all[59]);
    }
    println!("{}", rss());
}
