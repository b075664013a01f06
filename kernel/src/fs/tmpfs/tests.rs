//! A tmpfs by itself: against a model, and what a model does not show.

use super::contents::SMALL;
use super::page::PAGE;
use super::*;
use crate::arch::current::mmu;
use crate::error::Errno;
use crate::fs::access::Access;
use crate::fs::attr::{Kind, Mode};
use crate::fs::buffer::{Dest, Source};
use crate::fs::file::{File, OpenFlags, Seek};
use crate::fs::inode::{Inode, Moving, New, What};
use crate::fs::mount::{FileSystem, Mount, Place};
use crate::mm::frame::Kind as FrameKind;
use crate::mm::object::PageError;
use crate::mm::shared::SharedFrames;
use crate::rcu;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(in crate::fs) fn token() -> MaySleep {
    // SAFETY: a thread of the host's tests may sleep.
    unsafe { MaySleep::mint() }
}

/// Memory of a test's own, the same for all that it makes; RCU runs, so what is dropped comes back.
pub(in crate::fs) fn memory() -> Memory {
    thread_local! {
        static MEMORY: Memory = {
            let frames = crate::mm::testing::frames(1024);
            Memory { frames, shared: Box::leak(Box::new(SharedFrames::new(frames))) }
        };
    }
    let memory = MEMORY.with(|memory| *memory);
    if memory.shared.waiting() > 256 {
        settle();
    }
    memory
}

/// All that waits for grace periods is over.
fn settle() {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        if !rcu::global::RCU.is_driven() {
            std::thread::spawn(|| rcu::kernel::hosted_main(&mut token()));
        }
    });
    while !rcu::global::RCU.is_driven() {
        std::thread::yield_now();
    }
    let ctx = &mut token();
    rcu::barrier(ctx);
    rcu::barrier(ctx);
}

/// A tmpfs, mounted nowhere.
pub(in crate::fs) fn mounted(options: &Options) -> (Arc<Tmpfs>, Place) {
    let tmpfs = Tmpfs::new(memory(), options).expect("memory");
    let mount = Mount::detached(tmpfs.clone()).expect("memory");
    (tmpfs, mount.root())
}

fn new(what: What<'_>) -> New<'_> {
    New { what, mode: Mode::new(0o755), uid: 0, gid: 0 }
}

fn open(ctx: &mut MaySleep, place: &Place, name: &str, flags: OpenFlags) -> Arc<File> {
    let inode = match place.inode.lookup(ctx, name.as_bytes()) {
        Ok(inode) => inode,
        Err(_) => place.inode.make(ctx, name.as_bytes(), &new(What::File)).expect("made"),
    };
    let ops = inode.clone().open(ctx, flags).expect("opened");
    File::new(Place { mount: place.mount.clone(), inode }, None, flags, ops).expect("memory")
}

fn used(memory: Memory) -> usize {
    // While a frame is being freed it counts as used and waits no more.
    settle();
    memory.frames.counts().used[FrameKind::Shmem as usize] - memory.shared.waiting()
}

#[derive(Clone, Debug)]
enum Op {
    Write(u64, usize, u8),
    Append(usize, u8),
    Truncate(u64),
    Read(u64, usize),
    Punch(u64, u64),
    Allocate(u64, u64, bool),
    Fault(u64, bool),
    Seek(u64, bool),
}

fn offset() -> impl Strategy<Value = u64> {
    let page = PAGE as u64;
    prop_oneof![0..64_u64, (SMALL as u64 - 8)..(SMALL as u64 + 8), page - 8..page + 8, 0..6 * page]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..40_usize, 0..SMALL + 20, 0..3 * PAGE]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (offset(), length(), any::<u8>()).prop_map(|(at, len, byte)| Op::Write(at, len, byte)),
        (length(), any::<u8>()).prop_map(|(len, byte)| Op::Append(len, byte)),
        offset().prop_map(Op::Truncate),
        (offset(), length()).prop_map(|(at, len)| Op::Read(at, len)),
        (offset(), offset()).prop_map(|(at, len)| Op::Punch(at, len + 1)),
        (offset(), offset(), any::<bool>()).prop_map(|(at, len, keep)| Op::Allocate(at, len + 1, keep)),
        (0..7_u64, any::<bool>()).prop_map(|(index, write)| Op::Fault(index, write)),
        (offset(), any::<bool>()).prop_map(|(at, data)| Op::Seek(at, data)),
    ]
}

