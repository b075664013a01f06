//! A process' descriptors.
//!
//! A descriptor is taken ([`FdTable::reserve`]) before the file is opened and given the file after,
//! as Linux does: a call that fails for lack of a descriptor has opened, made and truncated nothing.

use super::file::File;
use super::{advisory, locks};
use crate::error::Errno;
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A descriptor's number.
pub type Fd = i32;

#[derive(Clone, Debug)]
enum Slot {
    Free,
    /// Somebody is opening a file for it.
    Reserved,
    Open {
        file: Arc<File>,
        cloexec: bool,
    },
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    /// No slot below it is free.
    first_free: usize,
}

/// A table of descriptors: one for each process, or shared (`CLONE_FILES`).
#[derive(Debug)]
pub struct FdTable {
    slots: SpinLock<Slots>,
}

/// A descriptor that is taken and stands for no file yet. Dropped, it is free again.
#[must_use = "the descriptor is free again when this is dropped"]
#[derive(Debug)]
pub struct Reserved<'a> {
    table: &'a FdTable,
    fd: Fd,
}

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

fn index(fd: Fd) -> Result<usize, Errno> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

impl Slots {
    fn get(&self, fd: Fd) -> Result<&Slot, Errno> {
        self.slots.get(index(fd)?).ok_or(Errno::EBADF)
    }
    /// Makes room for descriptor `at`.
    fn extend(&mut self, at: usize) -> Result<(), Errno> {
        if at >= self.slots.len() {
            self.slots.try_reserve(at + 1 - self.slots.len()).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(at + 1, Slot::Free);
        }
        Ok(())
    }
    fn reserve(&mut self, from: usize, limit: usize) -> Result<usize, Errno> {
        let begin = from.max(self.first_free);
        let free = |slot: &Slot| matches!(slot, Slot::Free);
        let found = self.slots.get(begin..).and_then(|rest| rest.iter().position(free));
        let at = found.map_or(self.slots.len().max(begin), |found| begin + found);
        if at >= limit {
            return Err(Errno::EMFILE);
        }
        self.extend(at)?;
        self.slots[at] = Slot::Reserved;
        if from <= self.first_free {
            self.first_free = at + 1;
        }
        Ok(at)
    }
    /// Empties the slot of an open file.
    fn take(&mut self, at: usize) -> Option<Arc<File>> {
        match self.slots.get_mut(at)? {
            slot @ Slot::Open { .. } => {
                let Slot::Open { file, .. } = core::mem::replace(slot, Slot::Free) else { return None };
                self.first_free = self.first_free.min(at);
                Some(file)
            }
            _ => None,
        }
    }
}

impl FdTable {
    /// Nothing is open.
    pub const fn new() -> Self {
        let slots = Slots { slots: Vec::new(), first_free: 0 };
        Self { slots: SpinLock::new(&locks::DESCRIPTORS, slots) }
    }

    /// A child's: the same files, its own descriptors.
    pub fn duplicate(&self) -> Result<Self, Errno> {
        let mut copy: Vec<Slot> = Vec::new();
        let slots = self.slots.lock();
        copy.try_reserve(slots.slots.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend(slots.slots.iter().map(|slot| match slot {
            Slot::Reserved => Slot::Free,
            slot => slot.clone(),
        }));
        let first_free = copy.iter().position(|slot| matches!(slot, Slot::Free)).unwrap_or(copy.len());
        Ok(Self { slots: SpinLock::new(&locks::DESCRIPTORS, Slots { slots: copy, first_free }) })
    }

    /// The file. EBADF if it is not open.
    pub fn get(&self, fd: Fd) -> Result<Arc<File>, Errno> {
        match self.slots.lock().get(fd)? {
            Slot::Open { file, .. } => Ok(file.clone()),
            _ => Err(Errno::EBADF),
        }
    }

    /// Takes the lowest free descriptor that is at least `from`. EMFILE: it would not be below `limit`
    /// (RLIMIT_NOFILE).
    pub fn reserve(&self, from: Fd, limit: u64) -> Result<Reserved<'_>, Errno> {
        let limit = usize::try_from(limit.min(i32::MAX as u64)).unwrap_or(0);
        let from = usize::try_from(from).ok().filter(|&from| from < limit.max(1)).ok_or(Errno::EINVAL)?;
        let at = self.slots.lock().reserve(from, limit)?;
        Ok(Reserved { table: self, fd: at as Fd })
    }

    /// A descriptor for the file: the lowest free one.
    pub fn install(&self, file: Arc<File>, cloexec: bool, limit: u64) -> Result<Fd, Errno> {
        Ok(self.reserve(0, limit)?.install(file, cloexec))
    }

