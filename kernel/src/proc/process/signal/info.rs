//! What comes with a signal: `siginfo_t`.

use super::Signal;

/// `si_code` of `kill`.
pub const SI_USER: i32 = 0;
/// Of `sigqueue`.
pub const SI_QUEUE: i32 = -1;
/// Of `tgkill`.
pub const SI_TKILL: i32 = -6;
/// The kernel itself.
pub const SI_KERNEL: i32 = 0x80;
/// A timer.
pub const SI_TIMER: i32 = -2;

/// `si_code` of SIGCHLD.
pub const CLD_EXITED: i32 = 1;
/// Ended by a signal.
pub const CLD_KILLED: i32 = 2;
/// Stopped.
pub const CLD_STOPPED: i32 = 5;
/// Continued.
pub const CLD_CONTINUED: i32 = 6;

/// Nothing is mapped there.
pub const SEGV_MAPERR: i32 = 1;
/// It is mapped, but not for this.
pub const SEGV_ACCERR: i32 = 2;
/// Nothing is behind the mapping.
pub const BUS_ADRERR: i32 = 2;

/// Who or what sent it: the variable part of a `siginfo_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A process, by `kill` and its relatives; or the kernel, as process 0.
    Process {
        /// Its number.
        pid: u32,
        /// Its real user.
        uid: u32,
        /// `si_value`
        value: u64,
    },
    /// The sender's child.
    Child {
        /// Its number.
        pid: u32,
        /// Its real user.
        uid: u32,
        /// Exit status or signal.
        status: i32,
        /// In clock ticks.
        utime: u64,
        /// In clock ticks.
        stime: u64,
    },
    /// An instruction.
    Fault {
        /// What it touched, or where it is.
        address: u64,
    },
    /// As a program gave it to `rt_sigqueueinfo`: the bytes from the 16th on.
    Raw([u8; 48]),
}

/// A signal on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Which.
    pub signal: Signal,
    /// `si_code`
    pub code: i32,
    /// Who or what sent it.
    pub source: Source,
}

/// Bytes of a `siginfo_t`.
pub const SIZE: usize = 128;

impl Info {
    /// From the kernel.
    pub const fn kernel(signal: Signal) -> Self {
        Self { signal, code: SI_KERNEL, source: Source::Process { pid: 0, uid: 0, value: 0 } }
    }

    /// Of an instruction.
    pub const fn fault(signal: Signal, code: i32, address: u64) -> Self {
        Self { signal, code, source: Source::Fault { address } }
    }

    /// As Linux lays it out on 64-bit machines.
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &self.signal.number().to_ne_bytes());
        put(8, &self.code.to_ne_bytes());
        match self.source {
            Source::Process { pid, uid, value } => {
                put(16, &pid.to_ne_bytes());
                put(20, &uid.to_ne_bytes());
                put(24, &value.to_ne_bytes());
            }
            Source::Child { pid, uid, status, utime, stime } => {
                put(16, &pid.to_ne_bytes());
                put(20, &uid.to_ne_bytes());
                put(24, &status.to_ne_bytes());
                put(32, &utime.to_ne_bytes());
                put(40, &stime.to_ne_bytes());
            }
            Source::Fault { address } => put(16, &address.to_ne_bytes()),
            Source::Raw(raw) => put(16, &raw),
        }
        bytes
    }

    /// What a program gave to `rt_sigqueueinfo`.
    pub fn from_program(signal: Signal, bytes: &[u8; SIZE]) -> Self {
        let word = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut raw = [0; 48];
        raw.copy_from_slice(&bytes[16..64]);
        Self { signal, code: word(8), source: Source::Raw(raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_linux_has_them() {
        let source = Source::Child { pid: 7, uid: 8, status: 9, utime: 10, stime: 11 };
        let bytes = Info { signal: Signal::SIGCHLD, code: CLD_EXITED, source }.to_bytes();
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        assert_eq!([word(0), word(4), word(8), word(16), word(20), word(24)], [17, 0, 1, 7, 8, 9]);
        assert_eq!(bytes[32..40], 10_u64.to_ne_bytes());
        assert_eq!(bytes[40..48], 11_u64.to_ne_bytes());
    }

    #[test]
    fn what_a_program_gives_comes_back() {
        let mut bytes = [0; SIZE];
        for (at, byte) in bytes.iter_mut().enumerate().take(64).skip(16) {
            *byte = at as u8;
        }
        bytes[8..12].copy_from_slice(&SI_QUEUE.to_ne_bytes());
        bytes[0] = 0;
        let info = Info::from_program(Signal::SIGUSR1, &bytes);
        let back = info.to_bytes();
        assert_eq!(back[8..], bytes[8..]);
        assert_eq!(info.code, SI_QUEUE);
    }
}
