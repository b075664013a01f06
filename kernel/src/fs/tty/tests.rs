//! The terminal with threads: who waits, and what ends the wait. On the host no program runs: everybody
//! is the kernel, which job control lets do all.

use super::termios::Termios;
use super::*;
use crate::addr::VirtAddr;
use crate::arch::current::timer;
use crate::fs::{Dest, Source, UserMemory, file::Ioctl};
use linux_raw_sys::{general as raw, ioctl};
use std::sync::Mutex as HostMutex;

fn token() -> MaySleep {
    // SAFETY: a thread of the host's tests may sleep; one token per use.
    unsafe { MaySleep::mint() }
}

fn tty(driver: Driver) -> Arc<Tty> {
    Arc::new(Tty::new(DevNo::new(5, 1), driver).expect("memory"))
}

fn read(tty: &Tty, nonblocking: bool, most: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; most];
    let count = tty.read(&mut token(), nonblocking, &mut Dest::slice(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

fn type_in(tty: &Tty, keys: &[u8]) {
    keys.iter().for_each(|&key| tty.key(&mut token(), key));
}

/// A program's memory at address 0.
struct Memory(HostMutex<[u8; 64]>);

impl UserMemory for Memory {
    fn read(&self, _: &mut MaySleep, from: VirtAddr, into: &mut [u8]) -> Result<(), Errno> {
        let at = from.get() as usize;
        let all = self.0.lock().expect("no panic");
        into.copy_from_slice(all.get(at..at + into.len()).ok_or(Errno::EFAULT)?);
        Ok(())
    }
    fn write(&self, _: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        let at = to.get() as usize;
        let mut all = self.0.lock().expect("no panic");
        all.get_mut(at..at + from.len()).ok_or(Errno::EFAULT)?.copy_from_slice(from);
        Ok(())
    }
}

fn request(tty: &Arc<Tty>, command: u32, argument: u64, memory: &Memory) -> Result<u64, Errno> {
    tty.request(&mut token(), &Ioctl { command, argument, memory })
}

fn set(tty: &Arc<Tty>, settings: Termios) {
    let memory = Memory(HostMutex::new([0; 64]));
    memory.0.lock().expect("no panic")[..termios::SIZE].copy_from_slice(settings.bytes());
    request(tty, ioctl::TCSETS, 0, &memory).expect("any settings are good");
}

fn raw_mode(least: u8, time: u8) -> Termios {
    Termios::new()
        .changed((0, raw::ICRNL), (0, 0), (0, raw::ICANON | raw::ECHO))
        .with_key(raw::VMIN, least)
        .with_key(raw::VTIME, time)
}

#[test]
fn a_reader_waits_for_a_line() {
    let tty = tty(|_| ());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&tty, false, 100));
        type_in(&tty, b"hello\n");
        assert_eq!(reader.join().expect("no panic"), Ok(b"hello\n".to_vec()));
    });
    assert_eq!(read(&tty, true, 100), Err(Errno::EAGAIN));
    type_in(&tty, b"\x04");
    assert_eq!(read(&tty, true, 100), Ok(vec![]));
}

#[test]
fn long_lines_and_small_buffers() {
    let tty = tty(|_| ());
    let line: Vec<u8> = (0..1000).map(|i| b'a' + (i % 26) as u8).chain([b'\n']).collect();
    type_in(&tty, &line);
    type_in(&tty, b"next\n");
    assert_eq!(read(&tty, false, 5000), Ok(line.clone()));
    assert_eq!(read(&tty, false, 2), Ok(b"ne".to_vec()));
    assert_eq!(read(&tty, false, 0), Ok(vec![]));
    assert_eq!(read(&tty, false, 5000), Ok(b"xt\n".to_vec()));
}

