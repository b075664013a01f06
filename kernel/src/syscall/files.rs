//! What all calls about files share: paths, descriptors, structures.

use super::Call;
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::fs::buffer::{Piece, UserMemory};
use crate::fs::walk::{Last, PATH_MAX, Walk};
use crate::fs::{Access, File, Place};
use crate::mm::space::Mm;
use crate::proc::process::{Creds, Resource};
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use linux_raw_sys::general as linux;

/// The directory that "at" calls name for the working directory.
pub(super) const AT_FDCWD: i32 = linux::AT_FDCWD;
/// The most bytes of one read or write: Linux' `MAX_RW_COUNT` with pages of 4 KB.
pub(super) const MOST: usize = 0x7fff_f000;
/// The most pieces of one.
const PIECES_MOST: usize = 1024;

impl UserMemory for Mm {
    fn read(&self, ctx: &mut MaySleep, from: VirtAddr, into: &mut [u8]) -> Result<(), Errno> {
        self.read_user(ctx, from, into)
    }
    fn write(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        self.write_user(ctx, to, from)
    }
}

/// Bytes that a path has in most cases: those need no heap.
const SHORT: usize = 256;

/// A path, copied from the program.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and needs no heap")]
pub(super) enum Path {
    Short([u8; SHORT], usize),
    Long(Vec<u8>),
}

impl Deref for Path {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => &bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}

/// Reads a path. ENAMETOOLONG from 4096 bytes on; EFAULT.
pub(super) fn path(call: &mut Call<'_>, at: u64) -> Result<Path, Errno> {
    let task = call.task;
    let at = VirtAddr::new(at);
    let mut short = [0; SHORT];
    match task.mm().read_str(call.ctx, at, &mut short) {
        Ok(len) => return Ok(Path::Short(short, len)),
        Err(Errno::ENAMETOOLONG) => {}
        Err(error) => return Err(error),
    }
    let mut long = Vec::new();
    long.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
    long.resize(PATH_MAX, 0);
    let len = task.mm().read_str(call.ctx, at, &mut long)?;
    long.truncate(len);
    Ok(Path::Long(long))
}

/// Who acts: the identity for files.
pub(super) fn who(creds: &Creds) -> Access<'_> {
    Access { uid: creds.fsuid, gid: creds.fsgid, groups: creds.groups() }
}

/// The open file. EBADF: there is none.
pub(super) fn file(call: &Call<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    call.task.files().get(fd)
}

/// The open file, for what needs more than a place: EBADF for O_PATH.
pub(super) fn usable(call: &Call<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    let file = file(call, fd)?;
    if file.flags().is_path() { Err(Errno::EBADF) } else { Ok(file) }
}

/// How many descriptors there may be.
pub(super) fn descriptors(call: &Call<'_>) -> u64 {
    call.task.process().limits().soft(Resource::Files)
}

/// Where a walk along the path begins.
pub(super) fn walk<'a>(call: &Call<'_>, who: Access<'a>, dirfd: i32, path: &[u8]) -> Result<Walk<'a>, Errno> {
    let fs = call.task.fs();
    let root = fs.root();
    let start = if path.first() == Some(&b'/') {
        root.clone()
    } else if dirfd == AT_FDCWD {
        fs.cwd()
    } else {
        file(call, dirfd)?.place().clone()
    };
    Ok(Walk { who, root, start })
}

/// What the path leads to, by its address.
pub(super) fn resolve(call: &mut Call<'_>, dirfd: i32, path_at: u64, last: Last) -> Result<Place, Errno> {
    let creds = call.task.creds();
    let path = path(call, path_at)?;
    walk(call, who(&creds), dirfd, &path)?.resolve(call.ctx, &path, last)
}

