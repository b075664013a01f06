//! Folders, names, links, renaming.

use crate::harness::child::fork;
use crate::harness::{Folder, Outcome, c};
use crate::{check, equal, fails, sys, tests};
use std::collections::BTreeSet;

tests![
    made_and_removed,
    entries_are_all_listed,
    listing_while_removing,
    symbolic_links,
    loops_of_links,
    renaming,
    renaming_is_refused,
    the_working_folder,
    relative_to_a_descriptor,
    dots,
    sticky_folders,
    special_files,
    statfs_tells,
    deep_paths,
    mounts,
];

fn made_and_removed() -> Outcome {
    let folder = Folder::new("made")?;
    sys!(umask(0));
    sys!(mkdir(folder.c("d").as_ptr(), 0o750));
    fails!(EEXIST, mkdir(folder.c("d").as_ptr(), 0o750));
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(stat(folder.c("d").as_ptr(), &mut stat));
    equal!((stat.st_mode, stat.st_nlink), (libc::S_IFDIR | 0o750, 2));
    sys!(mkdir(folder.c("d/e").as_ptr(), 0o755));
    sys!(stat(folder.c("d").as_ptr(), &mut stat));
    equal!(stat.st_nlink, 3);
    fails!(ENOTEMPTY, rmdir(folder.c("d").as_ptr()));
    fails!(EISDIR, unlink(folder.c("d").as_ptr()));
    sys!(rmdir(folder.c("d/e").as_ptr()));
    sys!(unlinkat(libc::AT_FDCWD, folder.c("d").as_ptr(), libc::AT_REMOVEDIR));
    fails!(ENOENT, rmdir(folder.c("d").as_ptr()));
    fails!(ENOENT, mkdir(folder.c("a/b").as_ptr(), 0o755));
    std::fs::write(folder.path("f"), "")?;
    fails!(ENOTDIR, rmdir(folder.c("f").as_ptr()));
    fails!(ENOTDIR, mkdir(folder.c("f/d").as_ptr(), 0o755));
    fails!(EINVAL, rmdir(folder.c(".").as_ptr()));
    Ok(())
}

fn entries_are_all_listed() -> Outcome {
    let folder = Folder::new("entries")?;
    let wanted: BTreeSet<String> = (0..300).map(|number| format!("file-{number}")).collect();
    for name in &wanted {
        std::fs::write(folder.path(name), name)?;
    }
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(&folder.0)? {
        let entry = entry?;
        check!(entry.file_type()?.is_file());
        check!(seen.insert(entry.file_name().to_string_lossy().into_owned()), "twice: {entry:?}");
    }
    equal!(seen, wanted);
    Ok(())
}

fn listing_while_removing() -> Outcome {
    let folder = Folder::new("listing")?;
    for number in 0..200 {
        std::fs::write(folder.path(&number.to_string()), "")?;
    }
    // What `rm -r` does; each entry must come once.
    let mut removed = 0;
    for entry in std::fs::read_dir(&folder.0)? {
        std::fs::remove_file(entry?.path())?;
        removed += 1;
    }
    equal!(removed, 200);
    equal!(std::fs::read_dir(&folder.0)?.count(), 0);
    Ok(())
}

