//! From the entry code to `kernel_main`: which machine, its device tree, its interrupts.

use super::openfirmware;
use super::platform::{self, Platform};
use super::regs::{MSR_HV, PIR, mfspr, time_base};
use super::{LINEAR, STACK_SIZE, area, console, firmware, mmu, power, timer, trap};
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::ppc64_tree as tree;
use crate::boot::{BootInfo, Reserved};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering};

#[repr(C, align(65536))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);
// SAFETY: memory that only the boot CPU's stack pointer leads to.
unsafe impl Sync for Stack {}

#[unsafe(no_mangle)]
static ppc64_boot_stack: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

/// Where the boot CPU's stack block lies.
pub fn boot_stack() -> usize {
    (&raw const ppc64_boot_stack).addr()
}

/// The flat device tree, of whichever origin.
static mut TREE: Aligned = Aligned([0; tree::MAX_SIZE]);
#[repr(C, align(64))]
struct Aligned([u8; tree::MAX_SIZE]);

static mut INFO: MaybeUninit<BootInfo> = MaybeUninit::uninit();
static INFO_READY: AtomicPtr<BootInfo> = AtomicPtr::new(core::ptr::null_mut());

/// What `kernel_main` was given; `None` before that.
pub fn info() -> Option<&'static BootInfo> {
    // SAFETY: null or a reference that lives forever. Acquire: pairs with the Release in `boot`.
    unsafe { INFO_READY.load(Ordering::Acquire).as_ref() }
}

unsafe extern "Rust" {
    // The binary's.
    safe fn kernel_main(info: &'static BootInfo) -> !;
}

/// Called by the entry code, translation off, interrupts off, on the boot stack.
#[unsafe(no_mangle)]
extern "C" fn ppc64_boot(r3: u64, open_firmware: u64, opal_base: u64, opal_entry: u64, msr: u64) -> ! {
    let entered = time_base();
    let hypervisor = msr & MSR_HV != 0;
    platform::set(if hypervisor { Platform::PowerNv } else { Platform::Pseries }, opal_base, opal_entry);
    area::boot(mfspr::<PIR>() as u32);
    match boot(r3, open_firmware, entered) {
        Ok(info) => kernel_main(info),
        Err(why) => {
            for text in ["fallow cannot start: ", why, "\nfallow: exit status 3\n"] {
                console::write(text.as_bytes());
            }
            power::fail()
        }
    }
}

fn boot(r3: u64, open_firmware: u64, entered: u64) -> Result<&'static BootInfo, &'static str> {
    let tree = &raw mut TREE;
    // SAFETY: once, one CPU: this is the only reference.
    let tree = unsafe { &mut (*tree).0 };
    let tree = if open_firmware != 0 {
        // SAFETY: once, here; nothing below the kernel has been written.
        unsafe { openfirmware::flatten(open_firmware, tree)? }
    } else {
        flat_tree(r3, tree)?
    };
    // SAFETY: the firmware is done with low memory: OPAL keeps its own, Open Firmware is quiet.
    unsafe { trap::install() };

    let kernel = mmu::kernel_range();
    let held = [
        Reserved { range: kernel, owner: "kernel" },
        Reserved { range: range(0, trap::VECTORS_END)?, owner: "vectors" },
    ];
    let machine = match platform::get() {
        Platform::PowerNv => "powernv9",
        Platform::Pseries => "pseries",
    };
    let known = tree::Known { machine, boot_cpu: mfspr::<PIR>() as u32, held: &held };
    let (info, devices) = tree::read(tree, known)?;

    timer::set_frequency(devices.timebase, entered);
    for (service, token) in
        [&firmware::POWER_OFF, &firmware::START_CPU, &firmware::OS_TERM].into_iter().zip(devices.rtas)
    {
        if let Some(token) = token {
            service.set_token(token);
        }
    }
    if let Some(uart) = devices.uart.filter(|_| platform::get() == Platform::PowerNv) {
        // SAFETY: the tree says so.
        unsafe { console::set_uart(uart) };
    }
    let place = &raw mut INFO;
    // SAFETY: one CPU, once; nobody has a reference yet.
    let info = unsafe { (*place).write(info) };
    INFO_READY.store(info, Ordering::Release);
    Ok(info)
}

fn range(start: u64, size: u64) -> Result<PhysRange, &'static str> {
    PhysRange::sized(PhysAddr::new(start), size).ok_or("the device tree lies outside of memory")
}

/// A copy of the flat tree at the real address: `tidy` changes it.
fn flat_tree(real: u64, copy: &'static mut [u8]) -> Result<&'static [u8], &'static str> {
    // The firmware's memory begins at 0 and has no end that we know yet; 1 TB is more than QEMU gives.
    if real == 0 || real >= 1 << 40 || !real.is_multiple_of(8) {
        return Err("no device tree at the address that the firmware gave");
    }
    let pointer = core::ptr::with_exposed_provenance::<u8>((LINEAR | real) as usize);
    // SAFETY: the firmware says that a tree is there; its size is checked before the rest is read.
    let size = tree::size(unsafe { pointer.cast::<[u8; 8]>().read() })?;
    let copy = copy.get_mut(..size).ok_or("the device tree is too big")?;
    // SAFETY: as before.
    copy.copy_from_slice(unsafe { core::slice::from_raw_parts(pointer, size) });
    tree::tidy(copy);
    Ok(copy)
}
