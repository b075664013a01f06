//! What the firmware hands over, damaged: a device tree that is cut off or torn, an initial RAM disk
//! where none can be. QEMU has no option for either, so this takes its place.
//!
//! pseries is given a firmware of ten instructions. QEMU starts it with the address of the tree in
//! r3; it stores one word into the tree's header and jumps to the kernel, where QEMU has put it. On
//! s390x QEMU tells of an initial RAM disk by writing to a place in the kernel's image, and if it is
//! asked for none leaves what is in the file: so the file is changed.
//!
//! powernv9 is not here: before its tree is read the kernel speaks through skiboot, and skiboot needs
//! the tree itself. The code that reads the tree is the same.

use super::inputs::{Case, run};
use super::{Context, Tally};
use crate::kernel::{self, Profile};
use crate::machine::{Arch, Guest, Machine};
use crate::progress::Task;
use crate::stop;
use anyhow::Context as _;
use object::{Object, ObjectSegment};
use std::fs;
use std::path::PathBuf;

/// The checks for that machine.
pub(super) fn damage(
    machine: Machine,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    match machine {
        Machine::Pseries => trees(context, task, tally),
        Machine::S390x => disks(context, task, tally),
        _ => Ok(()),
    }
}

fn file(name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let folder = kernel::root().join("target/test");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

/// The header's words: Devicetree Specification, 5.2.
const MAGIC: u32 = 0;
const TOTAL_SIZE: u32 = 4;
const STRUCTURE: u32 = 8;
const STRINGS: u32 = 12;

fn trees(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    const DAMAGED: &[&str] = &["fallow cannot start: the device tree is damaged"];
    const NONE: &[&str] = &["fallow cannot start: no device tree at the address"];
    const SIZE: &[&str] = &["fallow cannot start: the device tree's size is absurd"];
    // The first shows that what follows fails for the damage alone.
    for (name, word, says, status) in [
        ("a whole device tree", None, &["boot: ready in"][..], stop::PASS),
        ("a device tree without its mark", Some((MAGIC, 0x1234_5678)), NONE, stop::PANIC),
        ("a device tree of no size", Some((TOTAL_SIZE, 0)), SIZE, stop::PANIC),
        ("a device tree cut off in its header", Some((TOTAL_SIZE, 39)), SIZE, stop::PANIC),
        ("a device tree cut off behind its header", Some((TOTAL_SIZE, 40)), DAMAGED, stop::PANIC),
        ("a device tree cut off in the middle", Some((TOTAL_SIZE, 2048)), DAMAGED, stop::PANIC),
        ("a device tree of 2 GB", Some((TOTAL_SIZE, 0x7fff_fff8)), SIZE, stop::PANIC),
        ("a device tree whose nodes lie outside", Some((STRUCTURE, 0xffff_fff0)), DAMAGED, stop::PANIC),
        ("a device tree whose names lie outside", Some((STRINGS, 0xffff_fff0)), DAMAGED, stop::PANIC),
        ("a device tree of other bytes", Some((STRUCTURE, 40)), DAMAGED, stop::PANIC),
    ] {
        let firmware = file(&format!("firmware-{}.bin", name.replace(' ', "-")), &firmware(word))?;
        let guest = Guest {
            firmware: Some(firmware),
            append: "kunit_shutdown=poweroff".into(),
            // VOF is part of QEMU; only SLOF can be replaced.
            ..Guest::new(Machine::PseriesSlof)
        };
        run(&Case { name, guest, status, says }, context, task, tally)?;
    }
    Ok(())
}

/// Big-endian code at 0x100, where QEMU starts it: stores the value at the offset in the tree, and
/// jumps to 4 MB without Open Firmware.
fn firmware(word: Option<(u32, u32)>) -> Vec<u8> {
    let mut code = vec![];
    if let Some((offset, value)) = word {
        code.extend([
            0x3c80_0000 | value >> 16,    // lis  r4, value@h
            0x6084_0000 | value & 0xffff, // ori  r4, r4, value@l
            0x9083_0000 | offset,         // stw  r4, offset(r3)
        ]);
    }
    code.extend([
        0x38a0_0000, // li   r5, 0
        0x3900_0000, // li   r8, 0
        0x3920_0000, // li   r9, 0
        0x3d80_0040, // lis  r12, 0x40
        0x7d89_03a6, // mtctr r12
        0x4e80_0420, // bctr
    ]);
    let mut image = vec![0; 0x100];
    image.extend(code.into_iter().flat_map(u32::to_be_bytes));
    image
}

/// Where QEMU tells of an initial RAM disk: address and size.
const DISK: u64 = 0x10408;

fn disks(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let image = fs::read(context.kernel(Arch::S390x, Profile::Checked)?)?;
    let place = in_file(&image, DISK)?;
    const OUTSIDE: &str = "initrd: does not lie in memory, ignored";
    const OVERLAPS: &str = "initrd: overlaps the kernel, ignored";
    for (name, start, size, says) in [
        ("an initrd in low core", 0, 4096, OVERLAPS),
        ("an initrd in the kernel", 0x2_0000, 4096, OVERLAPS),
        ("an initrd that reaches into the kernel", 0x1000, 1 << 20, OVERLAPS),
        ("an initrd behind all memory", 1 << 40, 4096, OUTSIDE),
        ("an initrd that reaches beyond memory", (512 << 20) - 4096, 8192, OUTSIDE),
        ("an initrd that wraps around", u64::MAX - 4095, 8192, OUTSIDE),
    ] {
        let mut image = image.clone();
        for (k, value) in [start, size].into_iter().enumerate() {
            let at = place + 8 * k;
            image[at..at + 8].copy_from_slice(&u64::to_be_bytes(value));
        }
        let kernel = file(&format!("kernel-{}", name.replace(' ', "-")), &image)?;
        let append = "kunit_shutdown=poweroff".into();
        let guest = Guest { kernel: Some(kernel.clone()), append, ..Guest::new(Machine::S390x) };
        run(
            &Case { name, guest, status: stop::PASS, says: &[says, "boot: ready in"] },
            context,
            task,
            tally,
        )?;
        fs::remove_file(kernel)?;
    }
    Ok(())
}

/// Where in the ELF file the byte for that address is.
fn in_file(image: &[u8], address: u64) -> anyhow::Result<usize> {
    let file = object::File::parse(image).context("the kernel is no ELF file")?;
    let segment = file
        .segments()
        .find(|segment| (segment.address()..segment.address() + segment.file_range().1).contains(&address))
        .context("no segment of the kernel holds the place for the initial RAM disk")?;
    Ok(usize::try_from(segment.file_range().0 + address - segment.address())?)
}
