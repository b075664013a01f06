//! /proc and /sys, as far as programs lean on them.

use crate::harness::child::{fork, state_of};
use crate::harness::memory::Map;
use crate::harness::{Outcome, SELF};
use crate::{check, equal, sys, tests};
use std::fs::{read_link, read_to_string};

tests![
    state_letters,
    stat_has_its_fields,
    status_tells,
    command_lines,
    maps_name_everything,
    meminfo_adds_up,
    the_list_of_processes,
    descriptors,
    cpus,
    odd_reads,
    what_is_gone,
    resident_memory_is_counted,
];

fn state_letters() -> Outcome {
    equal!(state_of(std::process::id() as i32), Some('R'));
    let child = fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })?;
    child.reaches('S')?;
    child.kill(libc::SIGSTOP)?;
    child.reaches('T')?;
    child.kill(libc::SIGCONT)?;
    child.reaches('S')?;
    child.kill(libc::SIGKILL)?;
    child.reaches('Z')?;
    child.wait()?;
    equal!(state_of(child.0), None);
    let busy = fork(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    busy.reaches('R')?;
    busy.kill(libc::SIGKILL)?;
    busy.wait()?;
    Ok(())
}

fn stat_has_its_fields() -> Outcome {
    let text = read_to_string("/proc/self/stat")?;
    let (start, rest) = text.rsplit_once(") ").unwrap_or_default();
    equal!(start, format!("{} (guest-tests", std::process::id()));
    let fields: Vec<&str> = rest.split_whitespace().collect();
    equal!(fields.len(), 50);
    equal!(fields[1], sys!(getppid()).to_string());
    equal!(fields[2], sys!(getpgrp()).to_string());
    equal!(fields[17], "1");
    let size: u64 = fields[20].parse().unwrap_or(0);
    check!(size > 100_000, "vsize {size}");
    let statm = read_to_string("/proc/self/statm")?;
    equal!(statm.split_whitespace().count(), 7);
    Ok(())
}

fn status_tells() -> Outcome {
    let text = read_to_string("/proc/self/status")?;
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    equal!(field("Name"), Some("guest-tests"));
    equal!(field("Pid"), Some(std::process::id().to_string().as_str()));
    equal!(field("Threads"), Some("1"));
    equal!(field("Uid"), Some("0\t0\t0\t0"));
    for name in ["PPid", "Tgid", "VmSize", "VmRSS", "VmData", "VmStk", "VmPTE", "SigCgt", "SigBlk"] {
        check!(field(name).is_some(), "no {name} in {text}");
    }
    check!(field("State").is_some_and(|state| state.starts_with("R (running)")));
    Ok(())
}

fn command_lines() -> Outcome {
    let text = std::fs::read("/proc/self/cmdline")?;
    check!(text.ends_with(b"\0") && text.windows(11).any(|part| part == b"guest-tests"));
    equal!(read_link("/proc/self/exe")?.to_string_lossy(), SELF);
    equal!(read_link("/proc/self")?.to_string_lossy(), std::process::id().to_string());
    equal!(read_link("/proc/self/cwd")?, std::env::current_dir()?);
    check!(read_to_string("/proc/cmdline")?.ends_with('\n'));
    check!(read_to_string("/proc/version")?.starts_with("Linux version"));
    Ok(())
}

fn maps_name_everything() -> Outcome {
    let map = Map::private(7)?;
    let text = read_to_string("/proc/self/maps")?;
    let mut last = 0;
    for line in text.lines() {
        let (start, rest) = line.split_once('-').unwrap_or_default();
        let (end, _) = rest.split_once(' ').unwrap_or_default();
        let parse = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        check!(parse(start) >= last && parse(end) > parse(start), "{line}");
        last = parse(end);
    }
    check!(text.lines().any(|line| line.contains("r-xp") && line.ends_with(SELF)), "{text}");
    check!(text.contains("[stack]") && text.contains("[heap]"), "{text}");
    let own = format!("{:x}", map.start as usize);
    check!(text.contains(&own) || text.len() > 100, "{text}");
    Ok(())
}

