//! Signals as numbers, and sets of them.

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// A signal's number, `1..=64`.
///
/// # Invariants
/// It is in that range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// What happens if the program has no handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// The process ends.
    Terminate,
    /// The same; Linux writes a core file, this kernel says so in the status only if it did: never.
    Core,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process continues.
    Continue,
}

/// How many there are.
pub const SIGNALS: usize = 64;
/// The first that queues instead of being pending once.
const FIRST_REALTIME: u8 = 32;

/// Linux' names: the numbers are the same on both machines.
macro_rules! names {
    ($($name:ident = $number:literal $default:ident,)*) => {
        impl Signal {
            $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: Self = Self($number);)*

            /// Linux' name.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
            /// What happens if the program has no handler.
            pub fn default_action(self) -> Default {
                match self.0 {
                    $($number => Default::$default,)*
                    _ => Default::Terminate,
                }
            }
        }
    };
}

names! {
    SIGHUP = 1 Terminate, SIGINT = 2 Terminate, SIGQUIT = 3 Core, SIGILL = 4 Core,
    SIGTRAP = 5 Core, SIGABRT = 6 Core, SIGBUS = 7 Core, SIGFPE = 8 Core, SIGKILL = 9 Terminate,
    SIGUSR1 = 10 Terminate, SIGSEGV = 11 Core, SIGUSR2 = 12 Terminate, SIGPIPE = 13 Terminate,
    SIGALRM = 14 Terminate, SIGTERM = 15 Terminate, SIGSTKFLT = 16 Terminate, SIGCHLD = 17 Ignore,
    SIGCONT = 18 Continue, SIGSTOP = 19 Stop, SIGTSTP = 20 Stop, SIGTTIN = 21 Stop,
    SIGTTOU = 22 Stop, SIGURG = 23 Ignore, SIGXCPU = 24 Core, SIGXFSZ = 25 Core,
    SIGVTALRM = 26 Terminate, SIGPROF = 27 Terminate, SIGWINCH = 28 Ignore, SIGIO = 29 Terminate,
    SIGPWR = 30 Terminate, SIGSYS = 31 Core,
}

impl Signal {
    /// That number's signal, if there is one.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= SIGNALS as u32 { Some(Self(number as u8)) } else { None }
    }
    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
    /// `0..64`, for tables.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
    /// Whether it queues: sent twice, it arrives twice.
    pub const fn is_realtime(self) -> bool {
        self.0 >= FIRST_REALTIME
    }
    /// Whether neither a handler nor a mask applies to it.
    pub const fn is_absolute(self) -> bool {
        self.0 == Self::SIGKILL.0 || self.0 == Self::SIGSTOP.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// A set of signals, as `sigset_t`: bit n - 1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SigSet(u64);

impl SigSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(u64::MAX);
    /// Those that cannot be blocked.
    pub const ABSOLUTE: Self = Self::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// Those that stop a process unless it handles them.
    pub const STOPS: Self = Self::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);
    /// Those that an instruction causes: they are delivered first.
    pub const SYNCHRONOUS: Self = Self::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);

    /// From a `sigset_t`.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }
    /// These.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << signals[i].index();
            i += 1;
        }
        Self(bits)
    }
    /// As a `sigset_t`.
    pub const fn bits(self) -> u64 {
        self.0
    }
    /// Whether it is in.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & 1 << signal.index() != 0
    }
    /// Puts it in.
    pub fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal.index();
    }
    /// Takes it out.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal.index());
    }
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Without those.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// The lowest number.
    pub fn first(self) -> Option<Signal> {
        Signal::new(self.0.trailing_zeros() + 1)
    }
    /// All, ascending.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=SIGNALS as u32).filter_map(Signal::new).filter(move |&signal| self.contains(signal))
    }
}

impl BitOr for SigSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for SigSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!((Signal::new(0), Signal::new(65)), (None, None));
        assert_eq!(Signal::new(9), Some(Signal::SIGKILL));
        assert!(!Signal::SIGSYS.is_realtime() && Signal::new(32).is_some_and(Signal::is_realtime));
        assert_eq!(Signal::SIGCHLD.default_action(), Default::Ignore);
        assert_eq!(Signal::new(40).map(Signal::default_action), Some(Default::Terminate));
    }

    #[test]
    fn sets() {
        let mut set = SigSet::NONE;
        assert_eq!(set.first(), None);
        set.insert(Signal::SIGTERM);
        set.insert(Signal::SIGHUP);
        assert_eq!(set.bits(), 1 | 1 << 14);
        assert_eq!(set.first(), Some(Signal::SIGHUP));
        set.remove(Signal::SIGHUP);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::SIGTERM]);
        assert_eq!(SigSet::ALL.iter().count(), SIGNALS);
    }
}
