//! What the device tree says, as values: pure, compiled and tested on every host.
//!
//! Names and meanings: Devicetree Specification v0.4, chapter 3 (memory, cpus, chosen); LoPAPR 1.1,
//! appendix B (`ibm,ppc-interrupt-server#s`, /rtas); the LPC bus of POWER9 as skiboot describes it.
//!
//! The tree comes from a firmware and may be anything: the library validates it whole, and every value
//! taken from it is checked before it becomes a range.

use crate::addr::{PhysAddr, PhysRange};
use crate::arch::MAX_CPUS;
use crate::boot::{BootInfo, MAX_RANGES, Reserved};
use arrayvec::ArrayVec;
use core::ops::RangeInclusive;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

/// What the machine's modules take from the tree; all else is in the `BootInfo`.
#[derive(Debug, PartialEq, Eq)]
pub struct Devices {
    /// Ticks of the time base per second.
    pub timebase: u64,
    /// Real address of the first UART on the LPC bus.
    pub uart: Option<u64>,
    /// RTAS services: `power-off`, `start-cpu`, `ibm,os-term`.
    pub rtas: [Option<u32>; 3],
}

/// What is known without the tree.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The machine's name.
    pub machine: &'static str,
    /// Processor number of the CPU that booted.
    pub boot_cpu: u32,
    /// What the kernel itself holds: its image, the vectors, the tree.
    pub held: &'a [Reserved],
}

/// Ticks per second that a time base may have: 512 million in the machines; what is far from it is
/// damage, and would stop or wrap the clock.
const TIMEBASES: RangeInclusive<u64> = 1_000_000..=10_000_000_000;

/// A device tree of at most this many bytes is accepted.
pub const MAX_SIZE: usize = 256 << 10;

/// The size that a tree with this header claims; why it is no device tree.
pub fn size(header: [u8; 8]) -> Result<usize, &'static str> {
    let [magic, size] = [0, 4].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i])));
    match (magic, size as usize) {
        (0xd00d_feed, size @ 40..=MAX_SIZE) => Ok(size),
        (0xd00d_feed, _) => Err("the device tree's size is absurd"),
        _ => Err("no device tree at the address that the firmware gave"),
    }
}

/// Makes the tree one that the library accepts: names have at most the 31 characters of the Devicetree
/// Specification (2.2.1, 2.2.4), and firmware does not care. skiboot has longer nodes
/// (`hypervisor-virtualization-interrupt`): they are cut; and longer properties
/// (`ibm,associativity-reference-points`): they are dropped. What is left over becomes tokens that say
/// nothing.
///
/// No tree is invalid to this function: where it does not understand, it stops, and leaves the verdict
/// to the library.
pub fn tidy(tree: &mut [u8]) {
    let [Some(mut at), Some(strings)] = [8, 12].map(|header| word(tree, header)) else { return };
    while let Some(token) = word(tree, at) {
        let end = match token {
            BEGIN_NODE => tidy_node(tree, at),
            PROPERTY => tidy_property(tree, at, strings),
            END_NODE | NOTHING => Some(at + 4),
            _ => None,
        };
        match end {
            Some(end) => at = end,
            None => return,
        }
    }
}

const BEGIN_NODE: usize = 1;
const END_NODE: usize = 2;
const PROPERTY: usize = 3;
const NOTHING: usize = 4;
const LONGEST_NAME: usize = 31;

fn word(tree: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(*tree.get(at..)?.first_chunk()?) as usize)
}

fn string_length(tree: &[u8], at: usize) -> Option<usize> {
    tree.get(at..)?.iter().position(|&byte| byte == 0)
}

fn blank(tokens: &mut [u8]) {
    tokens.chunks_exact_mut(4).for_each(|token| token.copy_from_slice(&(NOTHING as u32).to_be_bytes()));
}

/// Gives the end of the node's name.
fn tidy_node(tree: &mut [u8], at: usize) -> Option<usize> {
    let name = at + 4;
    let length = string_length(tree, name)?;
    let end = name + (length + 1).next_multiple_of(4);
    if length > LONGEST_NAME {
        let rest = tree.get_mut(name + LONGEST_NAME..end)?;
        rest[0] = 0;
        blank(&mut rest[1..]);
    }
    Some(end)
}

/// Gives the end of the property.
fn tidy_property(tree: &mut [u8], at: usize, strings: usize) -> Option<usize> {
    let (length, name) = (word(tree, at + 4)?, word(tree, at + 8)?);
    let end = at + 12 + length.next_multiple_of(4);
    if string_length(tree, strings.checked_add(name)?)? > LONGEST_NAME {
        blank(tree.get_mut(at..end)?);
    }
    Some(end)
}

