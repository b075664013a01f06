//! What a file is, whose it is, and when it was changed.

use crate::arch::current::timer;
use core::sync::atomic::{AtomicI64, Ordering};
use linux_raw_sys::general as linux;

/// What kind of thing an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
    /// A path.
    Link,
    /// A pipe with a name.
    Fifo,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A socket; there are only their names.
    Socket,
    /// None of those: an anonymous inode.
    Other,
}

impl Kind {
    /// The type bits of a mode.
    pub const fn bits(self) -> u32 {
        match self {
            Self::File => linux::S_IFREG,
            Self::Directory => linux::S_IFDIR,
            Self::Link => linux::S_IFLNK,
            Self::Fifo => linux::S_IFIFO,
            Self::Char => linux::S_IFCHR,
            Self::Block => linux::S_IFBLK,
            Self::Socket => linux::S_IFSOCK,
            Self::Other => 0,
        }
    }
    /// The kind that a mode's type bits name; `None` for bits that name none.
    pub const fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & linux::S_IFMT {
            linux::S_IFREG => Self::File,
            linux::S_IFDIR => Self::Directory,
            linux::S_IFLNK => Self::Link,
            linux::S_IFIFO => Self::Fifo,
            linux::S_IFCHR => Self::Char,
            linux::S_IFBLK => Self::Block,
            linux::S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }
    /// What `getdents` calls it: the type bits' upper half.
    pub const fn dirent(self) -> u8 {
        (self.bits() >> 12) as u8
    }
}

/// The permission bits, setuid, setgid and sticky bits of a mode, without the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode(u32);

impl Mode {
    /// setuid.
    pub const SETUID: u32 = 0o4000;
    /// setgid.
    pub const SETGID: u32 = 0o2000;
    /// Names in this directory are their owners' alone.
    pub const STICKY: u32 = 0o1000;

    /// Of these bits those that a mode has.
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o7777)
    }
    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
    /// Whether all of the bits are set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
    /// Without these bits.
    pub const fn without(self, bits: u32) -> Self {
        Self(self.0 & !bits)
    }
}

/// A device's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, PartialOrd, Ord)]
pub struct DevNo {
    /// Which driver; 12 bits.
    pub major: u32,
    /// Which of its devices; 20 bits.
    pub minor: u32,
}

impl DevNo {
    /// The device of these numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major: major & 0xfff, minor: minor & 0xf_ffff }
    }
    /// As `stat` and `mknod` pass it: the minor's low byte, the major, the minor's rest.
    pub const fn encode(self) -> u32 {
        self.minor & 0xff | self.major << 8 | (self.minor & !0xff) << 12
    }
    /// The reverse.
    pub const fn decode(bits: u32) -> Self {
        Self::new(bits >> 8 & 0xfff, bits & 0xff | bits >> 12 & 0xf_ff00)
    }
}

/// A point in time: seconds and nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, below 10^9.
    pub nanoseconds: u32,
}

/// Nanoseconds from 1970 to the boot.
static BOOT: AtomicI64 = AtomicI64::new(0);

/// Says when, in nanoseconds since 1970, this machine's clock (`timer::now`) was 0.
pub fn set_boot_time(nanoseconds: i64) {
    BOOT.store(nanoseconds, Ordering::Relaxed);
}

impl Time {
    /// That many nanoseconds since 1970.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        const SECOND: i64 = 1_000_000_000;
        Self { seconds: nanoseconds.div_euclid(SECOND), nanoseconds: nanoseconds.rem_euclid(SECOND) as u32 }
    }
    /// Now.
    pub fn now() -> Self {
        let up = i64::try_from(timer::now()).unwrap_or(i64::MAX);
        Self::from_nanoseconds(BOOT.load(Ordering::Relaxed).saturating_add(up))
    }
}

/// All that `stat` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// Its number in its file system.
    pub ino: u64,
    /// What it is.
    pub kind: Kind,
    /// Who may do what.
    pub mode: Mode,
    /// Names it has.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that it stands for.
    pub rdev: DevNo,
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes that it takes.
    pub blocks: u64,
    /// What is read and written best.
    pub block_size: u32,
    /// Last read.
    pub atime: Time,
    /// Contents last changed.
    pub mtime: Time,
    /// Attributes last changed.
    pub ctime: Time,
    /// Made.
    pub btime: Time,
}

impl Attr {
    /// Of a thing that root owns, with these permissions and nothing else to tell: what files of
    /// `/proc` begin with.
    pub fn plain(ino: u64, kind: Kind, mode: u32) -> Self {
        let now = Time::now();
        Self {
            ino,
            kind,
            mode: Mode::new(mode),
            nlink: if matches!(kind, Kind::Directory) { 2 } else { 1 },
            uid: 0,
            gid: 0,
            rdev: DevNo::default(),
            size: 0,
            blocks: 0,
            block_size: crate::arch::PAGE_SIZE as u32,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
        }
    }
}

/// What is to be changed; what is `None` stays. `ctime` becomes now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Permissions.
    pub mode: Option<Mode>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last read.
    pub atime: Option<Time>,
    /// Last changed.
    pub mtime: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_encoded_as_linux_does() {
        assert_eq!(DevNo::new(5, 1).encode(), 0x501);
        assert_eq!(DevNo::new(0xabc, 0xdef12).encode(), 0xdefa_bc12);
        for bits in [0, 0x501, 0xdefa_bc12, u32::MAX] {
            assert_eq!(DevNo::decode(bits).encode(), bits);
        }
    }

    #[test]
    fn kinds_and_modes_match() {
        for kind in
            [Kind::File, Kind::Directory, Kind::Link, Kind::Fifo, Kind::Char, Kind::Block, Kind::Socket]
        {
            assert_eq!(Kind::of_mode(kind.bits() | 0o777), Some(kind));
        }
        assert_eq!(Kind::of_mode(0o777), None);
        assert_eq!((Kind::Directory.dirent(), Kind::File.dirent(), Kind::Link.dirent()), (4, 8, 10));
    }

    #[test]
    fn times_before_1970_have_positive_nanoseconds() {
        assert_eq!(Time::from_nanoseconds(-1), Time { seconds: -1, nanoseconds: 999_999_999 });
    }
}
