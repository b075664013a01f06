//! A fault of the kernel in words.

use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu;
use crate::arch::handlers::{Fault, FaultKind};
use core::fmt;
use core::ops::Range;

/// What the kernel did wrong.
pub(super) struct Description<'a> {
    what: &'static str,
    fault: &'a Fault,
}

impl<'a> Description<'a> {
    pub(super) fn of(fault: &'a Fault) -> Self {
        let address = fault.address.map(|address| address.get() as usize);
        Self { what: describe(fault.kind, address, &mmu::sections()), fault }
    }
}

/// `write to the kernel's text at 0x12345 (protection exception)`
impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(address) = self.fault.address {
            write!(f, " at {address}")?;
        }
        write!(f, " ({})", self.fault.name)
    }
}

fn describe(
    kind: FaultKind,
    address: Option<usize>,
    sections: &[(&'static str, Range<usize>)],
) -> &'static str {
    let section = |wanted: &str| {
        address.is_some_and(|address| {
            sections.iter().any(|(name, range)| *name == wanted && range.contains(&address))
        })
    };
    let null = address.is_some_and(|address| address < PAGE_SIZE as usize);
    match kind {
        FaultKind::StackOverflow => "kernel stack overflow",
        FaultKind::IllegalInstruction => "illegal instruction in the kernel",
        FaultKind::Read if null => "read through a null pointer",
        FaultKind::Write if null => "write through a null pointer",
        FaultKind::Execute if null => "call of a null pointer",
        FaultKind::Write if section("text") => "write to the kernel's text",
        FaultKind::Write if section("rodata") => "write to the kernel's constants",
        FaultKind::Execute if section("data") || section("rodata") => "execution of the kernel's data",
        FaultKind::Read => "read of a bad address",
        FaultKind::Write => "write to a bad address",
        FaultKind::Execute => "execution of a bad address",
        FaultKind::Other => "unexpected exception in the kernel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;

    #[test]
    fn the_section_gives_the_name() {
        let sections = [("text", 0x10000..0x20000), ("rodata", 0x20000..0x30000), ("data", 0x30000..0x40000)];
        let what = |kind, address| describe(kind, Some(address), &sections);
        assert_eq!(what(FaultKind::Write, 0x10000), "write to the kernel's text");
        assert_eq!(what(FaultKind::Write, 0x2ffff), "write to the kernel's constants");
        assert_eq!(what(FaultKind::Write, 0x40000), "write to a bad address");
        assert_eq!(what(FaultKind::Execute, 0x30008), "execution of the kernel's data");
        assert_eq!(what(FaultKind::Read, 8), "read through a null pointer");
        assert_eq!(what(FaultKind::StackOverflow, 0x2ffff), "kernel stack overflow");
        assert_eq!(describe(FaultKind::Other, None, &sections), "unexpected exception in the kernel");
    }

    #[test]
    fn the_machine_gives_address_and_term() {
        let fault = Fault {
            kind: FaultKind::Read,
            name: "data storage",
            address: Some(VirtAddr::new(0x7_0000_0000)),
        };
        assert_eq!(
            Description::of(&fault).to_string(),
            "read of a bad address at 0x700000000 (data storage)"
        );
    }
}
