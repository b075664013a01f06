//! Where a process stands in the tree of files.

use super::attr::Mode;
use super::locks;
use super::mount::Place;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicU32, Ordering};

/// Root, working directory and umask: one for each process, or shared (`CLONE_FS`).
#[derive(Debug)]
pub struct FsContext {
    places: SpinLock<Places>,
    umask: AtomicU32,
}

#[derive(Clone, Debug)]
struct Places {
    root: Place,
    cwd: Place,
}

impl FsContext {
    /// Both are `root`; the umask is 022.
    pub fn new(root: Place) -> Self {
        let places = Places { cwd: root.clone(), root };
        Self { places: SpinLock::new(&locks::CONTEXT, places), umask: AtomicU32::new(0o22) }
    }
    /// A child's: the same places, but its own from now on.
    pub fn duplicate(&self) -> Self {
        let places = self.places.lock().clone();
        Self { places: SpinLock::new(&locks::CONTEXT, places), umask: AtomicU32::new(self.umask()) }
    }
    /// Where paths begin that begin with `/`, and where `..` leads nowhere.
    pub fn root(&self) -> Place {
        self.places.lock().root.clone()
    }
    /// Where other paths begin.
    pub fn cwd(&self) -> Place {
        self.places.lock().cwd.clone()
    }
    /// `chroot`. The working directory stays.
    pub fn set_root(&self, root: Place) {
        let old = core::mem::replace(&mut self.places.lock().root, root);
        drop(old);
    }
    /// `chdir`.
    pub fn set_cwd(&self, cwd: Place) {
        let old = core::mem::replace(&mut self.places.lock().cwd, cwd);
        drop(old);
    }
    /// The permissions that new files do not get.
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }
    /// Sets it; gives the old one.
    pub fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Ordering::Relaxed)
    }
    /// A new file's permissions, less the umask.
    pub fn mask(&self, mode: u32) -> Mode {
        Mode::new(mode & !self.umask())
    }
}