    /// Makes `fd` stand for the file; what it stood for is given back, to be dropped without a lock.
    /// EBADF beyond the limit, EBUSY while somebody opens a file for it.
    pub fn replace(
        &self,
        fd: Fd,
        file: Arc<File>,
        cloexec: bool,
        limit: u64,
    ) -> Result<Option<Arc<File>>, Errno> {
        let at = index(fd)?;
        if at as u64 >= limit {
            return Err(Errno::EBADF);
        }
        let mut slots = self.slots.lock();
        slots.extend(at)?;
        if matches!(slots.slots[at], Slot::Reserved) {
            return Err(Errno::EBUSY);
        }
        let old = core::mem::replace(&mut slots.slots[at], Slot::Open { file, cloexec });
        if slots.first_free == at {
            slots.first_free += 1;
        }
        drop(slots);
        Ok(match old {
            Slot::Open { file, .. } => {
                advisory::descriptor_closes(self, &file);
                Some(file)
            }
            _ => None,
        })
    }

    /// Closes; the file is given back, to be dropped without a lock.
    pub fn close(&self, fd: Fd) -> Result<Arc<File>, Errno> {
        let file = self.slots.lock().take(index(fd)?).ok_or(Errno::EBADF)?;
        advisory::descriptor_closes(self, &file);
        Ok(file)
    }

    /// Closes all from `first` to `last`, both included.
    pub fn close_range(&self, first: u32, last: u32) {
        self.close_if(first, last, |_| true);
    }

    /// Marks all from `first` to `last` to be closed by `execve`.
    pub fn mark_range(&self, first: u32, last: u32) {
        let mut slots = self.slots.lock();
        let end = slots.slots.len().min((last as usize).saturating_add(1));
        for slot in slots.slots.get_mut(first as usize..end).unwrap_or_default() {
            if let Slot::Open { cloexec, .. } = slot {
                *cloexec = true;
            }
        }
    }

    /// Closes what `execve` closes.
    pub fn close_on_exec(&self) {
        self.close_if(0, u32::MAX, |cloexec| cloexec);
    }

    fn close_if(&self, first: u32, last: u32, mut which: impl FnMut(bool) -> bool) {
        let mut at = first as usize;
        loop {
            let mut slots = self.slots.lock();
            let end = slots.slots.len().min((last as usize).saturating_add(1));
            let wanted = |slot: &Slot| matches!(slot, Slot::Open { cloexec, .. } if which(*cloexec));
            let Some(found) = slots.slots.get(at..end).and_then(|rest| rest.iter().position(wanted)) else {
                return;
            };
            at += found;
            let file = slots.take(at);
            drop(slots);
            if let Some(file) = file {
                advisory::descriptor_closes(self, &file);
            }
        }
    }

    /// Whether `execve` closes it.
    pub fn cloexec(&self, fd: Fd) -> Result<bool, Errno> {
        match self.slots.lock().get(fd)? {
            Slot::Open { cloexec, .. } => Ok(*cloexec),
            _ => Err(Errno::EBADF),
        }
    }

    /// Says whether `execve` closes it.
    pub fn set_cloexec(&self, fd: Fd, on: bool) -> Result<(), Errno> {
        match self.slots.lock().slots.get_mut(index(fd)?) {
            Some(Slot::Open { cloexec, .. }) => {
                *cloexec = on;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// The first open descriptor that is at least `from`, with its file: for `/proc/PID/fd`.
    pub fn next_open(&self, from: Fd) -> Option<(Fd, Arc<File>)> {
        let slots = self.slots.lock();
        let begin = usize::try_from(from).ok()?;
        slots.slots.iter().enumerate().skip(begin).find_map(|(at, slot)| match slot {
            Slot::Open { file, .. } => Some((at as Fd, file.clone())),
            _ => None,
        })
    }

    /// Descriptors that the table has room for: `FDSize` of `/proc/PID/status`.
    pub fn room(&self) -> usize {
        self.slots.lock().slots.capacity()
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        advisory::descriptors_end(self);
    }
}

impl Reserved<'_> {
    /// Its number.
    pub fn fd(&self) -> Fd {
        self.fd
    }
    /// It stands for the file from now on.
    pub fn install(self, file: Arc<File>, cloexec: bool) -> Fd {
        let mut slots = self.table.slots.lock();
        // Reserved, hence there: the table does not shrink.
        if let Some(slot) = slots.slots.get_mut(self.fd as usize) {
            *slot = Slot::Open { file, cloexec };
        }
        drop(slots);
        let fd = self.fd;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut slots = self.table.slots.lock();
        let at = self.fd as usize;
        if let Some(slot) = slots.slots.get_mut(at) {
            *slot = Slot::Free;
        }
        slots.first_free = slots.first_free.min(at);
    }
}
