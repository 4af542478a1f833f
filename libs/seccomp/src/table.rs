//! Which number a call has on which architecture; see data/syscalls.txt.

use crate::arch::Arch;

const TEXT: &str = include_str!("../data/syscalls.txt");
const COLUMNS: usize = Arch::ALL.len();
/// A call that the architecture does not have.
const ABSENT: u16 = u16::MAX;
/// Numbers of ARM's private calls start here (0x0f0001 ...); they are kept as 0xf001 ...
const ARM_PRIVATE: u32 = 0x0f_0000;
const PACKED_PRIVATE: u16 = 0xf000;

/// One line of the data file: where its name stands, and the numbers.
#[derive(Clone, Copy)]
struct Entry {
    start: u16,
    len: u8,
    numbers: [u16; COLUMNS],
}

/// The data file, read by the compiler: no start-up cost, no relocations.
static ENTRIES: [Entry; count()] = parse();

const fn count() -> usize {
    let text = TEXT.as_bytes();
    let (mut lines, mut i) = (0, 0);
    while i < text.len() {
        if text[i] == b'\n' {
            lines += 1;
        }
        i += 1;
    }
    // The first line is a comment.
    lines - 1
}

const fn parse() -> [Entry; count()] {
    let text = TEXT.as_bytes();
    let mut all = [Entry { start: 0, len: 0, numbers: [ABSENT; COLUMNS] }; count()];
    let mut i = 0;
    while text[i] != b'\n' {
        i += 1;
    }
    i += 1;
    let mut line = 0;
    while line < all.len() {
        let start = i;
        while text[i] != b' ' {
            i += 1;
        }
        assert!(start < u16::MAX as usize);
        all[line].start = start as u16;
        all[line].len = (i - start) as u8;
        let mut column = 0;
        while column < COLUMNS {
            i += 1;
            let mut number: Option<u32> = None;
            while text[i] != b' ' && text[i] != b'\n' {
                if text[i] != b'-' {
                    assert!(text[i].is_ascii_digit());
                    let digit = (text[i] - b'0') as u32;
                    number = Some(match number {
                        Some(value) => value * 10 + digit,
                        None => digit,
                    });
                }
                i += 1;
            }
            if let Some(value) = number {
                all[line].numbers[column] = pack(value);
            }
            column += 1;
        }
        assert!(text[i] == b'\n');
        i += 1;
        line += 1;
    }
    all
}

const fn pack(number: u32) -> u16 {
    if number >= ARM_PRIVATE {
        PACKED_PRIVATE | (number - ARM_PRIVATE) as u16
    } else {
        assert!(number < PACKED_PRIVATE as u32);
        number as u16
    }
}

impl Entry {
    fn name(&self) -> &'static str {
        let start = usize::from(self.start);
        &TEXT[start..start + usize::from(self.len)]
    }
}

/// The numbers of one call on all architectures.
#[derive(Clone, Copy)]
pub(crate) struct Numbers(&'static [u16; COLUMNS]);

impl Numbers {
    /// The number on `arch` as user space passes it (x32 with its bit set).
    pub(crate) fn on(self, arch: Arch) -> Option<u32> {
        match self.0[arch as usize] {
            ABSENT => None,
            packed if packed >= PACKED_PRIVATE => Some(ARM_PRIVATE + u32::from(packed & 0xfff)),
            number if arch == Arch::X32 => Some(u32::from(number) | crate::arch::X32_BIT),
            number => Some(u32::from(number)),
        }
    }
}

/// Looks a call up by name.
pub(crate) fn find(name: &str) -> Option<Numbers> {
    let at = ENTRIES.binary_search_by(|e| e.name().cmp(name)).ok()?;
    Some(Numbers(&ENTRIES[at].numbers))
}

/// Looks up many names. Profiles list them mostly in alphabetical order, so the entries after the
/// last one found are tried first.
#[derive(Default)]
pub(crate) struct Finder {
    next: usize,
}

impl Finder {
    pub(crate) fn find(&mut self, name: &str) -> Option<Numbers> {
        let near = ENTRIES.iter().enumerate().skip(self.next).take(4).find(|(_, e)| e.name() == name);
        let at = match near {
            Some((at, _)) => at,
            None => ENTRIES.binary_search_by(|e| e.name().cmp(name)).ok()?,
        };
        self.next = at + 1;
        Some(Numbers(&ENTRIES[at].numbers))
    }
}

/// The number of a call on an architecture; `None` where it does not exist or is not known.
pub fn number(name: &str, arch: Arch) -> Option<u32> {
    find(name)?.on(arch)
}

/// Every known call of an architecture with its number, by name.
pub fn calls(arch: Arch) -> impl Iterator<Item = (&'static str, u32)> {
    ENTRIES.iter().filter_map(move |e| Some((e.name(), Numbers(&e.numbers).on(arch)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(ENTRIES.windows(2).all(|w| w[0].name() < w[1].name()));
        for entry in &ENTRIES {
            assert_eq!(find(entry.name()).unwrap().0, &entry.numbers);
        }
        assert!(find("no_such_call").is_none());
        assert!(find("").is_none());
    }

    #[test]
    fn numbers_of_the_kernel_headers() {
        assert_eq!(number("read", Arch::X86_64), Some(0));
        assert_eq!(number("openat2", Arch::S390x), Some(437));
        assert_eq!(number("clone3", Arch::X32), Some(0x4000_0000 | 435));
        assert_eq!(number("ioctl", Arch::X32), Some(0x4000_0000 | 514));
        assert_eq!(number("set_tls", Arch::Arm), Some(0x0f_0005));
        assert_eq!(number("open", Arch::Aarch64), None);
        assert_eq!(number("riscv_flush_icache", Arch::Riscv64), Some(259));
        assert_eq!(number("socketcall", Arch::Ppc64le), Some(102));
    }
}
