//! From file to file, in the kernel: `sendfile`, `copy_file_range`.

use super::buffer::{Dest, Source};
use super::file::File;
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::vec::Vec;

/// Bytes on the way.
const CHUNK: usize = 4096;

/// Copies at most `count` bytes, from the offsets (which are moved on) or the files' positions. What
/// was read and could not be written is read again next time. EINVAL for what has no positions to go
/// back to.
pub fn copy(
    ctx: &mut MaySleep,
    from: &File,
    mut from_at: Option<&mut u64>,
    to: &File,
    mut to_at: Option<&mut u64>,
    count: usize,
) -> Result<usize, Errno> {
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF);
    }
    from.positioned().map_err(|error| if from_at.is_some() { error } else { Errno::EINVAL })?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(CHUNK.min(count)).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(CHUNK.min(count), 0);
    let mut done = 0;
    while done < count {
        let most = CHUNK.min(count - done);
        let at = match &from_at {
            Some(at) => **at,
            None => from.position(ctx),
        };
        let step = from.read_at(ctx, at, &mut Dest::slice(&mut buffer[..most])).and_then(|read| {
            let mut bytes = Source::slice(&buffer[..read]);
            match &mut to_at {
                _ if read == 0 => Ok(0),
                Some(at) => {
                    let written = to.write_at(ctx, **at, &mut bytes)?;
                    **at += written as u64;
                    Ok(written)
                }
                None => to.write(ctx, &mut bytes),
            }
        });
        match step {
            Ok(0) => break,
            Ok(step) => {
                done += step;
                match &mut from_at {
                    Some(at) => **at = at.saturating_add(step as u64),
                    None => from.with_position(ctx, |_, position| *position = at.saturating_add(step as u64)),
                }
                if step < most {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
