//! From the entry to `kernel_main`: what the machine is.

use super::entry::CMDLINE_SIZE;
use super::{console, control, lowcore, mmu, power, sclp, smp, timer};
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::{MAX_CPUS, s390x_params as params};
use crate::boot::{BootInfo, Reserved};
use arrayvec::ArrayVec;

unsafe extern "C" {
    static PARAM_INITRD: [u64; 2];
    static PARAM_CMDLINE: [u8; CMDLINE_SIZE];
}

unsafe extern "Rust" {
    fn kernel_main(info: &'static BootInfo) -> !;
}

/// Called by the first instructions: translation off, one CPU.
#[unsafe(no_mangle)]
extern "C" fn s390x_boot() -> ! {
    static mut INFO: Option<BootInfo> = None;

    timer::start();
    // SAFETY: this is the boot CPU.
    unsafe { lowcore::install_early() };
    require_facilities();
    let info = match describe() {
        Ok(info) => info,
        Err(reason) => die(reason),
    };
    smp::found(info.cpus.len());
    mmu::found(info.memory.iter().map(|range| range.size()).sum());
    sclp::listen();
    // SAFETY: this runs once, on the only CPU; from here on the static is only read.
    unsafe {
        let place = &raw mut INFO;
        kernel_main((*place).insert(info))
    }
}

/// What the kernel uses beyond the first z/Architecture, by facility number.
fn require_facilities() {
    for (number, reason) in [
        (3, "this CPU has no DAT-enhancement facility (IDTE); try -cpu max"),
        (25, "this CPU has no store-clock-fast facility; try -cpu max"),
        (27, "this CPU has no move-with-optional-specifications facility (MVCOS); try -cpu max"),
        (129, "this CPU has no vector facility; try -cpu max"),
        (130, "this CPU has no instruction-execution protection; try -cpu max"),
    ] {
        if !control::has_facility(number) {
            die(reason);
        }
    }
}

/// There is no kernel yet that could panic.
fn die(reason: &str) -> ! {
    console::write(b"Fallow cannot run here: ");
    console::write(reason.as_bytes());
    console::write(b"\nfallow: exit status 3\n");
    power::fail()
}

fn describe() -> Result<BootInfo, &'static str> {
    let scp = sclp::info()?;
    let mut complaints = ArrayVec::new();
    let range = |start: usize, end: usize| {
        PhysRange::new(PhysAddr::new(start as u64), PhysAddr::new(end as u64)).ok_or("linker script")
    };
    let memory = range(0, scp.memory as usize)?;
    let [text, _, data] = mmu::sections().map(|(_, section)| section);
    let low = range(0, text.start)?;
    let kernel = range(text.start, data.end)?;
    if kernel.end() > memory.end() {
        return Err("there is less memory than the kernel needs");
    }

    // SAFETY: QEMU wrote these before the kernel ran; nobody writes them now. Volatile because the
    // linked values are zeros.
    let [start, size] = unsafe { (&raw const PARAM_INITRD).read_volatile() };
    let initrd = params::initrd(start, size, memory, range(0, data.end)?).unwrap_or_else(|complaint| {
        complaints.push(complaint);
        None
    });
    // SAFETY: as above; black_box hides the linked zeros.
    let area: &'static [u8; CMDLINE_SIZE] = unsafe { &*core::hint::black_box(&raw const PARAM_CMDLINE) };

    let boot_cpu = u32::from(control::cpu_address());
    let others = scp.cpus.iter().map(|&cpu| u32::from(cpu)).filter(|&cpu| cpu != boot_cpu);
    let cpus: ArrayVec<u32, MAX_CPUS> = core::iter::once(boot_cpu).chain(others).take(MAX_CPUS).collect();

    let held = [(Some(low), "low core"), (Some(kernel), "kernel"), (initrd, "initrd")];
    Ok(BootInfo {
        machine: "s390-ccw-virtio",
        cmdline: params::cmdline(area),
        memory: core::iter::once(memory).collect(),
        reserved: held
            .into_iter()
            .filter_map(|(range, owner)| Some(Reserved { range: range?, owner }))
            .collect(),
        initrd,
        cpus,
        cpus_found: scp.cpus.len(),
        complaints,
    })
}
