use super::cpio::testing::{append, end, example, file};
use super::*;
use crate::fs::Place;
use crate::fs::buffer::Dest;
use crate::fs::file::{File, OpenFlags};
use crate::fs::tmpfs::Options;
use crate::fs::tmpfs::tests::{mounted, token};
use crate::fs::walk::{Last, Walk};

fn unpacked(archive: Vec<u8>) -> (Arc<Tmpfs>, Place, Unpacked, Result<(), Problem>) {
    let (tmpfs, root) = mounted(&Options::NONE);
    let (unpacked, result) = unpack(&mut token(), Box::leak(archive.into_boxed_slice()), &tmpfs);
    (tmpfs, root, unpacked, result)
}

fn find(root: &Place, path: &str) -> Result<Place, Errno> {
    let walk = Walk { who: Access::ROOT, root: root.clone(), start: root.clone() };
    walk.resolve(&mut token(), path.as_bytes(), Last::Stay)
}

fn contents(root: &Place, path: &str) -> Vec<u8> {
    let ctx = &mut token();
    let place = find(root, path).expect("there");
    let ops = place.inode.clone().open(ctx, OpenFlags::READ).expect("a file");
    let file = File::new(place, None, OpenFlags::READ, ops).expect("memory");
    let mut bytes = vec![0; 10_000];
    let len = file.read(ctx, &mut Dest::slice(&mut bytes)).expect("read");
    bytes.truncate(len);
    bytes
}

#[test]
fn an_archive_becomes_a_tree() {
    let (tmpfs, root, unpacked, result) = unpacked(example());
    // `dev` is not in the archive: what lies in it is left out.
    assert_eq!(result, Ok(()));
    assert_eq!(unpacked, Unpacked { entries: 4, bytes: 22, skipped: 1 });
    assert_eq!(contents(&root, "/etc/passwd"), b"root:x:0:0::/:/bin/sh\n");
    assert_eq!(find(&root, "link").expect("there").inode.readlink(&mut token()), Ok(b"etc/passwd".to_vec()));
    let attr = find(&root, "etc/passwd").expect("there").attr(&mut token()).expect("attributes");
    assert_eq!((attr.mode.bits(), attr.mtime.seconds, attr.blocks), (0o644, 77, 0));
    assert_eq!(tmpfs.frames(), 0, "nothing is copied");
}

#[test]
fn later_entries_win_and_hard_links_are_one_file() {
    let mut archive = Vec::new();
    file(&mut archive, 1, 0o040755, "./d", &[]);
    file(&mut archive, 2, 0o100600, "./d/f", b"old");
    file(&mut archive, 3, 0o100755, "d//f", b"new");
    file(&mut archive, 4, 0o040700, "/d", &[]);
    // The bytes come with the last name, as GNU's cpio writes them.
    append(&mut archive, [9, 0o100644, 0, 0, 2, 0, 0, 8, 1, 0, 0], "one", &[]);
    append(&mut archive, [9, 0o100644, 0, 0, 2, 0, 0, 8, 1, 0, 0], "two", b"both");
    append(&mut archive, [9, 0o100644, 0, 0, 2, 0, 0, 8, 2, 0, 0], "other", b"alone");
    end(&mut archive);
    let (_, root, unpacked, result) = unpacked(archive);
    assert_eq!((result, unpacked.skipped), (Ok(()), 0));
    assert_eq!(contents(&root, "/d/f"), b"new");
    assert_eq!(find(&root, "d").expect("there").attr(&mut token()).expect("attributes").mode.bits(), 0o700);
    let (one, two) = (find(&root, "one").expect("there"), find(&root, "two").expect("there"));
    assert!(one.is(&two));
    assert_eq!(one.attr(&mut token()).expect("attributes").nlink, 2);
    assert_eq!((contents(&root, "one"), contents(&root, "other")), (b"both".to_vec(), b"alone".to_vec()));
}

#[test]
fn what_is_wrong_is_told_and_what_came_before_stays() {
    let mut archive = example();
    archive.truncate(350);
    let (_, root, unpacked, result) = unpacked(archive);
    let Err(Problem::Archive(error)) = result else { panic!("{result:?}") };
    assert!(error.at <= 350 && unpacked.entries >= 2, "{error}");
    assert_eq!(contents(&root, "etc/passwd").len(), 22);
    let (.., result) = unpacked_garbage();
    assert_eq!(
        result.map_err(|problem| problem.to_string()),
        Err("cpio, byte 0: this is no newc header (070701)".to_string())
    );
}

fn unpacked_garbage() -> (Arc<Tmpfs>, Place, Unpacked, Result<(), Problem>) {
    unpacked(vec![b'x'; 4096])
}

#[test]
fn entries_that_make_no_sense_are_left_out() {
    let mut archive = Vec::new();
    file(&mut archive, 1, 0o100644, "f", b"x");
    for (mode, name) in [
        (0o100644, "../out"),
        (0o100644, "f/under"),
        (0o100644, "no/such"),
        (0o000644, "typeless"),
        (0o130644, "odd"),
    ] {
        file(&mut archive, 2, mode, name, b"y");
    }
    file(&mut archive, 3, 0o100644, &"n".repeat(256), b"y");
    file(&mut archive, 4, 0o040711, ".", &[]);
    end(&mut archive);
    let (_, root, unpacked, result) = unpacked(archive);
    assert_eq!((result, unpacked.entries, unpacked.skipped), (Ok(()), 8, 6));
    assert_eq!(root.attr(&mut token()).expect("attributes").mode.bits(), 0o711);
}

proptest::proptest! {
    #[test]
    fn no_mutant_panics(changes in proptest::collection::vec((0_usize..2048, proptest::prelude::any::<u8>()), 1..6)) {
        let mut archive = example();
        let len = archive.len();
        for (at, byte) in changes {
            archive[at % len] = byte;
        }
        let _ = unpacked(archive);
    }
}
