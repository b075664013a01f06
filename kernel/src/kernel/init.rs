//! From the kernel to the first program: the tree of files, the terminal, and who becomes process 1.

use super::keys;
use ::log::{error, info, warn};
use fallow::boot::BootInfo;
use fallow::error::Errno;
use fallow::fs::{Access, FdTable, OpenFlags, Place, boot, dev, mount, open, procfs, sysfs, tty, walk};
use fallow::proc::process::{self, Strings, timers};
use fallow::sync::MaySleep;
use fallow::{cmdline, log};

/// What is tried if the command line names nothing.
const PROGRAMS: [&[u8]; 5] = [b"/init", b"/sbin/init", b"/etc/init", b"/bin/init", b"/bin/sh"];

/// What the kernel mounts by itself: where, and of which kind.
const MOUNTS: [(&str, &str); 3] = [("dev", "devtmpfs"), ("proc", "proc"), ("sys", "sysfs")];

/// Starts the first program, if the boot loader brought any; else the kernel answers keys itself.
pub fn start(ctx: &mut MaySleep, info: &'static BootInfo) {
    let wanted = cmdline::get().text("init");
    if info.initrd.is_none() && wanted.is_none() {
        keys::start();
        return;
    }
    if let Err(error) = prepare(ctx, info) {
        panic!("no root file system: {error:?}");
    }
    match wanted {
        Some(path) => {
            if let Err(error) = run(ctx, path) {
                panic!("Requested init {} failed (error {error:?}).", path.escape_ascii());
            }
        }
        None => {
            if !PROGRAMS.into_iter().any(|path| try_to_run(ctx, path)) {
                panic!("No working init found. Try passing init= option to kernel.");
            }
        }
    }
}

/// Missing ones are passed over without a word.
fn try_to_run(ctx: &mut MaySleep, path: &[u8]) -> bool {
    match run(ctx, path) {
        Ok(()) => true,
        Err(Errno::ENOENT) => false,
        Err(error) => {
            error!(target: "init", "{} does not run: {error:?}", path.escape_ascii());
            false
        }
    }
}

fn prepare(ctx: &mut MaySleep, info: &'static BootInfo) -> Result<(), Errno> {
    // SAFETY: the early allocator kept off it, and nobody writes to it.
    let archive = info.initrd.map(|range| unsafe { boot::archive(range) });
    fallow::fs::attr::set_boot_time(i64::try_from(process::clock::real_base()).unwrap_or(0));
    dev::random::init();
    boot::make_root(ctx, archive)?;
    dev::register()?;
    procfs::register()?;
    sysfs::register()?;
    tty::console::init(log::bytes)?;
    tty::console::start()?;
    for (place, kind) in MOUNTS {
        if let Err(error) = boot::mount_at(ctx, place, kind, "") {
            warn!(target: "init", "no {kind} on /{place}: {error:?}");
        }
    }
    timers::start()
}

fn root() -> Result<Place, Errno> {
    mount::root().map(Place::uncovered).ok_or(Errno::ENOENT)
}

fn run(ctx: &mut MaySleep, path: &[u8]) -> Result<(), Errno> {
    let root = root()?;
    let mut args = Strings::new();
    args.push(path)?;
    let mut env = Strings::new();
    env.push(b"HOME=/")?;
    env.push(b"TERM=linux")?;
    let unknown = cmdline::get().for_init();
    for word in unknown {
        // As Linux: `name=value` is environment, a word alone an argument.
        if word.has_value {
            env.push(&[word.name, b"=", word.value].concat())?;
        } else {
            args.push(word.name)?;
        }
    }
    let files = fallow::arch::try_arc(descriptors(ctx, &root)?)?;
    process::start_init(ctx, &root, path, args, env, files)?;
    info!(target: "init", "{} runs as process 1", path.escape_ascii());
    Ok(())
}

/// The console three times.
fn descriptors(ctx: &mut MaySleep, root: &Place) -> Result<FdTable, Errno> {
    const LIMIT: u64 = 3;
    let files = FdTable::new();
    let walk = walk::Walk { who: Access::ROOT, root: root.clone(), start: root.clone() };
    let mode = fallow::fs::Mode::new(0);
    match open::open(ctx, &walk, b"/dev/console", OpenFlags::READ_WRITE, mode) {
        Ok(console) => {
            for _ in 0..LIMIT {
                files.install(console.clone(), false, LIMIT)?;
            }
        }
        Err(error) => warn!(target: "init", "unable to open an initial console: {error:?}"),
    }
    Ok(files)
}
