//! Exchanging the file that this process runs from, without starting anew.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

const PAGE: usize = 4096;

/// Makes this process run from `file`, another way to the same file: `/proc/self/exe`, and all that
/// is mapped, lead there from now on. What execve(2) would do at many times the price.
///
/// Every mapping of the old way is put on the new one, which the kernel then takes for the
/// process's file (PR_SET_MM_MAP of prctl(2), in kernels with CONFIG_CHECKPOINT_RESTORE, for who
/// has CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). A failure leaves a process that works, and still
/// runs from the old way.
///
/// Only for a process that has no other thread: EINVAL else.
pub fn run_from(file: BorrowedFd<'_>) -> io::Result<()> {
    let figures = Figures::read()?;
    let program = Program::of_this_process()?;
    let mut code = 0..0;
    for segment in program.segments() {
        if segment.p_flags & libc::PF_X != 0 {
            code = program.pages(segment);
        }
        // SAFETY: nothing else runs meanwhile, and `program` describes this process.
        unsafe { program.move_segment(segment, file)? };
    }
    let before_heap = figures.heap_start - 1;
    let map = MemoryMap {
        code: [code.start as u64, code.end as u64],
        // Figures for humans; kernels disagree on where data may lie, but all accept this.
        data: [before_heap, before_heap],
        // SAFETY: sbrk(0) changes nothing.
        heap: [figures.heap_start, unsafe { libc::sbrk(0) } as u64],
        stack_start: figures.stack_start,
        arguments: figures.arguments,
        environment: figures.environment,
        auxv: 0,
        auxv_size: 0,
        file: file.as_raw_fd() as u32,
    };
    // SAFETY: the map is valid for the call and of the size that is said.
    let result = unsafe {
        libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, &raw const map, size_of::<MemoryMap>(), 0)
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// struct prctl_mm_map of linux/prctl.h.
#[repr(C)]
struct MemoryMap {
    code: [u64; 2],
    data: [u64; 2],
    heap: [u64; 2],
    stack_start: u64,
    arguments: [u64; 2],
    environment: [u64; 2],
    auxv: u64,
    auxv_size: u32,
    file: u32,
}

/// What the kernel knows of this process, and has to be told again; proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Figures {
    stack_start: u64,
    heap_start: u64,
    arguments: [u64; 2],
    environment: [u64; 2],
}

/// The fields of /proc/self/stat, as far as `read` wants them.
fn of_own_stat<T>(read: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
    use io::Read;
    let mut text = [0; 1024];
    let length = std::fs::File::open("/proc/self/stat")?.read(&mut text)?;
    read(&text[..length]).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The numeric fields of a stat file by their numbers in proc_pid_stat(5), from the fourth on.
fn fields(stat: &[u8]) -> Option<impl Fn(usize) -> Option<u64>> {
    // The command's name may hold anything, so fields count from the last parenthesis: the
    // state behind it is the third.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(move |number: usize| fields.get(number - 3)?.parse::<u64>().ok())
}

/// The signals up to 31 that this process ignores, bit 0 for the first.
pub(crate) fn ignored_signals() -> io::Result<u64> {
    of_own_stat(|stat| fields(stat)?(33))
}

impl Figures {
    fn read() -> io::Result<Figures> {
        of_own_stat(Figures::parse)
    }

    /// None too for a process with threads.
    fn parse(text: &[u8]) -> Option<Figures> {
        let field = fields(text)?;
        let figures = Figures {
            stack_start: field(28)?,
            heap_start: field(47)?,
            arguments: [field(48)?, field(49)?],
            environment: [field(50)?, field(51)?],
        };
        (field(20)? == 1 && figures.heap_start > 0).then_some(figures)
    }
}

/// The program as its headers tell.
struct Program {
    /// What is added to the headers' addresses.
    bias: usize,
    headers: &'static [libc::Elf64_Phdr],
}

impl Program {
    fn of_this_process() -> io::Result<Program> {
        unsafe extern "C" fn first(
            info: *mut libc::dl_phdr_info,
            _size: libc::size_t,
            data: *mut libc::c_void,
        ) -> libc::c_int {
            // SAFETY: the caller passes its Option, and the library a valid record whose headers
            // are the program's own, mapped as long as it runs. The first is the main program.
            unsafe {
                let headers = std::slice::from_raw_parts((*info).dlpi_phdr, usize::from((*info).dlpi_phnum));
                *data.cast::<Option<Program>>() = Some(Program { bias: (*info).dlpi_addr as usize, headers });
            }
            1
        }
        let mut found: Option<Program> = None;
        // SAFETY: the callback is of the right type and writes to `found` only, during the call.
        unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
        found.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }

    fn segments(&self) -> impl Iterator<Item = &libc::Elf64_Phdr> {
        self.headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_filesz > 0)
    }

    /// The pages that a segment has from the file.
    fn pages(&self, segment: &libc::Elf64_Phdr) -> std::ops::Range<usize> {
        let start = self.bias + segment.p_vaddr as usize;
        floor(start)..floor(start + segment.p_filesz as usize + PAGE - 1)
    }

    /// What is read-only since the program was relocated, in whole pages as the C library takes it.
    fn relocated(&self) -> Option<std::ops::Range<usize>> {
        let header = self.headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO)?;
        let start = self.bias + header.p_vaddr as usize;
        Some(floor(start)..floor(start + header.p_memsz as usize))
    }

    /// Maps a segment that never changes from `file`; puts a copy in the place of one that does.
    ///
    /// # Safety
    /// No other thread may run; `file` must be the file that this program was started from.
    unsafe fn move_segment(&self, segment: &libc::Elf64_Phdr, file: BorrowedFd<'_>) -> io::Result<()> {
        let pages = self.pages(segment);
        if segment.p_flags & libc::PF_W == 0 {
            let offset = floor(segment.p_offset as usize) as libc::off_t;
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            let place = pages.start as *mut libc::c_void;
            // SAFETY: the same bytes come to stand where they stood, with the same protection.
            let mapped = unsafe {
                libc::mmap(place, pages.len(), protection(segment), flags, file.as_raw_fd(), offset)
            };
            return if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) };
        }
        let relocated = self.relocated().unwrap_or(0..0);
        let first = relocated.start.clamp(pages.start, pages.end);
        let last = relocated.end.clamp(first, pages.end);
        for (part, is_fixed) in [(pages.start..first, false), (first..last, true), (last..pages.end, false)] {
            if !part.is_empty() {
                let protection = if is_fixed { libc::PROT_READ } else { protection(segment) };
                // SAFETY: as this function's own.
                unsafe { replace_by_copy(part, protection)? };
            }
        }
        Ok(())
    }
}

