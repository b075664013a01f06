//! The console as a terminal, and `/dev/tty`, which is whatever terminal the process has.

use super::Tty;
use super::screen::Driver;
use crate::arch::try_arc;
use crate::console;
use crate::error::Errno;
use crate::fs::file::{File, FileOps, Ioctl, OpenFlags};
use crate::fs::{Dest, DevNo, Events, PollTable, Source, device};
use crate::proc::process::try_current;
use crate::proc::thread::Spawn;
use crate::sync::{MaySleep, Once};
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::Ordering;

/// Terminals "by another name": `/dev/tty` and `/dev/console`.
pub const MAJOR: u32 = 5;
/// `/dev/tty`
pub const TTY: u32 = 0;
/// `/dev/console`
pub const CONSOLE: u32 = 1;

static TERMINAL: Once<Arc<Tty>> = Once::new();

/// The console; `None` before [`init`].
pub fn terminal() -> Option<&'static Arc<Tty>> {
    TERMINAL.get()
}

/// Makes the console a terminal whose screen is the driver. Once.
pub fn init(driver: Driver) -> Result<(), Errno> {
    let tty = try_arc(Tty::new(DevNo::new(MAJOR, CONSOLE), driver)?)?;
    TERMINAL.call_once(|| tty);
    Ok(())
}

/// Starts the thread that brings what is typed to the terminal. From then on it is the console's only
/// reader.
pub fn start() -> Result<(), Errno> {
    drop(Spawn::new("tty").high().spawn(bring_keys)?);
    Ok(())
}

fn bring_keys(ctx: &mut MaySleep) {
    let Some(tty) = terminal() else { return };
    loop {
        let key = console::read(ctx);
        tty.key(ctx, key);
    }
}

/// Opens `/dev/tty` and `/dev/console`.
pub struct TerminalDriver;

impl device::Driver for TerminalDriver {
    fn open(&self, _ctx: &mut MaySleep, device: DevNo, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        let tty = terminal().ok_or(Errno::ENXIO)?;
        if device.minor == TTY {
            let task = try_current().ok_or(Errno::ENXIO)?;
            if tty.control.session() != task.process().session().id() {
                return Err(Errno::ENXIO);
            }
        } else if device.minor != CONSOLE {
            return Err(Errno::ENXIO);
        }
        Ok(try_arc(OpenTty(Arc::clone(tty)))?)
    }
}

/// An open terminal.
pub struct OpenTty(pub Arc<Tty>);

impl FileOps for OpenTty {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn has_positions(&self) -> bool {
        false
    }
    fn read(
        &self,
        ctx: &mut MaySleep,
        file: &File,
        _at: &mut u64,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        self.0.read(ctx, file.nonblocking(), into)
    }
    fn write(
        &self,
        ctx: &mut MaySleep,
        file: &File,
        _at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        self.0.write(ctx, file.nonblocking(), from)
    }
    fn poll(&self, _ctx: &mut MaySleep, _file: &File, table: &mut PollTable) -> Events {
        table.add(&self.0.readers);
        table.add(&self.0.writers);
        let mut events = Events::empty();
        if self.0.is_readable.load(Ordering::Acquire) {
            events |= Events::READABLE;
        }
        if !self.0.is_stopped.load(Ordering::Acquire) {
            events |= Events::WRITABLE;
        }
        events
    }
    fn ioctl(&self, ctx: &mut MaySleep, _file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        self.0.request(ctx, request)
    }
    fn readable_bytes(&self, ctx: &mut MaySleep, _file: &File) -> Option<u64> {
        Some(self.0.with(ctx, |line, _| line.readable()) as u64)
    }
}
