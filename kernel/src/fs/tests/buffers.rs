//! Programs' memory with holes in it.

use super::*;
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::fs::buffer::{Dest, Piece, Source, UserMemory};
use crate::sync::MaySleep;
use core::cell::RefCell;

/// Pages from address 0 on, of which some are not there.
struct Program {
    bytes: RefCell<Vec<u8>>,
    missing: Vec<u64>,
}

impl Program {
    fn new(pages: u64, missing: &[u64]) -> Self {
        Self { bytes: RefCell::new(vec![0; (pages * PAGE_SIZE) as usize]), missing: missing.to_vec() }
    }
    fn check(&self, at: VirtAddr, len: usize) -> Result<core::ops::Range<usize>, Errno> {
        let end = at.get().checked_add(len as u64).ok_or(Errno::EFAULT)?;
        let pages = at.get() / PAGE_SIZE..end.div_ceil(PAGE_SIZE);
        if len > 0 && self.missing.iter().any(|page| pages.contains(page))
            || end > self.bytes.borrow().len() as u64
        {
            return Err(Errno::EFAULT);
        }
        Ok(at.get() as usize..end as usize)
    }
}

impl UserMemory for Program {
    fn read(&self, _ctx: &mut MaySleep, from: VirtAddr, into: &mut [u8]) -> Result<(), Errno> {
        let range = self.check(from, into.len())?;
        into.copy_from_slice(&self.bytes.borrow()[range]);
        Ok(())
    }
    fn write(&self, _ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        let range = self.check(to, from.len())?;
        self.bytes.borrow_mut()[range].copy_from_slice(from);
        Ok(())
    }
}

fn piece(at: u64, len: usize) -> Piece {
    Piece { at: VirtAddr::new(at), len }
}

#[test]
fn copies_stop_at_the_byte_where_memory_ends() {
    let ctx = &mut token();
    let program = Program::new(4, &[2]);
    let bytes: Vec<u8> = (0..3 * PAGE_SIZE).map(|i| i as u8 | 1).collect();
    let pieces = [piece(PAGE_SIZE - 10, 5), piece(0, 0), piece(2 * PAGE_SIZE - 7, 100)];
    let mut dest = Dest::user(&program, &pieces);
    assert_eq!(dest.room(), 105);
    assert_eq!(dest.put(ctx, &bytes), Ok(12), "five, and seven before the hole");
    assert_eq!(dest.put(ctx, &bytes), Err(Errno::EFAULT));
    assert_eq!((dest.done(), dest.room()), (12, 93));
    let mut dest = Dest::user(&program, &pieces[..1]);
    assert_eq!(dest.zero(ctx, 100), Ok(5));
    let mut source = Source::user(&program, &pieces);
    let mut into = [9; 200];
    assert_eq!(source.take(ctx, &mut into), Ok(12));
    assert_eq!(into[..5], [0; 5]);
    assert_eq!(source.take(ctx, &mut into), Err(Errno::EFAULT));
    assert_eq!(source.skip(1000), 93);
    assert_eq!(source.take(ctx, &mut into), Ok(0), "the end");
    let beyond = [piece(u64::MAX - 3, 10)];
    assert_eq!(Dest::user(&program, &beyond).put(ctx, b"0123456789"), Err(Errno::EFAULT));
    assert_eq!(Source::user(&program, &beyond).take(ctx, &mut into), Err(Errno::EFAULT));
}

#[test]
fn files_count_what_was_copied() {
    let ctx = &mut token();
    let world = World::new();
    let file = world.open("/f", linux::O_RDWR | linux::O_CREAT).expect("made");
    let program = Program::new(4, &[2]);
    program.bytes.borrow_mut().fill(7);
    // From one page before the hole on: that page is written, and the size says so.
    let pieces = [piece(PAGE_SIZE, 3 * PAGE_SIZE as usize)];
    assert_eq!(file.write(ctx, &mut Source::user(&program, &pieces)), Ok(PAGE_SIZE as usize));
    assert_eq!(file.inode().attr(ctx).expect("attributes").size, PAGE_SIZE);
    let hole = [piece(2 * PAGE_SIZE, 10)];
    assert_eq!(file.write(ctx, &mut Source::user(&program, &hole)), Err(Errno::EFAULT));
    assert_eq!(file.inode().attr(ctx).expect("attributes").size, PAGE_SIZE);
    assert_eq!(file.position(ctx), PAGE_SIZE);
    let short = [piece(2 * PAGE_SIZE - 3, 10)];
    assert_eq!(file.read_at(ctx, 0, &mut Dest::user(&program, &short)), Ok(3));
    assert_eq!(file.read_at(ctx, 0, &mut Dest::user(&program, &hole)), Err(Errno::EFAULT));
    // A pipe keeps what could not be copied.
    let (reading, writing) = crate::fs::pipe::pipe(OpenFlags::READ, 0, 0).expect("memory");
    assert_eq!(writing.write(ctx, &mut Source::user(&program, &short)), Ok(3));
    assert_eq!(writing.write(ctx, &mut Source::user(&program, &hole)), Err(Errno::EFAULT));
    assert_eq!(reading.read(ctx, &mut Dest::user(&program, &hole)), Err(Errno::EFAULT));
    let mut bytes = [0; 10];
    assert_eq!(reading.read(ctx, &mut Dest::slice(&mut bytes)), Ok(3));
    assert_eq!(bytes[..3], [7; 3]);
}