/// Puts memory of no file in the place of `pages`, with the same bytes.
///
/// # Safety
/// The pages must be mapped and readable, and nobody else may write them meanwhile.
unsafe fn replace_by_copy(pages: std::ops::Range<usize>, protection: libc::c_int) -> io::Result<()> {
    let length = pages.len();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    // SAFETY: a new mapping wherever there is room; then bytes into it that no one writes between
    // the copy and the move, as these calls write no memory of this program's unless they fail.
    unsafe {
        let copy = libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if copy == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::copy_nonoverlapping(pages.start as *const u8, copy.cast(), length);
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let place = pages.start as *mut libc::c_void;
        let placed = libc::mprotect(copy, length, protection) == 0
            && libc::mremap(copy, length, length, flags, place) != libc::MAP_FAILED;
        if !placed {
            let error = io::Error::last_os_error();
            libc::munmap(copy, length);
            return Err(error);
        }
    }
    Ok(())
}

fn protection(segment: &libc::Elf64_Phdr) -> libc::c_int {
    [(libc::PF_R, libc::PROT_READ), (libc::PF_W, libc::PROT_WRITE), (libc::PF_X, libc::PROT_EXEC)]
        .into_iter()
        .filter(|(flag, _)| segment.p_flags & flag != 0)
        .fold(0, |all, (_, protection)| all | protection)
}

fn floor(address: usize) -> usize {
    address & !(PAGE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_any_name() {
        let mut fields: Vec<String> = (3..=52).map(|number| (number * 1000).to_string()).collect();
        fields[20 - 3] = "1".into();
        let line = |fields: &[String]| format!("7 (a) R 1) {}", fields.join(" "));
        let figures = Figures {
            stack_start: 28_000,
            heap_start: 47_000,
            arguments: [48_000, 49_000],
            environment: [50_000, 51_000],
        };
        assert_eq!(Figures::parse(line(&fields).as_bytes()), Some(figures));
        fields[20 - 3] = "2".into();
        assert_eq!(Figures::parse(line(&fields).as_bytes()), None);
        assert_eq!(Figures::parse(b"7 (a"), None);
    }

    #[test]
    fn a_process_with_threads_is_left_alone() {
        use std::os::fd::AsFd;
        let own = std::fs::File::open("/proc/self/exe").unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        let error = run_from(own.as_fd()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        drop(stop);
        assert!(other.join().unwrap().is_err());
    }
}
