//! The errors of `mkdir`, `unlink`, `rmdir`, `link`, `rename`, `chmod` and their like.

use super::*;
use crate::fs::attr::{SetAttr, Time};
use crate::fs::change::{self, When};
use crate::fs::inode::Moving;

fn unlink(world: &World, path: &str) -> Result<(), Errno> {
    name_calls::unlink(&mut token(), &world.walk, path.as_bytes())
}
fn rmdir(world: &World, path: &str) -> Result<(), Errno> {
    name_calls::rmdir(&mut token(), &world.walk, path.as_bytes())
}
fn rename(world: &World, old: &str, new: &str, how: Moving) -> Result<(), Errno> {
    name_calls::rename(&mut token(), (&world.walk, old.as_bytes()), (&world.walk, new.as_bytes()), how)
}
fn link(world: &World, old: &str, new: &str) -> Result<(), Errno> {
    let old = world.walk.resolve(&mut token(), old.as_bytes(), Last::Stay)?;
    name_calls::link(&mut token(), &old, &world.walk, new.as_bytes())
}

fn world() -> World {
    let world = World::new();
    for directory in ["/d", "/d/e", "/empty", "/other"] {
        world.mkdir(directory).expect("made");
    }
    for file in ["/f", "/d/f"] {
        world.touch(file).expect("made");
    }
    world.symlink("d", "/link").expect("made");
    world.symlink("no", "/dangling").expect("made");
    world
}

#[test]
fn making() {
    let world = world();
    for (path, result) in [
        ("/d", Err(Errno::EEXIST)),
        ("/", Err(Errno::EEXIST)),
        ("/d/.", Err(Errno::EEXIST)),
        ("/link", Err(Errno::EEXIST)),
        ("/dangling", Err(Errno::EEXIST)),
        ("/dangling/", Err(Errno::EEXIST)),
        ("/f/x", Err(Errno::ENOTDIR)),
        ("/no/x", Err(Errno::ENOENT)),
        ("/new/", Ok(())),
        ("/link/through", Ok(())),
    ] {
        assert_eq!(world.mkdir(path), result, "mkdir {path}");
    }
    assert_eq!(world.touch("/file/"), Err(Errno::ENOENT));
    assert_eq!(world.symlink("x", "/file/"), Err(Errno::ENOENT));
    let other = world.by(7);
    assert_eq!(other.mkdir("/x"), Err(Errno::EACCES));
    world.make("/public", What::Directory, 0o777).expect("made");
    let device = What::Char(crate::fs::DevNo::new(1, 3));
    assert_eq!(other.make("/public/null", device, 0o666), Err(Errno::EPERM));
    assert_eq!(other.make("/public/fifo", What::Fifo, 0o666), Ok(()));
    assert_eq!(world.make("/public/null", device, 0o666), Ok(()));
    assert_eq!(world.open("/public/null", linux::O_RDONLY).map(drop), Err(Errno::ENXIO), "nobody drives it");
    // A setgid directory gives its group, and its bit to directories.
    world.make("/group", What::Directory, 0o2777).expect("made");
    other.mkdir("/group/d").expect("made");
    let attr = world.find("/group/d").expect("there").attr(&mut token()).expect("attributes");
    assert_eq!((attr.uid, attr.gid, attr.mode.bits()), (7, 0, 0o2755));
}

#[test]
fn taking_away() {
    let world = world();
    for (path, error) in [
        ("/no", Errno::ENOENT),
        ("/d", Errno::EISDIR),
        ("/d/", Errno::EISDIR),
        ("/f/", Errno::ENOTDIR),
        ("/f/x", Errno::ENOTDIR),
        ("/", Errno::EISDIR),
        ("/d/.", Errno::EISDIR),
        ("/link/", Errno::ENOTDIR),
        ("/no/", Errno::ENOENT),
    ] {
        assert_eq!(unlink(&world, path), Err(error), "unlink {path}");
    }
    for (path, error) in [
        ("/no", Errno::ENOENT),
        ("/f", Errno::ENOTDIR),
        ("/d", Errno::ENOTEMPTY),
        ("/", Errno::EBUSY),
        ("/d/.", Errno::EINVAL),
        ("/d/e/..", Errno::ENOTEMPTY),
        ("/link", Errno::ENOTDIR),
        ("/link/", Errno::ENOTDIR),
    ] {
        assert_eq!(rmdir(&world, path), Err(error), "rmdir {path}");
    }
    assert_eq!(unlink(&world.by(9), "/f"), Err(Errno::EACCES));
    assert_eq!(rmdir(&world.by(9), "/empty"), Err(Errno::EACCES));
    assert_eq!(unlink(&world, "/link"), Ok(()));
    assert_eq!(rmdir(&world, "/empty/"), Ok(()));
    assert_eq!(world.ino("/empty"), Err(Errno::ENOENT));
}

#[test]
fn linking() {
    let world = world();
    for (old, new, error) in [
        ("/no", "/x", Errno::ENOENT),
        ("/f", "/d", Errno::EEXIST),
        ("/f", "/f", Errno::EEXIST),
        ("/d", "/x", Errno::EPERM),
        ("/f", "/no/x", Errno::ENOENT),
        ("/f", "/x/", Errno::ENOENT),
        ("/f/", "/x", Errno::ENOTDIR),
    ] {
        assert_eq!(link(&world, old, new), Err(error), "link {old} {new}");
    }
    assert_eq!(link(&world, "/f", "/d/g"), Ok(()));
    assert_eq!(world.ino("/f"), world.ino("/d/g"));
    assert_eq!(link(&world, "/dangling", "/again"), Ok(()), "of the link itself");
    assert_eq!(link(&world.by(3), "/f", "/mine"), Err(Errno::EACCES));
}

