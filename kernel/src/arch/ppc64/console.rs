//! The console: powernv9's UART, pseries' virtual terminal 0 behind hypervisor calls.
//!
//! Before the device tree has told where the UART is, powernv9 writes through OPAL, slowly but in
//! any case. Afterwards it does not: OPAL buffers its output, takes locks, and turns translation
//! off for each call. The price is that OPAL does not know what we do with its UART. It prints
//! nothing after it has handed over; but whenever it polls its devices ([`power::heartbeat`]) it takes
//! what was typed into a buffer of its own, from which we have to fetch it.
//!
//! [`power::heartbeat`]: super::power::heartbeat

use super::firmware::{
    H_GET_TERM_CHAR, H_PUT_TERM_CHAR, H_SUCCESS, OPAL_CONSOLE_READ, OPAL_CONSOLE_WRITE, OPAL_POLL_EVENTS,
    hcall, opal,
};
use super::platform::{self, Platform};
use super::uart::Registers;
use super::{LINEAR, area, cpu};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use uart_16550::Uart16550;

/// Real address of the UART; 0: not known yet.
static UART: AtomicU64 = AtomicU64::new(0);

/// Tells where the UART is.
///
/// # Safety
/// A 16550 is there.
pub unsafe fn set_uart(real: u64) {
    UART.store(real, Ordering::Relaxed);
}

/// Where the UART is, for `mmu`.
pub fn uart_address() -> Option<u64> {
    Some(UART.load(Ordering::Relaxed)).filter(|&address| address != 0)
}

fn uart() -> Option<Uart16550<Registers>> {
    // SAFETY: `set_uart`'s caller knew.
    uart_address().map(|address| unsafe { Uart16550::new_with_backend(Registers::new(address)) })
}

/// Its name.
pub fn name() -> &'static str {
    match platform::get() {
        Platform::PowerNv => "ns16550a",
        Platform::Pseries => "hvterm",
    }
}

/// Writes all; `\n` goes out as `\r\n`.
pub fn write(bytes: &[u8]) {
    let mut chunk = [0; CHUNK];
    let mut used = 0;
    for &byte in bytes {
        let last = [byte];
        for &byte in if byte == b'\n' { b"\r\n".as_slice() } else { last.as_slice() } {
            chunk[used] = byte;
            used += 1;
            if used == CHUNK {
                put(&chunk);
                used = 0;
            }
        }
    }
    put(&chunk[..used]);
}

/// Writes all as it is.
pub fn write_raw(bytes: &[u8]) {
    bytes.chunks(CHUNK).for_each(put);
}

/// What one hypervisor call takes; also the UART's FIFO.
const CHUNK: usize = 16;

/// Writes at most `CHUNK` bytes.
fn put(bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    match (platform::get(), uart()) {
        (Platform::Pseries, _) => {
            let mut all = [0; CHUNK];
            all[..bytes.len()].copy_from_slice(bytes);
            let [high, low] = words(all);
            // H_BUSY (1) and the like: try again.
            while hcall(H_PUT_TERM_CHAR, [0, bytes.len() as u64, high, low]).0 > H_SUCCESS {
                cpu::relax();
            }
        }
        (Platform::PowerNv, Some(mut uart)) => {
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = rest.get(uart.send_bytes(rest)..).unwrap_or_default();
            }
        }
        (Platform::PowerNv, None) => put_opal(bytes),
    }
}

/// The first byte is the most significant one of the first word.
fn words(bytes: [u8; CHUNK]) -> [u64; 2] {
    let all = u128::from_be_bytes(bytes);
    [(all >> 64) as u64, all as u64]
}

fn put_opal(bytes: &[u8]) {
    let buffer = &area::this().firmware.0;
    let mut all = [0; CHUNK];
    all[..bytes.len()].copy_from_slice(bytes);
    let mut cells = [0; 16];
    cells[0] = (bytes.len() as u64).to_be();
    [cells[1], cells[2]] = words(all).map(u64::to_be);
    buffer.set(cells);
    let real = buffer.as_ptr().addr() as u64 & !LINEAR;
    // A full buffer (OPAL_BUSY) is emptied by polling; no answer makes it worth to wait forever.
    for _ in 0..1000 {
        if opal(OPAL_CONSOLE_WRITE, [0, real, real + 8]) == 0 {
            break;
        }
        opal(OPAL_POLL_EVENTS, [0]);
    }
    opal(OPAL_POLL_EVENTS, [0]);
}

/// Characters that one H_GET_TERM_CHAR has returned and nobody has taken yet: it gives up to 16 at
/// once, and they are gone from the hypervisor.
struct Input {
    busy: AtomicBool,
    state: UnsafeCell<Buffer>,
}