fn symbolic_links() -> Outcome {
    let folder = Folder::new("symlinks")?;
    std::fs::write(folder.path("f"), "text")?;
    sys!(symlink(c"f".as_ptr(), folder.c("l").as_ptr()));
    equal!(std::fs::read_to_string(folder.path("l"))?, "text");
    let mut buffer = [0_u8; 10];
    equal!(sys!(readlink(folder.c("l").as_ptr(), buffer.as_mut_ptr().cast(), 10)), 1);
    equal!(buffer[0], b'f');
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(lstat(folder.c("l").as_ptr(), &mut stat));
    equal!((stat.st_mode & libc::S_IFMT, stat.st_size), (libc::S_IFLNK, 1));
    fails!(EINVAL, readlink(folder.c("f").as_ptr(), buffer.as_mut_ptr().cast(), 10));
    fails!(EEXIST, symlink(c"f".as_ptr(), folder.c("l").as_ptr()));
    fails!(ELOOP, open(folder.c("l").as_ptr(), libc::O_RDONLY | libc::O_NOFOLLOW));
    sys!(symlink(c"nowhere".as_ptr(), folder.c("broken").as_ptr()));
    fails!(ENOENT, open(folder.c("broken").as_ptr(), libc::O_RDONLY));
    // Writing through it makes its target.
    std::fs::write(folder.path("broken"), "made")?;
    equal!(std::fs::read_to_string(folder.path("nowhere"))?, "made");
    sys!(unlink(folder.c("l").as_ptr()));
    equal!(std::fs::read_to_string(folder.path("f"))?, "text");
    sys!(mkdir(folder.c("d").as_ptr(), 0o755));
    sys!(symlink(c"../d".as_ptr(), folder.c("d/up").as_ptr()));
    std::fs::write(folder.path("d/up/up/g"), "deep")?;
    equal!(std::fs::read_to_string(folder.path("d/g"))?, "deep");
    Ok(())
}

fn loops_of_links() -> Outcome {
    let folder = Folder::new("loops")?;
    sys!(symlink(c"b".as_ptr(), folder.c("a").as_ptr()));
    sys!(symlink(c"a".as_ptr(), folder.c("b").as_ptr()));
    fails!(ELOOP, open(folder.c("a").as_ptr(), libc::O_RDONLY));
    fails!(ELOOP, open(folder.c("a/x").as_ptr(), libc::O_RDONLY));
    // 40 in a row are the most.
    std::fs::write(folder.path("l0"), "x")?;
    for number in 1..=41 {
        let target = format!("l{}", number - 1);
        sys!(symlink(c(&target).as_ptr(), folder.c(&format!("l{number}")).as_ptr()));
    }
    sys!(open(folder.c("l40").as_ptr(), libc::O_RDONLY));
    fails!(ELOOP, open(folder.c("l41").as_ptr(), libc::O_RDONLY));
    Ok(())
}

fn renaming() -> Outcome {
    let folder = Folder::new("renaming")?;
    let rename = |from: &str, to: &str| -> Outcome {
        sys!(rename(folder.c(from).as_ptr(), folder.c(to).as_ptr()));
        Ok(())
    };
    std::fs::write(folder.path("a"), "a")?;
    std::fs::write(folder.path("b"), "b")?;
    rename("a", "b")?;
    equal!(std::fs::read_to_string(folder.path("b"))?, "a");
    fails!(ENOENT, open(folder.c("a").as_ptr(), libc::O_RDONLY));
    rename("b", "b")?;
    std::fs::create_dir(folder.path("d"))?;
    std::fs::create_dir(folder.path("empty"))?;
    std::fs::write(folder.path("d/f"), "f")?;
    rename("d", "empty")?;
    equal!(std::fs::read_to_string(folder.path("empty/f"))?, "f");
    rename("b", "empty/b")?;
    equal!(std::fs::read_to_string(folder.path("empty/b"))?, "a");
    // `..` follows.
    std::fs::create_dir_all(folder.path("x/y"))?;
    std::fs::create_dir(folder.path("z"))?;
    rename("x/y", "z/y")?;
    check!(std::fs::metadata(folder.path("z/y/../y"))?.is_dir());
    // Links of the same file stay two.
    sys!(link(folder.c("empty/b").as_ptr(), folder.c("b2").as_ptr()));
    rename("empty/b", "b2")?;
    equal!(std::fs::read_to_string(folder.path("empty/b"))?, "a");
    Ok(())
}

fn renaming_is_refused() -> Outcome {
    let folder = Folder::new("refused")?;
    std::fs::create_dir_all(folder.path("d/e"))?;
    std::fs::create_dir(folder.path("full"))?;
    std::fs::write(folder.path("full/f"), "")?;
    std::fs::write(folder.path("f"), "")?;
    fails!(EINVAL, rename(folder.c("d").as_ptr(), folder.c("d/e/g").as_ptr()));
    fails!(ENOTEMPTY, rename(folder.c("d").as_ptr(), folder.c("full").as_ptr()));
    fails!(ENOTDIR, rename(folder.c("d").as_ptr(), folder.c("f").as_ptr()));
    fails!(EISDIR, rename(folder.c("f").as_ptr(), folder.c("d").as_ptr()));
    fails!(ENOENT, rename(folder.c("nothing").as_ptr(), folder.c("x").as_ptr()));
    fails!(ENOTEMPTY, rename(folder.c("d/e").as_ptr(), folder.c("d").as_ptr()));
    fails!(EXDEV, rename(folder.c("f").as_ptr(), c"/proc/f".as_ptr()));
    Ok(())
}

