//! Control registers, the facility list, the CPU's address.

use core::arch::asm;

/// What the kernel wants of CR0 beyond its reset value (POP, "Control Registers"):
/// bit 43 instruction-execution protection, bit 45 the floating-point registers beyond the first
/// four, bit 46 the vector registers (programs have them; the kernel uses neither), bit 49 emergency
/// signal, bit 52 clock comparator.
pub const CR0_KERNEL: u64 = 0xe0 | IEP | bit(45) | bit(46) | bit(49) | bit(52);
/// CR0 bit 43: instruction-execution protection.
const IEP: u64 = bit(43);
/// CR0 bit 54: service signal (console input). On the boot CPU only: the interruption is floating,
/// and one CPU is enough.
pub const CR0_SERVICE_SIGNAL: u64 = bit(54);

const fn bit(n: u32) -> u64 {
    1 << (63 - n)
}

macro_rules! control_register {
    ($set:ident, $n:literal) => {
        #[doc = concat!("Loads control register ", $n, ".")]
        ///
        /// # Safety
        /// The value must suit the code that runs on.
        pub unsafe fn $set(value: u64) {
            // SAFETY: the caller's promise.
            unsafe {
                asm!(concat!("lctlg %c", $n, ",%c", $n, ",0({})"), in(reg_addr) &raw const value,
                     options(nostack, preserves_flags));
            }
        }
    };
}
control_register!(set_cr0, 0);
control_register!(set_cr1, 1);
control_register!(set_cr7, 7);
control_register!(set_cr13, 13);

/// All sixteen control registers.
pub fn all() -> [u64; 16] {
    let mut values = [0u64; 16];
    // SAFETY: stores the registers in `values`.
    unsafe {
        asm!("stctg %c0, %c15, 0({})", in(reg_addr) &raw mut values, options(nostack, preserves_flags));
    }
    values
}

/// STORE CPU ADDRESS.
pub fn cpu_address() -> u16 {
    let mut address = 0u16;
    // SAFETY: stores two bytes in `address`.
    unsafe { asm!("stap 0({})", in(reg_addr) &raw mut address, options(nostack, preserves_flags)) };
    address
}

/// STORE FACILITY LIST EXTENDED: whether the CPU has the facility.
pub fn has_facility(number: usize) -> bool {
    let mut list = [0u64; 4];
    // SAFETY: stores at most four doublewords; r0 holds their number less one, and comes back with
    // the number that there are.
    unsafe { asm!("stfle 0({})", in(reg_addr) &raw mut list, inout("r0") 3u64 => _, options(nostack)) };
    list.get(number / 64).is_some_and(|word| word >> (63 - number % 64) & 1 == 1)
}
