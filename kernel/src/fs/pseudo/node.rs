//! Tables of what a directory holds, and the inodes made of them.
//!
//! An inode is made at each lookup and is a few words: nothing has to be kept, and nothing goes stale.
//! Its number follows from its place in the tables: a digit of base 64 for each level.

use super::sequence::{OpenSequence, Sequence, Whole};
use super::text::Text;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::attr::{Attr, Kind};
use crate::fs::file::{self, FileOps, OpenFlags};
use crate::fs::inode::{self, FIRST_ENTRY, Inode};
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// Makes a file's text.
pub type Show = fn(&mut MaySleep, &mut Text) -> Result<(), Errno>;
/// Takes what was written to a file.
pub type Store = fn(&mut MaySleep, &[u8]) -> Result<(), Errno>;

/// A name in a directory.
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// What has it.
    pub node: Node,
}

/// What has a name.
pub enum Node {
    /// A directory.
    Directory(&'static [Entry]),
    /// A text to read.
    File(Show),
    /// A text that may be written, too.
    Setting(Show, Store),
    /// A text that is made in pieces, or is for root alone: whatever opens it.
    Open(u32, fn() -> Result<Arc<dyn FileOps>, Errno>),
    /// A link; its text.
    Link(Show),
}

impl Node {
    /// What kind of inode it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) | Self::Setting(..) | Self::Open(..) => Kind::File,
            Self::Link(_) => Kind::Link,
        }
    }
    const fn mode(&self) -> u32 {
        match self {
            Self::Directory(_) => 0o555,
            Self::File(_) => 0o444,
            Self::Setting(..) => 0o644,
            Self::Open(mode, _) => *mode,
            Self::Link(_) => 0o777,
        }
    }
}

/// A row of a table.
pub const fn entry(name: &'static str, node: Node) -> Entry {
    Entry { name, node }
}

/// More than a directory of the tables has.
const DIGIT: u64 = 64;

/// The number of the entry with that index, in the directory with that number.
pub const fn number(directory: u64, index: usize) -> u64 {
    assert!((index as u64) < DIGIT - 1, "a larger base for more entries");
    directory * DIGIT + index as u64 + 1
}

/// Where a directory lies.
#[derive(Clone)]
pub enum Up {
    /// In this one.
    In(Arc<dyn Inode>),
    /// It is the root of its file system, which this function gives.
    Root(fn() -> Result<Arc<dyn Inode>, Errno>),
}

impl Up {
    /// The directory.
    pub fn get(&self) -> Result<Arc<dyn Inode>, Errno> {
        match self {
            Self::In(inode) => Ok(inode.clone()),
            Self::Root(root) => root(),
        }
    }
}

/// An inode of the tables.
pub struct StaticInode {
    ino: u64,
    up: Up,
    node: &'static Node,
}

impl StaticInode {
    /// Of that number, in that directory.
    pub fn new(ino: u64, up: Up, node: &'static Node) -> Self {
        Self { ino, up, node }
    }
}

/// What has that name in a table, as an inode in the directory of that number, which `me` gives.
pub fn lookup(
    table: &'static [Entry],
    ino: u64,
    me: impl FnOnce() -> Result<Arc<dyn Inode>, Errno>,
    name: &[u8],
) -> Result<Arc<dyn Inode>, Errno> {
    let index = table.iter().position(|entry| entry.name.as_bytes() == name).ok_or(Errno::ENOENT)?;
    let inode = StaticInode::new(number(ino, index), Up::In(me()?), &table[index].node);
    Ok(try_arc(inode)?)
}

/// Visits the entries of a table from that position on; says whether the visitor wants more.
pub fn visit(
    ctx: &mut MaySleep,
    table: &'static [Entry],
    ino: u64,
    from: u64,
    visit: &mut dyn FnMut(&mut MaySleep, &inode::Entry<'_>) -> bool,
) -> bool {
    let first = usize::try_from(from.saturating_sub(FIRST_ENTRY)).unwrap_or(usize::MAX);
    for (index, entry) in table.iter().enumerate().skip(first) {
        let found = inode::Entry {
            name: entry.name.as_bytes(),
            ino: number(ino, index),
            kind: entry.node.kind(),
            next: FIRST_ENTRY + index as u64 + 1,
        };
        if !visit(ctx, &found) {
            return false;
        }
    }
    true
}

/// A setting's text, and what takes another.
struct Setting(Show, Store);

impl Sequence for Setting {
    fn rewind(&mut self) {}
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        (self.0)(ctx, to).map(|()| false)
    }
    fn store(&mut self, ctx: &mut MaySleep, bytes: &[u8]) -> Result<(), Errno> {
        (self.1)(ctx, bytes)
    }
}

