use super::*;
use proptest::prelude::*;

const S390X: Machine = Machine { number: 22, big_endian: true, page: 4096, end: 1 << 42 };
const PPC64: Machine = Machine { number: 21, big_endian: false, page: 65_536, end: 1 << 47 };

/// A program as the linkers write it: text, then data that begins in mid-page, then zeros.
struct Writer {
    bytes: Vec<u8>,
    big: bool,
}

impl Writer {
    fn put(&mut self, value: u64, size: usize) {
        let bytes = value.to_be_bytes();
        let bytes = &bytes[8 - size..];
        if self.big {
            self.bytes.extend(bytes);
        } else {
            self.bytes.extend(bytes.iter().rev());
        }
    }

    fn entry(&mut self, kind: u32, flags: u32, [offset, address, in_file, in_memory, align]: [u64; 5]) {
        self.put(kind.into(), 4);
        self.put(flags.into(), 4);
        for value in [offset, address, address, in_file, in_memory, align] {
            self.put(value, 8);
        }
    }
}

fn program(machine: &Machine, kind: u16) -> Vec<u8> {
    let base = if kind == abi::ET_EXEC { 0x100_0000 } else { 0 };
    let page = machine.page;
    let mut file = Writer { bytes: vec![], big: machine.big_endian };
    let data = if machine.big_endian { abi::ELFDATA2MSB } else { abi::ELFDATA2LSB };
    file.bytes.extend([0x7f, b'E', b'L', b'F', abi::ELFCLASS64, data, 1, 0]);
    file.bytes.extend([0; 8]);
    file.put(kind.into(), 2);
    file.put(machine.number.into(), 2);
    file.put(1, 4);
    file.put(base + 0x400, 8);
    file.put(64, 8);
    file.put(0, 8);
    file.put(0, 4);
    for value in [64, 56, 5, 64, 0, 0] {
        file.put(value, 2);
    }
    file.entry(abi::PT_PHDR, 4, [64, base + 64, 280, 280, 8]);
    file.entry(abi::PT_INTERP, 4, [0x300, base + 0x300, 12, 12, 1]);
    file.entry(abi::PT_LOAD, 5, [0, base, 0x900, 0x900, page]);
    file.entry(abi::PT_LOAD, 6, [0x900, base + page + 0x900, 0x200, 0x1_5000, page]);
    file.entry(abi::PT_GNU_STACK, 6, [0, 0, 0, 0, 16]);
    file.bytes.resize(0xb00, 0);
    file.bytes
}

fn parse(file: &[u8], machine: &Machine) -> Result<Image, Errno> {
    let header = Header::parse(&file[..file.len().min(HEADER)], machine)?;
    let (at, bytes) = header.table();
    let table = usize::try_from(at).ok().and_then(|at| file.get(at..at.checked_add(bytes)?));
    Image::parse(&header, table.ok_or(Errno::ENOEXEC)?, file.len() as u64, machine)
}

/// What holds of every program that is not refused: `exec` counts on it.
fn assert_sound(image: &Image, size: u64, machine: &Machine) {
    let mut last = 0;
    for segment in &image.segments {
        let end = segment.address.checked_add(segment.size).expect("no overflow");
        assert!(segment.size > 0 && end <= machine.end);
        assert!(segment.address / machine.page * machine.page >= last, "segments share a page");
        assert!(segment.from_file <= segment.size);
        assert!(segment.offset.checked_add(segment.from_file).is_some_and(|end| end <= size));
        assert_eq!(segment.offset % machine.page, segment.address % machine.page);
        assert!(image.movable || segment.address >= LOWEST);
        last = end.next_multiple_of(machine.page);
    }
    assert!(image.align.is_power_of_two() && image.align >= machine.page);
    assert!(image.interpreter.is_none_or(|(at, len)| at + len as u64 <= size && len >= 2));
    let (first, end) = image.span(machine.page);
    assert!(first < end);
}

