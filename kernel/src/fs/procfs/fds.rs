//! `/proc/PID/fd` and `fdinfo`.

use super::task::{TaskDirectory, Whose, descriptors_number};
use super::{name_of, number};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::attr::{Attr, Kind};
use crate::fs::file::{self, FileOps, OpenFlags};
use crate::fs::inode::{Entry, FIRST_ENTRY, Inode, Target};
use crate::fs::pseudo::{OpenSequence, Text, Whole};
use crate::fs::{Access, File, mount, walk};
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// Numbers of inodes: a descriptor's.
const DESCRIPTORS: u64 = 1 << 41;

/// The directory.
pub(super) struct Descriptors {
    pub whose: Whose,
    /// `fdinfo`
    pub info: bool,
}

impl Descriptors {
    fn get(&self, fd: u32) -> Result<Arc<File>, Errno> {
        let files = self.whose.task.files_of().ok_or(Errno::ENOENT)?;
        files.get(i32::try_from(fd).map_err(|_| Errno::ENOENT)?).map_err(|_| Errno::ENOENT)
    }
    fn number(&self, fd: u32) -> u64 {
        let both = u64::from(self.whose.task.tid()) << 24 | u64::from(fd);
        DESCRIPTORS + both * 2 + u64::from(self.info)
    }
}

impl Inode for Descriptors {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        descriptors_number(&self.whose, self.info)
    }
    fn kind(&self) -> Kind {
        Kind::Directory
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        Ok(self.whose.attr(self.ino(), Kind::Directory, 0o500))
    }
    fn lookup(&self, _ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        // 0 is a descriptor, though no process' number.
        let fd = if name == b"0" { 0 } else { number(name).ok_or(Errno::ENOENT)? };
        self.whose.may_look()?;
        let file = self.get(fd)?;
        let (ino, whose, info) = (self.number(fd), self.whose.clone(), self.info);
        Ok(try_arc(Descriptor { ino, whose, file, info })?)
    }
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        Ok(try_arc(TaskDirectory::new(self.whose.clone()))?)
    }
    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        self.whose.may_look()?;
        let Some(files) = self.whose.task.files_of() else { return Ok(()) };
        let mut next = i32::try_from(from - FIRST_ENTRY).map_err(|_| Errno::EINVAL)?;
        while let Some((fd, _)) = files.next_open(next) {
            next = fd + 1;
            let number = fd.unsigned_abs();
            let name = name_of(number);
            let entry = Entry {
                name: name.as_bytes(),
                ino: self.number(number),
                kind: if self.info { Kind::File } else { Kind::Link },
                next: FIRST_ENTRY + u64::from(number) + 1,
            };
            if !visit(ctx, &entry) {
                break;
            }
        }
        Ok(())
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        self.whose.may_look()?;
        file::directory()
    }
}

/// A descriptor: a link to what it stands for, or a few lines about it. It holds the open file only
/// while somebody holds it.
struct Descriptor {
    ino: u64,
    whose: Whose,
    file: Arc<File>,
    info: bool,
}

impl Inode for Descriptor {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.ino
    }
    fn kind(&self) -> Kind {
        if self.info { Kind::File } else { Kind::Link }
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        if self.info {
            return Ok(self.whose.attr(self.ino, Kind::File, 0o444));
        }
        let flags = self.file.flags();
        let bits = |on: bool, bits| if on { bits } else { 0 };
        let mode = bits(flags.readable(), 0o500) | bits(flags.writable(), 0o300);
        Ok(Attr { size: 64, ..self.whose.attr(self.ino, Kind::Link, mode) })
    }
    fn readlink(&self, ctx: &mut MaySleep) -> Result<Vec<u8>, Errno> {
        path_of(ctx, &self.file)
    }
    fn follow(&self, _ctx: &mut MaySleep, _who: &Access<'_>) -> Result<Target, Errno> {
        Ok(Target::Open(self.file.clone()))
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if !self.info {
            return Err(Errno::ELOOP);
        }
        let file = self.file.clone();
        OpenSequence::open(Whole(move |ctx: &mut MaySleep, to: &mut Text| {
            to.print(format_args!("pos:\t{}\n", file.position(ctx)));
            to.print(format_args!("flags:\t0{:o}\n", file.flags().bits()));
            to.print(format_args!("mnt_id:\t{}\n", file.place().mount.id()));
            to.print(format_args!("ino:\t{}\n", file.inode().ino()));
            Ok(())
        }))
    }
}

/// An open file's name: a path, or what it is with its number.
pub(super) fn path_of(ctx: &mut MaySleep, file: &File) -> Result<Vec<u8>, Errno> {
    let root = mount::root().ok_or(Errno::ENOENT)?;
    if let Some(path) = walk::path_of_file(ctx, file, &root)? {
        return Ok(path);
    }
    let mut text = Text::new();
    let kind = match file.inode().kind() {
        Kind::Fifo => "pipe",
        Kind::Socket => "socket",
        _ => "anon_inode",
    };
    text.print(format_args!("{kind}:[{}]", file.inode().ino()));
    text.into_bytes()
}
