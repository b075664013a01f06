//! Resource limits.

use core::sync::atomic::{AtomicU64, Ordering};

/// No limit.
pub const INFINITY: u64 = u64::MAX;
/// How many there are.
pub const LIMITS: usize = 16;

/// Which limit; Linux' numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Resource {
    /// Seconds of CPU.
    Cpu = 0,
    /// Bytes of a file.
    FileSize = 1,
    /// Bytes of data.
    Data = 2,
    /// Bytes of the first stack.
    Stack = 3,
    /// Bytes of a core file.
    Core = 4,
    /// Bytes of resident memory: kept, means nothing.
    Resident = 5,
    /// Processes of the user.
    Processes = 6,
    /// One more than the highest file descriptor.
    Files = 7,
    /// Bytes of locked memory.
    Locked = 8,
    /// Bytes of address space.
    AddressSpace = 9,
    /// File locks: kept, means nothing.
    Locks = 10,
    /// Queued signals.
    Pending = 11,
    /// Bytes in message queues: kept, means nothing.
    MessageQueue = 12,
    /// Highest nice value: kept, means nothing.
    Nice = 13,
    /// Kept, means nothing.
    RealtimePriority = 14,
    /// Kept, means nothing.
    RealtimeTime = 15,
}

/// A soft and a hard limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far the process may raise that.
    pub hard: u64,
}

/// All limits of a process. Read without a lock; a change of both halves is not one step for readers,
/// who look at the soft one only.
#[derive(Debug)]
pub struct Limits([(AtomicU64, AtomicU64); LIMITS]);

impl Limits {
    /// As init has them: Linux' defaults.
    pub fn new() -> Self {
        let limits = Self(core::array::from_fn(|_| (AtomicU64::new(INFINITY), AtomicU64::new(INFINITY))));
        limits.set(Resource::Stack as usize, Limit { soft: 8 << 20, hard: INFINITY });
        limits.set(Resource::Core as usize, Limit { soft: 0, hard: INFINITY });
        limits.set(Resource::Files as usize, Limit { soft: 1024, hard: 4096 });
        limits.set(Resource::Locked as usize, Limit { soft: 8 << 20, hard: 8 << 20 });
        limits.set(Resource::Pending as usize, Limit { soft: 1024, hard: 1024 });
        limits.set(Resource::MessageQueue as usize, Limit { soft: 819_200, hard: 819_200 });
        limits.set(Resource::Nice as usize, Limit { soft: 0, hard: 0 });
        limits.set(Resource::RealtimePriority as usize, Limit { soft: 0, hard: 0 });
        limits
    }

    /// The soft limit.
    pub fn soft(&self, resource: Resource) -> u64 {
        self.0[resource as usize].0.load(Ordering::Relaxed)
    }
    /// Both, by Linux' number below `LIMITS`.
    pub fn get(&self, number: usize) -> Limit {
        let (soft, hard) = &self.0[number];
        Limit { soft: soft.load(Ordering::Relaxed), hard: hard.load(Ordering::Relaxed) }
    }
    /// Those that concern memory.
    pub fn of_memory(&self) -> crate::mm::space::Limits {
        crate::mm::space::Limits {
            address_space: self.soft(Resource::AddressSpace),
            data: self.soft(Resource::Data),
            stack: self.soft(Resource::Stack),
            locked: self.soft(Resource::Locked),
        }
    }
    /// Sets both.
    pub fn set(&self, number: usize, limit: Limit) {
        self.0[number].0.store(limit.soft, Ordering::Relaxed);
        self.0[number].1.store(limit.hard, Ordering::Relaxed);
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Limits {
    fn clone(&self) -> Self {
        Self(core::array::from_fn(|number| {
            let limit = self.get(number);
            (AtomicU64::new(limit.soft), AtomicU64::new(limit.hard))
        }))
    }
}
