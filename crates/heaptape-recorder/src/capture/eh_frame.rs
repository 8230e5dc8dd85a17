//! `.eh_frame` → one packed rule for one address.
//!
//! Reads the tables in place, as the module's linker made them (LSB core specification, "Exception
//! Frames"; DWARF 4, section 6.4). Only what code on x86-64 needs to be left by `rsp`, `rbp` and the return
//! address is followed; everything else is [`Kind::Fail`], never a guess.

use super::rules::{Kind, Rule};
use crate::sys::call;
use crate::sys::objects::Object;
use heaptape_wire::layout::PAGE;

const RBP: u64 = 6;
const RSP: u64 = 7;
const RETURN_ADDRESS: u64 = 16;
/// Rows that `DW_CFA_remember_state` may stack.
const STACKED_ROWS: usize = 8;

/// The rule for the code at `pc`.
pub(super) fn rule(object: &Object, pc: usize) -> Rule {
    compute(object, pc).unwrap_or(Rule::bare(Kind::Fail))
}

fn compute(object: &Object, pc: usize) -> Option<Rule> {
    find_entry(object, pc)?.rule(pc)
}

/// The rule for the code at `pc` in a table that has no index.
pub(super) fn rule_in(section: Section, pc: usize) -> Option<Rule> {
    let mut entries = section.entries();
    loop {
        let entry = parse_entry(section, entries.next()?);
        if let Some(entry) = entry.filter(|entry| entry.covers(pc)) {
            return entry.rule(pc);
        }
    }
}

/// A stretch of memory that holds entries.
#[derive(Clone, Copy)]
pub(super) struct Section {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Most bytes of a table whose end is a mark in it.
const MOST_BYTES: usize = 1 << 28;

impl Section {
    /// The table at `start` as far as its mark, and the addresses from the first to the last that it speaks
    /// of. `None` when it cannot be read or says nothing.
    pub(super) fn found_at(start: usize) -> Option<(Section, usize, usize)> {
        let mut entries = Section { start, end: start.checked_add(MOST_BYTES)? }.entries();
        let (mut low, mut high) = (usize::MAX, 0);
        while let Some(at) = entries.next() {
            if let Some(entry) = parse_entry(Section { start, end: entries.bytes.at }, at) {
                low = low.min(entry.start);
                high = high.max(entry.end);
            }
        }
        (low < high).then_some((Section { start, end: entries.bytes.at }, low, high))
    }

    fn entries(self) -> Entries {
        Entries { bytes: Bytes { at: self.start, end: self.end }, readable: self.start }
    }
}

/// Goes from entry to entry; a page that cannot be read ends it.
struct Entries {
    bytes: Bytes,
    /// Memory before this is known to be readable.
    readable: usize,
}

impl Entries {
    /// Where the next entry begins; common ones are left out.
    fn next(&mut self) -> Option<usize> {
        loop {
            let at = self.bytes.at;
            let mut bytes = self.bytes;
            self.probe(at.checked_add(4)?)?;
            let length = bytes.u32()? as usize;
            let end = bytes.at.checked_add(length)?;
            if length < 4 || end > bytes.end {
                return None;
            }
            self.probe(end)?;
            let id = bytes.u32()?;
            self.bytes.at = end;
            if id != 0 {
                return Some(at);
            }
        }
    }

    fn probe(&mut self, end: usize) -> Option<()> {
        while self.readable < end {
            if !call::is_readable(self.readable) {
                return None;
            }
            self.readable = (self.readable & !(PAGE - 1)) + PAGE;
        }
        Some(())
    }
}

impl Entry {
    fn covers(&self, pc: usize) -> bool {
        (self.start..self.end).contains(&pc)
    }

    fn rule(&self, pc: usize) -> Option<Rule> {
        if self.is_signal_frame {
            return Some(Rule::bare(Kind::Signal));
        }
        let mut row = Row::default();
        let mut machine = Machine {
            entry: self,
            location: self.start,
            initial: row,
            stack: [row; STACKED_ROWS],
            depth: 0,
        };
        machine.run(self.cie_program, &mut row, usize::MAX)?;
        machine.initial = row;
        machine.location = self.start;
        machine.run(self.fde_program, &mut row, pc)?;
        row.pack()
    }
}

/// A reader over a byte range of the module.
#[derive(Clone, Copy)]
struct Bytes {
    at: usize,
    end: usize,
}

impl Bytes {
    fn take(&mut self, count: usize) -> Option<usize> {
        let at = self.at;
        let next = at.checked_add(count)?;
        if next > self.end {
            return None;
        }
        self.at = next;
        Some(at)
    }