#[test]
fn a_program_of_each_machine() {
    for machine in [&S390X, &PPC64] {
        for kind in [abi::ET_EXEC, abi::ET_DYN] {
            let file = program(machine, kind);
            let image = parse(&file, machine).expect("a program");
            assert_sound(&image, file.len() as u64, machine);
            let base = if kind == abi::ET_EXEC { 0x100_0000 } else { 0 };
            assert_eq!((image.movable, image.entry), (kind == abi::ET_DYN, base + 0x400));
            assert_eq!((image.segments.len(), image.headers, image.count), (2, base + 64, 5));
            assert_eq!(image.interpreter, Some((0x300, 12)));
            assert_eq!(image.segments[1].access, Access { read: true, write: true, execute: false });
            assert_eq!(image.segments[1].from_file, 0x200);
        }
    }
    assert_eq!(parse(&program(&S390X, abi::ET_EXEC), &PPC64), Err(Errno::ENOEXEC));
    assert_eq!(parse(&program(&PPC64, abi::ET_EXEC), &S390X), Err(Errno::ENOEXEC));
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    for machine in [&S390X, &PPC64] {
        let file = program(machine, abi::ET_EXEC);
        for len in 0..file.len() {
            assert_eq!(parse(&file[..len], machine), Err(Errno::ENOEXEC), "{len} bytes");
        }
    }
}

/// Every byte of the headers, with each of these values: 8 times 344 files for each machine. Each is
/// refused or sound.
#[test]
fn every_byte_of_the_headers_broken() {
    let (mut refused, mut taken) = (0, 0);
    for machine in [&S390X, &PPC64] {
        for kind in [abi::ET_EXEC, abi::ET_DYN] {
            let good = program(machine, kind);
            for at in 0..HEADER + 5 * ENTRY as usize {
                for value in [0, 1, 2, 0x7f, 0x80, 0xff, good[at] ^ 1, good[at].wrapping_add(1)] {
                    let mut file = good.clone();
                    file[at] = value;
                    match parse(&file, machine) {
                        Ok(image) => {
                            assert_sound(&image, file.len() as u64, machine);
                            taken += 1;
                        }
                        Err(error) => {
                            assert_eq!(error, Errno::ENOEXEC);
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 2_000 && taken > 2_000, "{refused} refused, {taken} taken");
}

/// Each field of each header, with values at and around the limits.
#[test]
fn every_field_with_extreme_values() {
    let mut refused = 0;
    for machine in [&S390X, &PPC64] {
        let good = program(machine, abi::ET_EXEC);
        let fields = (0..5).flat_map(|entry| (0..7).map(move |field| HEADER + 56 * entry + 8 * field));
        let header = [24, 32, 40].into_iter();
        for at in header.chain(fields) {
            for value in [
                0,
                1,
                machine.page - 1,
                machine.page,
                machine.end - 1,
                machine.end,
                1 << 63,
                u64::MAX,
                u64::MAX - 0xfff,
            ] {
                let mut file = good.clone();
                let bytes = if machine.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
                file[at..at + 8].copy_from_slice(&bytes);
                match parse(&file, machine) {
                    Ok(image) => assert_sound(&image, file.len() as u64, machine),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 200, "{refused} refused");
}

proptest! {
    /// Several bytes at once, anywhere.
    #[test]
    fn random_mutations(changes in proptest::collection::vec((0usize..344, any::<u8>()), 1..12), little: bool) {
        let machine = if little { &PPC64 } else { &S390X };
        let mut file = program(machine, abi::ET_DYN);
        for (at, value) in changes {
            file[at] = value;
        }
        if let Ok(image) = parse(&file, machine) {
            assert_sound(&image, file.len() as u64, machine);
        }
    }

    /// Bytes that are no program at all, behind the right magic.
    #[test]
    fn random_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for (at, value) in [0x7f, b'E', b'L', b'F', 2, 2, 1].into_iter().enumerate() {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(image) = parse(&bytes, &S390X) {
            assert_sound(&image, bytes.len() as u64, &S390X);
        }
    }
}
