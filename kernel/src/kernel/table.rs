//! The symbol table's room in the image, filled after the link (see `fallow::symbols`).

use fallow::symbols;

/// `xtask` refuses to build a kernel whose table is larger.
const ROOM: usize = 512 << 10;

#[repr(C, align(8))]
struct Reserved([u8; ROOM]);

#[used]
#[unsafe(link_section = ".symbols")]
static RESERVED: Reserved = Reserved([0; ROOM]);

unsafe extern "C" {
    // Of the linker script.
    static __text_start: u8;
    static __text_end: u8;
}

/// Hands the table to the library.
pub fn init() {
    // The compiler sees zeros and must not conclude that they stay zeros.
    let section = core::hint::black_box(&RESERVED.0[..]);
    let (start, end) = (&raw const __text_start, &raw const __text_end);
    symbols::set(section, start.addr(), end.addr() - start.addr());
}
