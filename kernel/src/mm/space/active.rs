//! Which CPU has which address space, and the end of one (H32).
//!
//! A kernel thread leaves the address space of the task before it as it is: switching costs, and it
//! touches no program's memory. So an address space may be active on CPUs on which nobody runs in it.
//! At its end each of them leaves it first: those that have it are interrupted, and the handler leaves
//! what has no user any more. Nobody can enter it then: who enters is a user.
//!
//! Rejected: counting such CPUs and letting the last one to leave free the address space, as Linux
//! does (`mm_count`): a count that every switch to and from a kernel thread changes, and a free at a
//! point where nothing may take long.

use super::Mm;
use super::tables::on;
use crate::arch::current::cpu;
use crate::arch::{MAX_CPUS, current::space};
use crate::cpus::CpuSet;
use crate::sync::{IrqGuard, MaySleep, Pinned, PreemptGuard};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

impl Mm {
    fn pointer(&self) -> *mut Self {
        core::ptr::from_ref(self).cast_mut()
    }

    fn active_on(&self, cpu: usize) -> &AtomicPtr<Self> {
        &self.ground.active[cpu % MAX_CPUS]
    }

    /// This CPU's user accesses go through it from now on. Cheap if they do already. The caller is, or is
    /// about to run, one of its users.
    pub fn activate(&self, pin: &impl Pinned) {
        let active = self.active_on(pin.cpu());
        if active.load(Ordering::Relaxed) == self.pointer() {
            return;
        }
        // With interrupts off: the handler leaves what `active` says.
        let irqs_off = IrqGuard::new();
        // SAFETY: each CPU that has it leaves it, by activating another or in `leave_everywhere`, before
        // the tables go.
        on!(self.tables, tables => unsafe { tables.activate(&irqs_off) });
        // SeqCst: pairs with the look in `leave_everywhere`: by then the hardware has the other one.
        active.store(self.pointer(), Ordering::SeqCst);
    }

    /// Whether this CPU's user accesses go through it.
    pub fn is_active(&self, pin: &impl Pinned) -> bool {
        self.active_on(pin.cpu()).load(Ordering::Relaxed) == self.pointer()
    }

    /// This CPU's user accesses go nowhere from now on, if they went here.
    pub fn leave(&self, _pin: &impl Pinned) {
        let irqs_off = IrqGuard::new();
        if self.is_active(&irqs_off) {
            space::deactivate();
            self.active_on(irqs_off.cpu()).store(null_mut(), Ordering::SeqCst);
        }
    }

    /// One more user: a task that shares it (CLONE_VM). The caller is one.
    pub fn add_user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// One more user, unless the last is gone: for whoever found it by way of another process.
    pub fn try_add_user(&self) -> bool {
        let more = |users: usize| (users != 0).then(|| users + 1);
        self.users.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }

    /// One user less: a task that has exited, or executes another program, and does not run in it any
    /// more. With the last, everything is unmapped. References may stay.
    pub fn end_use(&self, ctx: &mut MaySleep) {
        // SeqCst: before the look at who has it active.
        let before = self.users.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before != 0, "a user too many has left an address space");
        if before == 1 {
            self.leave_everywhere();
            self.unmap_everything(ctx);
        }
    }

    /// No CPU has it active when this returns. It has no user.
    fn leave_everywhere(&self) {
        let has_it = |cpu: &usize| self.active_on(*cpu).load(Ordering::SeqCst) == self.pointer();
        let pin = PreemptGuard::new();
        self.leave(&pin);
        let others = (0..MAX_CPUS).filter(has_it).fold(CpuSet::NONE, |set, cpu| set.with(CpuSet::one(cpu)));
        if !others.is_empty() {
            self.ground.memory.interrupt(others);
        }
        debug_assert!(!(0..MAX_CPUS).any(|cpu| has_it(&cpu)), "a CPU did not leave a dead address space");
    }

    /// Empties tables and set. Nobody runs in it, and nobody changes it.
    fn unmap_everything(&self, ctx: &mut MaySleep) {
        let _lock = self.lock_areas(ctx);
        // Without users there are no page faults, so the tables may go first.
        let mut tally = super::count::Tally::new(self.ground);
        // SAFETY: the lock is held, and nothing is published while the view is used.
        let view = unsafe { self.areas.view() };
        on!(self.tables, tables => {
            if tables.has_tables() {
                let ranges = view.iter_from(0).map(|area| super::virt(&(area.start..area.end)));
                tables.unmap_each(ranges, ctx, &mut |page| tally.count(page.addr, -1));
            }
        });
        self.counters.add_pages(tally.pages);
        let mut draft = self.areas.draft();
        draft.clear();
        self.publish(draft, 0..u64::MAX, Default::default(), ctx);
    }
}

impl Drop for Mm {
    /// One that had no user to the end, or never came to have one.
    fn drop(&mut self) {
        self.ground.all.remove(self);
        if self.users.swap(0, Ordering::SeqCst) != 0 {
            self.leave_everywhere();
        }
        // SAFETY: nobody else has it.
        let view = unsafe { self.areas.view() };
        for area in view.iter_from(0) {
            if let Some(object) = area.attrs.object {
                // SAFETY: counted; the set goes with this, and was published for nobody but its owner. A
                // reader who has it still is in a read section, and the record waits for that.
                unsafe { object.subtract(self.pages(area.len())) };
            }
        }
        let weight = self.counters.weight();
        self.counters.weigh(self.ground, super::count::Weight::default() - weight);
        // The tables unmap what is left.
    }
}

/// This CPU leaves the address space that it has active, if that has no user any more. Called by the
/// handler of interrupts from other CPUs, with interrupts off.
pub fn leave_dying() {
    let Some(ground) = super::kernel::existing() else { return };
    let active = &ground.active[cpu::id() % MAX_CPUS];
    // SAFETY: null, or an address space that this CPU has active; its end waits for this handler.
    let Some(mm) = (unsafe { active.load(Ordering::Relaxed).as_ref() }) else { return };
    // SeqCst: after the interrupt was sent, which was after the last user left.
    if mm.users.load(Ordering::SeqCst) == 0 {
        space::deactivate();
        active.store(null_mut(), Ordering::SeqCst);
    }
}