fn the_working_folder() -> Outcome {
    let folder = Folder::new("working")?;
    std::fs::create_dir(folder.path("d"))?;
    std::fs::write(folder.path("d/f"), "f")?;
    sys!(chdir(folder.c("d").as_ptr()));
    equal!(std::env::current_dir()?.to_string_lossy(), folder.path("d"));
    equal!(std::fs::read_to_string("f")?, "f");
    equal!(std::fs::read_to_string("../d/./f")?, "f");
    let mut buffer = [0_u8; 5];
    crate::raw_fails!(ERANGE, SYS_getcwd, buffer.as_mut_ptr(), 5);
    fork(|| {
        sys!(chdir(c"..".as_ptr()));
        Ok(())
    })?
    .succeeds()?;
    equal!(std::env::current_dir()?.to_string_lossy(), folder.path("d"));
    let here = sys!(open(c".".as_ptr(), libc::O_RDONLY)) as i32;
    sys!(chdir(c"/".as_ptr()));
    sys!(fchdir(here));
    equal!(std::env::current_dir()?.to_string_lossy(), folder.path("d"));
    fails!(ENOTDIR, chdir(c"f".as_ptr()));
    fails!(ENOENT, chdir(c"nothing".as_ptr()));
    // A folder that is gone has no path and takes no files.
    sys!(unlink(c"f".as_ptr()));
    sys!(rmdir(folder.c("d").as_ptr()));
    let mut buffer = [0_u8; 500];
    crate::raw_fails!(ENOENT, SYS_getcwd, buffer.as_mut_ptr(), 500);
    fails!(ENOENT, open(c"new".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o644));
    sys!(chdir(c"/".as_ptr()));
    equal!(std::env::current_dir()?.to_string_lossy(), "/");
    Ok(())
}

fn relative_to_a_descriptor() -> Outcome {
    let folder = Folder::new("relative")?;
    let at = sys!(open(folder.c(".").as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY)) as i32;
    sys!(mkdirat(at, c"d".as_ptr(), 0o755));
    let file = sys!(openat(at, c"d/f".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o644)) as i32;
    check!(std::fs::metadata(folder.path("d/f"))?.is_file());
    fails!(ENOTDIR, openat(file, c"x".as_ptr(), libc::O_RDONLY));
    fails!(EBADF, openat(77, c"x".as_ptr(), libc::O_RDONLY));
    // An absolute path does not care.
    sys!(openat(77, folder.c("d/f").as_ptr(), libc::O_RDONLY));
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(fstatat(at, c"d".as_ptr(), &mut stat, libc::AT_SYMLINK_NOFOLLOW));
    sys!(fstatat(file, c"".as_ptr(), &mut stat, libc::AT_EMPTY_PATH));
    equal!(stat.st_mode & libc::S_IFMT, libc::S_IFREG);
    sys!(renameat(at, c"d/f".as_ptr(), at, c"g".as_ptr()));
    sys!(unlinkat(at, c"g".as_ptr(), 0));
    fails!(EISDIR, unlinkat(at, c"d".as_ptr(), 0));
    sys!(unlinkat(at, c"d".as_ptr(), libc::AT_REMOVEDIR));
    fails!(EINVAL, unlinkat(at, c"d".as_ptr(), 0x1000));
    Ok(())
}

