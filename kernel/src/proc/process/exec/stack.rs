//! A new program's stack: strings, and the vectors that point to them.
//!
//! ```text
//! high   8 zero bytes
//!        the path, the environment's strings, the arguments'
//!        platform, 16 random bytes
//!        auxiliary vector, ends with AT_NULL
//!        pointers to the environment, null
//!        pointers to the arguments, null
//! sp ->  number of arguments
//! ```
//!
//! A pure function: the host tests it.

use super::Strings;
use crate::arch::current::{signal, user};
use crate::error::Errno;
use alloc::vec::Vec;
use linux_raw_sys::auxvec as at;

/// What the auxiliary vector says beside what this function knows.
#[derive(Clone, Copy, Debug)]
pub struct Auxiliary<'a> {
    /// AT_PHDR, AT_PHNUM, AT_PHENT.
    pub headers: (u64, u64, u64),
    /// AT_BASE
    pub base: u64,
    /// AT_ENTRY
    pub entry: u64,
    /// AT_PAGESZ
    pub page: u64,
    /// AT_HWCAP, AT_HWCAP2
    pub hwcap: (u64, u64),
    /// AT_UID, AT_EUID, AT_GID, AT_EGID
    pub users: [u64; 4],
    /// AT_SECURE
    pub secure: bool,
    /// AT_CLKTCK
    pub ticks: u64,
    /// AT_SYSINFO_EHDR
    pub vdso: Option<u64>,
    /// AT_PLATFORM
    pub platform: &'a str,
    /// AT_RANDOM
    pub random: [u8; 16],
}

/// The stack's contents.
pub struct Contents {
    /// From the stack pointer up to the stack's end.
    pub bytes: Vec<u8>,
    /// The stack pointer.
    pub sp: u64,
    /// The arguments' strings.
    pub args: (u64, u64),
    /// The environment's.
    pub env: (u64, u64),
}

/// The contents of a stack that ends at `end`.
///
/// # Errors
/// ENOMEM.
pub fn contents(
    end: u64,
    path: &[u8],
    args: &Strings,
    env: &Strings,
    auxiliary: &Auxiliary<'_>,
) -> Result<Contents, Errno> {
    let place = |below: u64, bytes: usize| below - bytes as u64;
    let path_at = place(end - 8, path.len() + 1);
    let env_at = place(path_at, env.bytes().len());
    let args_at = place(env_at, args.bytes().len());
    let platform_at = place(args_at, auxiliary.platform.len() + 1);
    let random_at = place(platform_at, auxiliary.random.len());
    let vector = vector(auxiliary, path_at, platform_at, random_at);
    let words = 1 + args.count() + 1 + env.count() + 1 + 2 * vector.clone().count();
    // 16 bytes: what both machines' ABIs ask of a stack pointer.
    let sp = (random_at - 8 * words as u64) & !15;

    let mut bytes = Vec::new();
    bytes.try_reserve_exact((end - sp) as usize).map_err(|_| Errno::ENOMEM)?;
    let mut word = |value: u64| bytes.extend_from_slice(&value.to_ne_bytes());
    word(args.count() as u64);
    args.offsets().for_each(|offset| word(args_at + offset as u64));
    word(0);
    env.offsets().for_each(|offset| word(env_at + offset as u64));
    word(0);
    vector.for_each(|(kind, value)| {
        word(kind);
        word(value);
    });
    bytes.resize((random_at - sp) as usize, 0);
    bytes.extend_from_slice(&auxiliary.random);
    bytes.extend_from_slice(auxiliary.platform.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(args.bytes());
    bytes.extend_from_slice(env.bytes());
    bytes.extend_from_slice(path);
    bytes.resize((end - sp) as usize, 0);
    Ok(Contents { bytes, sp, args: (args_at, env_at), env: (env_at, path_at) })
}

type Entry = (u64, u64);

/// The machine's own entries come first, as with Linux.
fn vector(
    auxiliary: &Auxiliary<'_>,
    path: u64,
    platform: u64,
    random: u64,
) -> impl Iterator<Item = Entry> + Clone {
    let (headers, count, size) = auxiliary.headers;
    let [uid, euid, gid, egid] = auxiliary.users;
    let common = [
        (at::AT_HWCAP, auxiliary.hwcap.0),
        (at::AT_PAGESZ, auxiliary.page),
        (at::AT_CLKTCK, auxiliary.ticks),
        (at::AT_PHDR, headers),
        (at::AT_PHENT, size),
        (at::AT_PHNUM, count),
        (at::AT_BASE, auxiliary.base),
        (at::AT_FLAGS, 0),
        (at::AT_ENTRY, auxiliary.entry),
        (at::AT_UID, uid),
        (at::AT_EUID, euid),
        (at::AT_GID, gid),
        (at::AT_EGID, egid),
        (at::AT_SECURE, auxiliary.secure.into()),
        (at::AT_RANDOM, random),
        (at::AT_HWCAP2, auxiliary.hwcap.1),
        (at::AT_EXECFN, path),
        (at::AT_PLATFORM, platform),
        (at::AT_MINSIGSTKSZ, signal::STACK_MIN as u64),
        (at::AT_NULL, 0),
    ];
    let common = common.into_iter().map(|(key, value)| (key.into(), value));
    let vdso = auxiliary.vdso.map(|at| (at::AT_SYSINFO_EHDR.into(), at));
    user::AUXILIARY.iter().copied().chain(vdso).chain(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Strings {
        let mut strings = Strings::new();
        list.iter().for_each(|string| strings.push(string.as_bytes()).expect("fits"));
        strings
    }

    #[test]
    fn every_pointer_points_to_its_string() {
        const END: u64 = 1 << 42;
        let auxiliary = Auxiliary {
            headers: (64, 5, 56),
            base: 0,
            entry: 0x1000,
            page: 4096,
            hwcap: (1, 2),
            users: [1, 2, 3, 4],
            secure: false,
            ticks: 100,
            vdso: None,
            platform: "z10",
            random: [7; 16],
        };
        for extra in ["", "x", "xx", "xxxxxxxxx"] {
            let (args, env) = (strings(&["sh", extra]), strings(&["A=1"]));
            let stack = contents(END, b"/bin/sh", &args, &env, &auxiliary).expect("memory");
            assert_eq!(stack.sp % 16, 0);
            assert_eq!(stack.sp + stack.bytes.len() as u64, END);
            let word = |index: usize| {
                u64::from_ne_bytes(stack.bytes[8 * index..8 * index + 8].try_into().expect("8 bytes"))
            };
            let text = |at: u64| {
                let bytes = &stack.bytes[(at - stack.sp) as usize..];
                let end = bytes.iter().position(|byte| *byte == 0).expect("a NUL");
                std::str::from_utf8(&bytes[..end]).expect("text")
            };
            assert_eq!((word(0), text(word(1)), text(word(2)), word(3)), (2, "sh", extra, 0));
            assert_eq!((text(word(4)), word(5)), ("A=1", 0));
            let vector: Vec<_> = (6..).step_by(2).map(|i| (word(i) as u32, word(i + 1))).take(20).collect();
            let value = |kind: u32| vector.iter().find(|entry| entry.0 == kind).expect("there").1;
            assert_eq!(vector[19].0, at::AT_NULL);
            assert_eq!((text(value(at::AT_EXECFN)), text(value(at::AT_PLATFORM))), ("/bin/sh", "z10"));
            let random = (value(at::AT_RANDOM) - stack.sp) as usize;
            assert_eq!(stack.bytes[random..random + 16], [7; 16]);
            assert_eq!(stack.args.1, stack.env.0);
        }
    }
}