    fn u8(&mut self) -> Option<u8> {
        // SAFETY: inside the range, which lies in the module's mapping.
        self.take(1).map(|at| unsafe { *(at as *const u8) })
    }

    fn u16(&mut self) -> Option<u16> {
        // SAFETY: as `u8`.
        self.take(2).map(|at| unsafe { (at as *const u16).read_unaligned() })
    }

    fn u32(&mut self) -> Option<u32> {
        // SAFETY: as `u8`.
        self.take(4).map(|at| unsafe { (at as *const u32).read_unaligned() })
    }

    fn u64(&mut self) -> Option<u64> {
        // SAFETY: as `u8`.
        self.take(8).map(|at| unsafe { (at as *const u64).read_unaligned() })
    }

    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn sleb(&mut self) -> Option<i64> {
        let mut value = 0i64;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            if shift < 64 {
                value |= i64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1 << shift;
                }
                return Some(value);
            }
        }
    }

    /// A pointer in one of the `DW_EH_PE_*` encodings that need no register.
    fn pointer(&mut self, encoding: u8) -> Option<usize> {
        let here = self.at;
        let value = match encoding & 0x0f {
            0x00 | 0x04 | 0x0c => self.u64()? as i64,
            0x01 => self.uleb()? as i64,
            0x02 => i64::from(self.u16()?),
            0x03 => i64::from(self.u32()?),
            0x09 => self.sleb()?,
            0x0a => i64::from(self.u16()? as i16),
            0x0b => i64::from(self.u32()? as i32),
            _ => return None,
        };
        match encoding & 0x70 {
            0x00 => Some(value as usize),
            0x10 => Some(here.wrapping_add(value as usize)),
            _ => None,
        }
    }
}

/// A frame description entry and what its common entry says.
struct Entry {
    start: usize,
    end: usize,
    code_align: u64,
    data_align: i64,
    is_signal_frame: bool,
    cie_program: Bytes,
    fde_program: Bytes,
}

/// Finds the entry of `pc` by the binary search table of `.eh_frame_hdr`.
fn find_entry(object: &Object, pc: usize) -> Option<Entry> {
    let header = object.eh_frame_hdr;
    if header == 0 {
        return None;
    }
    let mut bytes = Bytes { at: header, end: object.end };
    let (_version, pointer, count, table) = (bytes.u8()?, bytes.u8()?, bytes.u8()?, bytes.u8()?);
    bytes.pointer(pointer)?;
    let count = bytes.pointer(count)?;
    // The only table encoding that linkers write: pairs of 32-bit offsets from the header.
    if table != 0x3b || count == 0 || bytes.at + count.checked_mul(8)? > object.end {
        return None;
    }
    let pair = |i: usize, k: usize| {
        // SAFETY: inside the table, whose end was checked.
        let offset = unsafe { *((bytes.at + i * 8 + k * 4) as *const i32) };
        header.wrapping_add_signed(offset as isize)
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if pair(middle, 0) <= pc { low = middle + 1 } else { high = middle }
    }
    if low == 0 {
        return None;
    }
    let section = Section { start: object.start, end: object.end };
    parse_entry(section, pair(low - 1, 1)).filter(|entry| entry.covers(pc))
}

/// The bytes of the entry at `at`, after its length.
fn entry_bytes(section: Section, at: usize) -> Option<Bytes> {
    if at < section.start {
        return None;
    }
    let mut bytes = Bytes { at, end: section.end };
    let length = bytes.u32()? as usize;
    let end = bytes.at.checked_add(length)?;
    // 0xffffffff would be the 64-bit form, which nobody uses here.
    if length == 0 || end > section.end {
        return None;
    }
    Some(Bytes { at: bytes.at, end })
}

