//! execve: what a program is given, what it keeps, what is refused.

use crate::harness::child::{Status, fork, fork_status};
use crate::harness::{Folder, Outcome, SELF, c};
use crate::{check, equal, fails, sys, tests};
use std::process::Command;

tests![
    arguments_arrive,
    the_environment_arrives,
    handlers_go_masks_stay,
    the_process_stays_itself,
    scripts,
    refused,
    too_many_arguments,
    many_arguments,
    the_auxiliary_vector,
    the_name_and_the_link,
    memory_is_fresh,
    setuid_programs,
    busybox_says_the_same,
];

fn arguments_arrive() -> Outcome {
    let words = ["", "one", "two words", "\u{e4}\u{20ac}", "-"];
    let output = Command::new(SELF).args(["role", "arguments"]).args(words).output()?;
    equal!(String::from_utf8_lossy(&output.stdout), words.map(|word| format!("{word}\n")).concat());
    Ok(())
}

fn the_environment_arrives() -> Outcome {
    let output =
        Command::new(SELF).args(["role", "environment"]).env_clear().env("A", "b c").env("E", "").output()?;
    equal!(String::from_utf8_lossy(&output.stdout), "A=b c\nE=\n");
    Ok(())
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn exec(words: &[&str]) -> i32 {
    let words: Vec<_> = words.iter().map(|word| c(word)).collect();
    let mut list: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    list.push(std::ptr::null());
    // SAFETY: the list ends with a null.
    unsafe { libc::execv(list[0], list.as_ptr()) };
    98
}

fn handlers_go_masks_stay() -> Outcome {
    let child = fork_status(|| {
        let _ = crate::harness::child::handle(libc::SIGUSR1, 0, nothing);
        // SAFETY: plain calls on this process.
        unsafe {
            libc::signal(libc::SIGUSR2, libc::SIG_IGN);
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGHUP);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
        exec(&[SELF, "role", "signals", "d10", "i12", "b1", "u2"])
    })?;
    child.succeeds()
}

fn the_process_stays_itself() -> Outcome {
    let child = fork_status(|| exec(&["/bin/sh", "-c", "test $PPID = \"$0\" && exit 7", &own()]))?;
    child.ends(Status::Exited(7))
}

fn own() -> String {
    // In the child this is evaluated before exec, and names its parent.
    // SAFETY: no arguments.
    unsafe { libc::getppid() }.to_string()
}

fn scripts() -> Outcome {
    let folder = Folder::new("scripts")?;
    let write = |name: &str, text: &str| -> Outcome {
        std::fs::write(folder.path(name), text)?;
        sys!(chmod(folder.c(name).as_ptr(), 0o755));
        Ok(())
    };
    write("a", &format!("#!{SELF} role\nignored\n"))?;
    // The interpreter gets its one argument, the script's path, then the script's arguments.
    equal!(Command::new(folder.path("a")).arg("x").status()?.code(), Some(2));
    write("b", "#!/bin/sh\necho $0 $#\n")?;
    let output = Command::new(folder.path("b")).args(["1", "2"]).output()?;
    equal!(String::from_utf8_lossy(&output.stdout), format!("{} 2\n", folder.path("b")));
    write("c", &format!("#! {}\n", folder.path("b")))?;
    let output = Command::new(folder.path("c")).output()?;
    equal!(String::from_utf8_lossy(&output.stdout), format!("{} 1\n", folder.path("b")));
    write("none", "#!/nonexistent\n")?;
    fails!(ENOENT, execv(folder.c("none").as_ptr(), [std::ptr::null()].as_ptr()));
    write("loop", &format!("#!{}\n", folder.path("loop")))?;
    fails!(ELOOP, execv(folder.c("loop").as_ptr(), [std::ptr::null()].as_ptr()));
    write("empty", "")?;
    fails!(ENOEXEC, execv(folder.c("empty").as_ptr(), [std::ptr::null()].as_ptr()));
    write("text", "echo\n")?;
    fails!(ENOEXEC, execv(folder.c("text").as_ptr(), [std::ptr::null()].as_ptr()));
    write("bare", "#!\n")?;
    fails!(ENOEXEC, execv(folder.c("bare").as_ptr(), [std::ptr::null()].as_ptr()));
    Ok(())
}

fn refused() -> Outcome {
    let folder = Folder::new("refused")?;
    let none = [std::ptr::null()];
    fails!(ENOENT, execv(folder.c("f").as_ptr(), none.as_ptr()));
    std::fs::copy("/bin/busybox", folder.path("f"))?;
    sys!(chmod(folder.c("f").as_ptr(), 0o644));
    fails!(EACCES, execv(folder.c("f").as_ptr(), none.as_ptr()));
    fails!(EACCES, execv(folder.c(".").as_ptr(), none.as_ptr()));
    fails!(ENOTDIR, execv(folder.c("f/x").as_ptr(), none.as_ptr()));
    sys!(chmod(folder.c("f").as_ptr(), 0o755));
    fails!(EFAULT, execv(folder.c("f").as_ptr(), 8 as *const _));
    fails!(EFAULT, execve(folder.c("f").as_ptr(), none.as_ptr(), 8 as *const _));
    fails!(EFAULT, execv(8 as *const _, none.as_ptr()));
    Ok(())
}

fn too_many_arguments() -> Outcome {
    let long = c(&"x".repeat(200_000));
    let words = [c"/bin/busybox".as_ptr(), long.as_ptr(), std::ptr::null()];
    // One word is at most 32 pages: 128 KB, or 2 MB of large ones.
    if crate::harness::memory::page() == 4096 {
        fails!(E2BIG, execv(words[0], words.as_ptr()));
    }
    let word = c(&"y".repeat(60_000));
    let mut words = vec![c"/bin/busybox".as_ptr()];
    words.extend(std::iter::repeat_n(word.as_ptr(), 200));
    words.push(std::ptr::null());
    fails!(E2BIG, execv(words[0], words.as_ptr()));
    Ok(())
}

fn many_arguments() -> Outcome {
    let words: Vec<String> = (0..5000).map(|number| format!("word-{number}")).collect();
    let output = Command::new(SELF).args(["role", "arguments"]).args(&words).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    check!(text.lines().eq(words.iter().map(String::as_str)));
    Ok(())
}

fn the_auxiliary_vector() -> Outcome {
    let value = |kind| {
        // SAFETY: reads what the program was started with.
        unsafe { libc::getauxval(kind) }
    };
    equal!(value(libc::AT_PAGESZ) as usize, crate::harness::memory::page());
    equal!(value(libc::AT_CLKTCK), 100);
    equal!(
        (value(libc::AT_UID), value(libc::AT_EUID), value(libc::AT_GID), value(libc::AT_SECURE)),
        (0, 0, 0, 0)
    );
    check!(value(libc::AT_PHDR) != 0 && value(libc::AT_ENTRY) != 0 && value(libc::AT_PHNUM) > 0);
    equal!(value(libc::AT_PHENT), 56);
    // SAFETY: the kernel gives sixteen bytes there.
    let random = unsafe { std::slice::from_raw_parts(value(libc::AT_RANDOM) as *const u8, 16) };
    check!(random.iter().any(|&byte| byte != 0));
    // SAFETY: the kernel gives a path there.
    let name = unsafe { std::ffi::CStr::from_ptr(value(libc::AT_EXECFN) as *const _) };
    check!(name.to_bytes().ends_with(b"guest-tests"), "{name:?}");
    check!(value(libc::AT_PLATFORM) != 0);
    Ok(())
}

fn the_name_and_the_link() -> Outcome {
    equal!(std::fs::read_to_string("/proc/self/comm")?, "guest-tests\n");
    equal!(std::fs::read_link("/proc/self/exe")?.to_string_lossy(), SELF);
    let mut name = [0_u8; 16];
    sys!(prctl(libc::PR_GET_NAME, name.as_mut_ptr()));
    equal!(&name[..12], b"guest-tests\0");
    sys!(prctl(libc::PR_SET_NAME, c"a-name-that-is-too-long".as_ptr()));
    equal!(std::fs::read_to_string("/proc/self/comm")?, "a-name-that-is-\n");
    Ok(())
}

fn memory_is_fresh() -> Outcome {
    let output = Command::new(SELF).args(["role", "stack"]).output()?;
    equal!(output.stdout, b"100\n");
    Ok(())
}

fn setuid_programs() -> Outcome {
    let folder = Folder::new("setuid")?;
    sys!(chmod(folder.c(".").as_ptr(), 0o755));
    std::fs::copy("/bin/busybox", folder.path("id"))?;
    sys!(chmod(folder.c("id").as_ptr(), 0o4755));
    let child = fork(|| {
        sys!(setgid(1000));
        sys!(setuid(1000));
        // Busybox itself gives up what it was given, unless it is told not to; the id shows either.
        let output = Command::new(folder.path("id")).arg("-u").output()?;
        check!(output.status.success(), "{output:?}");
        Ok(())
    })?;
    child.succeeds()
}

fn busybox_says_the_same() -> Outcome {
    let output = Command::new("/bin/sh").args(["-c", "echo $((6*7)) | cat | tr 4 5"]).output()?;
    equal!(output.stdout, b"52\n");
    let output =
        Command::new("/bin/sh").args(["-c", "seq 1 1000 | sort -rn | head -n 1; exit 3"]).output()?;
    equal!((output.stdout.as_slice(), output.status.code()), (&b"1000\n"[..], Some(3)));
    Ok(())
}
