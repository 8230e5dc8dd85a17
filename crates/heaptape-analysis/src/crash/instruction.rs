//! The instruction at a crash: its text, and the memory that it wanted.

use heaptape_tape::{Crash, Registers};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, Instruction as Decoded,
    InstructionInfoFactory, IntelFormatter, Mnemonic, OpAccess, Register,
};

/// A decoded instruction, with the registers at it.
pub(super) struct Instruction {
    decoded: Decoded,
    /// As text, in Intel's syntax.
    pub(super) text: String,
    /// The memory that it wanted, where that can be told.
    pub(super) operand: Option<Operand>,
}

/// A piece of memory that an instruction wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    /// Its address.
    pub(super) address: u64,
    /// Its length, bytes; 0 when not known.
    pub(super) length: u64,
    /// The register that it is relative to.
    pub(super) base: Option<&'static str>,
    /// The value of that register.
    pub(super) base_value: u64,
    /// The other register of the address.
    pub(super) index: Option<&'static str>,
    /// Whether it is written.
    pub(super) writes: bool,
}

impl Instruction {
    /// The instruction of a crash; `None` where its bytes or registers are not known, or are no instruction.
    pub(super) fn of(crash: &Crash) -> Option<Instruction> {
        let registers = crash.registers.as_ref()?;
        let bytes = &crash.instruction;
        let decoded = Decoder::with_ip(64, bytes, crash.ip, DecoderOptions::NONE).decode();
        if decoded.is_invalid() {
            return None;
        }
        let mut formatter = IntelFormatter::new();
        formatter.options_mut().set_hex_prefix("0x");
        formatter.options_mut().set_hex_suffix("");
        formatter.options_mut().set_space_after_operand_separator(true);
        formatter.options_mut().set_uppercase_hex(false);
        let mut text = String::new();
        formatter.format(&decoded, &mut text);
        let operand = operand(&decoded, registers, crash.fault_addr);
        Some(Instruction { decoded, text, operand })
    }

    /// Whether the processor wants the operand at a multiple of its length.
    pub(super) fn wants_alignment(&self) -> bool {
        let aligned = matches!(
            self.decoded.mnemonic(),
            Mnemonic::Vmovaps
                | Mnemonic::Vmovapd
                | Mnemonic::Vmovdqa
                | Mnemonic::Vmovdqa32
                | Mnemonic::Vmovdqa64
                | Mnemonic::Vmovntps
                | Mnemonic::Vmovntpd
                | Mnemonic::Vmovntdq
                | Mnemonic::Vmovntdqa
        );
        let unaligned = matches!(
            self.decoded.mnemonic(),
            Mnemonic::Movups | Mnemonic::Movupd | Mnemonic::Movdqu | Mnemonic::Lddqu
        );
        let old = self.decoded.encoding() == iced_x86::EncodingKind::Legacy;
        aligned || old && !unaligned && self.decoded.memory_size().size() >= 16
    }

    /// Whether only the kernel may execute it.
    pub(super) fn is_privileged(&self) -> bool {
        self.decoded.is_privileged()
    }

    /// Whether it was put there so that the program ends (`ud2`, `int3`).
    pub(super) fn is_trap(&self) -> bool {
        matches!(self.decoded.code(), Code::Ud2 | Code::Int3 | Code::Int1)
    }

    /// Whether it returns to the address on top of the stack.
    pub(super) fn is_return(&self) -> bool {
        self.decoded.flow_control() == FlowControl::Return
    }

    /// Of a division that failed: whether it divided by zero, where that can be told from the divisor, or else from
    /// the dividend: most of them give quotients that fit whatever divides them.
    pub(super) fn divides_by_zero(&self, registers: &Registers) -> Option<bool> {
        let signed = match self.decoded.mnemonic() {
            Mnemonic::Idiv => true,
            Mnemonic::Div => false,
            _ => return None,
        };
        if let Some(divisor) = value(self.decoded.op0_register(), registers) {
            return Some(divisor == 0);
        }
        let bits = 8 * self.decoded.memory_size().size() as u32;
        if !(16..=64).contains(&bits) {
            return None;
        }
        let part = |name| registers.get(name).map(|value| value << (64 - bits) >> (64 - bits));
        let (low, high) = (part("rax")?, part("rdx")?);
        let top_bit = 1 << (bits - 1);
        let extended = if low & top_bit == 0 { 0 } else { u64::MAX >> (64 - bits) };
        let fits = if signed { high == extended && low != top_bit } else { high == 0 };
        fits.then_some(true)
    }
}

/// The operand that lies at the offending address; the first one where that is not known.
fn operand(instruction: &Decoded, registers: &Registers, wanted: u64) -> Option<Operand> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let operands = info.used_memory().iter().filter(|m| m.access() != OpAccess::NoMemAccess);
    let all: Vec<Operand> = operands
        .filter_map(|memory| {
            let address = memory.virtual_address(0, |register, _, _| value(register, registers))?;
            Some(Operand {
                address,
                length: memory.memory_size().size() as u64,
                base: name(memory.base()),
                base_value: value(memory.base(), registers).unwrap_or(0),
                index: name(memory.index()),
                writes: matches!(
                    memory.access(),
                    OpAccess::Write
                        | OpAccess::CondWrite
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                ),
            })
        })
        .collect();
    let holds = |operand: &&Operand| {
        operand.address <= wanted && wanted - operand.address < operand.length.max(1)
    };
    // What is told as 0 is the address that is none: one that the processor does not take.
    let strange = |operand: &&Operand| wanted == 0 && !is_canonical(operand.address);
    all.iter()
        .find(holds)
        .or_else(|| all.iter().find(strange))
        .or_else(|| all.first().filter(|_| wanted == 0))
        .copied()
}

