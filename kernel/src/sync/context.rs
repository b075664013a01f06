//! What the running task counts about itself.
//!
//! `arch::current::cpu::current_task()` points to a [`TaskContext`], the first field of a thread.
//! The counts belong to the task and not to the CPU: a task that is switched away inside an RCU
//! read section takes its nesting along, and no count can be charged to the wrong one between
//! reading a CPU's number and using it (H25). For the same reason the wish to reschedule stands
//! here, as Linux' TIF_NEED_RESCHED does: a flag by CPU would have to be read before preemption is
//! enabled, and what an interrupt sets just after that would be lost until the next tick.
//!
//! Interrupts run on the stack of the task they interrupt, and count on its context. They leave
//! each count as they found it, so a plain load and store suffices to change one.

use super::rank::{HeldLocks, LockClass};
use crate::arch::current::cpu;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};

/// A depth: how often something was entered and not left.
///
/// # Invariants
/// Changed only by the task it belongs to (or interrupts on top of it). Others may look: what they
/// see is old by then.
#[derive(Debug)]
pub struct Depth(AtomicU32);

impl Depth {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }
    /// How deep.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
    /// One deeper. Gives the new depth. What the caller does afterwards is not moved before it.
    #[inline(always)]
    pub fn enter(&self) -> u32 {
        let depth = self.get() + 1;
        self.0.store(depth, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        depth
    }
    /// One less deep. Gives the new depth; `None`, and no change, if it was not entered (H44). What
    /// the caller did before is not moved behind it.
    #[inline(always)]
    pub fn leave(&self) -> Option<u32> {
        compiler_fence(Ordering::SeqCst);
        let depth = self.get().checked_sub(1)?;
        self.0.store(depth, Ordering::Relaxed);
        Some(depth)
    }
}

/// A task's name, at most [`TaskName::MAX`] bytes (the rest is cut off), as Linux' `comm`.
#[derive(Clone, Copy)]
pub struct TaskName {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl TaskName {
    /// Bytes that are kept.
    pub const MAX: usize = 15;

