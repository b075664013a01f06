//! A terminal's ioctls, by the machine's own numbers: on ppc64 TCGETS carries the size of its
//! structure, on s390x it is 0x5401.

use super::Tty;
use super::control::WindowSize;
use super::termios::{SIZE, Termios};
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::fs::file::Ioctl;
use crate::proc::process::signal::Signal;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl;

/// The one line discipline there is.
const N_TTY: u32 = 0;

impl Tty {
    /// `ioctl`.
    pub(super) fn request(self: &Arc<Self>, ctx: &mut MaySleep, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let at = VirtAddr::new(request.argument);
        let put = |ctx: &mut MaySleep, bytes: &[u8]| request.memory.write(ctx, at, bytes);
        match request.command {
            ioctl::TCGETS => {
                let settings = self.with(ctx, |line, _| *line.settings());
                put(ctx, settings.bytes())?;
            }
            ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETSF => {
                self.check(Signal::SIGTTOU)?;
                let mut bytes = [0; SIZE];
                request.memory.read(ctx, at, &mut bytes)?;
                let flush = request.command == ioctl::TCSETSF;
                // All output has gone out: there is nothing to wait for.
                self.with(ctx, |line, _| {
                    if flush {
                        line.flush_input();
                    }
                    line.set(Termios::from_bytes(bytes));
                });
            }
            ioctl::TIOCGWINSZ => put(ctx, &self.control.size().to_bytes())?,
            ioctl::TIOCSWINSZ => {
                let mut bytes = [0; 8];
                request.memory.read(ctx, at, &mut bytes)?;
                self.control.set_size(WindowSize::from_bytes(bytes));
            }
            ioctl::TIOCGPGRP => put(ctx, &self.owners()?.0.to_ne_bytes())?,
            ioctl::TIOCGSID => put(ctx, &self.owners()?.1.to_ne_bytes())?,
            ioctl::TIOCSPGRP => {
                let mut bytes = [0; 4];
                request.memory.read(ctx, at, &mut bytes)?;
                self.set_foreground(i32::from_ne_bytes(bytes))?;
            }
            ioctl::TIOCSCTTY => self.become_own(request.argument == 1)?,
            ioctl::TIOCNOTTY => self.give_up()?,
            ioctl::TCFLSH => {
                self.check(Signal::SIGTTOU)?;
                match request.argument as u32 {
                    raw::TCIFLUSH | raw::TCIOFLUSH => self.with(ctx, |line, _| line.flush_input()),
                    raw::TCOFLUSH => {}
                    _ => return Err(Errno::EINVAL),
                }
            }
            ioctl::TCXONC => {
                self.check(Signal::SIGTTOU)?;
                match request.argument as u32 {
                    raw::TCOOFF => self.with(ctx, |line, _| line.set_stopped(true)),
                    raw::TCOON => self.with(ctx, |line, _| line.set_stopped(false)),
                    // There is nobody to tell that he shall not type.
                    raw::TCIOFF | raw::TCION => {}
                    _ => return Err(Errno::EINVAL),
                }
            }
            // Output has gone out; a break means nothing to this console.
            ioctl::TCSBRK | ioctl::TCSBRKP => self.check(Signal::SIGTTOU)?,
            ioctl::TIOCOUTQ => put(ctx, &0_u32.to_ne_bytes())?,
            ioctl::TIOCGETD => put(ctx, &N_TTY.to_ne_bytes())?,
            ioctl::TIOCSETD => {
                let mut bytes = [0; 4];
                request.memory.read(ctx, at, &mut bytes)?;
                if u32::from_ne_bytes(bytes) != N_TTY {
                    return Err(Errno::EINVAL);
                }
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}
