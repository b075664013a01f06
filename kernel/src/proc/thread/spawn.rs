//! The beginning of a thread, and waiting for its end.

use super::{Priority, State, Thread, ThreadRef, User, block};
use crate::arch::current::context::Context;
use crate::arch::current::cpu;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::proc::sched;
use crate::sync::MaySleep;
use crate::sync::context::TaskContext;
use crate::sync::latency::{self, Off};
use crate::sync::preempt::preempt_if_possible;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::sync::atomic::Ordering;

/// What a new thread shall be.
///
/// ```no_run
/// use fallow::proc::thread::Spawn;
/// # fn example(ctx: &mut fallow::sync::MaySleep) -> Result<(), fallow::error::Errno> {
/// let worker = Spawn::new("worker").spawn(|ctx| fallow::proc::sched::sleep(ctx, 1_000_000))?;
/// worker.join(ctx);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    name: &'a str,
    priority: Priority,
    allowed: CpuSet,
    user: *const User,
}

impl<'a> Spawn<'a> {
    /// A normal thread of that name, on any CPU.
    pub fn new(name: &'a str) -> Self {
        Self { name, priority: Priority::Normal, allowed: CpuSet::ALL, user: core::ptr::null() }
    }
    /// It runs before all normal ones.
    pub fn high(self) -> Self {
        Self { priority: Priority::High, ..self }
    }
    /// It runs on these CPUs only (but if none of them is online, on any).
    pub fn on(self, cpus: CpuSet) -> Self {
        Self { allowed: cpus, ..self }
    }

    /// It runs a program from its beginning on, with that part.
    ///
    /// # Safety
    /// It lives until the thread has called `Thread::leave_user`, or has never begun.
    pub unsafe fn user(self, user: *const User) -> Self {
        Self { user, ..self }
    }

    /// Starts it. `body` moves to the new thread's stack; when it returns, the thread ends.
    ///
    /// # Errors
    /// ENOMEM if there is no free memory for the stack; nothing has happened then.
    pub fn spawn<F>(self, body: F) -> Result<JoinHandle, Errno>
    where
        F: FnOnce(&mut MaySleep) + Send + 'static,
    {
        self.prepare(body).map(NewThread::start)
    }

    /// The same, for who may sleep: with no free memory it waits for what a grace period will free.
    ///
    /// # Errors
    /// ENOMEM if that was not enough; nothing has happened then.
    pub fn spawn_waiting<F>(self, ctx: &mut MaySleep, body: F) -> Result<JoinHandle, Errno>
    where
        F: FnOnce(&mut MaySleep) + Send + 'static,
    {
        self.prepare_waiting(ctx, body).map(NewThread::start)
    }

    /// The first half of `spawn`: all that can fail.
    ///
    /// # Errors
    /// ENOMEM if there is no free memory for the stack.
    pub fn prepare<F>(self, body: F) -> Result<NewThread, Errno>
    where
        F: FnOnce(&mut MaySleep) + Send + 'static,
    {
        self.make(body, None)
    }

    /// The first half of `spawn_waiting`.
    ///
    /// # Errors
    /// ENOMEM if waiting was not enough.
    pub fn prepare_waiting<F>(self, ctx: &mut MaySleep, body: F) -> Result<NewThread, Errno>
    where
        F: FnOnce(&mut MaySleep) + Send + 'static,
    {
        self.make(body, Some(ctx))
    }

