//! Signals that wait to be delivered.
//!
//! A standard signal waits once, however often it is sent; the first one's information counts. A
//! real-time signal queues. What is known of a signal (`siginfo_t`) needs memory: if there is none, a
//! standard signal is pending without it, and a queued one is refused.

use super::{Info, SigSet, Signal};
use crate::error::Errno;
use alloc::vec::Vec;

/// Pending signals of a task, or those of a process that any of its tasks may take.
#[derive(Debug)]
pub struct Pending {
    set: SigSet,
    /// In the order in which they came.
    queue: Vec<Info>,
}

impl Default for Pending {
    fn default() -> Self {
        Self::new()
    }
}

impl Pending {
    /// None.
    pub const fn new() -> Self {
        Self { set: SigSet::NONE, queue: Vec::new() }
    }
    /// Which.
    pub fn set(&self) -> SigSet {
        self.set
    }
    /// How many, those without information aside.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Adds one. Says whether it was not pending before.
    ///
    /// # Errors
    /// EAGAIN: it would queue behind another, and `limit` signals are queued or there is no memory.
    pub fn add(&mut self, info: Info, limit: usize) -> Result<bool, Errno> {
        let new = !self.set.contains(info.signal);
        if !new && !info.signal.is_realtime() {
            return Ok(false);
        }
        let room = self.queue.len() < limit && self.queue.try_reserve(1).is_ok();
        if room {
            self.queue.push(info);
        } else if info.signal.is_realtime() && info.code != super::info::SI_USER {
            return Err(Errno::EAGAIN);
        }
        self.set.insert(info.signal);
        Ok(new)
    }

    /// The next of these to be delivered: those that an instruction caused first, then by number.
    pub fn next(&self, among: SigSet) -> Option<Signal> {
        let ready = self.set & among;
        (ready & SigSet::SYNCHRONOUS).first().or_else(|| ready.first())
    }

    /// Takes one that is pending.
    pub fn take(&mut self, signal: Signal) -> Info {
        let found = self.queue.iter().position(|info| info.signal == signal).map(|at| self.queue.remove(at));
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set.remove(signal);
        }
        found.unwrap_or(Info { code: super::info::SI_USER, ..Info::kernel(signal) })
    }

    /// Drops all of these.
    pub fn discard(&mut self, signals: SigSet) {
        if !(self.set & signals).is_empty() {
            self.set = self.set.without(signals);
            self.queue.retain(|info| !signals.contains(info.signal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::process::signal::info::SI_QUEUE;

    fn info(signal: Signal, code: i32) -> Info {
        Info { code, ..Info::kernel(signal) }
    }

    #[test]
    fn a_standard_signal_waits_once() {
        let mut pending = Pending::new();
        assert_eq!(pending.add(info(Signal::SIGUSR1, 1), 9), Ok(true));
        assert_eq!(pending.add(info(Signal::SIGUSR1, 2), 9), Ok(false));
        assert_eq!(pending.take(Signal::SIGUSR1).code, 1, "the first one's information");
        assert!(pending.set().is_empty());
    }

    #[test]
    fn real_time_signals_queue_in_order() {
        let mut pending = Pending::new();
        let rt = Signal::new(40).expect("a signal");
        for code in 1..4 {
            assert_eq!(pending.add(info(rt, code), 9), Ok(code == 1));
        }
        assert_eq!([(); 2].map(|()| pending.take(rt).code), [1, 2]);
        assert!(pending.set().contains(rt));
        assert_eq!(pending.take(rt).code, 3);
        assert!(pending.set().is_empty());
    }

    #[test]
    fn a_full_queue_refuses_what_must_queue_and_keeps_the_rest() {
        let mut pending = Pending::new();
        let rt = Signal::new(40).expect("a signal");
        assert_eq!(pending.add(info(rt, SI_QUEUE), 1), Ok(true));
        assert_eq!(pending.add(info(rt, SI_QUEUE), 1), Err(Errno::EAGAIN));
        assert_eq!(pending.add(info(Signal::SIGTERM, 7), 1), Ok(true));
        assert_eq!(pending.take(Signal::SIGTERM).code, 0, "without what is known of it");
    }

    #[test]
    fn what_an_instruction_caused_comes_first() {
        let mut pending = Pending::new();
        for signal in [Signal::SIGHUP, Signal::SIGSEGV, Signal::SIGUSR1] {
            assert_eq!(pending.add(info(signal, 0), 9), Ok(true));
        }
        assert_eq!(pending.next(SigSet::ALL), Some(Signal::SIGSEGV));
        let unblocked = SigSet::ALL.without(SigSet::of(&[Signal::SIGSEGV, Signal::SIGHUP]));
        assert_eq!(pending.next(unblocked), Some(Signal::SIGUSR1));
        pending.discard(SigSet::of(&[Signal::SIGUSR1]));
        assert_eq!((pending.next(unblocked), pending.queued()), (None, 2));
    }
}
