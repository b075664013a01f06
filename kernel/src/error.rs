//! Error numbers, those of Linux.

/// Why a request was refused. The values are Linux' error numbers, the same on both machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Errno {
    /// Not permitted.
    EPERM = 1,
    /// No such object.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// Interrupted by a signal.
    EINTR = 4,
    /// Input or output error.
    EIO = 5,
    /// No such device or address.
    ENXIO = 6,
    /// Argument list too long.
    E2BIG = 7,
    /// Not a format that can be executed.
    ENOEXEC = 8,
    /// Bad file descriptor.
    EBADF = 9,
    /// No child.
    ECHILD = 10,
    /// Try again.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Access denied.
    EACCES = 13,
    /// Bad address.
    EFAULT = 14,
    /// Not a block device.
    ENOTBLK = 15,
    /// Busy.
    EBUSY = 16,
    /// Exists already.
    EEXIST = 17,
    /// On another file system.
    EXDEV = 18,
    /// No such device or CPU.
    ENODEV = 19,
    /// Not a directory.
    ENOTDIR = 20,
    /// A directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// Too many open files in the system.
    ENFILE = 23,
    /// Too many open files in the process.
    EMFILE = 24,
    /// Not a terminal, or not a request of this device.
    ENOTTY = 25,
    /// A program that runs.
    ETXTBSY = 26,
    /// File too large.
    EFBIG = 27,
    /// No space left.
    ENOSPC = 28,
    /// Not seekable.
    ESPIPE = 29,
    /// Read-only file system.
    EROFS = 30,
    /// Too many links.
    EMLINK = 31,
    /// Nobody reads the pipe.
    EPIPE = 32,
    /// Outside of the domain.
    EDOM = 33,
    /// Result too large.
    ERANGE = 34,
    /// Would deadlock.
    EDEADLK = 35,
    /// Name too long.
    ENAMETOOLONG = 36,
    /// No locks.
    ENOLCK = 37,
    /// Not implemented.
    ENOSYS = 38,
    /// Directory not empty.
    ENOTEMPTY = 39,
    /// Too many symbolic links.
    ELOOP = 40,
    /// Value too large.
    EOVERFLOW = 75,
    /// Not supported.
    EOPNOTSUPP = 95,
    /// Timed out.
    ETIMEDOUT = 110,
    /// Interrupted by a signal: call again behind a handler with SA_RESTART, or if there is none; else
    /// the program sees EINTR. As the next three: never seen by a program.
    ERESTARTSYS = 512,
    /// Call again, whatever the handler is.
    ERESTARTNOINTR = 513,
    /// Call again only if no handler ran.
    ERESTARTNOHAND = 514,
    /// Go on by `restart_syscall` if no handler ran: the time that is left is less than was asked for.
    ERESTARTBLOCK = 516,
}
