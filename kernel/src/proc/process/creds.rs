//! Who a task acts as.

use crate::error::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// User and group numbers of a task. A value: a task that changes its own gets a new one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Creds {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved user.
    pub suid: u32,
    /// User for files.
    pub fsuid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved group.
    pub sgid: u32,
    /// Group for files.
    pub fsgid: u32,
    /// Further groups.
    pub groups: Option<Arc<Vec<u32>>>,
}

impl Creds {
    /// The superuser.
    pub const ROOT: Self =
        Self { uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: None };

    /// Whether it may do what only the superuser may.
    pub fn is_root(&self) -> bool {
        self.euid == 0
    }

    /// EPERM unless it may.
    pub fn require_root(&self) -> Result<(), Errno> {
        if self.is_root() { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether the group is one of those that count for files.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups().contains(&gid)
    }

    /// The further groups.
    pub fn groups(&self) -> &[u32] {
        self.groups.as_ref().map_or(&[], |groups| groups.as_slice())
    }

    /// Whether it may send a signal to a task with those: one of its two users is the other's real or
    /// saved one.
    pub fn may_signal(&self, target: &Self) -> bool {
        self.is_root() || [self.uid, self.euid].iter().any(|&user| user == target.uid || user == target.suid)
    }
}