    /// The name, cut to what fits at a character's border.
    pub const fn new(name: &str) -> Self {
        let mut len = if name.len() > Self::MAX { Self::MAX } else { name.len() };
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; Self::MAX];
        let mut i = 0;
        while i < len {
            bytes[i] = name.as_bytes()[i];
            i += 1;
        }
        Self { bytes, len: len as u8 }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        // Never the default: `new` cut at a character's border.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl TaskName {
    /// The name in two words, which can be stored and loaded each by itself.
    pub const fn to_words(self) -> [u64; 2] {
        let mut words = [0; 2];
        let mut i = 0;
        while i < self.len as usize {
            words[i / 8] |= (self.bytes[i] as u64) << (56 - i % 8 * 8);
            i += 1;
        }
        words
    }
    /// The same back. Halves of two names give one that nobody had, and no harm.
    pub fn from_words([first, second]: [u64; 2]) -> Self {
        let bytes = (u128::from(first) << 64 | u128::from(second)).to_be_bytes();
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(Self::MAX);
        Self::new(core::str::from_utf8(&bytes[..length]).unwrap_or("?"))
    }
}

impl core::ops::Deref for TaskName {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl core::fmt::Display for TaskName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

impl core::fmt::Debug for TaskName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every task has, thread or boot code: the first field of a thread.
#[derive(Debug)]
#[repr(C)]
pub struct TaskContext {
    /// Preemption is off while this is not 0.
    pub(super) preempt: Depth,
    /// Interrupts being handled on top of this task.
    pub(super) irq: Depth,
    /// RCU read sections entered and not left.
    pub rcu: Depth,
    /// Where its allocations go instead of the heap, null most of the time: the frame allocator's own
    /// business (`mm::frame::reserve`).
    pub reserve: AtomicPtr<()>,
    need_resched: AtomicBool,
    /// Its number among processes; 0 for the kernel's own.
    id: AtomicU32,
    pub(super) held: HeldLocks,
    /// A program that executes another one is called by that one's name. Two words: see
    /// [`TaskName::to_words`].
    name: [AtomicU64; 2],
}

impl TaskContext {
    /// A context that has entered nothing.
    pub const fn new(name: &str) -> Self {
        Self {
            preempt: Depth::new(),
            irq: Depth::new(),
            rcu: Depth::new(),
            reserve: AtomicPtr::new(core::ptr::null_mut()),
            need_resched: AtomicBool::new(false),
            id: AtomicU32::new(0),
            held: HeldLocks::new(),
            name: {
                let [first, second] = TaskName::new(name).to_words();
                [AtomicU64::new(first), AtomicU64::new(second)]
            },
        }
    }
    /// A context that begins life as the holder of an interrupt-safe lock: a new thread's, which
    /// gives back the run queue's lock that the one before it took.
    pub fn holding(name: &str, class: &'static LockClass) -> Self {
        let context = Self::new(name);
        context.held.begin_with(class);
        context
    }
    /// The task's name.
    pub fn name(&self) -> TaskName {
        TaskName::from_words(self.name.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
    /// Gives it another name. By the task itself; who looks just then may see half of each.
    pub fn set_name(&self, name: TaskName) {
        for (place, word) in self.name.iter().zip(name.to_words()) {
            place.store(word, Ordering::Relaxed);
        }
    }
    /// Its number among processes (Linux' TID); 0 for the kernel's own.
    pub fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set_id(&self, id: u32) {
        self.id.store(id, Ordering::Relaxed);
    }
    /// How many [`PreemptGuard`](super::PreemptGuard)s and spin locks it holds.
    pub fn preempt_depth(&self) -> u32 {
        self.preempt.get()
    }
    /// How many interrupts are being handled on top of it.
    pub fn irq_depth(&self) -> u32 {
        self.irq.get()
    }
    /// Whether it is to give up its CPU as soon as it may.
    #[inline(always)]
    pub fn need_resched(&self) -> bool {
        self.need_resched.load(Ordering::Relaxed)
    }
    /// Asks for that. From another CPU it takes effect at the task's next enabling of preemption or
    /// interrupt: send one.
    pub fn set_need_resched(&self) {
        self.need_resched.store(true, Ordering::Relaxed);
    }
    /// The scheduler has looked.
    pub fn clear_need_resched(&self) {
        self.need_resched.store(false, Ordering::Relaxed);
    }
    /// Whether the counts allow another task to take this one's CPU. Interrupts being off forbids it
    /// as well, which is the CPU's state and not the task's.
    pub fn preemptible(&self) -> bool {
        self.preempt.get() == 0 && self.irq.get() == 0 && self.rcu.get() == 0
    }
    /// Locks held, by name, outermost first. Empty in builds that do not record them.
    pub fn held_locks(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.held.names()
    }
}

/// The running task's context. It stays with the task that asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Current(*const TaskContext, PhantomData<*mut ()>);

impl Deref for Current {
    type Target = TaskContext;
    #[inline(always)]
    fn deref(&self) -> &TaskContext {
        // SAFETY: `current_task` points to a `TaskContext` from the first instruction of neutral
        // code on, and a task's context lives as long as the task runs. `Current` is not `Send`: it
        // is used by this task alone.
        unsafe { &*self.0 }
    }
}

/// The running task.
#[inline(always)]
pub fn current() -> Current {
    Current(cpu::current_task().cast(), PhantomData)
}

/// What the boot CPU runs until there are threads.
static BOOT: TaskContext = TaskContext::new("boot");

/// Makes the boot CPU's first context the running task. The first thing `kernel_main` does: locks
/// count on it.
///
/// # Safety
/// On the boot CPU, with interrupts off, before any other CPU runs.
pub unsafe fn init_boot_cpu() {
    // SAFETY: interrupts are off (the caller); the context is static.
    unsafe { cpu::set_current_task(core::ptr::from_ref(&BOOT).cast()) };
}

/// Panics, naming `what`, where the running code may not sleep: in an interrupt, in an RCU read
/// section, with preemption or interrupts off.
#[track_caller]
pub fn assert_may_sleep(what: &str) {
    let task = current();
    let why = if task.irq.get() != 0 {
        "in an interrupt"
    } else if task.rcu.get() != 0 {
        "in an RCU read section"
    } else if task.preempt.get() != 0 {
        "with preemption off"
    } else if !cpu::irqs_enabled() {
        "with interrupts off"
    } else {
        return;
    };
    if super::rank::checks_are_on() {
        let lock = task.held_locks().last().unwrap_or("none");
        panic!("{what} may sleep, and was called {why} (task {}, innermost lock: {lock})", task.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(TaskName::new("kworker").as_str(), "kworker");
        assert_eq!(TaskName::new("0123456789abcdef").as_str(), "0123456789abcde");
        assert_eq!(TaskName::new("0123456789abcd\u{e9}").as_str(), "0123456789abcd");
        for name in ["", "sh", "12345678", "123456789", "0123456789abcde"] {
            assert_eq!(TaskName::from_words(TaskName::new(name).to_words()).as_str(), name);
        }
    }

    #[test]
    fn leaving_what_was_not_entered_is_seen() {
        let depth = Depth::new();
        assert_eq!(depth.enter(), 1);
        assert_eq!(depth.enter(), 2);
        assert_eq!((depth.leave(), depth.leave(), depth.leave()), (Some(1), Some(0), None));
        assert_eq!(depth.get(), 0);
    }

    #[test]
    #[should_panic(expected = "mutex may sleep, and was called in an RCU read section")]
    fn sleeping_in_a_read_section_panics() {
        current().rcu.enter();
        assert_may_sleep("mutex");
    }
}