fn parse_entry(section: Section, at: usize) -> Option<Entry> {
    let mut fde = entry_bytes(section, at)?;
    let id_at = fde.at;
    let cie_at = id_at.checked_sub(fde.u32()? as usize)?;
    let mut cie = entry_bytes(section, cie_at)?;
    let (_id, _version) = (cie.u32()?, cie.u8()?);
    let mut augmentation = Bytes { at: cie.at, end: cie.end };
    while cie.u8()? != 0 {}
    let code_align = cie.uleb()?;
    let data_align = cie.sleb()?;
    let _return_register = cie.uleb()?;
    let mut encoding = 0;
    let mut is_signal_frame = false;
    let has_data = augmentation.u8()? == b'z';
    if has_data {
        let length = cie.uleb()? as usize;
        let mut data = cie;
        cie.take(length)?;
        loop {
            match augmentation.u8()? {
                0 => break,
                b'R' => encoding = data.u8()?,
                b'P' => {
                    let personality = data.u8()?;
                    // Only skipped: an indirect or relative base does not matter.
                    data.pointer(personality & 0x0f)?;
                }
                b'L' => drop(data.u8()?),
                b'S' => is_signal_frame = true,
                _ => {}
            }
        }
    }
    let start = fde.pointer(encoding)?;
    let length = fde.pointer(encoding & 0x0f)?;
    let end = start.checked_add(length)?;
    if has_data {
        let length = fde.uleb()? as usize;
        fde.take(length)?;
    }
    Some(Entry {
        start,
        end,
        code_align,
        data_align,
        is_signal_frame,
        cie_program: cie,
        fde_program: fde,
    })
}

/// How a register is restored.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Saved {
    #[default]
    Same,
    /// At CFA + this.
    At(i64),
    /// Where rbp points.
    AtBp,
    /// Undefined: for the return address, the outermost frame.
    Undefined,
    /// In a way we do not follow.
    Other,
}

/// How the CFA is computed.
#[derive(Clone, Copy)]
enum Cfa {
    Register(u64, i64),
    /// *(rbp + this).
    Deref(i64),
    Other,
}

/// One row of the unwind table, as far as we follow it.
#[derive(Clone, Copy)]
struct Row {
    cfa: Cfa,
    bp: Saved,
    ra: Saved,
}

impl Default for Row {
    fn default() -> Row {
        Row { cfa: Cfa::Other, bp: Saved::Same, ra: Saved::At(-8) }
    }
}

impl Row {
    fn pack(&self) -> Option<Rule> {
        match self.ra {
            Saved::Undefined => return Some(Rule::bare(Kind::End)),
            Saved::At(-8) => {}
            _ => return None,
        }
        let below = match self.bp {
            Saved::Same | Saved::Undefined | Saved::AtBp => 0,
            Saved::At(offset) if offset < 0 => -offset,
            _ => return None,
        };
        let rule = match self.cfa {
            Cfa::Register(RSP, offset) => Rule::pack(Kind::Sp, offset, below),
            Cfa::Register(RBP, offset) => Rule::pack(Kind::Bp, offset, below),
            Cfa::Deref(offset) => Rule::pack(Kind::Deref, offset, below),
            _ => None,
        }?;
        Some(if self.bp == Saved::AtBp { rule.with_bp_at_bp() } else { rule })
    }

    fn save(&mut self, register: u64, saved: Saved) {
        match register {
            RBP => self.bp = saved,
            RETURN_ADDRESS => self.ra = saved,
            _ => {}
        }
    }

    fn move_cfa(&mut self, register: Option<u64>, offset: Option<i64>) {
        let (old_register, old_offset) = match self.cfa {
            Cfa::Register(r, o) => (r, o),
            _ => (RSP, 0),
        };
        self.cfa = Cfa::Register(register.unwrap_or(old_register), offset.unwrap_or(old_offset));
    }
}

/// Runs call frame instructions.
struct Machine<'a> {
    entry: &'a Entry,
    location: usize,
    initial: Row,
    stack: [Row; STACKED_ROWS],
    depth: usize,
}