const KEEP: u32 = 1;
const PUNCH: u32 = 2;

/// What a file of these bytes does, against what a vector does.
fn run(archived: &'static [u8], ops: &[Op]) {
    let ctx = &mut token();
    let (tmpfs, root) = mounted(&Options::NONE);
    let memory = tmpfs.shared.memory;
    let node = tmpfs.root_node().make_node(ctx, b"f", &new(What::File), archived).expect("made");
    let file = open(ctx, &root, "f", OpenFlags::READ_WRITE);
    let append = open(ctx, &root, "f", OpenFlags::READ_WRITE.with(linux_raw_sys::general::O_APPEND));
    let object = {
        use crate::fs::file::FileOps;
        node.page_object(ctx, &file).expect("a file")
    };
    let mut model = archived.to_vec();
    let put = |model: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        if bytes.is_empty() {
            return;
        }
        model.resize(model.len().max(at + bytes.len()), 0);
        model[at..at + bytes.len()].copy_from_slice(bytes);
    };
    for op in ops {
        match *op {
            Op::Write(at, len, byte) => {
                let bytes: Vec<u8> = (0..len).map(|i| byte.wrapping_add(i as u8) | 1).collect();
                let done = file.write_at(ctx, at, &mut Source::slice(&bytes));
                assert_eq!(done, Ok(len));
                put(&mut model, at as usize, &bytes);
            }
            Op::Append(len, byte) => {
                let bytes = vec![byte | 1; len];
                assert_eq!(append.write(ctx, &mut Source::slice(&bytes)), Ok(len));
                let end = model.len();
                put(&mut model, end, &bytes);
            }
            Op::Truncate(size) => {
                node.truncate(ctx, size).expect("cut");
                model.resize(size as usize, 0);
            }
            Op::Read(at, len) => {
                let mut bytes = vec![0xaa; len];
                let done = file.read_at(ctx, at, &mut Dest::slice(&mut bytes)).expect("read");
                let expected = model.get(at as usize..).unwrap_or_default();
                assert_eq!(bytes[..done], expected[..expected.len().min(len)]);
            }
            Op::Punch(at, len) => {
                node.allocate(ctx, PUNCH | KEEP, at, len).expect("a hole");
                let end = model.len().min((at + len) as usize);
                if let Some(hole) = model.get_mut(at as usize..end) {
                    hole.fill(0);
                }
            }
            Op::Allocate(at, len, keep) => {
                node.allocate(ctx, if keep { KEEP } else { 0 }, at, len).expect("room");
                if !keep {
                    model.resize(model.len().max((at + len) as usize), 0);
                }
            }
            Op::Fault(index, write) => {
                let page = object.page(ctx, index, write);
                if index >= (model.len() as u64).div_ceil(PAGE as u64) {
                    assert_eq!(page, Err(PageError::Beyond));
                    continue;
                }
                let pfn = page.expect("a page");
                let start = index as usize * PAGE;
                let len = PAGE.min(model.len() - start);
                let frame = mmu::linear(pfn.start());
                // SAFETY: a frame of which we have a reference, and no other thread runs.
                let bytes = unsafe { core::slice::from_raw_parts_mut(frame, PAGE) };
                assert_eq!(bytes[..len], model[start..start + len]);
                assert!(bytes[len..].iter().all(|&byte| byte == 0), "zeros behind the end");
                if write {
                    bytes[len / 2] = 0x5b;
                    model[start + len / 2] = 0x5b;
                }
                // SAFETY: the reference that `page` gave.
                unsafe { memory.shared.put(pfn) };
            }
            Op::Seek(at, data) => {
                let to = if data { Seek::Data(at as i64) } else { Seek::Hole(at as i64) };
                match file.seek(ctx, to) {
                    Err(Errno::ENXIO) if !data => assert!(at as usize >= model.len()),
                    Err(Errno::ENXIO) => {
                        assert!(model.get(at as usize..).unwrap_or_default().iter().all(|&byte| byte == 0));
                    }
                    Err(error) => panic!("{error:?}"),
                    Ok(found) => {
                        assert!(found >= at && found as usize <= model.len());
                        if data {
                            let skipped = &model[at as usize..found as usize];
                            assert!(skipped.iter().all(|&byte| byte == 0), "data was skipped");
                        } else {
                            let hole = &model
                                [found as usize..model.len().min((found as usize).next_multiple_of(PAGE))];
                            assert!(hole.iter().all(|&byte| byte == 0), "a hole holds data");
                        }
                    }
                }
            }
        }
        assert_eq!(node.attr(ctx).expect("attributes").size, model.len() as u64);
    }
    let mut bytes = vec![0; model.len() + 1];
    assert_eq!(file.read_exact_at(ctx, 0, &mut bytes), Ok(model.len()));
    assert_eq!(bytes[..model.len()], model);
    assert_eq!(tmpfs.frames() as usize, used(memory));
    drop((file, append, object, node, root));
    tmpfs.root_node().unlink(ctx, b"f", &Access::ROOT).expect("there");
    assert_eq!((used(memory), tmpfs.frames(), tmpfs.inodes()), (0, 0, 1), "nothing is lost");
    assert_eq!(memory.frames.misuses(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_file_is_a_vector(ops in prop::collection::vec(op(), 1..24)) {
        run(&[], &ops);
    }

    #[test]
    fn a_file_of_the_archive_is_a_vector(
        len in prop_oneof![1..100_usize, PAGE - 2..PAGE + 2, 1..3 * PAGE],
        ops in prop::collection::vec(op(), 1..24),
    ) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + 3) as u8).collect();
        run(Box::leak(bytes.into_boxed_slice()), &ops);
    }
}

