//! Walking and opening.

use super::*;
use crate::fs::attr::Kind;
use crate::fs::buffer::{Dest, Source};
use crate::fs::file::Seek;
use crate::fs::mount::Mount;
use crate::fs::walk::{path_of_directory, path_of_file};

#[test]
fn paths_lead_where_linux_leads() {
    let world = World::new();
    world.mkdir("/a").expect("made");
    world.mkdir("/a/b").expect("made");
    world.touch("/a/b/f").expect("made");
    let f = world.ino("/a/b/f").expect("there");
    for same in ["a/b/f", "//a///b//f", "/a/./b/../b/f", "/../../a/b/f", "./a/b/./f"] {
        assert_eq!(world.ino(same), Ok(f), "{same}");
    }
    assert_eq!(world.inside("/a").ino("b/f"), Ok(f));
    assert_eq!(world.ino("/"), world.ino("/.."));
    assert_eq!(world.ino("a/b/"), world.ino("a/b"));
    for (path, error) in [
        ("", Errno::ENOENT),
        ("no", Errno::ENOENT),
        ("no/f", Errno::ENOENT),
        ("a/b/f/", Errno::ENOTDIR),
        ("a/b/f/x", Errno::ENOTDIR),
        ("a/b/f/..", Errno::ENOTDIR),
        ("a/b/f/.", Errno::ENOTDIR),
        ("no/", Errno::ENOENT),
    ] {
        assert_eq!(world.ino(path), Err(error), "{path}");
    }
    assert_eq!(world.ino(&"n".repeat(255)), Err(Errno::ENOENT));
    assert_eq!(world.ino(&"n".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.ino(&"a/../".repeat(818)), world.ino("/"), "4090 bytes");
    assert_eq!(world.ino(&"a/../".repeat(820)), Err(Errno::ENAMETOOLONG), "4100 bytes");
}

#[test]
fn links_are_followed_and_counted() {
    let world = World::new();
    world.mkdir("/d").expect("made");
    world.touch("/d/f").expect("made");
    for (text, path) in [
        ("f", "/d/relative"),
        ("/d/f", "/absolute"),
        ("d", "/directory"),
        ("d/", "/slash"),
        ("nothing", "/dangling"),
        ("loop2", "/loop1"),
        ("loop1", "/loop2"),
        ("d/f", "/file"),
    ] {
        world.symlink(text, path).expect("made");
    }
    let f = world.ino("/d/f").expect("there");
    for path in
        ["d/relative", "absolute", "directory/f", "directory/relative", "slash/f", "/directory/../d/f"]
    {
        assert_eq!(world.ino(path), Ok(f), "{path}");
    }
    assert_eq!(world.ino("dangling"), Err(Errno::ENOENT));
    assert_eq!(world.ino("loop1"), Err(Errno::ELOOP));
    assert_eq!(world.ino("loop1/x"), Err(Errno::ELOOP));
    assert_eq!(world.ino("file/"), Err(Errno::ENOTDIR));
    assert_eq!(world.ino("directory/"), world.ino("d"));
    let stay = |path: &str| {
        world.walk.resolve(&mut token(), path.as_bytes(), Last::Stay).map(|place| place.inode.kind())
    };
    assert_eq!(stay("directory"), Ok(Kind::Link));
    assert_eq!(stay("directory/"), Ok(Kind::Directory), "a slash follows");
    assert_eq!(stay("dangling"), Ok(Kind::Link));
    // Forty links are followed, and not one more.
    world.symlink("d", "/l0").expect("made");
    for i in 1..=40 {
        world.symlink(&format!("l{}", i - 1), &format!("/l{i}")).expect("made");
    }
    assert_eq!(world.ino("l39"), world.ino("d"));
    assert_eq!(world.ino("l40"), Err(Errno::ELOOP));
}

#[test]
fn searching_needs_permission_all_the_way() {
    let world = World::new();
    world.make("/closed", What::Directory, 0o700).expect("made");
    world.make("/closed/open", What::Directory, 0o777).expect("made");
    let other = world.by(5);
    assert_eq!(other.ino("/closed/open"), Err(Errno::EACCES));
    assert_eq!(other.ino("/closed/no"), Err(Errno::EACCES), "not even whether it is there");
    assert_eq!(other.ino("/closed").map(drop), Ok(()));
    assert_eq!(other.starting(&world, "/closed/open").ino("."), world.ino("/closed/open"));
    assert_eq!(other.starting(&world, "/closed/open").ino("../open"), Err(Errno::EACCES));
}

impl World {
    /// As this one, from a directory that another finds.
    fn starting(&self, finder: &World, path: &str) -> Self {
        let start = finder.find(path).expect("there");
        Self { tmpfs: self.tmpfs.clone(), walk: Walk { start, ..self.walk.clone() } }
    }
}

#[test]
fn mounts_are_crossed_both_ways() {
    let world = World::new();
    world.mkdir("/m").expect("made");
    world.touch("/m/below").expect("made");
    let covered = world.find("/m").expect("there");
    let inner =
        crate::fs::tmpfs::Tmpfs::new(crate::fs::tmpfs::tests::memory(), &Options::NONE).expect("memory");
    let mount = Mount::attach(&covered, inner, b"none", 0).expect("mounted");
    assert_eq!(world.ino("/m/below"), Err(Errno::ENOENT), "it is covered");
    world.mkdir("/m/x").expect("made");
    assert!(world.find("/m/x/../..").expect("there").is(&world.walk.root));
    assert!(world.find("/m/..").expect("there").is(&world.walk.root));
    let ctx = &mut token();
    let x = world.find("/m/x").expect("there");
    assert_eq!(path_of_directory(ctx, &x, &world.walk.root), Ok(b"/m/x".to_vec()));
    assert_eq!(path_of_directory(ctx, &x, &x), Ok(b"/".to_vec()));
    assert_eq!(path_of_directory(ctx, &world.walk.root, &x), Ok(b"(unreachable)/".to_vec()));
    assert_eq!(name_calls::rmdir(ctx, &world.walk, b"/m"), Err(Errno::EBUSY));
    let renamed = name_calls::rename(ctx, (&world.walk, b"/m"), (&world.walk, b"/n"), Default::default());
    assert_eq!(renamed, Err(Errno::EBUSY));
    world.touch("/f").expect("made");
    let f = world.find("/f").expect("there");
    assert_eq!(name_calls::link(ctx, &f, &world.walk, b"/m/f"), Err(Errno::EXDEV));
    // A root that something is mounted below is in use; so is a mount in which somebody stands.
    assert_eq!(mount.detach(false), Err(Errno::EBUSY));
    drop(x);
    assert_eq!(mount.detach(false), Ok(()));
    assert!(world.ino("/m/below").is_ok(), "it is there again");
    assert_eq!(mount.detach(false), Err(Errno::EINVAL));
}

#[test]
fn a_changed_root_is_not_left() {
    let world = World::new();
    world.mkdir("/jail").expect("made");
    world.touch("/jail/f").expect("made");
    world.symlink("/f", "/jail/link").expect("made");
    let jail = world.find("/jail").expect("there");
    let inside = World {
        tmpfs: world.tmpfs.clone(),
        walk: Walk { who: Access::ROOT, root: jail.clone(), start: jail },
    };
    let f = world.ino("/jail/f");
    for path in ["/f", "../f", "/../../f", "/link", "./.././f"] {
        assert_eq!(inside.ino(path), f, "{path}");
    }
}

#[test]
fn opening_says_what_linux_says() {
    use linux::{O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
    let world = World::new();
    world.mkdir("/d").expect("made");
    world.touch("/f").expect("made");
    for (text, path) in [("f", "/link"), ("new", "/makes"), ("d", "/dlink")] {
        world.symlink(text, path).expect("made");
    }
    world.make("/secret", What::File, 0o600).expect("made");
    world.make("/fifo", What::Fifo, 0o666).expect("made");
    world.make("/socket", What::Socket, 0o666).expect("made");
    let error = |path: &str, flags: u32| world.open(path, flags).map(drop);
    assert_eq!(error("no", O_RDONLY), Err(Errno::ENOENT));
    assert_eq!(error("f", O_RDONLY | O_DIRECTORY), Err(Errno::ENOTDIR));
    assert_eq!(error("d", O_WRONLY), Err(Errno::EISDIR));
    assert_eq!(error("d", O_RDONLY), Ok(()));
    assert_eq!(error("d", O_RDONLY | O_CREAT), Err(Errno::EISDIR));
    assert_eq!(error("d", O_RDONLY | O_TRUNC), Err(Errno::EISDIR));
    assert_eq!(error("new/", O_RDWR | O_CREAT), Err(Errno::EISDIR));
    assert_eq!(error(".", O_RDWR | O_CREAT), Err(Errno::EISDIR));
    assert_eq!(error("f", O_RDWR | O_CREAT | O_EXCL), Err(Errno::EEXIST));
    assert_eq!(error("link", O_RDWR | O_CREAT | O_EXCL), Err(Errno::EEXIST));
    assert_eq!(error("makes", O_RDWR | O_CREAT | O_EXCL), Err(Errno::EEXIST), "even if it dangles");
    assert_eq!(error("link", O_RDONLY | O_NOFOLLOW), Err(Errno::ELOOP));
    assert_eq!(error("link", O_PATH | O_NOFOLLOW), Ok(()));
    assert_eq!(error("dlink/", O_RDONLY | O_NOFOLLOW), Ok(()), "a slash follows");
    assert_eq!(error("socket", O_RDONLY), Err(Errno::ENXIO));
    assert_eq!(error("fifo", O_WRONLY | linux::O_NONBLOCK), Err(Errno::ENXIO));
    assert_eq!(error("fifo", O_RDONLY | linux::O_NONBLOCK), Ok(()));
    assert_eq!(error("d", O_RDWR | linux::O_TMPFILE), Err(Errno::EOPNOTSUPP));
    // Through a link that dangles the target is made.
    assert_eq!(error("makes", O_RDWR | O_CREAT), Ok(()));
    assert_eq!(world.ino("new"), world.ino("makes"));
    let other = world.by(5);
    assert_eq!(other.open("secret", O_RDONLY).map(drop), Err(Errno::EACCES));
    assert_eq!(other.open("f", O_WRONLY).map(drop), Err(Errno::EACCES));
    assert_eq!(other.open("f", O_RDONLY | O_TRUNC).map(drop), Err(Errno::EACCES), "truncating is writing");
    assert_eq!(other.open("mine", O_RDWR | O_CREAT).map(drop), Err(Errno::EACCES));
    assert_eq!(other.open("secret", O_PATH).map(drop), Ok(()), "a place needs no permission");
    // What is made may be opened whatever its permissions.
    let ctx = &mut token();
    let flags = OpenFlags::new(O_RDWR | O_CREAT);
    let file = open::open(ctx, &world.walk, b"/d/none", flags, Mode::new(0)).expect("made");
    assert_eq!(file.write(ctx, &mut Source::slice(b"x")), Ok(1));
}

#[test]
fn open_files_do_what_their_flags_say() {
    let world = World::new();
    let ctx = &mut token();
    let reader = world.open("/f", linux::O_RDONLY | linux::O_CREAT).expect("made");
    let writer = world.open("/f", linux::O_WRONLY).expect("opened");
    let appender = world.open("/f", linux::O_WRONLY | linux::O_APPEND).expect("opened");
    let place = world.open("/f", linux::O_PATH | linux::O_RDWR).expect("opened");
    assert_eq!(reader.write(ctx, &mut Source::slice(b"x")), Err(Errno::EBADF));
    assert_eq!(writer.read(ctx, &mut Dest::slice(&mut [0; 4])), Err(Errno::EBADF));
    assert_eq!(place.read(ctx, &mut Dest::slice(&mut [0; 4])), Err(Errno::EBADF));
    assert_eq!(place.seek(ctx, Seek::Set(0)), Err(Errno::EBADF));
    assert_eq!(writer.write(ctx, &mut Source::slice(b"hello")), Ok(5));
    assert_eq!(appender.write_at(ctx, 0, &mut Source::slice(b"!")), Ok(1), "appended, as Linux does");
    let mut bytes = [0; 16];
    assert_eq!(reader.read(ctx, &mut Dest::slice(&mut bytes)), Ok(6));
    assert_eq!(&bytes[..6], b"hello!");
    assert_eq!(reader.read(ctx, &mut Dest::slice(&mut bytes)), Ok(0));
    assert_eq!(reader.seek(ctx, Seek::End(-2)), Ok(4));
    assert_eq!(reader.seek(ctx, Seek::Current(-5)), Err(Errno::EINVAL));
    assert_eq!(reader.seek(ctx, Seek::Current(i64::MAX)), Err(Errno::EOVERFLOW));
    assert_eq!(reader.seek(ctx, Seek::Set(1 << 40)), Ok(1 << 40));
    assert_eq!(reader.read(ctx, &mut Dest::slice(&mut bytes)), Ok(0), "behind the end");
    assert_eq!(reader.ops().readable_bytes(ctx, &reader), Some(0));
    let trunc = world.open("/f", linux::O_RDWR | linux::O_TRUNC).expect("opened");
    assert_eq!(trunc.inode().attr(ctx).expect("attributes").size, 0);
    assert_eq!(writer.flags().bits() & linux::O_ACCMODE, linux::O_WRONLY);
    writer.set_flags(OpenFlags::new(linux::O_RDWR | linux::O_NONBLOCK | linux::O_APPEND));
    assert_eq!(writer.flags().bits() & linux::O_ACCMODE, linux::O_WRONLY, "how it is open stays");
    assert!(writer.nonblocking() && writer.flags().append());
}

#[test]
fn an_open_file_knows_its_name() {
    let world = World::new();
    let ctx = &mut token();
    world.mkdir("/a").expect("made");
    world.mkdir("/a/b").expect("made");
    let file = world.inside("/a").open("b/../b/f", linux::O_RDWR | linux::O_CREAT).expect("made");
    let directory = world.open("/a/b", linux::O_RDONLY).expect("opened");
    let root = world.walk.root.clone();
    let path = |ctx: &mut crate::sync::MaySleep, file: &File| {
        path_of_file(ctx, file, &root)
            .map(|path| path.map(|path| String::from_utf8_lossy(&path).into_owned()))
    };
    assert_eq!(path(ctx, &file), Ok(Some("/a/b/f".into())));
    name_calls::rename(ctx, (&world.walk, b"/a"), (&world.walk, b"/c"), Default::default()).expect("moved");
    assert_eq!(path(ctx, &file), Ok(Some("/c/b/f".into())));
    assert_eq!(path(ctx, &directory), Ok(Some("/c/b".into())));
    name_calls::unlink(ctx, &world.walk, b"/c/b/f").expect("there");
    assert_eq!(path(ctx, &file), Ok(Some("/c/b/f (deleted)".into())));
    name_calls::rmdir(ctx, &world.walk, b"/c/b").expect("empty");
    assert_eq!(path_of_directory(ctx, directory.place(), &root), Err(Errno::ENOENT), "getcwd there");
}

#[test]
fn copies_go_from_file_to_file() {
    use crate::fs::copy::copy;
    let world = World::new();
    let ctx = &mut token();
    let from = world.open("/from", linux::O_RDWR | linux::O_CREAT).expect("made");
    let to = world.open("/to", linux::O_RDWR | linux::O_CREAT).expect("made");
    let bytes: Vec<u8> = (0..20_000_u32).map(|i| i as u8).collect();
    from.write(ctx, &mut Source::slice(&bytes)).expect("room");
    let mut offset = 1000;
    assert_eq!(copy(ctx, &from, Some(&mut offset), &to, None, 5000), Ok(5000));
    assert_eq!((offset, from.position(ctx), to.position(ctx)), (6000, 20_000, 5000));
    from.seek(ctx, Seek::Set(19_000)).expect("there");
    assert_eq!(copy(ctx, &from, None, &to, None, 5000), Ok(1000));
    assert_eq!(copy(ctx, &from, None, &to, None, 5000), Ok(0));
    let mut back = vec![0; 6000];
    assert_eq!(to.read_exact_at(ctx, 0, &mut back), Ok(6000));
    assert!(back[..5000] == bytes[1000..6000] && back[5000..] == bytes[19_000..]);
}