fn dots() -> Outcome {
    // SAFETY: plain data.
    let mut root: libc::stat = unsafe { std::mem::zeroed() };
    let mut above = root;
    sys!(stat(c"/".as_ptr(), &mut root));
    sys!(stat(c"/../..//".as_ptr(), &mut above));
    equal!((root.st_ino, root.st_dev), (above.st_ino, above.st_dev));
    sys!(stat(c"/tmp/..".as_ptr(), &mut above));
    equal!(root.st_ino, above.st_ino);
    let folder = Folder::new("dots")?;
    std::fs::write(folder.path("..."), "x")?;
    equal!(std::fs::read_to_string(folder.path("..."))?, "x");
    Ok(())
}

fn sticky_folders() -> Outcome {
    let path = format!("/tmp/sticky.{}", std::process::id());
    std::fs::write(&path, "x")?;
    sys!(chmod(c(&path).as_ptr(), 0o666));
    let child = fork(|| {
        sys!(setuid(1000));
        fails!(EPERM, unlink(c(&path).as_ptr()));
        fails!(EPERM, rename(c(&path).as_ptr(), c(&format!("{path}.x")).as_ptr()));
        Ok(())
    })?;
    child.succeeds()?;
    std::fs::remove_file(path)?;
    Ok(())
}

fn special_files() -> Outcome {
    let folder = Folder::new("special")?;
    sys!(mknod(folder.c("null").as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
    std::fs::write(folder.path("null"), "gone")?;
    equal!(std::fs::read(folder.path("null"))?, b"");
    sys!(mkfifo(folder.c("fifo").as_ptr(), 0o666));
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(stat(folder.c("fifo").as_ptr(), &mut stat));
    equal!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO);
    fails!(ENXIO, open(folder.c("fifo").as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK));
    sys!(mknod(folder.c("none").as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(200, 77)));
    fails!(ENXIO, open(folder.c("none").as_ptr(), libc::O_RDONLY));
    Ok(())
}

fn statfs_tells() -> Outcome {
    // SAFETY: plain data.
    let mut data: libc::statfs = unsafe { std::mem::zeroed() };
    sys!(statfs(c"/proc".as_ptr(), &mut data));
    equal!(data.f_type as i64, 0x9fa0);
    sys!(statfs(c"/dev/shm".as_ptr(), &mut data));
    equal!(data.f_type as i64, 0x0102_1994);
    check!(data.f_bsize > 0 && data.f_namelen == 255);
    fails!(ENOENT, statfs(c"/nothing".as_ptr(), &mut data));
    Ok(())
}

fn deep_paths() -> Outcome {
    let folder = Folder::new("deep")?;
    sys!(chdir(folder.c(".").as_ptr()));
    for _ in 0..100 {
        sys!(mkdir(c"a-folder-in-a-folder".as_ptr(), 0o755));
        sys!(chdir(c"a-folder-in-a-folder".as_ptr()));
    }
    equal!(std::env::current_dir()?.to_string_lossy().len(), folder.0.len() + 100 * 21);
    sys!(chdir(folder.c(".").as_ptr()));
    std::fs::remove_dir_all("a-folder-in-a-folder")?;
    Ok(())
}

fn mounts() -> Outcome {
    let folder = Folder::new("mounts")?;
    std::fs::write(folder.path("below"), "x")?;
    let none = std::ptr::null();
    sys!(mount(c"tmpfs".as_ptr(), folder.c(".").as_ptr(), c"tmpfs".as_ptr(), 0, none));
    std::fs::write(folder.path("above"), "y")?;
    fails!(ENOENT, open(folder.c("below").as_ptr(), libc::O_RDONLY));
    let listed = std::fs::read_to_string("/proc/mounts")?;
    check!(listed.lines().any(|line| line.starts_with(&format!("tmpfs {} tmpfs ", folder.0))), "{listed}");
    let held = sys!(open(folder.c("above").as_ptr(), libc::O_RDONLY)) as i32;
    fails!(EBUSY, umount(folder.c(".").as_ptr()));
    sys!(close(held));
    sys!(umount(folder.c(".").as_ptr()));
    check!(std::fs::metadata(folder.path("below"))?.is_file());
    fails!(EINVAL, umount(folder.c(".").as_ptr()));
    fails!(ENODEV, mount(c"x".as_ptr(), folder.c(".").as_ptr(), c"nosuchfs".as_ptr(), 0, none));
    Ok(())
}
