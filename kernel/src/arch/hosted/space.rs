//! A simulated MMU: CPUs with translation buffers and walk caches that keep what they have until
//! they are told.
//!
//! Each test has a machine of its own. A thread is one of its CPUs ([`Machine::enter`]); a thread that
//! entered none gets a machine for itself. A machine is told at its birth whose tables its hardware
//! reads; its walkers are written from the manuals, with numbers, and use nothing of the formats,
//! which they check.
//!
//! It is as forgetful as the worst real one, and less: nothing is dropped from a buffer without a
//! flush, every upper entry is cached, and replacing an entry flushes nothing, as on ppc64. So a
//! missing flush is seen the first time (H29-H31).

use super::mmu;
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::paging::to_memory;
use crate::error::Errno;
use core::sync::atomic::{AtomicU64, Ordering};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The simulated CPUs forget at once.
pub const FLUSH_ENDS: bool = true;

/// An address space: the address of its root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Space(u64);

impl Space {
    /// The root's address.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// Whose tables a machine's hardware reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hardware {
    /// Region-third, segment and page tables.
    S390x,
    /// Radix trees, whose entries tell the size of the next table.
    Ppc64,
}

/// What an entry says to the hardware.
enum Step {
    /// The next table lies there; it translates that many bits, the last of them bit `shift`.
    Table { at: u64, bits: u32, shift: u32 },
    /// The end: the page, log2 of its size, whether one may read and write.
    Page { at: u64, shift: u32, read: bool, write: bool },
    /// A fault.
    Invalid,
}

impl Hardware {
    /// The root table of a space: where, how many bits, the last of them.
    fn root(self, space: Space) -> (u64, u32, u32) {
        match self {
            Self::S390x => (space.0, 11, 31),
            Self::Ppc64 => (space.0, 13, 39),
        }
    }

    fn step(self, entry: u64, shift: u32) -> Step {
        match self {
            Self::S390x => Self::step_s390x(entry, shift),
            Self::Ppc64 => Self::step_ppc64(entry, shift),
        }
    }

    fn step_s390x(entry: u64, shift: u32) -> Step {
        match shift {
            // Region-third entry: invalid bit, type 01, length 11.
            31 if entry & 0x20 == 0 && entry & 0xf == 0x7 => {
                Step::Table { at: entry & !0xfff, bits: 11, shift: 20 }
            }
            // Segment entry: invalid bit, type 00.
            20 if entry & 0x20 == 0 && entry & 0xc == 0 => {
                Step::Table { at: entry & !0x7ff, bits: 8, shift: 12 }
            }
            // Page-table entry: bit 0x800 must be zero, invalid bit, protection.
            12 if entry & 0xc00 == 0 => {
                Step::Page { at: entry & !0xfff, shift: 12, read: true, write: entry & 0x200 == 0 }
            }
            _ => Step::Invalid,
        }
    }

    fn step_ppc64(entry: u64, shift: u32) -> Step {
        if entry >> 63 == 0 {
            return Step::Invalid;
        }
        if entry >> 62 & 1 == 1 {
            let (read, write) = (entry & 6 != 0, entry & 2 != 0);
            return Step::Page { at: entry & 0x01ff_ffff_ffff_f000, shift, read, write };
        }
        let bits = entry as u32 & 0x1f;
        Step::Table { at: entry & 0x0fff_ffff_ffff_ff00, bits, shift: shift - bits }
    }
}

/// What one CPU remembers.
#[derive(Default)]
struct Cpu {
    active: Option<Space>,
    /// By space and page: the frame, and whether one may read and write.
    tlb: HashMap<(Space, u64, u32), (u64, bool, bool)>,
    /// By space and the address that an upper entry covers: the table it pointed to.
    walks: HashMap<(Space, u64, u32), (u64, u32, u32)>,
}

/// A machine: some CPUs with one kind of hardware.
pub struct Machine {
    hardware: Hardware,
    cpus: Vec<Mutex<Cpu>>,
}

thread_local! {
    static HERE: RefCell<Option<(Arc<Machine>, usize)>> = const { RefCell::new(None) };
}

impl Machine {
    /// A machine with that many CPUs.
    pub fn new(hardware: Hardware, cpus: usize) -> Arc<Self> {
        Arc::new(Self { hardware, cpus: (0..cpus).map(|_| Mutex::default()).collect() })
    }

    /// From now on this thread is that CPU of the machine. Flushes reach all of its CPUs.
    pub fn enter(self: &Arc<Self>, cpu: usize) {
        assert!(cpu < self.cpus.len());
        super::cpu::become_cpu(cpu);
        HERE.with(|here| *here.borrow_mut() = Some((self.clone(), cpu)));
    }

