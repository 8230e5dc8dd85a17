//! The story of a table of blocks, for the page of a synthetic process: `cargo run --example story < COLUMNS > STORY`.
//!
//! COLUMNS: the numbers of blocks and of inherited ones, then the columns in the order of [`rows`], all little endian.
//! STORY: what is known before it as five such numbers (as [`Extent`] has them), then the story; nothing where reports have
//! columns in its place.

#![forbid(unsafe_code)]

use heaptape_report::page::coded::blocks::{Block, Extent, write};
use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let too_few = || io::Error::new(io::ErrorKind::UnexpectedEof, "the columns are cut off");
    let mut columns = Columns(&bytes);
    let (count, inherited) = columns.extent().ok_or_else(too_few)?;
    let rows = rows(&mut columns, count as usize).ok_or_else(too_few)?;
    let Some((extent, story)) = write(count, inherited, &|row| rows[row as usize]) else {
        return Ok(());
    };
    let Extent { blocks, inherited, freed, stacks, threads } = extent;
    let mut out = io::stdout().lock();
    for number in [blocks, inherited, freed, stacks, threads] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(&story)
}

/// What is not read yet.
struct Columns<'a>(&'a [u8]);

impl Columns<'_> {
    fn extent(&mut self) -> Option<(u32, u32)> {
        let numbers: Vec<u32> = self.column(2, u32::from_le_bytes)?;
        Some((numbers[0], numbers[1]))
    }

    fn column<T, const N: usize>(&mut self, count: usize, of: fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (own, rest) = self.0.split_at_checked(count.checked_mul(N)?)?;
        self.0 = rest;
        Some(own.as_chunks::<N>().0.iter().map(|bytes| of(*bytes)).collect())
    }
}

/// Of so many blocks.
fn rows(columns: &mut Columns<'_>, count: usize) -> Option<Vec<Block>> {
    let mut words = || columns.column(count, u32::from_le_bytes);
    let (born, life) = (words()?, words()?);
    let (stack, freed_stack) = (words()?, words()?);
    let (size, usable) = (words()?, words()?);
    let (addr_lo, addr_hi) = (words()?, words()?);
    let thread = columns.column(count, u16::from_le_bytes)?;
    let freed_thread = columns.column(count, u16::from_le_bytes)?;
    let mut bytes = || columns.column(count, |[byte]: [u8; 1]| byte);
    let (api, flags, leak) = (bytes()?, bytes()?, bytes()?);
    let row = |row: usize| Block {
        born: born[row],
        life: life[row],
        stack: stack[row],
        freed_stack: freed_stack[row],
        size: size[row],
        usable: usable[row],
        addr: u64::from(addr_lo[row]) | u64::from(addr_hi[row]) << 32,
        thread: thread[row],
        freed_thread: freed_thread[row],
        api: api[row],
        flags: flags[row],
        leak: leak[row],
    };
    Some((0..count).map(row).collect())
}