impl Inode for StaticInode {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.ino
    }
    fn kind(&self) -> Kind {
        self.node.kind()
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        Ok(Attr::plain(self.ino, self.kind(), self.node.mode()))
    }
    /// `open` with O_TRUNC on a setting.
    fn truncate(&self, _ctx: &mut MaySleep, _size: u64) -> Result<(), Errno> {
        if matches!(self.node, Node::Directory(_)) { Err(Errno::EISDIR) } else { Ok(()) }
    }
    fn lookup(&self, _ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let Node::Directory(table) = self.node else { return Err(Errno::ENOTDIR) };
        let me = || match &self.up {
            Up::Root(root) => root(),
            up => {
                let me: Arc<dyn Inode> = try_arc(Self::new(self.ino, up.clone(), self.node))?;
                Ok(me)
            }
        };
        lookup(table, self.ino, me, name)
    }
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        self.up.get()
    }
    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visitor: &mut dyn FnMut(&mut MaySleep, &inode::Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let Node::Directory(table) = self.node else { return Err(Errno::ENOTDIR) };
        visit(ctx, table, self.ino, from, visitor);
        Ok(())
    }
    fn readlink(&self, ctx: &mut MaySleep) -> Result<Vec<u8>, Errno> {
        let Node::Link(show) = self.node else { return Err(Errno::EINVAL) };
        let mut text = Text::new();
        show(ctx, &mut text)?;
        text.into_bytes()
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        match self.node {
            Node::Directory(_) => file::directory(),
            Node::File(show) => OpenSequence::open(Whole(*show)),
            Node::Setting(show, store) => OpenSequence::open(Setting(*show, *store)),
            Node::Open(_, open) => open(),
            Node::Link(_) => Err(Errno::ELOOP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: [Entry; 2] = [
        entry(
            "text",
            Node::File(|_, to| {
                to.put(b"some text\n");
                Ok(())
            }),
        ),
        entry(
            "link",
            Node::Link(|_, to| {
                to.put(b"text");
                Ok(())
            }),
        ),
    ];
    static ROOT: Node = Node::Directory(&[
        entry("inner", Node::Directory(&INNER)),
        entry(
            "set",
            Node::Setting(
                |_, _| Ok(()),
                |_, bytes| {
                    if bytes == b"1\n" { Ok(()) } else { Err(Errno::EINVAL) }
                },
            ),
        ),
    ]);

    fn root() -> Result<Arc<dyn Inode>, Errno> {
        Ok(Arc::new(StaticInode::new(1, Up::Root(root), &ROOT)))
    }

    #[test]
    fn names_are_found_and_lead_back() {
        // SAFETY: a thread of the host's tests may sleep.
        let mut ctx = unsafe { MaySleep::mint() };
        let ctx = &mut ctx;
        let root = root().expect("memory");
        let inner = root.lookup(ctx, b"inner").expect("there");
        let text = inner.lookup(ctx, b"text").expect("there");
        assert_eq!((text.kind(), text.attr(ctx).map(|attr| attr.mode.bits())), (Kind::File, Ok(0o444)));
        assert_eq!(inner.lookup(ctx, b"none").err(), Some(Errno::ENOENT));
        assert_eq!(text.lookup(ctx, b"none").err(), Some(Errno::ENOTDIR));
        assert_eq!(inner.lookup(ctx, b"link").and_then(|link| link.readlink(ctx)), Ok(b"text".to_vec()));
        let up = text.parent(ctx).expect("there");
        assert_eq!(up.ino(), inner.ino());
        assert_eq!(up.parent(ctx).map(|up| up.ino()), Ok(1));
        assert_eq!(root.parent(ctx).map(|up| up.ino()), Ok(1));
    }

    #[test]
    fn directories_are_read_in_pieces() {
        // SAFETY: a thread of the host's tests may sleep.
        let mut ctx = unsafe { MaySleep::mint() };
        let root = root().expect("memory");
        let mut seen = vec![];
        let mut from = FIRST_ENTRY;
        for _ in 0..2 {
            let mut one = |_: &mut MaySleep, entry: &inode::Entry<'_>| {
                seen.push((entry.name.to_vec(), entry.ino, entry.next));
                false
            };
            root.readdir(&mut ctx, from, &mut one).expect("a directory");
            from = seen.last().map_or(0, |entry| entry.2);
        }
        assert_eq!(seen, [(b"inner".to_vec(), 65, 3), (b"set".to_vec(), 66, 4)]);
        let mut none = |_: &mut MaySleep, _: &inode::Entry<'_>| panic!("the end");
        root.readdir(&mut ctx, from, &mut none).expect("a directory");
    }
}