/// Whether an address could be one: with 48 bits, and the upper ones as the 48th.
pub(super) fn is_canonical(address: u64) -> bool {
    let upper = address >> 47;
    upper == 0 || upper == (1 << 17) - 1
}

/// The value of a register, as wide as it is; segments begin at 0, but those of threads, which are not known.
fn value(register: Register, registers: &Registers) -> Option<u64> {
    match register {
        Register::ES | Register::CS | Register::SS | Register::DS => return Some(0),
        Register::RIP => return Some(registers.ip()),
        _ => {}
    }
    let whole = registers.get(name(register)?)?;
    Some(match register.size() {
        8 => whole,
        4 => whole & 0xffff_ffff,
        2 => whole & 0xffff,
        1 => whole & 0xff,
        _ => return None,
    })
}

/// The name of the whole register that a register is a part of.
fn name(register: Register) -> Option<&'static str> {
    let whole = format!("{:?}", register.full_register());
    Registers::NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::ProcessId;

    fn at(bytes: &[u8], fault_addr: u64, set: &[(usize, u64)]) -> Option<Instruction> {
        let mut registers = Registers::default();
        set.iter().for_each(|&(place, value)| registers.0[place] = value);
        Instruction::of(&Crash {
            fault_addr,
            ip: 0x1000,
            registers: Some(registers),
            instruction: bytes.to_vec(),
            ..Crash::unknown(ProcessId(0))
        })
    }

    const RAX: usize = 0;
    const RDX: usize = 1;
    const RCX: usize = 2;

    #[test]
    fn a_store_tells_its_address_and_base() {
        // mov dword ptr [rax+rcx*4+0x10], 1
        let bytes = [0xc7, 0x44, 0x88, 0x10, 1, 0, 0, 0];
        let store = at(&bytes, 0x5018, &[(RAX, 0x5000), (RCX, 2)]).expect("an instruction");
        assert_eq!(store.text, "mov dword ptr [rax+rcx*4+0x10], 1");
        let operand = store.operand.expect("memory");
        assert_eq!((operand.address, operand.length, operand.writes), (0x5018, 4, true));
        assert_eq!(
            (operand.base, operand.base_value, operand.index),
            (Some("rax"), 0x5000, Some("rcx"))
        );
    }

    #[test]
    fn divisors_and_traps() {
        let by_zero = |bytes: &[u8], set: &[(usize, u64)]| {
            let mut registers = Registers::default();
            set.iter().for_each(|&(place, value)| registers.0[place] = value);
            at(bytes, 0, set).expect("a division").divides_by_zero(&registers)
        };
        // idiv ecx
        assert_eq!(by_zero(&[0xf7, 0xf9], &[(RCX, 0xffff_ffff_0000_0000)]), Some(true));
        assert_eq!(by_zero(&[0xf7, 0xf9], &[(RCX, u64::MAX)]), Some(false));
        // idiv dword ptr [rbp-8]: 2, and the smallest integer, whose quotient by -1 does not fit.
        let in_memory = [0xf7, 0x7d, 0xf8];
        assert_eq!(by_zero(&in_memory, &[(RAX, 2)]), Some(true));
        assert_eq!(by_zero(&in_memory, &[(RAX, 0x8000_0000), (RDX, 0xffff_ffff)]), None);
        assert_eq!(by_zero(&in_memory, &[(RAX, 2), (RDX, 7)]), None);
        assert!(at(&[0x0f, 0x0b], 0, &[]).expect("ud2").is_trap());
        assert!(at(&[0xf4], 0, &[]).expect("hlt").is_privileged());
        assert!(at(&[0xc3], 0, &[]).expect("ret").is_return());
        // movaps xmm0, [rax]
        assert!(at(&[0x0f, 0x28, 0x00], 0, &[(RAX, 8)]).expect("movaps").wants_alignment());
        // movups xmm0, [rax]
        assert!(!at(&[0x0f, 0x10, 0x00], 0, &[(RAX, 8)]).expect("movups").wants_alignment());
    }

    #[test]
    fn bytes_that_are_none_are_no_instruction() {
        assert!(at(&[], 0, &[]).is_none());
        assert!(at(&[0x06], 0, &[]).is_none());
        assert!(at(&[0xff; 15], 0, &[]).is_none());
    }

    #[test]
    fn canonical_addresses() {
        assert!(is_canonical(0) && is_canonical(0x7fff_ffff_ffff) && is_canonical(u64::MAX));
        assert!(!is_canonical(0x8000_0000_0000) && !is_canonical(0x4141_4141_4141_4141));
    }
}
