//! The address space of a process, as `/proc/PID/maps` and `smaps` tell it.

use heaptape_tape::{Mapping, MappingAccess, Private};
use std::fs;
use std::io;

/// Most mappings that are looked at: the kernel's own default bound is half of it.
const MOST: usize = 1 << 17;

/// The mappings of a process, by address.
pub(crate) fn of(pid: u32) -> io::Result<Vec<Mapping>> {
    Ok(parse(&fs::read(format!("/proc/{pid}/maps"))?))
}

/// The mappings of a process, by address, and the bytes of resident memory without a file in each. Costs the kernel a walk
/// over the page tables.
pub(crate) fn with_residence(pid: u32) -> io::Result<(Vec<Mapping>, Vec<u64>)> {
    let text = fs::read(format!("/proc/{pid}/smaps"))?;
    // A kernel may come without it, or refuse it, by saying nothing.
    if text.is_empty() {
        return Ok((of(pid)?, Vec::new()));
    }
    Ok(parse_smaps(&text))
}

/// Sums up resident memory without a file by where it lies.
pub(crate) fn private(mappings: &[Mapping], resident: &[u64]) -> Private {
    let mut sum = Private::default();
    for (index, (mapping, bytes)) in mappings.iter().zip(resident).enumerate() {
        *match &mapping.name[..] {
            b"[heap]" => &mut sum.heap,
            b"[stack]" => &mut sum.stack,
            name if name.starts_with(b"/") => &mut sum.files,
            _ if mapping.is_arena(mappings.get(index + 1)) => &mut sum.arenas,
            _ => &mut sum.other,
        } += bytes;
    }
    sum
}

fn parse_smaps(text: &[u8]) -> (Vec<Mapping>, Vec<u64>) {
    let (mut mappings, mut resident): (Vec<Mapping>, Vec<u64>) = (Vec::new(), Vec::new());
    for text in text.split(|&byte| byte == b'\n') {
        if let Some(kibibytes) = text.strip_prefix(b"Anonymous:") {
            let number = std::str::from_utf8(kibibytes).ok().and_then(|text| {
                text.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
            });
            if let (Some(last), Some(bytes)) = (resident.last_mut(), number) {
                *last = bytes;
            }
        } else if let Some(mapping) = line(text)
            && mappings.last().is_none_or(|before| before.end <= mapping.start)
        {
            if mappings.len() == MOST {
                break;
            }
            mappings.push(mapping);
            resident.push(0);
        }
    }
    (mappings, resident)
}

/// Lines that cannot be read are left out: a path may hold anything but a newline, which is escaped.
fn parse(text: &[u8]) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for mapping in text.split(|&byte| byte == b'\n').filter_map(line).take(MOST) {
        if mappings.last().is_none_or(|before| before.end <= mapping.start) {
            mappings.push(mapping);
        }
    }
    mappings
}

/// `7f5e1c000000-7f5e1c021000 rw-p 00000000 00:00 0      [heap]`
fn line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.strip_prefix(b" ").unwrap_or(after);
        std::str::from_utf8(field).ok()
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = field()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let flags = field()?.as_bytes();
    let is = |at: usize, letter: u8| flags.get(at) == Some(&letter);
    let access = MappingAccess {
        read: is(0, b'r'),
        write: is(1, b'w'),
        execute: is(2, b'x'),
        shared: is(3, b's'),
    };
    let offset = hex(field()?)?;
    let (_device, _inode) = (field()?, field()?);
    let name = rest.trim_ascii_start().into();
    (start < end).then_some(Mapping { start, end, access, offset, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes() {
        let text = b"5583-5585 r--p 00001000 fd:01 1442           /usr/bin/a b\n\
            7ffc1000-7ffc3000 rw-p 00000000 00:00 0                          [stack]\n\
            7ffc4000-7ffc5000 rwxs 00000000 00:00 0 \n";
        let found = parse(text);
        let names: Vec<&[u8]> = found.iter().map(|mapping| &mapping.name[..]).collect();
        assert_eq!(names, [&b"/usr/bin/a b"[..], b"[stack]", b""]);
        assert_eq!((found[0].start, found[0].end, found[0].offset), (0x5583, 0x5585, 0x1000));
        let MappingAccess { read, write, execute, shared } = found[0].access;
        assert_eq!((read, write, execute, shared), (true, false, false, false));
        let MappingAccess { read, write, execute, shared } = found[2].access;
        assert_eq!((read, write, execute, shared), (true, true, true, true));
    }

    #[test]
    fn nonsense_is_left_out() {
        for text in ["", "\n\n", "x", "1-0 rw-p 0 0:0 0", "0-zz rw-p 0 0:0 0", "1-2 rw-p"] {
            assert_eq!(parse(text.as_bytes()), []);
        }
        assert_eq!(parse(b"1000-3000 rw-p 0 0:0 0\n2000-4000 rw-p 0 0:0 0\n").len(), 1);
    }

    #[test]
    fn resident_bytes_belong_to_the_mapping_above_them() {
        let text = b"5583-5585 r--p 00001000 fd:01 1442           /usr/bin/a\n\
            Size:                  8 kB\nAnonymous:             4 kB\nVmFlags: rd mr mw me\n\
            7ffc1000-7ffc3000 rw-p 00000000 00:00 0                          [stack]\n\
            Rss:                  12 kB\nAnonymous:            12 kB\nTHPeligible:           0\n\
            7ffc4000-7ffc5000 rwxs 00000000 00:00 0 \n";
        let (mappings, resident) = parse_smaps(text);
        assert_eq!(
            mappings.iter().map(|m| m.start).collect::<Vec<_>>(),
            [0x5583, 0x7ffc1000, 0x7ffc4000]
        );
        assert_eq!(resident, [4096, 12_288, 0]);
        let sum = Private { stack: 12_288, files: 4096, ..Private::default() };
        assert_eq!(private(&mappings, &resident), sum);
        let (mappings, resident) = with_residence(std::process::id()).unwrap();
        assert!(mappings.len() == resident.len() && resident.iter().sum::<u64>() > 0);
    }

    #[test]
    fn our_own() {
        let found = of(std::process::id()).expect("we may look at ourselves");
        let code = our_own as fn() as usize as u64;
        assert!(found.iter().any(|m| m.start <= code && code < m.end && m.access.execute));
    }
}