/// A tree in the model: an inode is a number.
#[derive(Clone, Debug, PartialEq)]
enum Thing {
    File,
    Directory(BTreeMap<Vec<u8>, usize>, usize),
}

#[derive(Clone, Debug)]
enum TreeOp {
    File(usize, usize),
    Directory(usize, usize),
    Unlink(usize, usize),
    Rmdir(usize, usize),
    Link(usize, usize, usize, usize),
    Rename(usize, usize, usize, usize, u8),
}

fn tree_op() -> impl Strategy<Value = TreeOp> {
    let (d, n) = (|| 0..12_usize, || 0..4_usize);
    prop_oneof![
        2 => (d(), n()).prop_map(|(d, n)| TreeOp::File(d, n)),
        3 => (d(), n()).prop_map(|(d, n)| TreeOp::Directory(d, n)),
        1 => (d(), n()).prop_map(|(d, n)| TreeOp::Unlink(d, n)),
        1 => (d(), n()).prop_map(|(d, n)| TreeOp::Rmdir(d, n)),
        1 => (d(), n(), d(), n()).prop_map(|(d, n, e, m)| TreeOp::Link(d, n, e, m)),
        5 => (d(), n(), d(), n(), 0..3_u8).prop_map(|(d, n, e, m, how)| TreeOp::Rename(d, n, e, m, how)),
    ]
}

struct Model {
    things: Vec<Thing>,
    directories: Vec<usize>,
}