/// The same, with flags as the "at" calls have them; with AT_EMPTY_PATH and an empty path what the
/// descriptor stands for.
pub(super) fn resolve_at(
    call: &mut Call<'_>,
    dirfd: i32,
    path_at: u64,
    flags: u32,
    last: Last,
) -> Result<Place, Errno> {
    let creds = call.task.creds();
    // A null pointer is an empty path here since Linux 6.11.
    let path = path(call, path_at)?;
    if path.is_empty() && flags & linux::AT_EMPTY_PATH != 0 {
        return if dirfd == AT_FDCWD {
            Ok(call.task.fs().cwd())
        } else {
            Ok(file(call, dirfd)?.place().clone())
        };
    }
    walk(call, who(&creds), dirfd, &path)?.resolve(call.ctx, &path, last)
}

/// Follow a last symbolic link, unless the flags say AT_SYMLINK_NOFOLLOW.
pub(super) fn last(flags: u32) -> Last {
    if flags & linux::AT_SYMLINK_NOFOLLOW != 0 { Last::Stay } else { Last::Follow }
}

/// One piece of a program's memory, cut to what one read or write moves.
pub(super) fn piece(at: u64, len: u64) -> Result<Piece, Errno> {
    // A negative length, as Linux sees it.
    let len = usize::try_from(len).ok().filter(|&len| len <= isize::MAX as usize).ok_or(Errno::EINVAL)?;
    Ok(Piece { at: VirtAddr::new(at), len: len.min(MOST) })
}

/// The pieces of `readv`: cut to what one read moves.
pub(super) fn pieces(call: &mut Call<'_>, at: u64, count: u64) -> Result<Vec<Piece>, Errno> {
    let count = usize::try_from(count).ok().filter(|&count| count <= PIECES_MOST).ok_or(Errno::EINVAL)?;
    let mut pieces = Vec::new();
    pieces.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut left = MOST;
    for index in 0..count as u64 {
        let entry = at.checked_add(index * 16).ok_or(Errno::EFAULT)?;
        let [base, len]: [u64; 2] = call.read(entry)?;
        let mut piece = piece(base, len)?;
        piece.len = piece.len.min(left);
        left -= piece.len;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Writes a number into a structure's bytes, as wide as its field.
pub(super) fn put(bytes: &mut [u8], offset: usize, width: usize, value: u64) {
    let value = if cfg!(target_endian = "big") { value << (64 - 8 * width) } else { value };
    if let Some(field) = bytes.get_mut(offset..offset + width) {
        field.copy_from_slice(&value.to_ne_bytes()[..width]);
    }
}

/// The width of a field.
pub(super) const fn width<T, F>(_field: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The bytes of a structure of Linux: zeros but for these fields. Made field by field: a structure with
/// gaps has bytes that nobody wrote.
macro_rules! structure {
    ($type:ty { $($field:ident : $value:expr),* $(,)? }) => {{
        let mut bytes = [0_u8; size_of::<$type>()];
        $( $crate::syscall::files::put(
            &mut bytes,
            core::mem::offset_of!($type, $field),
            $crate::syscall::files::width(|structure: &$type| &structure.$field),
            $value as u64,
        ); )*
        bytes
    }};
}
pub(super) use structure;

/// Writes bytes to the program. EFAULT.
pub(super) fn write_bytes(call: &mut Call<'_>, at: u64, bytes: &[u8]) -> Result<(), Errno> {
    call.task.mm().write_user(call.ctx, VirtAddr::new(at), bytes)
}

/// A signed offset that has to be a position: EINVAL.
pub(super) fn position(value: u64) -> Result<u64, Errno> {
    if i64::try_from(value).is_ok() { Ok(value) } else { Err(Errno::EINVAL) }
}

#[cfg(test)]
mod tests {
    #[repr(C)]
    struct Example {
        small: u8,
        wide: u64,
        half: u16,
    }

    #[test]
    fn structures_are_laid_out_as_the_machine_does() {
        let bytes = structure!(Example { small: 1, wide: u64::MAX - 1, half: 0xabcd_u16 });
        let mut expected = [0; 24];
        expected[0] = 1;
        expected[8..16].copy_from_slice(&(u64::MAX - 1).to_ne_bytes());
        expected[16..18].copy_from_slice(&0xabcd_u16.to_ne_bytes());
        assert_eq!(bytes, expected);
    }
}
