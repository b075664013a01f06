//! `/dev/null`, `zero`, `full`, `random`, `urandom`, `kmsg`.

use super::{kmsg, random};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::buffer::BOUNCE;
use crate::fs::file::{File, FileOps, OpenFlags, Seek};
use crate::fs::{Dest, DevNo, Source, device};
use crate::mm::object::PageObject;
use crate::mm::space;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use core::any::Any;

/// Minor numbers.
pub const NULL: u32 = 3;
/// Endless zeros.
pub const ZERO: u32 = 5;
/// No space left.
pub const FULL: u32 = 7;
/// Random numbers.
pub const RANDOM: u32 = 8;
/// The same: this generator never waits.
pub const URANDOM: u32 = 9;
/// The kernel's log.
pub const KMSG: u32 = 11;

/// Opens them.
pub struct MemoryDriver;

impl device::Driver for MemoryDriver {
    fn open(&self, _ctx: &mut MaySleep, device: DevNo, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        let device = match device.minor {
            NULL => Device::Null,
            ZERO => Device::Zero,
            FULL => Device::Full,
            RANDOM | URANDOM => Device::Random,
            KMSG => return Ok(try_arc(kmsg::OpenLog::new())?),
            _ => return Err(Errno::ENXIO),
        };
        Ok(try_arc(device)?)
    }
}

/// An open one.
pub enum Device {
    /// Nothing comes out, all goes in.
    Null,
    /// Zeros come out, all goes in.
    Zero,
    /// Zeros come out, nothing goes in.
    Full,
    /// Random numbers come out; what goes in is mixed with what there is.
    Random,
}

impl FileOps for Device {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn maps_zeros(&self) -> bool {
        matches!(self, Self::Zero)
    }
    fn read(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        match self {
            Self::Null => Ok(0),
            Self::Zero | Self::Full => into.zero(ctx, into.room()),
            Self::Random => random::read(ctx, into),
        }
    }
    fn write(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        let left = from.left();
        match self {
            Self::Null | Self::Zero => Ok(from.skip(left)),
            Self::Full => Err(Errno::ENOSPC),
            Self::Random => {
                let mut buffer = [0; BOUNCE];
                let mut done = 0;
                while from.left() > 0 {
                    match from.take(ctx, &mut buffer) {
                        Ok(count) => {
                            random::mix(&buffer[..count]);
                            done += count;
                        }
                        Err(_) if done > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(done)
            }
        }
    }
    /// `/dev/zero`: memory of the mapping's own.
    fn page_object(&self, _ctx: &mut MaySleep, _file: &File) -> Result<Arc<dyn PageObject>, Errno> {
        match self {
            Self::Zero => space::zeros(),
            _ => Err(Errno::ENODEV),
        }
    }
    /// Every position is as good as the first.
    fn seek(&self, _ctx: &mut MaySleep, _file: &File, _now: u64, _to: Seek) -> Result<u64, Errno> {
        Ok(0)
    }
}
