//! Pages on their way to the disk.

use std::os::fd::{AsFd, AsRawFd};

/// Starts to write `length` bytes of a file from `offset` on to its disk and waits for none of it
/// (sync_file_range(2), `SYNC_FILE_RANGE_WRITE`), so that a later fdatasync(2) finds little to do.
///
/// This is no promise of anything, so that there is no error: where the file system knows no such thing, the
/// later sync takes its time.
pub fn start(file: &impl AsFd, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: plain numbers, and the descriptor is borrowed for the call.
    unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[test]
    fn a_file_keeps_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        super::start(&file, 0, 5);
        super::start(&file, u64::MAX, 1);
        file.sync_data().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
    }
}
