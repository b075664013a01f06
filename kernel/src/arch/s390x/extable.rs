//! Instructions that may fault, and where to continue if they do.
//!
//! An entry is a pair of addresses in section `__extable`, written beside the instruction by
//! [`extable!`]. The handler puts the interruption's two information words in r0 and r1 and
//! continues at the second address; code that uses the table clears r0 before the instruction.
//!
//! A call into what cannot be executed is found by its return address: there the faulting
//! instruction is the callee's.

/// Assembly text of an entry: `extable!("1b", "2b")`.
macro_rules! extable {
    ($instruction:literal, $fixup:literal) => {
        concat!(".pushsection __extable, \"a\"\n .quad ", $instruction, ", ", $fixup, "\n .popsection")
    };
}
pub(super) use extable;

#[repr(C)]
struct Entry {
    instruction: u64,
    fixup: u64,
}

unsafe extern "C" {
    #[link_name = "__extable_start"]
    static START: [Entry; 0];
    #[link_name = "__extable_end"]
    static END: [Entry; 0];
}

/// Where to continue when the instruction at that address faults. The table is a handful of
/// entries, so it is not sorted.
pub fn find(instruction: u64) -> Option<u64> {
    let (start, end) = ((&raw const START).cast::<Entry>(), (&raw const END).cast::<Entry>());
    let count = (end.addr() - start.addr()) / size_of::<Entry>();
    // SAFETY: the linker script puts the section's entries between the two symbols.
    let entries = unsafe { core::slice::from_raw_parts(start, count) };
    entries.iter().find(|entry| entry.instruction == instruction).map(|entry| entry.fixup)
}
