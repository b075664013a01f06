//! Pipes, and polling them.

use super::*;
use crate::fs::buffer::{Dest, Source};
use crate::fs::file::Seek;
use crate::fs::pipe::{CAPACITY, PIPE_BUF, pipe};
use crate::fs::poll::{Events, PollTable, poll_until};
use crate::sync::MaySleep;
use std::time::Duration;

fn ends(flags: u32) -> (Arc<File>, Arc<File>) {
    pipe(OpenFlags::new(flags), 1, 2).expect("memory")
}
fn write(file: &File, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(&mut token(), &mut Source::slice(bytes))
}
fn read(file: &File, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let done = file.read(&mut token(), &mut Dest::slice(&mut bytes))?;
    bytes.truncate(done);
    Ok(bytes)
}
fn events(file: &File) -> Events {
    file.poll(&mut token(), &mut PollTable::looking())
}

#[test]
fn what_goes_in_comes_out() {
    let (reading, writing) = ends(linux::O_NONBLOCK);
    assert_eq!(read(&reading, 10), Err(Errno::EAGAIN));
    assert_eq!(write(&writing, b"hello"), Ok(5));
    assert_eq!(read(&reading, 2), Ok(b"he".to_vec()));
    assert_eq!(write(&writing, b"!"), Ok(1));
    assert_eq!(read(&reading, 100), Ok(b"llo!".to_vec()));
    assert_eq!(write(&writing, b""), Ok(0));
    assert_eq!(read(&reading, 0), Ok(vec![]));
    assert_eq!(write(&reading, b"x"), Err(Errno::EBADF));
    assert_eq!(read(&writing, 1), Err(Errno::EBADF));
    assert_eq!(reading.seek(&mut token(), Seek::Set(0)), Err(Errno::ESPIPE));
    assert_eq!(reading.read_at(&mut token(), 0, &mut Dest::slice(&mut [0])), Err(Errno::ESPIPE));
    let attr = reading.inode().attr(&mut token()).expect("attributes");
    assert_eq!((attr.kind, attr.uid, attr.gid, attr.mode.bits()), (crate::fs::Kind::Fifo, 1, 2, 0o600));
}

#[test]
fn a_small_write_is_whole_or_not_at_all() {
    let (reading, writing) = ends(linux::O_NONBLOCK);
    let filler = vec![1; CAPACITY - 100];
    assert_eq!(write(&writing, &filler), Ok(filler.len()));
    assert_eq!(write(&writing, &[2; 101]), Err(Errno::EAGAIN), "100 bytes of room");
    assert_eq!(write(&writing, &[2; PIPE_BUF + 1]), Ok(100), "a long one goes in as far as it can");
    assert_eq!(write(&writing, &[3]), Err(Errno::EAGAIN));
    assert!(!events(&writing).contains(Events::OUT));
    assert_eq!(read(&reading, PIPE_BUF - 1).map(|bytes| bytes.len()), Ok(PIPE_BUF - 1));
    assert!(!events(&writing).contains(Events::OUT), "a whole write might not fit");
    assert_eq!(read(&reading, 1).map(|bytes| bytes.len()), Ok(1));
    assert!(events(&writing).contains(Events::OUT));
    assert_eq!(write(&writing, &[4; PIPE_BUF]), Ok(PIPE_BUF));
}

#[test]
fn the_end_of_an_end_is_seen_at_the_other() {
    let (reading, writing) = ends(0);
    assert_eq!(events(&reading), Events::empty());
    write(&writing, b"last").expect("room");
    drop(writing);
    assert_eq!(events(&reading), Events::READABLE | Events::HUP);
    assert_eq!(read(&reading, 10), Ok(b"last".to_vec()));
    assert_eq!(read(&reading, 10), Ok(vec![]));
    assert_eq!(events(&reading), Events::HUP);
    let (reading, writing) = ends(0);
    drop(reading);
    assert_eq!(write(&writing, b"x"), Err(Errno::EPIPE));
    assert!(events(&writing).contains(Events::ERR));
}