#[test]
fn raw_reads_are_as_patient_as_vmin_and_vtime_say() {
    let tty = tty(|_| ());
    set(&tty, raw_mode(0, 0));
    assert_eq!(read(&tty, false, 9), Ok(vec![]), "nothing, at once");
    set(&tty, raw_mode(0, 1));
    let before = timer::now();
    assert_eq!(read(&tty, false, 9), Ok(vec![]));
    assert!(timer::now() - before >= 100_000_000);
    set(&tty, raw_mode(3, 0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&tty, false, 9));
        type_in(&tty, b"a");
        type_in(&tty, b"bc");
        assert_eq!(reader.join().expect("no panic"), Ok(b"abc".to_vec()));
    });
    // Less than VMIN, and then nothing for a while.
    set(&tty, raw_mode(3, 1));
    type_in(&tty, b"a");
    assert_eq!(read(&tty, false, 9), Ok(b"a".to_vec()));
    type_in(&tty, b"ab");
    set(&tty, raw_mode(3, 0));
    assert_eq!(read(&tty, true, 9), Ok(b"ab".to_vec()), "what there is, rather than EAGAIN");
    type_in(&tty, b"ab");
    assert_eq!(read(&tty, false, 2), Ok(b"ab".to_vec()), "a full buffer ends the read");
}

#[test]
fn who_types_too_much_waits() {
    let tty = tty(|_| ());
    set(&tty, raw_mode(1, 0));
    std::thread::scope(|scope| {
        let typist = scope.spawn(|| type_in(&tty, &[b'x'; 10_000]));
        let mut seen = 0;
        while seen < 10_000 {
            seen += read(&tty, false, 700).expect("keys").len();
        }
        typist.join().expect("no panic");
    });
    assert_eq!(read(&tty, true, 10), Err(Errno::EAGAIN));
}

#[test]
fn output_waits_while_it_is_stopped() {
    static SEEN: HostMutex<Vec<u8>> = HostMutex::new(Vec::new());
    let tty = tty(|bytes| SEEN.lock().expect("no panic").extend_from_slice(bytes));
    let write = |text: &[u8], nonblocking| tty.write(&mut token(), nonblocking, &mut Source::slice(text));
    type_in(&tty, b"\x13");
    assert_eq!(write(b"a\n", true), Err(Errno::EAGAIN));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&[b'y'; 700], false));
        type_in(&tty, b"\x11");
        assert_eq!(writer.join().expect("no panic"), Ok(700));
    });
    assert_eq!(write(b"a\n", true), Ok(2));
    let seen = SEEN.lock().expect("no panic");
    assert_eq!((seen.len(), &seen[700..]), (703, b"a\r\n".as_slice()));
}

#[test]
fn requests() {
    let tty = tty(|_| ());
    let memory = Memory(HostMutex::new([0; 64]));
    assert_eq!(request(&tty, ioctl::TCGETS, 0, &memory), Ok(0));
    assert_eq!(memory.0.lock().expect("no panic")[..termios::SIZE], *Termios::new().bytes());
    assert_eq!(request(&tty, ioctl::TCGETS, 60, &memory), Err(Errno::EFAULT));
    assert_eq!(request(&tty, ioctl::TIOCGWINSZ, 0, &memory), Ok(0));
    let size = |memory: &Memory| {
        let bytes = memory.0.lock().expect("no panic");
        [u16::from_ne_bytes([bytes[0], bytes[1]]), u16::from_ne_bytes([bytes[2], bytes[3]])]
    };
    assert_eq!(size(&memory), [24, 80]);
    memory.0.lock().expect("no panic")[..2].copy_from_slice(&50_u16.to_ne_bytes());
    assert_eq!(request(&tty, ioctl::TIOCSWINSZ, 0, &memory), Ok(0));
    assert_eq!(request(&tty, ioctl::TIOCGWINSZ, 32, &memory), Ok(0));
    assert_eq!(size(&memory), [50, 80]);
    type_in(&tty, b"abc\n");
    assert_eq!(request(&tty, ioctl::TCFLSH, 7, &memory), Err(Errno::EINVAL));
    assert_eq!(request(&tty, ioctl::TCFLSH, raw::TCIFLUSH.into(), &memory), Ok(0));
    assert_eq!(read(&tty, true, 9), Err(Errno::EAGAIN));
    // No program, no session.
    assert_eq!(request(&tty, ioctl::TIOCGPGRP, 0, &memory), Err(Errno::ENOTTY));
    assert_eq!(request(&tty, 0x1234, 0, &memory), Err(Errno::ENOTTY));
}