fn meminfo_adds_up() -> Outcome {
    let text = read_to_string("/proc/meminfo")?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    let (Some(total), Some(free)) = (field("MemTotal"), field("MemFree")) else {
        return Err(crate::harness::Failure::new(text));
    };
    check!(free > 0 && free < total && total > 50_000);
    for name in ["MemAvailable", "PageTables", "AnonPages", "Shmem", "SwapTotal"] {
        check!(field(name).is_some(), "no {name}");
    }
    Ok(())
}

fn the_list_of_processes() -> Outcome {
    let child = fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })?;
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_string_lossy().parse::<i32>().ok());
    }
    check!(pids.contains(&1) && pids.contains(&child.0) && pids.contains(&(std::process::id() as i32)));
    check!(pids.is_sorted(), "{pids:?}");
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn descriptors() -> Outcome {
    let file = sys!(open(c"/bin/busybox".as_ptr(), libc::O_RDONLY)) as i32;
    equal!(read_link(format!("/proc/self/fd/{file}"))?.to_string_lossy(), "/bin/busybox");
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    let name = read_link(format!("/proc/self/fd/{}", ends[0]))?;
    check!(name.to_string_lossy().starts_with("pipe:["), "{name:?}");
    let count = std::fs::read_dir("/proc/self/fd")?.count();
    check!(count >= 5, "{count}");
    Ok(())
}

fn cpus() -> Outcome {
    let online = read_to_string("/sys/devices/system/cpu/online")?;
    let last: usize = online.trim().rsplit('-').next().and_then(|word| word.parse().ok()).unwrap_or(99);
    equal!(last + 1, std::thread::available_parallelism()?.get());
    let text = read_to_string("/proc/stat")?;
    check!(text.starts_with("cpu  ") && text.contains("\nbtime ") && text.contains("\nctxt "), "{text}");
    equal!(text.lines().filter(|line| line.starts_with("cpu")).count(), last + 2);
    equal!(read_to_string("/proc/loadavg")?.split_whitespace().count(), 5);
    Ok(())
}

fn odd_reads() -> Outcome {
    let whole = read_to_string("/proc/version")?;
    let file = sys!(open(c"/proc/version".as_ptr(), libc::O_RDONLY)) as i32;
    let mut pieces = Vec::new();
    let mut byte = [0_u8; 1];
    while sys!(read(file, byte.as_mut_ptr().cast(), 1)) == 1 {
        pieces.push(byte[0]);
    }
    equal!(String::from_utf8_lossy(&pieces), whole);
    sys!(lseek(file, 6, libc::SEEK_SET));
    let mut word = [0_u8; 7];
    sys!(read(file, word.as_mut_ptr().cast(), 7));
    equal!(&word, b"version");
    Ok(())
}

fn what_is_gone() -> Outcome {
    let child = fork(|| Ok(()))?;
    child.reaches('Z')?;
    let path = format!("/proc/{}/stat", child.0);
    check!(read_to_string(&path)?.contains(") Z "));
    equal!(read_to_string(format!("/proc/{}/maps", child.0))?, "");
    let file = std::fs::File::open(&path)?;
    child.wait()?;
    let gone = std::io::read_to_string(file);
    check!(gone.is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH)));
    check!(std::fs::metadata(&path).is_err());
    Ok(())
}

fn resident_memory_is_counted() -> Outcome {
    let resident = || -> Result<u64, std::io::Error> {
        let text = read_to_string("/proc/self/status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        Ok(line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0))
    };
    let before = resident()?;
    let map = Map::private(16 << 20 >> crate::harness::memory::page().trailing_zeros())?;
    for offset in (0..map.len).step_by(4096) {
        map.set(offset, 1);
    }
    // Linux counts per CPU and sums up late.
    let with = resident()?;
    check!(with >= before + 8000, "{before} kB, then {with} kB");
    Ok(())
}
