//! `madvise`.

use super::{Advice, Mm, VmFlags};
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::sync::MaySleep;

impl Mm {
    /// `madvise`. ENOMEM: some of the range is not mapped; it was done to the rest.
    pub fn advise(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64, advice: Advice) -> Result<(), Errno> {
        let range = self.range(addr, len).map_err(|_| Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        match advice {
            Advice::Populate(write) => {
                self.each_within(ctx, range.clone(), |area| {
                    let access = area.attrs.flags.access();
                    let may = if write { access.write } else { access.read };
                    if may { Ok(()) } else { Err(Errno::EFAULT) }
                })?;
                return self.make_present(ctx, range, write);
            }
            Advice::Remove => return self.remove(ctx, range),
            _ => {}
        }
        let _lock = self.lock_areas(ctx);
        let whole = self.each_within(ctx, range.clone(), |area| {
            let flags = area.attrs.flags;
            let anonymous = area.attrs.object.is_none() && flags.is_private();
            let refused = match advice {
                Advice::DontNeed => flags.has(VmFlags::LOCKED),
                Advice::Free => !anonymous || flags.has(VmFlags::LOCKED),
                Advice::WipeOnFork(on) => on && !anonymous,
                _ => false,
            };
            if refused { Err(Errno::EINVAL) } else { Ok(()) }
        });
        match whole {
            Ok(()) | Err(Errno::ENOMEM) => {}
            Err(errno) => return Err(errno),
        }
        let change: fn(VmFlags) -> VmFlags = match advice {
            Advice::DontNeed | Advice::Free => {
                self.zap(range, ctx);
                return whole;
            }
            Advice::Normal => |flags| flags.without(VmFlags::RANDOM | VmFlags::SEQUENTIAL),
            Advice::Random => |flags| flags.without(VmFlags::SEQUENTIAL) | VmFlags::RANDOM,
            Advice::Sequential => |flags| flags.without(VmFlags::RANDOM) | VmFlags::SEQUENTIAL,
            Advice::Fork(true) => |flags| flags.without(VmFlags::DONT_FORK),
            Advice::Fork(false) => |flags| flags | VmFlags::DONT_FORK,
            Advice::WipeOnFork(true) => |flags| flags | VmFlags::WIPE_ON_FORK,
            Advice::WipeOnFork(false) => |flags| flags.without(VmFlags::WIPE_ON_FORK),
            Advice::Dump(true) => |flags| flags.without(VmFlags::DONT_DUMP),
            Advice::Dump(false) => |flags| flags | VmFlags::DONT_DUMP,
            Advice::WillNeed | Advice::Ignored | Advice::Populate(_) | Advice::Remove => return whole,
        };
        self.change_flags(ctx, range, change)?;
        whole
    }

    /// The pages of the objects go, and with them what all address spaces see of them.
    fn remove(&self, ctx: &mut MaySleep, range: core::ops::Range<u64>) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end {
            let Some((area, kept)) = self.find_kept(ctx, at) else { return Err(Errno::ENOMEM) };
            let (start, end) = (area.start.max(at), area.end.min(range.end));
            if start >= end {
                return Err(Errno::ENOMEM);
            }
            let flags = area.attrs.flags;
            let Some(kept) = kept.filter(|_| flags.has(VmFlags::SHARED)) else { return Err(Errno::EINVAL) };
            if !flags.has(VmFlags::WRITE) {
                return Err(Errno::EACCES);
            }
            let first = self.pages(area.attrs.offset.wrapping_add(start));
            kept.object().remove(ctx, first, self.pages(end - start))?;
            at = end;
        }
        Ok(())
    }
}