#[test]
fn renaming() {
    let world = world();
    let replace = |old, new| rename(&world, old, new, Moving::Replace);
    for (old, new, error) in [
        ("/no", "/x", Errno::ENOENT),
        ("/f", "/no/x", Errno::ENOENT),
        ("/f", "/d", Errno::EISDIR),
        ("/d", "/f", Errno::ENOTDIR),
        ("/empty", "/d", Errno::ENOTEMPTY),
        ("/d", "/d/e/x", Errno::EINVAL),
        ("/d", "/d/x", Errno::EINVAL),
        ("/d/e", "/d", Errno::ENOTEMPTY),
        ("/f/", "/x", Errno::ENOTDIR),
        ("/f", "/x/", Errno::ENOTDIR),
        ("/d/.", "/x", Errno::EBUSY),
        ("/d", "/other/..", Errno::EBUSY),
        ("/", "/x", Errno::EBUSY),
        ("/f/x", "/x", Errno::ENOTDIR),
    ] {
        assert_eq!(replace(old, new), Err(error), "rename {old} {new}");
    }
    assert_eq!(rename(&world, "/f", "/d/f", Moving::NoReplace), Err(Errno::EEXIST));
    assert_eq!(rename(&world, "/f", "/x", Moving::Exchange), Err(Errno::ENOENT));
    assert_eq!(rename(&world, "/f", "/d/e", Moving::Exchange), Ok(()));
    assert_eq!(world.find("/f").expect("there").inode.kind(), crate::fs::Kind::Directory);
    assert!(world.find("/f/..").expect("there").is(&world.walk.root));
    assert_eq!(replace("/f", "/empty/"), Ok(()), "a directory onto an empty one");
    assert_eq!(replace("/d/f", "/d/f"), Ok(()));
    assert_eq!(replace("/link", "/link2"), Ok(()), "a link is moved, not followed");
    world.make("/shared", What::Directory, 0o777).expect("made");
    world.make("/shared/theirs", What::Directory, 0o755).expect("made");
    world.make("/shared2", What::Directory, 0o777).expect("made");
    let other = world.by(4);
    assert_eq!(
        rename(&other, "/shared/theirs", "/shared2/x", Moving::Replace),
        Err(Errno::EACCES),
        "its `..` changes"
    );
    assert_eq!(rename(&other, "/shared/theirs", "/shared/x", Moving::Replace), Ok(()));
}

#[test]
fn attributes() {
    let world = world();
    let ctx = &mut token();
    let f = world.find("/f").expect("there");
    let (owner, other) = (Access { uid: 5, gid: 5, groups: &[8] }, Access { uid: 6, gid: 6, groups: &[] });
    assert_eq!(change::owner(ctx, &owner, &f, Some(5), None), Err(Errno::EPERM));
    assert_eq!(change::owner(ctx, &Access::ROOT, &f, Some(5), Some(5)), Ok(()));
    assert_eq!(change::mode(ctx, &other, &f, Mode::new(0o777)), Err(Errno::EPERM));
    assert_eq!(change::mode(ctx, &owner, &f, Mode::new(0o6755)), Ok(()));
    assert_eq!(change::owner(ctx, &owner, &f, None, Some(8)), Ok(()), "to a group of his");
    assert_eq!(f.attr(ctx).expect("attributes").mode.bits(), 0o755, "which takes the privileges");
    assert_eq!(change::owner(ctx, &owner, &f, None, Some(9)), Err(Errno::EPERM));
    assert_eq!(change::owner(ctx, &owner, &f, Some(6), None), Err(Errno::EPERM));
    assert_eq!(change::owner(ctx, &owner, &f, Some(5), Some(8)), Ok(()), "as it is");
    change::owner(ctx, &Access::ROOT, &f, None, Some(77)).expect("root");
    assert_eq!(change::mode(ctx, &owner, &f, Mode::new(0o2755)), Ok(()));
    assert_eq!(f.attr(ctx).expect("attributes").mode.bits(), 0o755, "not in that group");
    let time = When::At(Time { seconds: 1, nanoseconds: 2 });
    assert_eq!(change::times(ctx, &other, &f, time, When::Omit), Err(Errno::EPERM));
    assert_eq!(change::times(ctx, &other, &f, When::Now, When::Now), Err(Errno::EACCES));
    assert_eq!(change::times(ctx, &owner, &f, time, When::Omit), Ok(()));
    let attr = f.attr(ctx).expect("attributes");
    assert_eq!(attr.atime, Time { seconds: 1, nanoseconds: 2 });
    assert_eq!(change::size(ctx, &other, &f, 10), Err(Errno::EACCES));
    assert_eq!(change::size(ctx, &owner, &f, 10), Ok(()));
    assert_eq!(change::size(ctx, &Access::ROOT, &world.find("/d").expect("there"), 1), Err(Errno::EISDIR));
    let set = SetAttr { mode: Some(Mode::new(0o4777)), ..SetAttr::default() };
    f.inode.set_attr(ctx, &set).expect("set");
    change::written(ctx, &Access::ROOT, &*f.inode).expect("root keeps it");
    assert_eq!(f.attr(ctx).expect("attributes").mode.bits(), 0o4777);
    change::written(ctx, &other, &*f.inode).expect("who writes takes it");
    assert_eq!(f.attr(ctx).expect("attributes").mode.bits(), 0o777);
}
