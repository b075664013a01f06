//! What a process does about signals.

use super::{Default, SigSet, Signal, number::SIGNALS};
use crate::sync::{IrqSpinLock, LockClass, Rank};

/// `sa_flags`; the same on both machines.
pub mod flags {
    /// All that this kernel knows, and what means nothing to it (SA_RESTORER, SA_EXPOSE_TAGBITS).
    pub const KNOWN: u64 = 0xdc00_0007 | 0x0400_0000;
    /// No SIGCHLD when a child stops.
    pub const SA_NOCLDSTOP: u64 = 1;
    /// Children become no zombies.
    pub const SA_NOCLDWAIT: u64 = 2;
    /// The handler wants a `siginfo_t`.
    pub const SA_SIGINFO: u64 = 4;
    /// On the alternate stack.
    pub const SA_ONSTACK: u64 = 0x0800_0000;
    /// Interrupted calls are made again.
    pub const SA_RESTART: u64 = 0x1000_0000;
    /// The signal is not blocked in its own handler.
    pub const SA_NODEFER: u64 = 0x4000_0000;
    /// Once.
    pub const SA_RESETHAND: u64 = 0x8000_0000;
}

/// `SIG_DFL`
pub const SIG_DFL: u64 = 0;
/// `SIG_IGN`
pub const SIG_IGN: u64 = 1;

/// What happens when one signal arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// Its handler's address, `SIG_DFL` or `SIG_IGN`.
    pub handler: u64,
    /// `SA_*`
    pub flags: u64,
    /// Blocked in the handler.
    pub mask: SigSet,
}

impl Action {
    /// As every program begins.
    pub const DEFAULT: Self = Self { handler: SIG_DFL, flags: 0, mask: SigSet::NONE };

    /// Whether the signal would do nothing.
    pub fn ignores(&self, signal: Signal) -> bool {
        self.handler == SIG_IGN || self.handler == SIG_DFL && signal.default_action() == Default::Ignore
    }
    /// Whether a handler runs.
    pub fn is_handled(&self) -> bool {
        self.handler != SIG_DFL && self.handler != SIG_IGN
    }
}

const CLASS: LockClass = LockClass::new("actions of signals", Rank::SIGNAL_ACTIONS);

/// The actions of all signals; shared by tasks with CLONE_SIGHAND.
#[derive(Debug)]
pub struct Actions(IrqSpinLock<[Action; SIGNALS]>);

impl core::default::Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Actions {
    /// As every program begins.
    pub const fn new() -> Self {
        Self::with([Action::DEFAULT; SIGNALS])
    }
    const fn with(table: [Action; SIGNALS]) -> Self {
        Self(IrqSpinLock::new(&CLASS, table))
    }
    /// That signal's.
    pub fn get(&self, signal: Signal) -> Action {
        self.0.lock()[signal.index()]
    }
    /// Replaces it; gives the old one.
    pub fn set(&self, signal: Signal, action: Action) -> Action {
        core::mem::replace(&mut self.0.lock()[signal.index()], action)
    }
    /// A copy: fork.
    pub fn copy(&self) -> Self {
        Self::with(*self.0.lock())
    }
    /// As after exec: handlers are gone, what is ignored stays ignored.
    pub fn reset_handlers(&self) {
        for action in self.0.lock().iter_mut() {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = Action { handler, ..Action::DEFAULT };
        }
    }
    /// Those that are ignored, and those that have a handler: for `/proc`.
    pub fn sets(&self) -> (SigSet, SigSet) {
        let table = self.0.lock();
        let all = || SigSet::ALL.iter();
        let of = |keep: &dyn Fn(&Action) -> bool| {
            all().filter(|signal| keep(&table[signal.index()])).fold(SigSet::NONE, |mut set, signal| {
                set.insert(signal);
                set
            })
        };
        (of(&|action| action.handler == SIG_IGN), of(&Action::is_handled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_keeps_what_is_ignored() {
        let actions = Actions::new();
        let handled = Action { handler: 0x1000, flags: flags::SA_RESTART, mask: SigSet::ALL };
        actions.set(Signal::SIGINT, handled);
        actions.set(Signal::SIGQUIT, Action { handler: SIG_IGN, ..handled });
        let child = actions.copy();
        assert_eq!(child.sets(), (SigSet::of(&[Signal::SIGQUIT]), SigSet::of(&[Signal::SIGINT])));
        child.reset_handlers();
        assert_eq!(child.get(Signal::SIGINT), Action::DEFAULT);
        assert!(child.get(Signal::SIGQUIT).ignores(Signal::SIGQUIT));
        assert_eq!(actions.get(Signal::SIGINT), handled, "the parent's are its own");
    }
}
