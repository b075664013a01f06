//! The page with the code that ends a handler, as what Linux calls its vdso: an ELF file in memory.
//!
//! An unwinder that comes to a handler's return address must know where the registers of who was
//! interrupted are: without it neither `pthread_cancel` nor an exception leaves a handler. gcc's once
//! knew the code by its instructions, but that way has decayed (12.2 aborts in it), since on ppc64 every
//! Linux has a description: frame information (DWARF, as `.eh_frame`), found over the auxiliary
//! vector's AT_SYSINFO_EHDR and the file's program headers. So that is what is here, and nothing else:
//! the symbol table is empty, so that a C library makes system calls for the time as it does without.
//!
//! Sources: the ELF-64 format; LSB 5.0 Core, 10.6 "Exception frames"; DWARF 4, 6.4 and 2.5; the numbers of
//! registers are those of gcc's `.eh_frame`, not of the ABI's DWARF: 65 LR, 66 CTR, 67 where it goes on,
//! 68-75 the CR's fields, 77-108 vectors.
//!
//! Pure: bytes, made by the compiler and tested on every host.

/// Where in the signal's frame, counted from r1 as it is when the handler returns.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The 48 words of `gp_regs`.
    pub general: u64,
    /// The 32 floating-point registers.
    pub floating: u64,
    /// The address of the vector registers.
    pub vectors: u64,
}

/// Indices of `gp_regs`, and the register's number for the unwinder.
const SPECIAL: [(u64, u64); 11] = [
    (36, 65),
    (35, 66),
    (32, GOES_ON),
    (38, 68),
    (38, 69),
    (38, 70),
    (38, 71),
    (38, 72),
    (38, 73),
    (38, 74),
    (38, 75),
];
/// The column of the address where the interrupted code goes on.
const GOES_ON: u64 = 67;
const FIRST_FLOATING: u64 = 32;
const FIRST_VECTOR: u64 = 77;

// Offsets in the file. The texts before the code have fixed sizes.
const PROGRAM_HEADERS: usize = 64;
const HASH: usize = PROGRAM_HEADERS + 3 * 56;
const SYMBOLS: usize = HASH + 16;
const STRINGS: usize = SYMBOLS + 24;
const NAME: &[u8] = b"\0linux-vdso64.so.1\0";
const DYNAMIC: usize = (STRINGS + NAME.len()).next_multiple_of(8);
const CODE: usize = DYNAMIC + 7 * 16;
/// Where a handler returns to. The unwinder looks at the byte in front of it, as of any call: there
/// is one instruction more.
pub const ENTRY: usize = CODE + 4;
const CODE_END: usize = CODE + 16;
const INDEX: usize = CODE_END;
const FRAMES: usize = INDEX + 8;
/// The whole; there is some room at its end.
const SIZE: usize = 1536;

/// `nop`; `addi r1, r1, 128; li r0, __NR_rt_sigreturn; sc`.
const INSTRUCTIONS: [u32; 4] = [0x6000_0000, 0x3821_0080, 0x3800_00ac, 0x4400_0002];

struct Writer {
    bytes: [u8; SIZE],
    at: usize,
}