    fn cpu(&self, number: usize) -> MutexGuard<'_, Cpu> {
        self.cpus[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_all(&self, mut work: impl FnMut(&mut Cpu)) {
        (0..self.cpus.len()).for_each(|number| work(&mut self.cpu(number)));
    }

    /// How many translations all CPUs remember.
    pub fn remembered(&self) -> usize {
        let mut sum = 0;
        self.on_all(|cpu| sum += cpu.tlb.len() + cpu.walks.len());
        sum
    }

    fn translate(&self, cpu: &mut Cpu, va: u64, write: bool) -> Result<u64, FaultKind> {
        let kind = if write { FaultKind::Write } else { FaultKind::Read };
        let space = cpu.active.ok_or(kind)?;
        for shift in [12, 16] {
            let key = (space, va >> shift, shift);
            if let Some(&(frame, readable, writable)) = cpu.tlb.get(&key) {
                if if write { writable } else { readable } {
                    return Ok(frame | va & ((1 << shift) - 1));
                }
                // What would fault is looked up again: more access needs no flush.
                cpu.tlb.remove(&key);
            }
        }
        let (mut table, mut bits, mut shift) = self.hardware.root(space);
        if va >> (shift + bits) != 0 {
            return Err(kind);
        }
        loop {
            if let Some(&known) = cpu.walks.get(&(space, va >> shift, shift)) {
                (table, bits, shift) = known;
                continue;
            }
            let at = table + 8 * (va >> shift & ((1 << bits) - 1));
            // SAFETY: within simulated RAM, aligned; whatever is there is read as the hardware would.
            let entry = unsafe { &*mmu::linear(PhysAddr::new(at)).cast::<AtomicU64>() };
            match self.hardware.step(u64::from_be(entry.load(Ordering::Acquire)), shift) {
                Step::Table { at, bits: next_bits, shift: next_shift } => {
                    cpu.walks.insert((space, va >> shift, shift), (at, next_bits, next_shift));
                    (table, bits, shift) = (at, next_bits, next_shift);
                }
                Step::Page { at, shift, read, write: writable } => {
                    let allowed = if write { writable } else { read };
                    if !allowed {
                        // Entries that fault are not remembered.
                        return Err(kind);
                    }
                    cpu.tlb.insert((space, va >> shift, shift), (at, read, writable));
                    return Ok(at | va & ((1 << shift) - 1));
                }
                Step::Invalid => return Err(kind),
            }
        }
    }
}

fn here() -> (Arc<Machine>, usize) {
    HERE.with(|here| here.borrow_mut().get_or_insert_with(|| (Machine::new(Hardware::S390x, 1), 0)).clone())
}

/// The root's address names the space.
///
/// # Safety
/// As on the machines.
pub unsafe fn create(root: PhysAddr) -> Result<Space, Errno> {
    Ok(Space(root.get()))
}
/// Flushes it everywhere. Panics if a CPU has it active.
///
/// # Safety
/// As on the machines.
pub unsafe fn destroy(space: Space) {
    flush_all(space);
    here().0.on_all(|cpu| assert!(cpu.active != Some(space), "a CPU still has the dead space"));
}
/// This CPU uses it from now on; what it remembers of others stays.
///
/// # Safety
/// As on the machines.
pub unsafe fn activate(space: Space) {
    let (machine, cpu) = here();
    machine.cpu(cpu).active = Some(space);
}
/// This CPU uses none.
pub fn deactivate() {
    let (machine, cpu) = here();
    machine.cpu(cpu).active = None;
}
/// The store only, as on ppc64.
///
/// # Safety
/// As on the machines.
pub unsafe fn replace_page(_space: Space, slot: &AtomicU64, _va: VirtAddr, new: u64) {
    slot.store(new, Ordering::Release);
}
/// The store only, as on ppc64.
///
/// # Safety
/// As on the machines.
pub unsafe fn replace_table(_space: Space, _level: usize, slot: &AtomicU64, _va: VirtAddr, new: u64) {
    slot.store(to_memory(new), Ordering::Release);
}
/// All CPUs forget these leaves; upper entries stay.
pub fn flush_pages(space: Space, pages: &[VirtAddr], leaf_shift: u32) {
    here().0.on_all(|cpu| {
        for page in pages {
            cpu.tlb.remove(&(space, page.get() >> leaf_shift, leaf_shift));
        }
    });
}
/// All CPUs forget all of the space.
pub fn flush_all(space: Space) {
    here().0.on_all(|cpu| {
        cpu.tlb.retain(|key, _| key.0 != space);
        cpu.walks.retain(|key, _| key.0 != space);
    });
}

/// Where an address is in memory, through this CPU's buffers.
pub(super) fn translate(va: VirtAddr, write: bool) -> Result<PhysAddr, Fault> {
    let (machine, number) = here();
    let mut cpu = machine.cpu(number);
    let name = "simulated translation fault";
    match machine.translate(&mut cpu, va.get(), write) {
        Ok(at) => Ok(PhysAddr::new(at)),
        Err(kind) => Err(Fault { kind, name, address: Some(va) }),
    }
}

fn access(va: VirtAddr, write: bool) -> Result<*mut u64, Fault> {
    Ok(mmu::linear(translate(va, write)?).cast())
}

/// Nothing is executed here.
///
/// # Safety
/// None.
pub unsafe fn sync_code(_page: PhysAddr, _bytes: usize) {}

/// Through this CPU's buffers.
pub fn user_load(va: VirtAddr) -> Result<u64, Fault> {
    // SAFETY: simulated RAM, aligned; other threads access it atomically as well.
    access(va, false).map(|at| unsafe { AtomicU64::from_ptr(at) }.load(Ordering::Acquire))
}
/// Through this CPU's buffers.
///
/// # Safety
/// As on the machines.
pub unsafe fn user_store(va: VirtAddr, value: u64) -> Result<(), Fault> {
    // SAFETY: as above.
    access(va, true).map(|at| unsafe { AtomicU64::from_ptr(at) }.store(value, Ordering::Release))
}