/// Reads the tree.
pub fn read(tree: &'static [u8], known: Known<'_>) -> Result<(BootInfo, Devices), &'static str> {
    let tree = Fdt::new(tree).map_err(|_| "the device tree is damaged")?;
    let root = tree.root();
    let mut info = BootInfo {
        machine: known.machine,
        cmdline: b"",
        memory: ArrayVec::new(),
        reserved: known.held.iter().copied().collect(),
        initrd: None,
        cpus: ArrayVec::new(),
        cpus_found: 0,
        complaints: ArrayVec::new(),
    };
    memory(&mut info, root);
    if info.memory.is_empty() {
        return Err("the device tree shows no memory");
    }
    if !known.held.iter().all(|held| info.memory.iter().any(|range| contains(*range, held.range))) {
        return Err("too little memory: the kernel does not fit");
    }
    reservations(&mut info, tree);
    let timebase = cpus(&mut info, root, known.boot_cpu).ok_or("the device tree shows no time base")?;
    chosen(&mut info, root);
    let rtas = root.child("rtas");
    let token = |name| number(rtas?, name).and_then(|token| u32::try_from(token).ok());
    let rtas = ["power-off", "start-cpu", "ibm,os-term"].map(token);
    Ok((info, Devices { timebase, uart: uart(root), rtas }))
}

fn contains(outer: PhysRange, inner: PhysRange) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}

fn complain(info: &mut BootInfo, what: &'static str) {
    if !info.complaints.contains(&what) {
        // Full: fifteen others are logged.
        let _ = info.complaints.try_push(what);
    }
}