impl Writer {
    const fn put(&mut self, value: u64, size: usize) {
        let bytes = value.to_le_bytes();
        let mut index = 0;
        while index < size {
            self.bytes[self.at] = bytes[index];
            self.at += 1;
            index += 1;
        }
    }
    const fn byte(&mut self, value: u8) {
        self.put(value as u64, 1);
    }
    const fn half(&mut self, value: u64) {
        self.put(value, 2);
    }
    const fn word(&mut self, value: u64) {
        self.put(value, 4);
    }
    const fn double(&mut self, value: u64) {
        self.put(value, 8);
    }
    const fn text(&mut self, text: &[u8]) {
        let mut index = 0;
        while index < text.len() {
            self.byte(text[index]);
            index += 1;
        }
    }
    /// A number in groups of seven bits, the last one marked; as signed numbers want it a positive one
    /// does not end in a set bit 6.
    const fn leb(&mut self, mut value: u64, signed: bool) {
        let limit = if signed { 0x40 } else { 0x80 };
        while value >= limit {
            self.byte(value as u8 & 0x7f | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
    /// How many bytes [`leb`](Self::leb) takes.
    const fn leb_len(mut value: u64, signed: bool) -> u64 {
        let limit = if signed { 0x40 } else { 0x80 };
        let mut len = 1;
        while value >= limit {
            value >>= 7;
            len += 1;
        }
        len
    }
    /// Writes the length in front of a record that began there, filled up to whole doublewords.
    const fn close(&mut self, begin: usize) {
        while !self.at.is_multiple_of(8) {
            self.byte(0);
        }
        let end = self.at;
        self.at = begin;
        self.word((end - begin - 4) as u64);
        self.at = end;
    }

    /// An expression's begin: r1 and that much.
    const fn relative_to_stack(&mut self, offset: u64) {
        self.byte(0x71); // DW_OP_breg1
        self.leb(offset, true);
    }
    /// DW_CFA_expression: the register was stored so far from r1.
    const fn stored(&mut self, register: u64, offset: u64) {
        self.byte(0x10);
        self.leb(register, false);
        self.leb(1 + Self::leb_len(offset, true), false);
        self.relative_to_stack(offset);
    }
    /// The same, for what was stored so far from where a word there points to.
    const fn stored_behind(&mut self, register: u64, pointer: u64, offset: u64) {
        self.byte(0x10);
        self.leb(register, false);
        self.leb(3 + Self::leb_len(pointer, true) + Self::leb_len(offset, false), false);
        self.relative_to_stack(pointer);
        self.byte(0x06); // DW_OP_deref
        self.byte(0x23); // DW_OP_plus_uconst
        self.leb(offset, false);
    }
    const fn program_header(&mut self, kind: u64, flags: u64, offset: usize, size: usize, align: u64) {
        let (offset, size) = (offset as u64, size as u64);
        self.word(kind);
        self.word(flags);
        self.double(offset);
        self.double(offset);
        self.double(offset);
        self.double(size);
        self.double(size);
        self.double(align);
    }
}

/// The file, for programs whose signal frames are laid out so.
pub const fn image(layout: &Layout) -> [u8; SIZE] {
    let mut to = Writer { bytes: [0; SIZE], at: 0 };
    to.text(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    to.half(3); // ET_DYN
    to.half(21); // EM_PPC64
    to.word(1);
    to.double(0);
    to.double(PROGRAM_HEADERS as u64);
    to.double(0);
    to.word(2); // ELFv2
    to.half(64);
    to.half(56);
    to.half(3);
    to.half(0);
    to.half(0);
    to.half(0);
    assert!(to.at == PROGRAM_HEADERS);
    to.program_header(1, 5, 0, SIZE, 0x1_0000); // PT_LOAD
    to.program_header(2, 4, DYNAMIC, CODE - DYNAMIC, 8); // PT_DYNAMIC
    to.program_header(0x6474_e550, 4, INDEX, 8, 4); // PT_GNU_EH_FRAME
    assert!(to.at == HASH);
    // One chain, which is empty: the one symbol is the one that every table begins with.
    to.word(1);
    to.word(1);
    to.at = STRINGS;
    to.text(NAME);
    to.at = DYNAMIC;
    let entries = [
        (14, 1), // DT_SONAME
        (5, STRINGS as u64),
        (6, SYMBOLS as u64),
        (4, HASH as u64),
        (10, NAME.len() as u64),
        (11, 24), // DT_SYMENT
        (0, 0),
    ];
    let mut index = 0;
    while index < entries.len() {
        to.double(entries[index].0);
        to.double(entries[index].1);
        index += 1;
    }
    assert!(to.at == CODE);
    let mut index = 0;
    while index < INSTRUCTIONS.len() {
        to.word(INSTRUCTIONS[index] as u64);
        index += 1;
    }
    assert!(to.at == INDEX);
    // Version; the frames' address is relative to this place, 4 bytes; no table to search in.
    to.text(&[1, 0x1b, 0xff, 0xff]);
    to.word((FRAMES - INDEX - 4) as u64);
    frames(&mut to, layout);
    assert!(to.at <= SIZE);
    to.bytes
}

/// What every description of a frame shares, that of the one frame, and the end of the list.
const fn frames(to: &mut Writer, layout: &Layout) {
    let common = to.at;
    to.word(0);
    to.word(0);
    to.byte(1);
    // There is more; addresses are encoded so; frames of signals.
    to.text(b"zRS\0");
    to.leb(4, false);
    to.byte(0x78); // -8
    to.byte(GOES_ON as u8);
    to.leb(1, false);
    to.byte(0x1b);
    to.text(&[0x0c, 1, 0]); // DW_CFA_def_cfa: r1
    to.close(common);

    let one = to.at;
    to.word(0);
    to.word((to.at - common) as u64);
    to.word((CODE as u64).wrapping_sub(to.at as u64));
    to.word((CODE_END - CODE) as u64);
    to.leb(0, false);
    // The frame that was interrupted is where its r1 was.
    let stack = layout.general + 8;
    to.byte(0x0f); // DW_CFA_def_cfa_expression
    to.leb(2 + Writer::leb_len(stack, true), false);
    to.relative_to_stack(stack);
    to.byte(0x06);
    let mut register = 0;
    while register < 32 {
        if register != 1 {
            to.stored(register, layout.general + 8 * register);
        }
        to.stored(FIRST_FLOATING + register, layout.floating + 8 * register);
        to.stored_behind(FIRST_VECTOR + register, layout.vectors, 16 * register);
        register += 1;
    }
    let mut index = 0;
    while index < SPECIAL.len() {
        let (word, register) = SPECIAL[index];
        to.stored(register, layout.general + 8 * word);
        index += 1;
    }
    to.close(one);
    to.word(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { general: 360, floating: 744, vectors: 1008 };
    static IMAGE: [u8; SIZE] = image(&LAYOUT);

    fn number(at: usize, size: usize) -> u64 {
        (0..size).map(|byte| u64::from(IMAGE[at + byte]) << (8 * byte)).sum()
    }

    fn leb(at: &mut usize) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = IMAGE[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        unreachable!()
    }

    /// Executes an expression with r1 = 1000 and with words in memory that are their addresses plus 1.
    fn evaluate(at: &mut usize) -> u64 {
        let end = leb(at) as usize;
        let end = *at + end;
        let mut value = 0;
        while *at < end {
            *at += 1;
            match IMAGE[*at - 1] {
                0x71 => {
                    value = 1000 + leb(at);
                    assert_eq!(IMAGE[*at - 1] & 0x40, 0, "a positive number");
                }
                0x06 => value += 1,
                0x23 => value += leb(at),
                other => panic!("operation {other:#x}"),
            }
        }
        value
    }

    #[test]
    fn it_is_an_elf_file() {
        assert!(IMAGE.starts_with(b"\x7fELF\x02\x01\x01"));
        assert_eq!((number(16, 2), number(18, 2), number(32, 8)), (3, 21, 64));
        let header = |nth: usize| (0..7).map(|word| number(64 + 56 * nth + 8 * word, 8)).collect::<Vec<_>>();
        assert_eq!(header(0), [1 | 5 << 32, 0, 0, 0, SIZE as u64, SIZE as u64, 0x1_0000]);
        assert_eq!(header(1)[1..4], [DYNAMIC as u64; 3]);
        assert_eq!(header(2)[1..4], [INDEX as u64; 3]);
        assert_eq!(ENTRY % 8, 4);
    }

    #[test]
    fn every_register_is_found() {
        assert_eq!(IMAGE[INDEX..INDEX + 4], [1, 0x1b, 0xff, 0xff]);
        assert_eq!(INDEX + 4 + number(INDEX + 4, 4) as usize, FRAMES);
        let one = FRAMES + 4 + number(FRAMES, 4) as usize;
        assert_eq!(one + 4 - number(one + 4, 4) as usize, FRAMES);
        assert_eq!(one + 8 - (number(one + 8, 4) as u32).wrapping_neg() as usize, CODE);
        assert_eq!(number(one + 12, 4), 16);
        let end = one + 4 + number(one, 4) as usize;
        assert_eq!(number(end, 4), 0, "the list's end");
        let mut at = one + 17;
        assert_eq!(IMAGE[at], 0x0f);
        at += 1;
        assert_eq!(evaluate(&mut at), 1000 + 368 + 1, "the value of r1");
        let mut seen = std::collections::BTreeMap::new();
        while at < end && IMAGE[at] != 0 {
            assert_eq!(IMAGE[at], 0x10);
            at += 1;
            let register = leb(&mut at);
            assert!(seen.insert(register, evaluate(&mut at)).is_none(), "{register} twice");
        }
        assert_eq!(seen.len(), 31 + 32 + 32 + SPECIAL.len());
        assert_eq!((seen[&0], seen[&31]), (1360, 1360 + 31 * 8));
        assert_eq!((seen[&32], seen[&63]), (1744, 1744 + 31 * 8));
        assert_eq!((seen[&77], seen[&108]), (2009, 2009 + 31 * 16));
        assert_eq!((seen[&65], seen[&67], seen[&70]), (1360 + 288, 1360 + 256, 1360 + 304));
    }
}
