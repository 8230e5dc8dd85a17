//! What little code does: where a function goes that only jumps.
//!
//! Read byte by byte from the loaded modules, each only after a look at whether it can be: a few system calls, for
//! what is asked a few times in a process.

use super::call;

/// What a function may begin with, to no effect, where indirect jumps are watched (Intel's CET).
const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
/// A prefix of no effect before a jump.
const BND: u8 = 0xf2;

/// Where a function goes whose only instruction is a jump.
pub fn jump(function: usize) -> Option<usize> {
    let at = behind_endbr(function)?;
    let [0xe9, offset @ ..] = read::<5>(at)? else { return None };
    Some(relative(at + 5, offset))
}

/// Where an entry of a procedure linkage table goes, as far as that has been found.
pub fn indirect_jump(entry: usize) -> Option<usize> {
    let mut at = behind_endbr(entry)?;
    if read(at)? == [BND] {
        at += 1;
    }
    let [0xff, 0x25, offset @ ..] = read::<6>(at)? else { return None };
    read(relative(at + 6, offset)).map(usize::from_ne_bytes)
}

fn behind_endbr(address: usize) -> Option<usize> {
    Some(if read(address)? == ENDBR { address + ENDBR.len() } else { address })
}

/// The address that an instruction names which ends at `end`.
fn relative(end: usize, offset: [u8; 4]) -> usize {
    end.wrapping_add_signed(i32::from_le_bytes(offset) as isize)
}

/// The `N` bytes at `address`, if they can be read.
fn read<const N: usize>(address: usize) -> Option<[u8; N]> {
    let last = address.checked_add(N - 1)?;
    // SAFETY: both ends can be read, and there are fewer bytes than in a page.
    (call::is_readable(address) && call::is_readable(last))
        .then(|| unsafe { (address as *const [u8; N]).read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::{indirect_jump, jump};

    #[test]
    fn jumps_are_followed_and_nothing_else_is() {
        let marked = [0xf3u8, 0x0f, 0x1e, 0xfa, 0xe9, 16, 0, 0, 0];
        let at = marked.as_ptr() as usize;
        assert_eq!(jump(at), Some(at + 9 + 16));
        assert_eq!(jump(at + 4), Some(at + 9 + 16));
        let backward = [0xe9u8, 0xf0, 0xff, 0xff, 0xff];
        let at = backward.as_ptr() as usize;
        assert_eq!(jump(at), Some(at - 11));
        let push_first = [0x55u8, 0xe9, 0, 0, 0, 0];
        assert_eq!(jump(push_first.as_ptr() as usize), None);
        assert_eq!(jump(16), None);
    }

    #[test]
    fn entries_of_a_linkage_table_are_read() {
        // endbr64; bnd jmp *8(%rip); then, 8 bytes on, the word that it names.
        let mut entry = [0xf3u8, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 8, 0, 0, 0].to_vec();
        entry.extend([0; 8]);
        entry.extend(0x1234_5678usize.to_ne_bytes());
        let at = entry.as_ptr() as usize;
        for start in [at, at + 4, at + 5] {
            assert_eq!(indirect_jump(start), Some(0x1234_5678));
        }
        // A call in its place.
        entry[6] = 0x15;
        assert_eq!(indirect_jump(at), None);
    }
}