impl Machine<'_> {
    /// Runs `program` until the row that covers `pc`; `None` for what we do not know.
    fn run(&mut self, mut program: Bytes, row: &mut Row, pc: usize) -> Option<()> {
        while program.at < program.end {
            let op = program.u8()?;
            let low = u64::from(op & 0x3f);
            let advance = match op >> 6 {
                1 => Some(low),
                2 => {
                    let offset = program.uleb()? as i64 * self.entry.data_align;
                    row.save(low, Saved::At(offset));
                    None
                }
                3 => {
                    self.restore(row, low);
                    None
                }
                _ => self.extended(op, &mut program, row)?,
            };
            if let Some(delta) = advance {
                self.location =
                    self.location.wrapping_add((delta * self.entry.code_align) as usize);
                if self.location > pc {
                    return Some(());
                }
            }
        }
        Some(())
    }

    fn restore(&self, row: &mut Row, register: u64) {
        let saved = match register {
            RBP => self.initial.bp,
            RETURN_ADDRESS => self.initial.ra,
            _ => return,
        };
        row.save(register, saved);
    }

    /// The instructions whose upper two bits are 0 (DWARF 4, figure 40). Returns by how much the location
    /// advances, in units of the code alignment.
    fn extended(&mut self, op: u8, program: &mut Bytes, row: &mut Row) -> Option<Option<u64>> {
        let data_align = self.entry.data_align;
        match op {
            0x00 => {}                                            // nop
            0x02 => return Some(Some(u64::from(program.u8()?))),  // advance_loc1
            0x03 => return Some(Some(u64::from(program.u16()?))), // advance_loc2
            0x04 => return Some(Some(u64::from(program.u32()?))), // advance_loc4
            0x05 => {
                let register = program.uleb()?;
                row.save(register, Saved::At(program.uleb()? as i64 * data_align)); // offset_extended
            }
            0x06 => {
                let register = program.uleb()?;
                self.restore(row, register); // restore_extended
            }
            0x07 => row.save(program.uleb()?, Saved::Undefined), // undefined
            0x08 => row.save(program.uleb()?, Saved::Same),      // same_value
            0x09 => {
                let register = program.uleb()?;
                program.uleb()?;
                row.save(register, Saved::Other); // register
            }
            0x0a => {
                *self.stack.get_mut(self.depth)? = *row; // remember_state
                self.depth += 1;
            }
            0x0b => {
                self.depth = self.depth.checked_sub(1)?; // restore_state
                *row = self.stack[self.depth];
            }
            0x0c => {
                let register = program.uleb()?;
                row.move_cfa(Some(register), Some(program.uleb()? as i64)); // def_cfa
            }
            0x0d => row.move_cfa(Some(program.uleb()?), None), // def_cfa_register
            0x0e => row.move_cfa(None, Some(program.uleb()? as i64)), // def_cfa_offset
            0x0f => row.cfa = cfa_expression(program)?,        // def_cfa_expression
            0x10 => {
                let register = program.uleb()?;
                row.save(register, saved_expression(program)?); // expression
            }
            0x11 => {
                let register = program.uleb()?;
                row.save(register, Saved::At(program.sleb()? * data_align)); // offset_extended_sf
            }
            0x12 => {
                let register = program.uleb()?;
                row.move_cfa(Some(register), Some(program.sleb()? * data_align)); // def_cfa_sf
            }
            0x13 => row.move_cfa(None, Some(program.sleb()? * data_align)), // def_cfa_offset_sf
            0x14 | 0x15 => {
                let register = program.uleb()?;
                program.uleb()?;
                row.save(register, Saved::Other); // val_offset, val_offset_sf
            }
            0x16 => {
                let register = program.uleb()?;
                let length = program.uleb()? as usize;
                program.take(length)?;
                row.save(register, Saved::Other); // val_expression
            }
            0x2e => drop(program.uleb()?), // GNU_args_size
            _ => return None,
        }
        Some(None)
    }
}

const BREG_RBP: u8 = 0x76;
const DEREF: u8 = 0x06;

/// `DW_OP_breg6 n; DW_OP_deref`, which gcc writes for functions that realign their stack.
fn cfa_expression(program: &mut Bytes) -> Option<Cfa> {
    let length = program.uleb()? as usize;
    let at = program.take(length)?;
    let mut bytes = Bytes { at, end: at + length };
    if bytes.u8() == Some(BREG_RBP)
        && let Some(offset) = bytes.sleb()
        && bytes.u8() == Some(DEREF)
        && bytes.at == bytes.end
    {
        return Some(Cfa::Deref(offset));
    }
    Some(Cfa::Other)
}

/// `DW_OP_breg6 0`, which gcc writes for rbp in those functions.
fn saved_expression(program: &mut Bytes) -> Option<Saved> {
    let length = program.uleb()? as usize;
    let at = program.take(length)?;
    let mut bytes = Bytes { at, end: at + length };
    let is_at_bp = bytes.u8() == Some(BREG_RBP) && bytes.sleb() == Some(0) && bytes.at == bytes.end;
    Some(if is_at_bp { Saved::AtBp } else { Saved::Other })
}
