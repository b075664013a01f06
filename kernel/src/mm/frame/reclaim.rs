//! Who is asked before a request for memory fails.

use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank};
use arrayvec::ArrayVec;

const CLASS: LockClass = LockClass::new("reclaim hooks", Rank::RECLAIM_HOOKS);

/// Gives frames back that are not needed, in any context. True if it gave any.
pub type Shrink = fn() -> bool;

/// Somebody who may have memory to give.
#[derive(Clone, Copy)]
pub enum Reclaim {
    /// Asked in any context, under any lock that allows to allocate.
    Shrink(Shrink),
    /// Asked where the caller may sleep. True if it waited for what somebody had queued; false if
    /// nothing is left to wait for. Frames may have been freed in either case.
    Wait(fn(&mut MaySleep) -> bool),
}

pub(super) struct Hooks(IrqSpinLock<ArrayVec<Reclaim, 4>>);

impl Hooks {
    pub(super) const fn new() -> Self {
        Self(IrqSpinLock::new(&CLASS, ArrayVec::new_const()))
    }
    pub(super) fn add(&self, hook: Reclaim) -> bool {
        self.0.lock().try_push(hook).is_ok()
    }
    // The hooks are called without the lock: they free, and may sleep.
    pub(super) fn shrink(&self) -> bool {
        let hooks = self.0.lock().clone();
        let mut any = false;
        for hook in hooks {
            if let Reclaim::Shrink(shrink) = hook {
                any |= shrink();
            }
        }
        any
    }
    pub(super) fn wait(&self, ctx: &mut MaySleep) -> bool {
        let hooks = self.0.lock().clone();
        let mut any = false;
        for hook in hooks {
            if let Reclaim::Wait(wait) = hook {
                any |= wait(ctx);
            }
        }
        any
    }
}