#[test]
fn the_last_words_of_a_writer_are_read() {
    for _ in 0..3000 {
        let (reading, writing) = ends(0);
        std::thread::scope(|scope| {
            scope.spawn(move || write(&writing, b"x"));
            assert_eq!(read(&reading, 1), Ok(b"x".to_vec()));
        });
    }
}

#[test]
fn threads_through_a_pipe() {
    let (reading, writing) = ends(0);
    const EACH: usize = 300;
    let lens = [1, 7, 100, PIPE_BUF];
    std::thread::scope(|scope| {
        for (number, len) in (0_u8..).zip(lens) {
            let writing = &writing;
            // Each writes records of one byte repeated: a whole record is never torn.
            scope.spawn(move || {
                (0..EACH).for_each(|_| assert_eq!(write(writing, &vec![number; len]), Ok(len)))
            });
        }
        let mut counts = [0; 4];
        let mut bytes = Vec::new();
        let total: usize = lens.iter().map(|len| len * EACH).sum();
        while bytes.len() < total {
            bytes.extend(read(&reading, 10_000).expect("open"));
        }
        let mut rest = &bytes[..];
        while let Some(&number) = rest.first() {
            let record = &rest[..lens[usize::from(number)]];
            assert!(record.iter().all(|&byte| byte == number), "a record of {number} is torn");
            counts[usize::from(number)] += 1;
            rest = &rest[record.len()..];
        }
        assert_eq!(counts, [EACH; 4]);
    });
}

#[test]
fn a_writer_who_waits_is_told_that_nobody_reads() {
    let (reading, writing) = ends(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&writing, &vec![1; 2 * CAPACITY]));
        assert_eq!(read(&reading, 1000).map(|bytes| bytes.len()), Ok(1000));
        drop(reading);
        let done = writer.join().expect("no panic").expect("some were written");
        assert!((1000..2 * CAPACITY).contains(&done));
    });
}

#[test]
fn a_named_pipe_waits_for_its_other_end() {
    let world = World::new();
    world.make("/fifo", What::Fifo, 0o666).expect("made");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let file = world.open("/fifo", linux::O_WRONLY).expect("a reader comes");
            write(&file, b"hello").expect("room");
        });
        let file = world.open("/fifo", linux::O_RDONLY).expect("a writer comes");
        assert_eq!(read(&file, 100), Ok(b"hello".to_vec()));
        writer.join().expect("no panic");
        assert_eq!(read(&file, 100), Ok(vec![]));
    });
    let both = world.open("/fifo", linux::O_RDWR).expect("never waits");
    write(&both, b"self").expect("room");
    assert_eq!(read(&both, 10), Ok(b"self".to_vec()));
    write(&both, b"lost").expect("room");
    drop(both);
    let again = world.open("/fifo", linux::O_RDWR | linux::O_NONBLOCK).expect("opened");
    assert_eq!(read(&again, 10), Err(Errno::EAGAIN), "with its last end its bytes are gone");
}

#[test]
fn polling_waits_for_the_first() {
    let (first, second) = (ends(0), ends(0));
    let look = |ctx: &mut MaySleep, table: &mut PollTable| {
        let found = [&first.0, &second.0].map(|file| file.poll(ctx, table).contains(Events::IN));
        Ok(Some(found).filter(|found| found.contains(&true)))
    };
    let ctx = &mut token();
    assert_eq!(poll_until(ctx, Some(0), || false, look), Ok(None));
    let soon = crate::arch::current::timer::now() + 1_000_000;
    assert_eq!(poll_until(ctx, Some(soon), || false, look), Ok(None), "late");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            write(&second.1, b"x").expect("room");
        });
        assert_eq!(poll_until(ctx, None, || false, look), Ok(Some([false, true])));
    });
    read(&second.0, 1).expect("there");
    assert_eq!(poll_until(ctx, None, || true, look), Err(Errno::EINTR));
}
