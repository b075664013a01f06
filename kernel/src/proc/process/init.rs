//! The first process.

use super::exec::{Program, Strings, load};
use super::fork;
use super::{Creds, Limits};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::{Access, FdTable, FsContext, Place, open, walk};
use crate::sync::MaySleep;
use alloc::sync::Arc;

/// Executes the file as process 1, with these descriptors.
///
/// # Errors
/// Those of finding and executing it.
pub fn start_init(
    ctx: &mut MaySleep,
    root: &Place,
    path: &[u8],
    args: Strings,
    env: Strings,
    files: Arc<FdTable>,
) -> Result<(), Errno> {
    let walk = walk::Walk { who: Access::ROOT, root: root.clone(), start: root.clone() };
    let file = open::open_program(ctx, &walk, path, walk::Last::Follow)?;
    let program = Program { file, path, args, env };
    let fs = try_arc(FsContext::new(root.clone()))?;
    let loaded = load(ctx, program, &fs, &Creds::ROOT, &Limits::new())?;
    let space = loaded.space.clone();
    let what = fork::Init {
        name: loaded.name,
        executable: Some(loaded.file),
        space: loaded.space,
        frame: loaded.frame,
        trampoline: loaded.trampoline,
        files,
        fs,
    };
    fork::start_first(ctx, what).inspect_err(|_| space.end_use(ctx))
}
