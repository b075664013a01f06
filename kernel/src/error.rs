//! Error numbers, those of Linux.

/// Why a request was refused. The values are Linux' error numbers, the same on both machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Errno {
    /// No such object.
    ENOENT = 2,
    /// Try again.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Bad address.
    EFAULT = 14,
    /// Busy.
    EBUSY = 16,
    /// Exists already.
    EEXIST = 17,
    /// No such device or CPU.
    ENODEV = 19,
    /// Invalid argument.
    EINVAL = 22,
    /// Not implemented.
    ENOSYS = 38,
    /// Timed out.
    ETIMEDOUT = 110,
}
