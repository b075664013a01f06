//! The device tree of pseries, copied from Open Firmware into the flat format.
//!
//! SLOF and VOF show the tree by calls only (IEEE 1275, "client interface"). One flat copy lets
//! everything else see one kind of tree, and it stays readable after the firmware is gone. The
//! firmware's data lies in low memory, so nothing may be written there before `flatten` has ended.
//!
//! The flat tree is written in place: header, empty reservation map, structure growing from the
//! front; strings from a fixed offset. Names are not shared between properties, which would cost a
//! search each and save a few KB.

use super::LINEAR;
use core::ffi::CStr;

/// Bytes of the stack that the firmware runs on.
pub const STACK: usize = 32 << 10;
/// Bytes of the flat tree.
const SIZE: usize = crate::arch::ppc64_tree::MAX_SIZE;
/// Where its strings begin.
const STRINGS: usize = SIZE - (48 << 10);
/// Where its structure begins: behind a header of 40 bytes and one empty reservation.
const STRUCTURE: usize = 56;
/// Room for a property's name and its NUL.
const NAME: usize = 64;
/// IEEE 1275 and the Devicetree Specification allow names of 31 characters. QEMU has RTAS services of
/// more; they are left out, for no reader of flat trees knows such names.
const LONGEST_NAME: usize = 31;
const DEPTH: usize = 12;

#[repr(C, align(4096))]
struct Stack([u8; STACK]);

#[unsafe(no_mangle)]
static mut ppc64_firmware_stack: Stack = Stack([0; STACK]);

unsafe extern "C" {
    fn ppc64_open_firmware(cells: u64, entry: u64);
}

/// What the firmware reads and writes: in the linear map, below 4 GB.
struct Exchange {
    cells: [u32; 12],
    path: [u8; 256],
    names: [[u8; NAME]; 2],
}
static mut EXCHANGE: Exchange = Exchange { cells: [0; 12], path: [0; 256], names: [[0; NAME]; 2] };

/// Copies the tree into the given memory (linear, below 4 GB) and ends the firmware's life (`quiesce`).
///
/// # Safety
/// `entry` is Open Firmware's entry as it was given to the kernel. Called once, translation off, one
/// CPU, before low memory is written.
pub unsafe fn flatten(entry: u64, tree: &'static mut [u8; SIZE]) -> Result<&'static [u8], &'static str> {
    let exchange = &raw mut EXCHANGE;
    // SAFETY: once, one CPU: this is the only reference.
    let exchange = unsafe { &mut *exchange };
    let mut copy = Copy { entry, tree, exchange, at: STRUCTURE, strings: STRINGS };
    let root = copy.call(c"peer", [0])?;
    copy.node(root, 0)?;
    copy.word(END)?;
    let (structure, strings) = ((copy.at - STRUCTURE) as u32, (copy.strings - STRINGS) as u32);
    let header =
        [0xd00d_feed, SIZE as u32, STRUCTURE as u32, STRINGS as u32, 40, 17, 16, 0, strings, structure];
    for (bytes, word) in copy.tree.chunks_exact_mut(4).zip(header) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    // It returns nothing of interest; after it the firmware is not called again.
    copy.call::<0>(c"quiesce", [])?;
    Ok(copy.tree)
}

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const END: u32 = 9;
const TOO_BIG: &str = "Open Firmware's device tree is too big";
const ODD: &str = "Open Firmware's device tree is malformed";

struct Copy {
    entry: u64,
    tree: &'static mut [u8; SIZE],
    exchange: &'static mut Exchange,
    /// End of the structure so far, of the strings so far.
    at: usize,
    strings: usize,
}

/// The address as the firmware sees it.
fn low<T: ?Sized>(pointer: *const T) -> u32 {
    (pointer.cast::<u8>().addr() as u64 & !LINEAR) as u32
}

impl Copy {
    /// Calls a service that returns one cell.
    fn call<const N: usize>(
        &mut self,
        service: &'static CStr,
        arguments: [u32; N],
    ) -> Result<u32, &'static str> {
        const { assert!(N <= 8) };
        let cells = &mut self.exchange.cells;
        *cells = [0; 12];
        let head = [low(service.as_ptr()), N as u32, 1];
        for (cell, value) in cells.iter_mut().zip(head.iter().chain(&arguments)) {
            *cell = value.to_be();
        }
        let real = u64::from(low(cells.as_ptr()));
        // SAFETY: the entry is the firmware's; the cells are its argument array. The result is read
        // back from memory, since the call may write whatever a pointer led it to.
        unsafe {
            ppc64_open_firmware(real, self.entry);
            Ok(u32::from_be(cells.as_ptr().add(3 + N).read_volatile()))
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let room = self.tree[..STRINGS].get_mut(self.at..self.at + bytes.len()).ok_or(TOO_BIG)?;
        room.copy_from_slice(bytes);
        self.at = (self.at + bytes.len()).next_multiple_of(4);
        Ok(())
    }

    fn word(&mut self, word: u32) -> Result<(), &'static str> {
        self.bytes(&word.to_be_bytes())
    }

    fn node(&mut self, handle: u32, depth: usize) -> Result<(), &'static str> {
        if depth == DEPTH {
            return Err(ODD);
        }
        self.word(BEGIN_NODE)?;
        self.node_name(handle)?;
        self.properties(handle)?;
        let mut child = self.call(c"child", [handle])?;
        while child != 0 && child != u32::MAX {
            self.node(child, depth + 1)?;
            child = self.call(c"peer", [child])?;
        }
        self.word(END_NODE)
    }

    /// The last component of its path.
    fn node_name(&mut self, handle: u32) -> Result<(), &'static str> {
        let path = low(&raw const self.exchange.path);
        let length = self.call(c"package-to-path", [handle, path, 256])? as usize;
        let path = self.exchange.path;
        let path = path.get(..length).ok_or(ODD)?;
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        self.bytes_with_nul(name)
    }

    fn bytes_with_nul(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let end = self.at + bytes.len();
        self.bytes(bytes)?;
        self.at = end;
        self.bytes(&[0])
    }

    fn properties(&mut self, handle: u32) -> Result<(), &'static str> {
        let names = [low(&raw const self.exchange.names[0]), low(&raw const self.exchange.names[1])];
        self.exchange.names[1][0] = 0;
        for turn in (0..2).cycle() {
            if self.call(c"nextprop", [handle, names[1 - turn], names[turn]])? != 1 {
                break;
            }
            self.property(handle, turn, names[turn])?;
        }
        Ok(())
    }

    fn property(&mut self, handle: u32, turn: usize, address: u32) -> Result<(), &'static str> {
        let name = self.exchange.names[turn];
        let end = name.iter().position(|&byte| byte == 0).ok_or(ODD)? + 1;
        let value = self.at + 12;
        let room = STRINGS.checked_sub(value).ok_or(TOO_BIG)?;
        let place = low(&raw const self.tree[value]);
        let length = self.call(c"getprop", [handle, address, place, room as u32])?;
        // -1: it has no value; and a flat tree knows a node's name without a property.
        if length == u32::MAX || end > LONGEST_NAME + 1 || &name[..end] == b"name\0" {
            return Ok(());
        }
        if length as usize > room {
            return Err(TOO_BIG);
        }
        let string = (self.strings - STRINGS) as u32;
        self.tree.get_mut(self.strings..self.strings + end).ok_or(TOO_BIG)?.copy_from_slice(&name[..end]);
        self.strings += end;
        self.word(PROPERTY)?;
        self.word(length)?;
        self.word(string)?;
        self.at = (self.at + length as usize).next_multiple_of(4);
        Ok(())
    }
}
