//! ETXTBSY: a program that runs is not written, and a file that is open for writing is not executed.
//!
//! A page of a running program is the file's own: who wrote it would change the program under its own
//! feet. Inodes that can be executed count both in one number. An open file holds its share while it
//! is open; what a process executes is an open file, too.

use super::inode::Inode;
use crate::error::Errno;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};

/// How a file is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It is open for writing.
    Writing = 1,
    /// It is executed.
    Executing = -1,
}

/// How many use a file, and how: so many are writing, or minus so many execute it.
#[derive(Debug, Default)]
pub struct Users(AtomicI32);

impl Users {
    /// Nobody.
    pub const fn new() -> Self {
        Self(AtomicI32::new(0))
    }

    // Relaxed: what it decides is decided by the number alone.
    fn enter(&self, how: Use) -> Result<(), Errno> {
        let step = how as i32;
        let enter = |users: i32| users.checked_add(step).filter(|_| users.signum() != -step);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter)
            .map(|_| ())
            .map_err(|_| Errno::ETXTBSY)
    }
    fn leave(&self, how: Use) {
        self.0.fetch_sub(how as i32, Ordering::Relaxed);
    }
}

/// A use of a file, until it is dropped.
#[must_use = "the file is not used any more when this is dropped"]
#[derive(Debug)]
pub struct Hold {
    inode: Arc<dyn Inode>,
    how: Use,
}

impl Hold {
    /// Begins to use it so.
    ///
    /// # Errors
    /// ETXTBSY: somebody uses it the other way.
    pub fn new(inode: &Arc<dyn Inode>, how: Use) -> Result<Self, Errno> {
        if let Some(users) = inode.users() {
            users.enter(how)?;
        }
        Ok(Self { inode: Arc::clone(inode), how })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(users) = self.inode.users() {
            users.leave(self.how);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_and_programs_keep_each_other_out() {
        let users = Users::new();
        users.enter(Use::Writing).unwrap();
        users.enter(Use::Writing).unwrap();
        assert_eq!(users.enter(Use::Executing), Err(Errno::ETXTBSY));
        users.leave(Use::Writing);
        assert_eq!(users.enter(Use::Executing), Err(Errno::ETXTBSY));
        users.leave(Use::Writing);
        users.enter(Use::Executing).unwrap();
        users.enter(Use::Executing).unwrap();
        assert_eq!(users.enter(Use::Writing), Err(Errno::ETXTBSY));
        users.leave(Use::Executing);
        users.leave(Use::Executing);
        users.enter(Use::Writing).unwrap();
    }
}
