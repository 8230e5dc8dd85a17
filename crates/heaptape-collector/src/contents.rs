//! Copies the bytes of live blocks out of a process that stands still, onto the tape.

use crate::book::Book;
use crate::sys::process;
use heaptape_tape::{BlockId, Contents, LiveBlock, ProcessId, TimeNs};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Bytes and blocks of one system call.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_BLOCKS: usize = 512;
/// A block of which only a part can be read is read in steps of this.
const PAGE: u64 = 4096;

/// The copying of one session: what it may still copy and what it could not.
#[derive(Debug)]
pub(crate) struct Copier {
    budget: u64,
    /// Bytes of blocks that were left out because the budget was used up.
    pub(crate) over_budget: u64,
    /// Bytes that could not be read.
    pub(crate) unreadable: u64,
}

impl Copier {
    /// Copies at most `budget` bytes in all.
    pub(crate) fn new(budget: u64) -> Copier {
        Copier { budget, over_budget: 0, unreadable: 0 }
    }

    /// Copies every live block of a process.
    pub(crate) fn copy<W: Write>(
        &mut self,
        book: &mut Book<W>,
        id: ProcessId,
        pid: u32,
        time: TimeNs,
    ) -> io::Result<()> {
        let mut blocks = book.writer.live(id).map(|live| live.sorted()).unwrap_or_default();
        blocks.retain(|block| block.size > 0 && self.grant(block.size));
        let reader = Reader { pid, mem: File::open(format!("/proc/{pid}/mem")).ok() };
        let mut rest = blocks.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            rest = after;
            for (block, bytes) in reader.read_batch(batch) {
                self.unreadable += block.size - bytes.len() as u64;
                let (block, addr): (BlockId, u64) = (block.id, block.addr);
                let contents = Contents { process: id, time, block, addr, bytes };
                book.writer.contents(&contents)?;
            }
        }
        Ok(())
    }

    /// Whether a block of that size is within the budget; takes it from there.
    fn grant(&mut self, size: u64) -> bool {
        let within = size <= self.budget;
        if within {
            self.budget -= size;
        } else {
            self.over_budget = self.over_budget.saturating_add(size);
        }
        within
    }
}

/// How many of the first blocks make one batch; at least one.
fn batch_length(blocks: &[LiveBlock]) -> usize {
    let mut bytes = 0usize;
    let fits = blocks.iter().take(BATCH_BLOCKS).take_while(|block| {
        bytes = bytes.saturating_add(block.size as usize);
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

/// Reads the memory of one process, by whichever way the kernel allows.
struct Reader {
    pid: u32,
    mem: Option<File>,
}

impl Reader {
    fn read_batch<'a>(&self, batch: &'a [LiveBlock]) -> Vec<(&'a LiveBlock, Vec<u8>)> {
        let spans: Vec<(u64, usize)> = batch.iter().map(|b| (b.addr, b.size as usize)).collect();
        if let [block] = batch {
            return vec![(block, self.read_readable(block))];
        }
        let mut all = vec![0; spans.iter().map(|span| span.1).sum()];
        if self.read_spans(&spans, &mut all) < all.len() {
            return batch.iter().map(|block| (block, self.read_readable(block))).collect();
        }
        let mut rest = all.as_slice();
        let split = batch.iter().map(|block| {
            let (bytes, after) = rest.split_at(block.size as usize);
            rest = after;
            (block, bytes.to_vec())
        });
        split.collect()
    }

    /// As much of a block as can be read, from its start.
    fn read_readable(&self, block: &LiveBlock) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut addr = block.addr;
        let end = block.addr.saturating_add(block.size);
        let mut stride = BATCH_BYTES as u64;
        while addr < end {
            let step = (stride - addr % stride).min(end - addr) as usize;
            let start = bytes.len();
            bytes.resize(start + step, 0);
            let got = self.read_spans(&[(addr, step)], &mut bytes[start..]);
            if got == step {
                addr += step as u64;
                continue;
            }
            bytes.truncate(start);
            if stride == PAGE {
                break;
            }
            // Up to the page that cannot be read.
            stride = PAGE;
        }
        bytes
    }

    fn read_spans(&self, spans: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        match (process::read_memory(self.pid, spans, buffer), &self.mem) {
            (Ok(got), _) => got,
            // Refused as a call (seccomp), but the file may be open to us.
            (Err(e), Some(mem)) if e.raw_os_error() != Some(libc::EFAULT) => {
                let mut done = 0;
                for &(addr, length) in spans {
                    if mem.read_exact_at(&mut buffer[done..done + length], addr).is_err() {
                        break;
                    }
                    done += length;
                }
                done
            }
            (Err(_), _) => 0,
        }
    }
}
