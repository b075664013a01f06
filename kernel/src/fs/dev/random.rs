//! Random numbers for programs: ChaCha20, keyed anew at every request.
//!
//! **The seed.** At boot: 32 bytes of the machine's own generator ([`arch::current::random`]), if it has
//! one, and in any case the time that the boot took. Both machines under QEMU have one, which asks the
//! host. A machine without it has numbers that look random and are no secret; the log says so. No
//! interrupts are gathered: their times under an emulator are anything but independent.
//!
//! **The generator.** 32 bytes are the key; nothing else is kept. A request makes a stream from the key:
//! its first 32 bytes are the new key, the next are handed out. Who reads the kernel's memory afterwards
//! does not learn what was handed out before ("fast key erasure"). What programs write to
//! `/dev/urandom` is mixed into the key, and so are new numbers of the machine after every so many
//! requests.
//!
//! [`arch::current::random`]: crate::arch::current::random

use crate::arch::current::{random as machine, timer};
use crate::error::Errno;
use crate::fs::Dest;
use crate::proc::process::signal_pending;
use crate::sync::{LockClass, MaySleep, Rank, SpinLock};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

const KEY: usize = 32;
/// Requests between two looks at the machine's generator.
const FRESH: u32 = 1024;

const CLASS: LockClass = LockClass::new("random numbers", Rank::new(38));

static GENERATOR: SpinLock<Generator> = SpinLock::new(&CLASS, Generator { key: [0; KEY], requests: 0 });

struct Generator {
    key: [u8; KEY],
    requests: u32,
}

impl Generator {
    /// A stream that nobody gets a second time.
    fn stream(&mut self) -> ChaCha20Rng {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream
    }

    /// Mixes bytes in: whoever does not know both the key and them does not know the new key.
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(KEY) {
            self.key.iter_mut().zip(chunk).for_each(|(key, byte)| *key ^= byte);
            drop(self.stream());
        }
    }

    fn fresh(&mut self) -> bool {
        let mut seed = [0; KEY];
        let is_true = machine::fill(&mut seed);
        if is_true {
            self.mix(&seed);
        }
        self.mix(&timer::now().to_ne_bytes());
        is_true
    }
}

/// Seeds the generator. Once, at boot.
pub fn init() {
    if GENERATOR.lock().fresh() {
        log::info!(target: "random", "seeded by the machine ({})", machine::NAME);
    } else {
        log::warn!(target: "random", "the machine has no random numbers: these are no secret");
    }
}

/// Mixes what a program wrote in.
pub fn mix(bytes: &[u8]) {
    GENERATOR.lock().mix(bytes);
}

/// A stream of random numbers, for one request.
pub fn stream() -> impl FnMut(&mut [u8]) {
    let mut generator = GENERATOR.lock();
    generator.requests += 1;
    if generator.requests.is_multiple_of(FRESH) {
        generator.fresh();
    }
    let mut stream = generator.stream();
    move |bytes| stream.fill_bytes(bytes)
}

/// Random bytes for the kernel: AT_RANDOM and addresses of programs.
pub fn fill(bytes: &mut [u8]) {
    stream()(bytes);
}

/// Fills the buffer. A long request ends at a signal, with what it got.
pub fn read(ctx: &mut MaySleep, into: &mut Dest<'_>) -> Result<usize, Errno> {
    let mut next = stream();
    let mut buffer = [0; 256];
    let mut done = 0;
    while into.room() > 0 {
        let bytes = buffer.len().min(into.room());
        next(&mut buffer[..bytes]);
        match into.put(ctx, &buffer[..bytes]) {
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if signal_pending() {
            break;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_get_the_same() {
        let mut generator = Generator { key: [0; KEY], requests: 0 };
        let mut bytes = [[0; 16]; 3];
        for bytes in &mut bytes {
            let key = generator.key;
            generator.stream().fill_bytes(bytes);
            assert_ne!(key, generator.key);
            assert_ne!(bytes[..], generator.key[..16], "the key is not handed out");
        }
        assert!(bytes[0] != bytes[1] && bytes[1] != bytes[2] && bytes[0] != bytes[2]);
    }

    #[test]
    fn what_is_mixed_in_changes_what_comes_out() {
        let after = |bytes: &[u8]| {
            let mut generator = Generator { key: [7; KEY], requests: 0 };
            generator.mix(bytes);
            generator.key
        };
        assert_ne!(after(b"a"), after(b"b"));
        assert_ne!(after(&[0; 33]), after(&[0; 32]));
        assert_eq!(after(b"a"), after(b"a"));
    }

    #[test]
    fn a_program_gets_all_it_asks_for() {
        // SAFETY: a thread of the host's tests may sleep.
        let mut ctx = unsafe { MaySleep::mint() };
        let mut buffer = [0; 1000];
        assert_eq!(read(&mut ctx, &mut Dest::slice(&mut buffer)), Ok(1000));
        assert!(buffer.chunks(16).all(|chunk| chunk.iter().any(|&byte| byte != 0)));
    }
}
