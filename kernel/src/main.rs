//! The kernel's binary. On a machine: the boot order. On the host: nothing to run.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod kernel {
    use fallow::arch::current::{console, power};
    use fallow::boot::BootInfo;

    /// The machine's entry code ends here: translation is off still, interrupts are off, one CPU.
    #[unsafe(no_mangle)]
    extern "Rust" fn kernel_main(info: &'static BootInfo) -> ! {
        console::write(b"Fallow on ");
        console::write(info.machine.as_bytes());
        console::write(b"\n");
        power::off()
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        power::fail()
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("fallow runs on s390x and ppc64; see the README");
    std::process::exit(2);
}
