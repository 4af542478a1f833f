//! Files as block devices, loop(4).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

const CTL_GET_FREE: libc::Ioctl = 0x4c82;
const CONFIGURE: libc::Ioctl = 0x4c0a;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
/// Others look for free devices too.
const TRIES: u32 = 32;

/// struct loop_config of linux/loop.h, with its loop_info64 in it.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    /// Up to `lo_flags`: device, inode, rdevice, offset, size limit, number, encryption.
    info_head: [u64; 5],
    numbers: [u32; 3],
    flags: u32,
    /// Names, key and init of loop_info64.
    info_tail: [u8; 64 + 64 + 32 + 16],
    reserved: [u64; 8],
}

/// A device whose blocks are a file's. It frees itself when it was mounted and is unmounted, or when it is
/// dropped unused.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    _device: File,
}

impl LoopDevice {
    /// Puts a free device in front of `file` (LOOP_CONFIGURE, Linux 5.8).
    pub fn new(file: BorrowedFd<'_>, read_only: bool) -> io::Result<LoopDevice> {
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        for _ in 0..TRIES {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), CTL_GET_FREE) };
            if number == -1 {
                return Err(io::Error::last_os_error());
            }
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(!read_only).open(&path)?;
            match configure(&device, file, read_only) {
                Ok(()) => return Ok(LoopDevice { path, _device: device }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// The device's name.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

fn configure(device: &File, file: BorrowedFd<'_>, read_only: bool) -> io::Result<()> {
    let config = Config {
        fd: file.as_raw_fd() as u32,
        block_size: 0,
        info_head: [0; 5],
        numbers: [0; 3],
        flags: if read_only { AUTOCLEAR | READ_ONLY } else { AUTOCLEAR },
        info_tail: [0; 176],
        reserved: [0; 8],
    };
    // SAFETY: LOOP_CONFIGURE reads a loop_config, which outlives the call.
    match unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, &raw const config) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_the_kernels_size() {
        assert_eq!((size_of::<Config>(), std::mem::offset_of!(Config, flags)), (304, 60));
    }
}
