//! Arm semihosting (RISC-V has taken it over): files, terminal and exit status of the machine that
//! runs the emulator or debugger. The instruction that calls it is the processor's.
//!
//! Operation numbers and parameter blocks are those of Arm's "Semihosting for AArch32 and AArch64".

use crate::processor;

const SYS_OPEN: usize = 0x01;
const SYS_CLOSE: usize = 0x02;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_FLEN: usize = 0x0C;
const SYS_EXIT_EXTENDED: usize = 0x20;
const ADP_STOPPED_APPLICATION_EXIT: usize = 0x20026;

/// How a file is opened: the numbers stand for the modes of C's `fopen`.
#[derive(Clone, Copy)]
pub enum Mode {
    /// `rb`
    Read = 1,
    /// `w`
    WriteText = 4,
    /// `wb`
    Write = 5,
}

/// An open file of the host.
#[derive(Clone, Copy)]
pub struct File(pub usize);

impl File {
    /// Opens a file (`:tt` is the terminal); `None` if the host cannot.
    pub fn open(path: &core::ffi::CStr, mode: Mode) -> Option<File> {
        let block = [path.as_ptr() as usize, mode as usize, path.count_bytes()];
        // SAFETY: the block is that of SYS_OPEN; the path lives throughout the call.
        let handle = unsafe { processor::semihost(SYS_OPEN, block.as_ptr()) };
        (handle != usize::MAX).then_some(File(handle))
    }

    /// Writes what is buffered on the host.
    pub fn close(self) {
        let block = [self.0];
        // SAFETY: the block is that of SYS_CLOSE.
        unsafe { processor::semihost(SYS_CLOSE, block.as_ptr()) };
    }

    /// Length in bytes, if the host knows it.
    pub fn length(self) -> Option<usize> {
        let block = [self.0];
        // SAFETY: the block is that of SYS_FLEN.
        let length = unsafe { processor::semihost(SYS_FLEN, block.as_ptr()) };
        (length != usize::MAX).then_some(length)
    }

    /// Fills `to`; whether the file had that much.
    pub fn read(self, to: &mut [u8]) -> bool {
        let block = [self.0, to.as_mut_ptr() as usize, to.len()];
        // SAFETY: the block is that of SYS_READ, which writes at most `to.len()` bytes at `to`.
        // It returns how many are missing.
        unsafe { processor::semihost(SYS_READ, block.as_ptr()) == 0 }
    }

    /// Writes all of `from`; whether that worked.
    pub fn write(self, from: &[u8]) -> bool {
        let block = [self.0, from.as_ptr() as usize, from.len()];
        // SAFETY: the block is that of SYS_WRITE, which reads `from.len()` bytes at `from`. It
        // returns how many it could not write.
        unsafe { processor::semihost(SYS_WRITE, block.as_ptr()) == 0 }
    }
}

/// Ends the emulator with this exit status.
pub fn exit(status: usize) -> ! {
    let block = [ADP_STOPPED_APPLICATION_EXIT, status];
    loop {
        // SAFETY: the block is that of SYS_EXIT_EXTENDED.
        unsafe { processor::semihost(SYS_EXIT_EXTENDED, block.as_ptr()) };
    }
}