/// A big-endian number of one or two cells.
fn integer(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(u32::from_be_bytes).map(u64::from),
        8 => bytes.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

fn number(node: FdtNode<'_>, name: &str) -> Option<u64> {
    integer(node.property(name)?.value())
}

/// The ranges of the node's `reg`; a malformed one is a complaint.
fn ranges(info: &mut BootInfo, node: FdtNode<'_>, mut take: impl FnMut(&mut BootInfo, PhysRange)) {
    let Ok(reg) = node.reg() else {
        return complain(info, "a memory range of the device tree is malformed");
    };
    for reg in reg.into_iter().flatten() {
        match (reg.address::<u64>(), reg.size::<u64>()) {
            (Ok(_), Ok(0)) => {}
            (Ok(address), Ok(size)) => match PhysRange::sized(PhysAddr::new(address), size) {
                Some(range) => take(info, range),
                None => complain(info, "a memory range of the device tree is malformed"),
            },
            _ => complain(info, "a memory range of the device tree is malformed"),
        }
    }
}

fn memory(info: &mut BootInfo, root: FdtNode<'_>) {
    for node in root.children().filter(|node| node.name_without_address() == "memory") {
        ranges(info, node, |info, range| {
            if info.memory.try_push(range).is_err() {
                complain(info, "more memory ranges than can be remembered: the rest is not used");
            }
        });
    }
    info.memory.sort_unstable_by_key(|range| range.start());
    let mut merged: ArrayVec<PhysRange, MAX_RANGES> = ArrayVec::new();
    for range in info.memory.drain(..) {
        match merged.last_mut() {
            Some(last) if range.start() <= last.end() => {
                let end = last.end().max(range.end());
                *last = PhysRange::new(last.start(), end).unwrap_or(*last);
            }
            // Cannot be full: it is no longer than its source.
            _ => merged.push(range),
        }
    }
    info.memory = merged;
}

fn reserve(info: &mut BootInfo, range: PhysRange, owner: &'static str) {
    // skiboot tells each of its ranges twice.
    if info.reserved.iter().any(|held| held.range == range && held.owner == owner) {
        return;
    }
    if info.reserved.try_push(Reserved { range, owner }).is_ok() {
        return;
    }
    // What cannot be remembered as taken must not be handed out: it is no memory then.
    complain(info, "more reserved ranges than can be remembered: the memory around is not used");
    info.memory.retain(|memory| !memory.overlaps(range));
}

fn reservations(info: &mut BootInfo, tree: Fdt<'_>) {
    for entry in tree.memory_reservations() {
        match PhysRange::sized(PhysAddr::new(entry.address()), entry.size()) {
            Some(range) => reserve(info, range, "firmware"),
            None => complain(info, "a memory range of the device tree is malformed"),
        }
    }
    let Some(parent) = tree.root().child("reserved-memory") else { return };
    for node in parent.children() {
        ranges(info, node, |info, range| reserve(info, range, "firmware"));
    }
}

/// Fills in the CPUs, the boot CPU first, and gives the time base's frequency.
fn cpus(info: &mut BootInfo, root: FdtNode<'_>, boot_cpu: u32) -> Option<u64> {
    info.cpus.push(boot_cpu);
    let mut timebase = None;
    let mut boot_cpu_seen = false;
    let nodes = root.child("cpus");
    for node in nodes.iter().flat_map(|cpus| cpus.children()).filter(is_usable_cpu) {
        timebase = timebase.or(number(node, "timebase-frequency")).filter(|hertz| TIMEBASES.contains(hertz));
        // One number a thread; a CPU without threads has its number in `reg` alone.
        let threads = node.property("ibm,ppc-interrupt-server#s").or_else(|| node.property("reg"));
        for thread in threads.iter().flat_map(|threads| threads.value().chunks_exact(4)) {
            let Some(thread) = integer(thread) else { continue };
            info.cpus_found += 1;
            if thread == u64::from(boot_cpu) {
                boot_cpu_seen = true;
            } else if info.cpus.len() < MAX_CPUS {
                info.cpus.push(thread as u32);
            }
        }
    }
    if !boot_cpu_seen {
        complain(info, "the device tree does not know the CPU that booted");
        info.cpus_found += 1;
    }
    timebase
}

fn is_usable_cpu(node: &FdtNode<'_>) -> bool {
    let is = |name: &str, value: &[u8]| node.property(name).is_some_and(|found| found.value() == value);
    is("device_type", b"cpu\0") && (node.property("status").is_none() || is("status", b"okay\0"))
}

fn chosen(info: &mut BootInfo, root: FdtNode<'static>) {
    let Some(chosen) = root.child("chosen") else { return };
    let arguments = chosen.property("bootargs");
    if let Some(Ok(value)) = arguments.map(|arguments| arguments.value_as::<&'static [u8]>()) {
        info.cmdline = value.split(|&byte| byte == 0).next().unwrap_or_default();
    }
    let bounds = ["linux,initrd-start", "linux,initrd-end"].map(|name| number(chosen, name));
    let [Some(start), Some(end)] = bounds else { return };
    let range = PhysRange::new(PhysAddr::new(start), PhysAddr::new(end));
    let Some(range) = range.filter(|range| !range.is_empty()) else {
        return complain(info, "the initrd is ignored: it ends before it begins");
    };
    if !info.memory.iter().any(|memory| contains(*memory, range)) {
        return complain(info, "the initrd is ignored: it lies outside of memory");
    }
    // The firmware may reserve the initrd as a whole; anything else of it must stay free of others.
    let taken = |held: &Reserved| held.range.overlaps(range) && held.range != range;
    if info.reserved.iter().any(taken) {
        return complain(info, "the initrd is ignored: it overlaps memory that is taken");
    }
    reserve(info, range, "initrd");
    info.initrd = Some(range);
}

/// The first UART on the LPC bus. (skiboot marks it `reserved`, since OPAL would like to own it.)
fn uart(root: FdtNode<'_>) -> Option<u64> {
    let opb = root.children().find(|node| node.is_compatible("ibm,power9-lpcm-opb"))?;
    let lpc = opb.children().find(|node| node.is_compatible("ibm,power9-lpc"))?;
    let serial = lpc.children().find(|node| node.is_compatible("ns16550"))?;
    // Two cells: the bus' address space (1 is I/O), the port.
    let port = integer(serial.property("reg")?.value().get(..8)?)?;
    let on_opb = translate(lpc.property("ranges")?.value(), [2, 1, 1], port)?;
    translate(opb.property("ranges")?.value(), [1, 2, 1], on_opb)
}

/// The parent's address of a child's, by a `ranges` whose entries have these numbers of cells: child
/// address, parent address, size.
fn translate(ranges: &[u8], cells: [usize; 3], address: u64) -> Option<u64> {
    let [child, parent, size] = cells.map(|cells| cells * 4);
    ranges.chunks_exact(child + parent + size).find_map(|entry| {
        let (from, rest) = entry.split_at(child);
        let (to, size) = rest.split_at(parent);
        let offset = address.checked_sub(integer(from)?)?;
        if offset < integer(size)? { integer(to)?.checked_add(offset) } else { None }
    })
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
