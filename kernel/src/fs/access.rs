//! Who asks, and whether he may.
//!
//! Linux' rules: the owner's bits count for the owner, even if the group's allow more; root passes,
//! but executes only what somebody may execute.

use super::attr::{Attr, Kind, Mode};
use crate::error::Errno;

/// Who asks: the identity that file systems see (Linux' fsuid and fsgid).
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups.
    pub groups: &'a [u32],
}

/// Bits of a wish, as `access` has them.
pub const READ: u32 = 4;
/// To write.
pub const WRITE: u32 = 2;
/// To execute, or to search a directory.
pub const EXECUTE: u32 = 1;

impl Access<'_> {
    /// Root's.
    pub const ROOT: Access<'static> = Access { uid: 0, gid: 0, groups: &[] };

    /// Whether no permission is refused to him.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
    /// Whether he is in the group.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
    /// Whether he owns it, or is root.
    pub fn owns(&self, attr: &Attr) -> bool {
        self.is_root() || self.uid == attr.uid
    }

    /// EACCES unless he may do all that `want` says.
    pub fn check(&self, attr: &Attr, want: u32) -> Result<(), Errno> {
        let bits = attr.mode.bits();
        let allowed = if self.is_root() {
            let executable = matches!(attr.kind, Kind::Directory) || bits & 0o111 != 0;
            READ | WRITE | if executable { EXECUTE } else { 0 }
        } else if self.uid == attr.uid {
            bits >> 6
        } else if self.in_group(attr.gid) {
            bits >> 3
        } else {
            bits
        };
        if want & !allowed & 7 == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether he may take away the name of `victim` in a directory that he may write: EPERM in a
    /// sticky one unless he owns either.
    pub fn check_sticky(&self, directory: &Attr, victim: &Attr) -> Result<(), Errno> {
        if !directory.mode.has(Mode::STICKY) || self.owns(directory) || self.owns(victim) {
            return Ok(());
        }
        Err(Errno::EPERM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let mut attr = Attr::plain(1, Kind::File, 0o074);
        (attr.uid, attr.gid) = (10, 20);
        let who = |uid, gid, groups| Access { uid, gid, groups };
        assert_eq!(who(10, 20, &[]).check(&attr, READ), Err(Errno::EACCES), "the owner has nothing");
        assert_eq!(who(11, 20, &[]).check(&attr, READ | WRITE | EXECUTE), Ok(()));
        assert_eq!(who(11, 5, &[7, 20]).check(&attr, WRITE), Ok(()), "a further group");
        assert_eq!(who(11, 5, &[7]).check(&attr, READ), Ok(()));
        assert_eq!(who(11, 5, &[7]).check(&attr, WRITE), Err(Errno::EACCES));
        assert_eq!(Access::ROOT.check(&attr, READ | WRITE | EXECUTE), Ok(()));
        attr.mode = Mode::new(0o666);
        assert_eq!(Access::ROOT.check(&attr, EXECUTE), Err(Errno::EACCES), "nobody may execute it");
        attr.kind = Kind::Directory;
        assert_eq!(Access::ROOT.check(&attr, EXECUTE), Ok(()), "root searches every directory");
    }

    #[test]
    fn a_sticky_directory_protects_its_names() {
        let (mut directory, mut victim) =
            (Attr::plain(1, Kind::Directory, 0o1777), Attr::plain(2, Kind::File, 0o777));
        (directory.uid, victim.uid) = (1, 2);
        let by = |uid| Access { uid, gid: 9, groups: &[] }.check_sticky(&directory, &victim);
        assert_eq!([by(0), by(1), by(2), by(3)], [Ok(()), Ok(()), Ok(()), Err(Errno::EPERM)]);
    }
}
