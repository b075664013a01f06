//! The kernel's symbol table, so that a back trace has names.
//!
//! The kernel reserves a section `.symbols` of a fixed size, all zeros; after the link the table is
//! written over it in the file. A second link with the table as an object was rejected: it moves
//! the very addresses the table holds.
//!
//! The table, all numbers 32-bit in the target's byte order: the magic number, the count of
//! functions, the bytes of names, zero; per function, ascending, the offset of its first
//! instruction from `__text_start` and the offset of its name; the names, each with a NUL behind
//! it. A function reaches to the next one's offset.

use anyhow::{Context, bail};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, HashMap};

/// `FLWS`.
const MAGIC: u32 = 0x464c_5753;
const SECTION: &str = ".symbols";
/// Generic code can have names of a thousand bytes; nobody reads on.
const LONGEST: usize = 160;

/// Writes the table into the ELF file's image. `false` if the kernel reserves no room for it.
pub fn patch(image: &mut [u8]) -> anyhow::Result<bool> {
    let file = object::File::parse(&*image).context("the kernel is no ELF file")?;
    let Some(section) = file.section_by_name(SECTION) else { return Ok(false) };
    let Some((offset, size)) = section.file_range() else {
        bail!("{SECTION} is not in the file: its output section must not be NOBITS");
    };
    let table = encode(&functions(&file)?, file.endianness());
    if table.len() as u64 > size {
        bail!("the symbol table needs {} bytes, {SECTION} has {size}", table.len());
    }
    let start = usize::try_from(offset)?;
    image[start..start + table.len()].copy_from_slice(&table);
    Ok(true)
}

/// Every function by its offset from `__text_start`; assembly labels in text count as functions.
fn functions(file: &object::File<'_>) -> anyhow::Result<BTreeMap<u32, String>> {
    let address = |name: &str| {
        file.symbol_by_name(name).map(|symbol| symbol.address()).with_context(|| format!("no symbol {name}"))
    };
    let (start, end) = (address("__text_start")?, address("__text_end")?);
    let mut found: BTreeMap<u32, (bool, String)> = BTreeMap::new();
    for symbol in file.symbols() {
        let Ok(name) = symbol.name() else { continue };
        let is_function = match symbol.kind() {
            SymbolKind::Text => true,
            SymbolKind::Unknown | SymbolKind::Label => false,
            _ => continue,
        };
        let bound = name.is_empty() || name.starts_with(['.', '$']) || name.starts_with("__text_");
        if bound || !(start..end).contains(&symbol.address()) {
            continue;
        }
        let offset = u32::try_from(symbol.address() - start)?;
        let entry = (is_function, readable(name));
        // Two names for one address: a function's before a label's, then the first by the alphabet,
        // so that the same kernel always has the same table.
        match found.get(&offset) {
            Some(other) if (!other.0, &other.1) <= (!entry.0, &entry.1) => {}
            _ => drop(found.insert(offset, entry)),
        }
    }
    if found.is_empty() {
        bail!("the kernel has no function symbols: was it stripped?");
    }
    Ok(found.into_iter().map(|(offset, (_, name))| (offset, name)).collect())
}

fn readable(name: &str) -> String {
    // The alternate form leaves the hash out.
    let mut text = format!("{:#}", rustc_demangle::demangle(name));
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn encode(functions: &BTreeMap<u32, String>, endianness: Endianness) -> Vec<u8> {
    let bytes = |number: u32| match endianness {
        Endianness::Little => number.to_le_bytes(),
        Endianness::Big => number.to_be_bytes(),
    };
    let mut names: Vec<u8> = Vec::new();
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut entries: Vec<u8> = Vec::new();
    for (&offset, name) in functions {
        // Copies of one generic function have one name.
        let at = *known.entry(name).or_insert_with(|| {
            let at = names.len() as u32;
            names.extend(name.bytes().filter(|&byte| byte != 0).chain([0]));
            at
        });
        entries.extend(bytes(offset).into_iter().chain(bytes(at)));
    }
    let header = [MAGIC, functions.len() as u32, names.len() as u32, 0];
    header.into_iter().flat_map(bytes).chain(entries).chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> BTreeMap<u32, String> {
        BTreeMap::from([(0x10, "b".into()), (0, "a::b".into()), (0x20, "b".into())])
    }

    #[test]
    fn the_format_is_what_the_kernel_reads() {
        let golden: Vec<u8> = [
            [0x46, 0x4c, 0x57, 0x53, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0].as_slice(),
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 5, 0, 0, 0, 0x20, 0, 0, 0, 5],
            b"a::b\0b\0",
        ]
        .concat();
        assert_eq!(encode(&two(), Endianness::Big), golden);
        let little = encode(&two(), Endianness::Little);
        assert_eq!(little[..8], [0x53, 0x57, 0x4c, 0x46, 3, 0, 0, 0]);
        assert_eq!(little.len(), golden.len());
    }

    #[test]
    fn names_are_demangled_without_hash_and_cut() {
        assert_eq!(readable("_ZN6fallow2mm5frame5alloc17h0123456789abcdefE"), "fallow::mm::frame::alloc");
        assert_eq!(readable("_RNvCs1_7mycrate3foo"), "mycrate::foo");
        assert_eq!(readable("trap_entry"), "trap_entry");
        assert_eq!(readable(&"\u{e9}".repeat(200)).len(), LONGEST);
    }

    #[test]
    fn an_image_without_the_section_is_left_alone() {
        // This test's own program is an ELF file without such a section.
        let mut own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let before = own.clone();
        assert!(!patch(&mut own).unwrap());
        assert!(own == before);
        assert!(patch(&mut b"not an ELF file".to_vec()).is_err());
    }
}