impl Model {
    fn names(&mut self, directory: usize) -> &mut BTreeMap<Vec<u8>, usize> {
        match &mut self.things[directory] {
            Thing::Directory(names, _) => names,
            Thing::File => panic!("no directory"),
        }
    }
    fn is_directory(&self, thing: usize) -> bool {
        matches!(self.things[thing], Thing::Directory(..))
    }
    fn parent(&self, directory: usize) -> usize {
        let Thing::Directory(_, parent) = self.things[directory] else { panic!("no directory") };
        parent
    }
    fn set_parent(&mut self, directory: usize, to: usize) {
        if let Thing::Directory(_, parent) = &mut self.things[directory] {
            *parent = to;
        }
    }
    fn is_below(&self, mut here: usize, other: usize) -> bool {
        loop {
            if here == other {
                return true;
            }
            if here == 0 {
                return false;
            }
            here = self.parent(here);
        }
    }
    fn add(&mut self, directory: usize, name: &[u8], thing: Thing) -> Result<usize, Errno> {
        if self.names(directory).contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.things.push(thing);
        let number = self.things.len() - 1;
        self.names(directory).insert(name.to_vec(), number);
        Ok(number)
    }
    fn rename(&mut self, d: usize, n: &[u8], e: usize, m: &[u8], how: Moving) -> Result<(), Errno> {
        let source = *self.names(d).get(n).ok_or(Errno::ENOENT)?;
        let target = self.names(e).get(m).copied();
        match (target, how) {
            (Some(_), Moving::NoReplace) => return Err(Errno::EEXIST),
            (None, Moving::Exchange) => return Err(Errno::ENOENT),
            (Some(target), _) if target == source => return Ok(()),
            _ => {}
        }
        if self.is_directory(source) && self.is_below(e, source) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = target {
            if self.is_directory(target) && self.is_below(d, target) {
                return Err(if how == Moving::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
            }
            if how == Moving::Exchange {
                self.names(d).insert(n.to_vec(), target);
                self.names(e).insert(m.to_vec(), source);
                self.set_parent(target, d);
                self.set_parent(source, e);
                return Ok(());
            }
            match (self.is_directory(source), self.is_directory(target)) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if !self.names(target).is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        self.names(d).remove(n);
        self.names(e).insert(m.to_vec(), source);
        self.set_parent(source, e);
        Ok(())
    }
}

/// All names below, with inode numbers and link counts.
fn shape(
    ctx: &mut MaySleep,
    inode: &Arc<dyn Inode>,
    path: &str,
    into: &mut BTreeMap<String, (Kind, u64, u32)>,
) {
    let mut names = Vec::new();
    inode
        .readdir(ctx, 2, &mut |_, entry| {
            names.push(entry.name.to_vec());
            true
        })
        .expect("a directory");
    for name in names {
        let child = inode.lookup(ctx, &name).expect("listed, so there");
        let attr = child.attr(ctx).expect("attributes");
        let path = format!("{path}/{}", String::from_utf8_lossy(&name));
        into.insert(path.clone(), (attr.kind, attr.ino, attr.nlink));
        if attr.kind == Kind::Directory {
            assert_eq!(child.parent(ctx).expect("a parent").ino(), inode.ino(), "{path}/..");
            shape(ctx, &child, &path, into);
        }
    }
}

fn model_shape(model: &Model, directory: usize, path: &str, into: &mut BTreeMap<String, (bool, usize)>) {
    let Thing::Directory(names, _) = &model.things[directory] else { return };
    for (name, &thing) in names {
        let path = format!("{path}/{}", String::from_utf8_lossy(name));
        into.insert(path.clone(), (model.is_directory(thing), thing));
        model_shape(model, thing, &path, into);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_tree_is_a_tree(ops in prop::collection::vec(tree_op(), 1..60)) {
        let ctx = &mut token();
        let (tmpfs, root) = mounted(&Options::NONE);
        let mut model = Model { things: vec![Thing::Directory(BTreeMap::new(), 0)], directories: vec![0] };
        // Directories by the model's numbers.
        let mut inodes: BTreeMap<usize, Arc<dyn Inode>> = BTreeMap::from([(0, root.inode.clone())]);
        let names: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
        for op in ops {
            let d = |i: usize| model.directories[i % model.directories.len()];
            match op {
                TreeOp::File(i, n) => {
                    let d = d(i);
                    let made = inodes[&d].make(ctx, names[n], &new(What::File)).map(drop);
                    prop_assert_eq!(made, model.add(d, names[n], Thing::File).map(drop));
                }
                TreeOp::Directory(i, n) => {
                    let d = d(i);
                    let made = inodes[&d].make(ctx, names[n], &new(What::Directory));
                    let added = model.add(d, names[n], Thing::Directory(BTreeMap::new(), d));
                    prop_assert_eq!(made.as_ref().map(drop).map_err(|&e| e), added.map(drop));
                    if let (Ok(inode), Ok(number)) = (made, added) {
                        inodes.insert(number, inode);
                        model.directories.push(number);
                    }
                }
                TreeOp::Unlink(i, n) => {
                    let d = d(i);
                    let done = inodes[&d].unlink(ctx, names[n], &Access::ROOT);
                    let expected = match model.names(d).get(names[n]).copied() {
                        None => Err(Errno::ENOENT),
                        Some(thing) if model.is_directory(thing) => Err(Errno::EISDIR),
                        Some(_) => {
                            model.names(d).remove(names[n]);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(done, expected);
                }
                TreeOp::Rmdir(i, n) => {
                    let d = d(i);
                    let done = inodes[&d].rmdir(ctx, names[n], &Access::ROOT);
                    let expected = match model.names(d).get(names[n]).copied() {
                        None => Err(Errno::ENOENT),
                        Some(thing) if !model.is_directory(thing) => Err(Errno::ENOTDIR),
                        Some(thing) if !model.names(thing).is_empty() => Err(Errno::ENOTEMPTY),
                        Some(thing) => {
                            model.names(d).remove(names[n]);
                            model.directories.retain(|&other| other != thing);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(done, expected);
                }
                TreeOp::Link(i, n, j, m) => {
                    let (d, e) = (d(i), d(j));
                    let Ok(inode) = inodes[&d].lookup(ctx, names[n]) else { continue };
                    let thing = model.names(d)[names[n]];
                    let done = inodes[&e].link(ctx, names[m], &inode);
                    let expected = if model.names(e).contains_key(names[m]) {
                        Err(Errno::EEXIST)
                    } else if model.is_directory(thing) {
                        Err(Errno::EPERM)
                    } else {
                        model.names(e).insert(names[m].to_vec(), thing);
                        Ok(())
                    };
                    prop_assert_eq!(done, expected);
                }
                TreeOp::Rename(i, n, j, m, how) => {
                    let (d, e) = (d(i), d(j));
                    let how = [Moving::Replace, Moving::NoReplace, Moving::Exchange][how as usize];
                    let replaced = model.names(e).get(names[m]).copied();
                    let done = inodes[&d].rename(ctx, names[n], &inodes[&e], names[m], how, &Access::ROOT);
                    let expected = model.rename(d, names[n], e, names[m], how);
                    prop_assert_eq!(done, expected);
                    if let Some(thing) = replaced.filter(|_| done.is_ok() && how == Moving::Replace)
                        && model.is_directory(thing) && model.names(e)[names[m]] != thing
                    {
                        model.directories.retain(|&other| other != thing);
                    }
                }
            }
        }
        let (mut real, mut expected) = (BTreeMap::new(), BTreeMap::new());
        shape(ctx, &root.inode, "", &mut real);
        model_shape(&model, 0, "", &mut expected);
        prop_assert!(real.keys().eq(expected.keys()), "{:?}\n{:?}", real, expected);
        let mut numbers = BTreeMap::new();
        for (path, &(kind, ino, nlink)) in &real {
            let (is_directory, thing) = expected[path];
            prop_assert_eq!(kind == Kind::Directory, is_directory, "{}", path);
            prop_assert_eq!(*numbers.entry(thing).or_insert(ino), ino, "{}: one thing, one number", path);
            let links = if is_directory {
                let below = |other: &&String| other.strip_prefix(path.as_str()).is_some_and(|rest| {
                    rest.starts_with('/') && !rest[1..].contains('/')
                });
                2 + real.iter().filter(|(other, value)| value.0 == Kind::Directory && below(other)).count()
            } else {
                expected.values().filter(|value| value.1 == thing).count()
            };
            prop_assert_eq!(nlink as usize, links, "{}", path);
        }
        drop(inodes);
        prop_assert_eq!(tmpfs.inodes() as usize, 1 + numbers.len(), "what has no name is gone");
    }
}

#[test]
fn reading_a_directory_goes_on_where_it_was() {
    let ctx = &mut token();
    let (_, root) = mounted(&Options::NONE);
    let name = |i: usize| format!("file{i}").into_bytes();
    for i in 0..100 {
        root.inode.make(ctx, &name(i), &new(What::File)).expect("made");
    }
    let directory = open_directory(ctx, &root);
    let mut seen = Vec::new();
    let mut read = |ctx: &mut MaySleep, most: usize| {
        let mut left = most;
        directory
            .readdir(ctx, &mut |_, entry| {
                if left == 0 {
                    return false;
                }
                left -= 1;
                seen.push(entry.name.to_vec());
                true
            })
            .expect("a directory");
    };
    read(ctx, 52);
    // Most of it goes, some that were seen and some that were not, and something comes.
    for i in (0..45).chain(55..100) {
        root.inode.unlink(ctx, &name(i), &Access::ROOT).expect("there");
    }
    root.inode.make(ctx, b"late", &new(What::File)).expect("made");
    read(ctx, 1000);
    read(ctx, 1000);
    let expected: Vec<Vec<u8>> = [b".".to_vec(), b"..".to_vec()]
        .into_iter()
        .chain((0..55).map(name))
        .chain([b"late".to_vec()])
        .collect();
    assert_eq!(seen, expected);
}

fn open_directory(ctx: &mut MaySleep, place: &Place) -> Arc<File> {
    let ops = place.inode.clone().open(ctx, OpenFlags::READ).expect("opened");
    File::new(place.clone(), None, OpenFlags::READ, ops).expect("memory")
}

#[test]
fn an_unlinked_file_lives_while_it_is_open_or_mapped() {
    use crate::fs::file::FileOps;
    let ctx = &mut token();
    let (tmpfs, root) = mounted(&Options::NONE);
    let memory = tmpfs.shared.memory;
    let file = open(ctx, &root, "f", OpenFlags::READ_WRITE);
    let bytes = vec![7; 2 * PAGE];
    assert_eq!(file.write(ctx, &mut Source::slice(&bytes)), Ok(2 * PAGE));
    root.inode.unlink(ctx, b"f", &Access::ROOT).expect("there");
    assert_eq!(file.inode().attr(ctx).expect("attributes").nlink, 0);
    let mut back = vec![0; 2 * PAGE];
    assert_eq!(file.read_exact_at(ctx, 0, &mut back), Ok(2 * PAGE));
    assert_eq!(back, bytes);
    let node = file.inode().as_any().downcast_ref::<Node>().expect("of a tmpfs");
    let object = node.page_object(ctx, &file).expect("a file");
    let pfn = object.page(ctx, 1, true).expect("a page");
    drop(file);
    assert_eq!(tmpfs.frames(), 2, "the mapping keeps it");
    drop(object);
    assert_eq!((tmpfs.frames(), used(memory)), (0, 1), "a mapped page is the mapping's");
    // SAFETY: the reference that `page` gave.
    unsafe { memory.shared.put(pfn) };
    assert_eq!(used(memory), 0);
}

#[test]
fn a_full_file_system_says_so_and_loses_nothing() {
    let ctx = &mut token();
    let (tmpfs, root) = mounted(&Options { size: Some(3 * PAGE as u64), inodes: Some(3), ..Options::NONE });
    let file = open(ctx, &root, "f", OpenFlags::READ_WRITE);
    let bytes = vec![1; 5 * PAGE];
    assert_eq!(file.write(ctx, &mut Source::slice(&bytes)), Ok(3 * PAGE), "what fits is written");
    assert_eq!(file.write(ctx, &mut Source::slice(&bytes)), Err(Errno::ENOSPC));
    assert_eq!(file.inode().allocate(ctx, 0, 0, 4 * PAGE as u64), Err(Errno::ENOSPC));
    let usage = tmpfs.usage(ctx);
    assert_eq!((usage.blocks, usage.free, usage.files, usage.files_free), (3, 0, 3, 1));
    root.inode.make(ctx, b"g", &new(What::File)).expect("made");
    assert_eq!(root.inode.make(ctx, b"h", &new(What::File)).err(), Some(Errno::ENOSPC));
    assert_eq!(root.inode.lookup(ctx, b"h").err(), Some(Errno::ENOENT));
    file.inode().truncate(ctx, PAGE as u64 + 1).expect("cut");
    assert_eq!(tmpfs.usage(ctx).free, 1);
}

#[test]
fn every_failing_allocation_is_an_error_and_changes_nothing() {
    let ctx = &mut token();
    let (tmpfs, root) = mounted(&Options::NONE);
    let memory = tmpfs.shared.memory;
    let file = open(ctx, &root, "f", OpenFlags::READ_WRITE);
    let bytes = vec![1; 2 * PAGE];
    memory.frames.inject_failure(2);
    assert_eq!(file.write(ctx, &mut Source::slice(&bytes)), Ok(PAGE));
    memory.frames.inject_failure(1);
    assert_eq!(file.write(ctx, &mut Source::slice(&bytes)), Err(Errno::ENOMEM));
    memory.frames.inject_failure(0);
    assert_eq!((tmpfs.frames(), file.inode().attr(ctx).expect("attributes").size), (1, PAGE as u64));
}

#[test]
fn a_sticky_directory_protects_names_from_others() {
    let ctx = &mut token();
    let (_, root) = mounted(&Options::NONE);
    let (alice, bob) = (Access { uid: 1, gid: 1, groups: &[] }, Access { uid: 2, gid: 2, groups: &[] });
    for name in [b"x", b"y"] {
        root.inode.make(ctx, name, &New { uid: 1, gid: 1, ..new(What::File) }).expect("made");
    }
    assert_eq!(root.inode.unlink(ctx, b"x", &bob), Err(Errno::EPERM));
    assert_eq!(root.inode.rename(ctx, b"x", &root.inode, b"z", Moving::Replace, &bob), Err(Errno::EPERM));
    root.inode.make(ctx, b"b", &New { uid: 2, gid: 2, ..new(What::File) }).expect("made");
    assert_eq!(root.inode.rename(ctx, b"b", &root.inode, b"x", Moving::Replace, &bob), Err(Errno::EPERM));
    assert_eq!(root.inode.unlink(ctx, b"x", &alice), Ok(()));
}

#[test]
fn a_removed_directory_takes_no_names() {
    let ctx = &mut token();
    let (_, root) = mounted(&Options::NONE);
    let gone = root.inode.make(ctx, b"d", &new(What::Directory)).expect("made");
    let file = root.inode.make(ctx, b"f", &new(What::File)).expect("made");
    root.inode.rmdir(ctx, b"d", &Access::ROOT).expect("empty");
    assert_eq!(gone.make(ctx, b"x", &new(What::File)).err(), Some(Errno::ENOENT));
    assert_eq!(gone.link(ctx, b"x", &file).err(), Some(Errno::ENOENT));
    assert_eq!(root.inode.rename(ctx, b"f", &gone, b"x", Moving::Replace, &Access::ROOT), Err(Errno::ENOENT));
    assert_eq!(gone.attr(ctx).expect("attributes").nlink, 0);
    drop(file);
    let unlinked = root.inode.lookup(ctx, b"f").expect("there");
    root.inode.unlink(ctx, b"f", &Access::ROOT).expect("there");
    assert_eq!(root.inode.link(ctx, b"again", &unlinked), Err(Errno::ENOENT));
}

#[test]
fn renames_both_ways_between_two_directories_do_not_deadlock() {
    let ctx = &mut token();
    let (_, root) = mounted(&Options::NONE);
    let a = root.inode.make(ctx, b"a", &new(What::Directory)).expect("made");
    let b = a.make(ctx, b"b", &new(What::Directory)).expect("made");
    a.make(ctx, b"f", &new(What::File)).expect("made");
    std::thread::scope(|scope| {
        for (from, to) in [(&a, &b), (&b, &a), (&a, &b), (&b, &a)] {
            let root = &root.inode;
            scope.spawn(move || {
                let ctx = &mut token();
                for i in 0..400 {
                    let _ = from.rename(ctx, b"f", to, b"f", Moving::Replace, &Access::ROOT);
                    if i % 8 == 0 && root.make(ctx, b"t", &new(What::Directory)).is_ok() {
                        let _ = root.rename(ctx, b"t", to, b"t", Moving::Replace, &Access::ROOT);
                        let _ = to.rmdir(ctx, b"t", &Access::ROOT);
                        let _ = root.rmdir(ctx, b"t", &Access::ROOT);
                    }
                }
            });
        }
    });
    let places = [&a, &b].map(|directory| directory.lookup(ctx, b"f").is_ok());
    assert!(places[0] != places[1], "the file is in one place");
}

#[test]
fn options_are_read_as_linux_does() {
    let parse = |text: &str| Options::parse(text.as_bytes(), 1000 << 20);
    assert_eq!(parse(""), Ok(Options::NONE));
    assert_eq!(
        parse("size=64m,mode=1777,uid=5,nr_inodes=10k"),
        Ok(Options {
            size: Some(64 << 20),
            mode: Some(0o1777),
            uid: Some(5),
            inodes: Some(10 << 10),
            ..Options::NONE
        })
    );
    assert_eq!(parse("size=50%").map(|options| options.size), Ok(Some(500 << 20)));
    assert_eq!(parse("size=0").map(|options| options.size), Ok(Some(u64::MAX)));
    for bad in ["size", "size=x", "size=5q", "mode=9", "nonsense", "uid=-1", "size=99999999999999999999"] {
        assert_eq!(parse(bad), Err(Errno::EINVAL), "{bad}");
    }
}
