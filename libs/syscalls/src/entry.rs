//! The start of a program that does without the standard library's own start, which reads
//! `/proc/self/maps` and installs handlers: a third of the time that a small program needs to begin.

/// Makes `$run`, a `fn() -> i32`, what the C library starts. The crate says `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        #[allow(unsafe_code)]
        mod started {
            // SAFETY: the one symbol `main` of the program, with the signature that the C library
            // calls; it reads neither argument.
            #[unsafe(no_mangle)]
            extern "C" fn main(_count: i32, _words: *const *const u8) -> i32 {
                $crate::entry::prepare();
                $run()
            }
        }
    };
}

/// What the standard library's start does and no program can do without: opens `/dev/null` for
/// standard streams that are closed, so that no file of ours takes their numbers, turns SIGPIPE into
/// an error of the write, and lets children be waited for, whom a caller may have been ignoring.
pub fn prepare() {
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
