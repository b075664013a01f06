//! What tests execute: small programs that look at what they were given.

/// Plays a part; the result is the exit status.
pub fn play(name: &str, words: &[&str]) -> i32 {
    match name {
        "open-descriptors" => open_descriptors(words),
        "arguments" => {
            words.iter().for_each(|word| println!("{word}"));
            0
        }
        "environment" => {
            std::env::vars().for_each(|(name, value)| println!("{name}={value}"));
            0
        }
        "signals" => signals(words),
        "status" => words.first().and_then(|word| word.parse().ok()).unwrap_or(1),
        "stack" => {
            println!("{}", stack(100));
            0
        }
        _ => 2,
    }
}

/// `3` must be open, `!4` must not.
fn open_descriptors(words: &[&str]) -> i32 {
    let wrong = words.iter().filter(|word| {
        let (open, number) = word.strip_prefix('!').map_or((true, **word), |rest| (false, rest));
        let number = number.parse().unwrap_or(-1);
        // SAFETY: asks about a descriptor.
        (unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0) != open
    });
    wrong.count() as i32
}

/// `i10`: ignored; `d10`: default; `b10`: blocked; `u10`: not blocked.
fn signals(words: &[&str]) -> i32 {
    let wrong = words.iter().filter(|word| {
        let (what, number) = word.split_at(1);
        let number = number.parse().unwrap_or(0);
        // SAFETY: reads the process's own settings.
        let (action, blocked) = unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(number, std::ptr::null(), &mut old);
            let mut mask = std::mem::zeroed();
            libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
            (old.sa_sigaction, libc::sigismember(&mask, number) == 1)
        };
        !match what {
            "i" => action == libc::SIG_IGN,
            "d" => action == libc::SIG_DFL,
            "b" => blocked,
            _ => !blocked,
        }
    });
    wrong.count() as i32
}

#[inline(never)]
fn stack(left: usize) -> usize {
    let here = std::hint::black_box([left as u8; 256]);
    if left == 0 { 0 } else { stack(left - 1) + usize::from(here[0] > 0) }
}