struct Buffer {
    bytes: [u8; CHUNK],
    next: usize,
    end: usize,
}

// SAFETY: `state` is used by whoever set `busy`.
unsafe impl Sync for Input {}

static INPUT: Input = Input {
    busy: AtomicBool::new(false),
    state: UnsafeCell::new(Buffer { bytes: [0; CHUNK], next: 0, end: 0 }),
};

impl Input {
    /// Runs `f` on the buffer, refilled if it was empty; `None` if another CPU is at it.
    fn with<R>(&self, f: impl FnOnce(&mut Buffer) -> R) -> Option<R> {
        // Acquire: pairs with the Release below.
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `busy` was clear and is ours.
        let buffer = unsafe { &mut *self.state.get() };
        if buffer.next == buffer.end {
            let (code, [count, high, low, _]) = hcall(H_GET_TERM_CHAR, [0, 0, 0, 0]);
            let count = if code == H_SUCCESS { (count as usize).min(CHUNK) } else { 0 };
            buffer.bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            (buffer.next, buffer.end) = (0, count);
        }
        let result = f(buffer);
        self.busy.store(false, Ordering::Release);
        Some(result)
    }
}

/// Somebody takes bytes out of the UART: we, or OPAL. Both at once would mix them.
static UART_INPUT: AtomicBool = AtomicBool::new(false);
/// OPAL has polled the UART since it was last asked for what it has. Changed by whoever has `UART_INPUT`.
static OPAL_POLLED: AtomicBool = AtomicBool::new(false);

/// Does something while nobody else takes bytes out of the UART. Interrupts are off.
fn with_uart_input<R>(work: impl FnOnce() -> R) -> R {
    // Acquire: pairs with the Release below.
    while UART_INPUT.swap(true, Ordering::Acquire) {
        cpu::relax();
    }
    let result = work();
    UART_INPUT.store(false, Ordering::Release);
    result
}

/// Lets OPAL poll its devices. Interrupts are off.
pub fn poll_opal() {
    with_uart_input(|| {
        opal(OPAL_POLL_EVENTS, [0]);
        OPAL_POLLED.store(true, Ordering::Relaxed);
    });
}

/// Takes what OPAL has taken out of the UART: older than what is there now.
fn read_opal(into: &mut [u8]) -> usize {
    let buffer = &area::this().firmware.0;
    let mut taken = 0;
    while taken < into.len() && OPAL_POLLED.load(Ordering::Relaxed) {
        let wanted = CHUNK.min(into.len() - taken);
        let mut cells = [0; 16];
        cells[0] = (wanted as u64).to_be();
        buffer.set(cells);
        let real = buffer.as_ptr().addr() as u64 & !LINEAR;
        let code = opal(OPAL_CONSOLE_READ, [0, real, real + 8]);
        let [count, high, low, ..] = buffer.get().map(u64::from_be);
        let count = if code == 0 { (count as usize).min(wanted) } else { 0 };
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        into[taken..taken + count].copy_from_slice(&bytes[..count]);
        taken += count;
        if count < wanted {
            OPAL_POLLED.store(false, Ordering::Relaxed);
        }
    }
    taken
}

/// Takes what has arrived, at most the buffer's length; 0 if nothing. Interrupts are off, and the
/// caller holds the lock of the ring of keys. `poll` does not hold it: if it finds the input busy it
/// leaves it to the next tick. A `write` on another CPU meets this one nowhere: hypervisor calls are
/// by themselves, and of the UART both only read the line status.
pub fn read(buffer: &mut [u8]) -> usize {
    if let Some(mut uart) = uart() {
        return with_uart_input(|| {
            let older = read_opal(buffer);
            older + uart.receive_bytes(&mut buffer[older..])
        });
    }
    if platform::get() == Platform::PowerNv {
        return 0;
    }
    let mut taken = 0;
    while taken < buffer.len() {
        let rest = &mut buffer[taken..];
        let more = INPUT.with(|input| {
            let bytes = &input.bytes[input.next..input.end];
            let count = bytes.len().min(rest.len());
            rest[..count].copy_from_slice(&bytes[..count]);
            input.next += count;
            count
        });
        match more {
            Some(count) if count > 0 => taken += count,
            _ => break,
        }
    }
    taken
}

/// Whether `read` would give something.
pub fn poll() -> bool {
    match uart() {
        Some(mut uart) => OPAL_POLLED.load(Ordering::Relaxed) || uart.ready_to_receive().is_ok(),
        None if platform::get() == Platform::PowerNv => false,
        None => INPUT.with(|input| input.next < input.end).unwrap_or(false),
    }
}
