// Danger: a Rust program: Vec, Box, String, HashMap, over-aligned types, zeroed memory, threads, panics.
// build: rustc --edition 2021 -O -g

mod ledger;
use ledger::{gave, took};
use std::collections::HashMap;

struct Big([u8; 10007]);

#[repr(align(4096))]
struct Page([u8; 8192]);

fn boxes() {
    let big = took("malloc", 10007, Box::new(Big([1; 10007])));
    assert_eq!(big.0[10006], 1);
    gave("free", 10007);
    drop(big);
    let page = took("posix_memalign", 8192, Box::new(Page([2; 8192])));
    assert_eq!(page.0.as_ptr() as usize % 4096, 0);
    gave("free", 8192);
}

fn vectors() {
    let mut bytes: Vec<u8> = took("malloc", 4099, Vec::with_capacity(4099));
    bytes.resize(4099, 7);
    gave("realloc", 4099);
    bytes.reserve_exact(1904);
    took("realloc", 6003, &mut bytes);
    gave("realloc", 6003);
    bytes.shrink_to_fit();
    took("realloc", 4099, &mut bytes);
    gave("free", 4099);
    drop(bytes);
    took("calloc", 20011, vec![0u8; 20011]).leak();
}

fn unwinding() {
    let caught = std::panic::catch_unwind(|| {
        let _text = took("malloc", 3001, "x".repeat(3001));
        gave("free", 3001); // by the unwinder
        std::panic::resume_unwind(Box::new(1u8));
    });
    assert!(caught.is_err());
}

fn main() {
    boxes();
    vectors();
    unwinding();
    let workers: Vec<_> = (0..8).map(|_| std::thread::spawn(boxes)).collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let words: HashMap<String, usize> = (0..5000).map(|i| (format!("word {i}"), i)).collect();
    println!("{}", words.values().sum::<usize>());
    ledger::write();
}
