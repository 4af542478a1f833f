//! The program's own code in memory.

use std::ffi::c_void;

/// Lets go of all code that is mapped now, the libraries' too (madvise(2), `MADV_DONTNEED`): what is still in use
/// comes back by a page fault each few pages, what only the start needed does not.
///
/// A hint: where the kernel refuses, the code stays mapped.
pub fn let_go() {
    // SAFETY: the callback is called for the length of the call, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(let_go_of), std::ptr::null_mut()) };
}

/// Lets go of the segments of one object that can be executed and not written: they are as in their file.
unsafe extern "C" fn let_go_of(object: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> libc::c_int {
    // SAFETY: the caller passes a description that lives through the call.
    let object = unsafe { &*object };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the description says where its headers are, and how many.
    let segments = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    let page = rustix::param::page_size() as u64;
    for segment in segments {
        let is_code = segment.p_flags & libc::PF_X != 0 && segment.p_flags & libc::PF_W == 0;
        if segment.p_type != libc::PT_LOAD || !is_code {
            continue;
        }
        let start = (object.dlpi_addr + segment.p_vaddr).next_multiple_of(page);
        let end = (object.dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
        if start < end {
            // SAFETY: whole pages of a mapping of a file that nobody writes to: a page that is let go of is read
            // from the file again, also under the feet of the code that runs here.
            unsafe { libc::madvise(start as *mut c_void, (end - start) as usize, libc::MADV_DONTNEED) };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on() {
        super::let_go();
        let sum: u64 = (1..=10).sum();
        super::let_go();
        assert_eq!(format!("{sum}"), "55");
    }
}