    fn make<F>(self, body: F, ctx: Option<&mut MaySleep>) -> Result<NewThread, Errno>
    where
        F: FnOnce(&mut MaySleep) + Send + 'static,
    {
        const { assert!(size_of::<F>() <= block::MOST_ON_STACK, "too much for the new stack: box it") };
        // Two shares: the thread's own and the handle's.
        let context = TaskContext::holding(self.name, &sched::QUEUE_CLASS);
        let thread = block::alloc(Thread::new(context, self.priority, 0, 2), ctx)?;
        thread.set_allowed(self.allowed);
        thread.set_user(self.user);
        let place = block::below(&thread, size_of::<F>().max(1), align_of::<F>());
        // SAFETY: `place` is that large, so aligned, within the new stack, and nobody else's.
        unsafe { place.cast::<F>().write(body) };
        let stack = block::stack_below(place);
        // SAFETY: the new stack is mapped and nobody else's.
        let saved = unsafe { Context::new(stack, begin::<F>, place.expose_provenance()) };
        // SAFETY: the thread does not exist for anybody else yet.
        unsafe { *thread.saved.get() = MaybeUninit::new(saved) };
        let forget = |place: *mut u8| {
            // SAFETY: `prepare` wrote it there, and nobody has read it.
            unsafe { place.cast::<F>().drop_in_place() }
        };
        Ok(NewThread { thread: ManuallyDrop::new(thread), place, forget })
    }
}

/// A thread that has all it needs and has not begun. Dropped, it never was.
#[must_use = "dropped, it never begins"]
pub struct NewThread {
    thread: ManuallyDrop<ThreadRef>,
    place: *mut u8,
    forget: fn(*mut u8),
}

impl NewThread {
    /// The thread.
    pub fn thread(&self) -> ThreadRef {
        ThreadRef::clone(&self.thread)
    }
    /// It begins.
    pub fn start(self) -> JoinHandle {
        let this = ManuallyDrop::new(self);
        let thread = ThreadRef::clone(&this.thread);
        sched::start(&thread);
        JoinHandle(thread)
    }
}

impl Drop for NewThread {
    fn drop(&mut self) {
        (self.forget)(self.place);
        // SAFETY: it never ran and nobody else knows it.
        unsafe { block::free(ManuallyDrop::take(&mut self.thread)) };
    }
}

/// The first function of every thread. It begins as the one before it left: interrupts off, the run
/// queue's lock held.
extern "C" fn begin<F: FnOnce(&mut MaySleep)>(place: usize) -> ! {
    // SAFETY: this is the end of the switch to this thread.
    unsafe { sched::finish_switch() };
    // SAFETY: `spawn` wrote it there; it is read once.
    let body = unsafe { core::ptr::with_exposed_provenance::<F>(place).read() };
    latency::end(Off::Irqs);
    // SAFETY: a thread begins with interrupts on; the switch is over.
    unsafe { cpu::irq_restore(true) };
    // Who joins the thread before this one may have been woken in that switch.
    preempt_if_possible();
    // SAFETY: the thread's only token.
    let mut token = unsafe { MaySleep::mint() };
    body(&mut token);
    sched::exit()
}

/// The right to wait for a thread's end. Dropped, the thread goes on by itself.
#[derive(Debug)]
#[must_use = "drop it to let the thread go"]
pub struct JoinHandle(ThreadRef);

impl JoinHandle {
    /// Sleeps until the thread has ended; then its memory is free.
    pub fn join(self, ctx: &mut MaySleep) {
        self.0.exited.wait(ctx);
        self.wait_for_last_share();
    }

    /// Who buries the thread tells us first and gives the thread's share up next, a few
    /// instructions later with interrupts off. After this, dropping the handle frees the block.
    fn wait_for_last_share(&self) {
        // Acquire: pairs with the Release in `Thread::release`.
        while self.0.shares.load(Ordering::Acquire) != 1 {
            cpu::relax();
        }
    }

    /// The same, but not beyond the time; gives the handle back if the thread still runs then.
    pub fn join_deadline(self, ctx: &mut MaySleep, deadline: u64) -> Result<(), Self> {
        if !self.0.exited.wait_deadline(ctx, deadline) {
            return Err(self);
        }
        self.wait_for_last_share();
        Ok(())
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.0
    }

    /// Whether the thread has ended, and left its stack.
    pub fn is_finished(&self) -> bool {
        self.0.state() == State::Dead && self.0.exited.is_done()
    }
}

impl Drop for JoinHandle {
    fn drop(&mut self) {
        // SAFETY: the handle's share.
        unsafe { Thread::release(self.0.clone()) };
    }
}
