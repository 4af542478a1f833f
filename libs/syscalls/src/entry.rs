//! The start of a program that does without the standard library's own start, which reads
//! `/proc/self/maps` and installs handlers: a third of the time that a small program needs to begin.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The words that the program was started with. The standard library has them of glibc, without its own start; of
/// another C library it has none.
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Makes `$run`, a `fn() -> i32`, what the C library starts. The crate says `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        #[allow(unsafe_code)]
        mod started {
            // SAFETY: the one symbol `main` of the program, with the signature that the C library
            // calls.
            #[unsafe(no_mangle)]
            extern "C" fn main(
                count: std::ffi::c_int,
                words: *const *const std::ffi::c_char,
            ) -> std::ffi::c_int {
                // SAFETY: the C library gives so many words, which last as long as the process.
                unsafe { $crate::entry::prepare(count, words) };
                $run()
            }
        }
    };
}

/// What the standard library's start does and no program can do without: opens `/dev/null` for
/// standard streams that are closed, so that no file of ours takes their numbers, turns SIGPIPE into
/// an error of the write, and lets children be waited for, whom a caller may have been ignoring.
///
/// # Safety
/// `words` are `count` strings that last as long as the process.
pub unsafe fn prepare(count: c_int, words: *const *const c_char) {
    COUNT.store(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
    WORDS.store(words.cast_mut(), Ordering::Relaxed);
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array is valid for the call and as long as it is said to be; open(2) and
    // signal(2) take a static string and integers.
    unsafe {
        libc::poll(streams.as_mut_ptr(), streams.len() as libc::nfds_t, 0);
        for stream in streams {
            if stream.revents & libc::POLLNVAL != 0
                && libc::open(c"/dev/null".as_ptr(), libc::O_RDWR, 0) == -1
            {
                libc::abort();
            }
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}

/// The words that the program was started with, its name first.
pub fn words() -> Vec<OsString> {
    let words = WORDS.load(Ordering::Relaxed);
    if words.is_null() {
        // The standard library's start was this program's.
        return std::env::args_os().collect();
    }
    let word = |at| {
        // SAFETY: `prepare` was told that there are so many, that each is a string, and that they last.
        let word = unsafe { CStr::from_ptr(*words.add(at)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    };
    (0..COUNT.load(Ordering::Relaxed)).map(word).collect()
}
