//! Building the address space of a new program.

use super::stack::{self, Auxiliary};
use super::{Program, Strings};
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::signal::TRAMPOLINE_IS_ELF;
use crate::arch::current::{TrapFrame, user};
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::fs::{Access as Who, Attr, File, FsContext, open, walk};
use crate::mm::space::{MapFlags, MapRequest, Marks, Mm, MmRef};
use crate::proc::elf::{self, Header, Image, Machine};
use crate::proc::process::{Creds, Limits};
use crate::sync::MaySleep;
use crate::sync::context::TaskName;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A program in its address space, not begun yet.
pub struct Loaded {
    /// With one use, the caller's.
    pub space: MmRef,
    /// Its first registers.
    pub frame: TrapFrame,
    /// Where the trampoline of signals is.
    pub trampoline: u64,
    /// The last part of its path.
    pub name: TaskName,
    /// What it is.
    pub file: Arc<File>,
    /// Who it acts as, if the file says so.
    pub creds: Option<Creds>,
}

/// What this machine takes.
const MACHINE: Machine = Machine {
    number: user::ELF_MACHINE,
    big_endian: cfg!(target_endian = "big"),
    page: PAGE_SIZE,
    end: user::SPACE_END.get(),
};

/// The stack's end.
const STACK_END: u64 = user::SPACE_END.get() - PAGE_SIZE;
/// Bytes of it that are mapped at first, beside what is written there.
const STACK_BEGIN: u64 = if PAGE_SIZE > 128 << 10 { PAGE_SIZE } else { 128 << 10 };
/// Where programs are put that may lie anywhere: as Linux, at two thirds.
const MOVABLE_BASE: u64 = user::SPACE_END.get() / 3 * 2 / (1 << 20) * (1 << 20);
/// How many scripts may be each other's interpreters.
const MOST_SCRIPTS: usize = 5;
/// Bytes of a script's first line that count.
const FIRST_LINE: usize = 256;

/// Builds it.
///
/// # Errors
/// EACCES: not a file that may be executed. ENOEXEC: not a program. ENOMEM, E2BIG, ELOOP, and those of
/// reading the file.
pub fn load(
    ctx: &mut MaySleep,
    mut program: Program<'_>,
    fs: &FsContext,
    creds: &Creds,
    limits: &Limits,
) -> Result<Loaded, Errno> {
    let mut line = [0; FIRST_LINE];
    let mut path = walk::copy(program.path)?;
    for _ in 0..MOST_SCRIPTS {
        let file = Arc::clone(&program.file);
        let attr = file.place().attr(ctx)?;
        let read = file.read_exact_at(ctx, 0, &mut line)?;
        let Some(script) = script(&line[..read])? else {
            return load_elf(ctx, &program, file, &attr, fs, creds, limits);
        };
        let mut args = Strings::new();
        args.push(script.0)?;
        if let Some(argument) = script.1 {
            args.push(argument)?;
        }
        args.push(&path)?;
        args.append(&program.args.rest()?)?;
        program.args = args;
        path = walk::copy(script.0)?;
        program.file = open(ctx, script.0, fs, creds)?;
    }
    Err(Errno::ELOOP)
}

/// An interpreter and its argument.
type Script<'a> = (&'a [u8], Option<&'a [u8]>);

/// The interpreter and its argument of a file that begins with `#!`. ENOEXEC: it names none.
fn script(line: &[u8]) -> Result<Option<Script<'_>>, Errno> {
    let Some(rest) = line.strip_prefix(b"#!") else { return Ok(None) };
    let end = rest.iter().position(|byte| *byte == b'\n' || *byte == 0);
    // A name that is cut off is not tried.
    let text = match end {
        Some(end) => &rest[..end],
        None if line.len() == FIRST_LINE => return Err(Errno::ENOEXEC),
        None => rest,
    };
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let space = text.iter().position(|byte| *byte == b' ' || *byte == b'\t');
    Ok(Some(match space {
        Some(at) => (&text[..at], Some(text[at..].trim_ascii())),
        None => (text, None),
    }))
}

fn who(creds: &Creds) -> Who<'_> {
    Who { uid: creds.fsuid, gid: creds.fsgid, groups: creds.groups() }
}

/// Opens a program.
fn open(ctx: &mut MaySleep, path: &[u8], fs: &FsContext, creds: &Creds) -> Result<Arc<File>, Errno> {
    let walk = walk::Walk { who: who(creds), root: fs.root(), start: fs.cwd() };
    open::open_program(ctx, &walk, path, walk::Last::Follow)
}

/// Reads and checks the headers.
fn image(ctx: &mut MaySleep, file: &File, size: u64) -> Result<Image, Errno> {
    let mut header = [0; elf::HEADER];
    let read = file.read_exact_at(ctx, 0, &mut header)?;
    let header = Header::parse(&header[..read], &MACHINE)?;
    let (at, bytes) = header.table();
    let mut table = [0; elf::TABLE];
    let table = &mut table[..bytes];
    let read = file.read_exact_at(ctx, at, table)?;
    Image::parse(&header, &table[..read], size, &MACHINE)
}

fn load_elf(
    ctx: &mut MaySleep,
    program: &Program<'_>,
    file: Arc<File>,
    attr: &Attr,
    fs: &FsContext,
    creds: &Creds,
    limits: &Limits,
) -> Result<Loaded, Errno> {
    let image = image(ctx, &file, attr.size)?;
    let interpreter = match image.interpreter {
        Some((at, len)) => Some(open_interpreter(ctx, &file, (at, len), fs, creds)?),
        None => None,
    };
    let space = Mm::new(ctx)?;
    let build = Build { program, image: &image, limits, creds: new_creds(attr, creds) };
    match build.fill(ctx, &space, &file, interpreter.as_ref()) {
        Ok((frame, trampoline)) => {
            let path = program.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let name = TaskName::new(core::str::from_utf8(path).unwrap_or("?"));
            Ok(Loaded { space, frame, trampoline, name, file, creds: Some(build.creds) })
        }
        Err(error) => {
            space.end_use(ctx);
            Err(error)
        }
    }
}

fn open_interpreter(
    ctx: &mut MaySleep,
    file: &File,
    (at, len): (u64, usize),
    fs: &FsContext,
    creds: &Creds,
) -> Result<(Arc<File>, Image), Errno> {
    let mut name = Vec::new();
    name.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    name.resize(len, 0);
    let read = file.read_exact_at(ctx, at, &mut name)?;
    let path = name[..read].strip_suffix(&[0]).ok_or(Errno::ENOEXEC)?;
    let file = open(ctx, path, fs, creds)?;
    let size = file.place().attr(ctx)?.size;
    let image = image(ctx, &file, size)?;
    // An interpreter has none.
    if image.interpreter.is_some() { Err(Errno::ENOEXEC) } else { Ok((file, image)) }
}

/// Who the new program acts as: set-user and set-group files say so.
fn new_creds(attr: &Attr, creds: &Creds) -> Creds {
    const SET_USER: u32 = 0o4000;
    const SET_GROUP: u32 = 0o2000;
    let mode = attr.mode.bits();
    let mut new = creds.clone();
    if mode & SET_USER != 0 {
        new.euid = attr.uid;
    }
    if mode & SET_GROUP != 0 && mode & 0o010 != 0 {
        new.egid = attr.gid;
    }
    (new.suid, new.fsuid, new.sgid, new.fsgid) = (new.euid, new.euid, new.egid, new.egid);
    new
}

struct Build<'a> {
    program: &'a Program<'a>,
    image: &'a Image,
    limits: &'a Limits,
    creds: Creds,
}

impl Build<'_> {
    /// Maps all; gives the first registers and the trampoline's address.
    fn fill(
        &self,
        ctx: &mut MaySleep,
        space: &Mm,
        file: &Arc<File>,
        interpreter: Option<&(Arc<File>, Image)>,
    ) -> Result<(TrapFrame, u64), Errno> {
        space.set_limits(self.limits.of_memory());
        let base = if self.image.movable {
            let base = MOVABLE_BASE / self.image.align * self.image.align;
            let (first, _) = self.image.span(PAGE_SIZE);
            base - first
        } else {
            0
        };
        let mut marks = map_image(ctx, space, file, self.image, base)?;
        let stack_begin = self.map_stack(ctx, space)?;
        let trampoline = crate::proc::process::signal::trampoline::map(ctx, space)?.get();
        let mut entry = base + self.image.entry;
        let mut interpreter_base = 0;
        if let Some((file, image)) = interpreter {
            interpreter_base = place_anywhere(ctx, space, image)?;
            map_image(ctx, space, file, image, interpreter_base)?;
            entry = interpreter_base + image.entry;
        }
        let vdso = TRAMPOLINE_IS_ELF.then_some(trampoline);
        let contents = self.stack(base, interpreter_base, vdso)?;
        if contents.sp < stack_begin + PAGE_SIZE {
            return Err(Errno::E2BIG);
        }
        space.write_remote(ctx, VirtAddr::new(contents.sp), &contents.bytes)?;
        marks.stack = contents.sp;
        (marks.args, marks.env) = (contents.args, contents.env);
        space.set_marks(marks);
        Ok((TrapFrame::program(VirtAddr::new(entry), VirtAddr::new(contents.sp)), trampoline))
    }

    /// The stack's mapping; gives its low end.
    fn map_stack(&self, ctx: &mut MaySleep, space: &Mm) -> Result<u64, Errno> {
        let strings = self.program.args.bytes().len() + self.program.env.bytes().len();
        let pointers = 8 * (self.program.args.count() + self.program.env.count());
        let size = (STACK_BEGIN + (strings + pointers) as u64 + 2 * PAGE_SIZE).next_multiple_of(PAGE_SIZE);
        let request = MapRequest::anonymous(size, Access::RW)
            .at(VirtAddr::new(STACK_END - size))
            .with(MapFlags::GROWSDOWN | MapFlags::STACK);
        space.map(ctx, request)?;
        Ok(STACK_END - size)
    }

    fn stack(&self, base: u64, interpreter: u64, vdso: Option<u64>) -> Result<stack::Contents, Errno> {
        let creds = &self.creds;
        let headers = if self.image.headers == 0 { 0 } else { base + self.image.headers };
        let auxiliary = Auxiliary {
            headers: (headers, self.image.count, elf::HEADER_ENTRY),
            base: interpreter,
            entry: base + self.image.entry,
            page: PAGE_SIZE,
            hwcap: (user::hwcap(), user::hwcap2()),
            users: [creds.uid, creds.euid, creds.gid, creds.egid].map(u64::from),
            secure: creds.uid != creds.euid || creds.gid != creds.egid,
            ticks: crate::proc::process::CLOCK_TICKS,
            vdso,
            platform: user::PLATFORM,
            random: random_bytes(),
        };
        stack::contents(STACK_END, self.program.path, &self.program.args, &self.program.env, &auxiliary)
    }
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    crate::fs::dev::random::fill(&mut bytes);
    bytes
}

/// Room for an interpreter, which may lie anywhere: its base. The room is mapped without access, and
/// what it is for goes over it.
fn place_anywhere(ctx: &mut MaySleep, space: &Mm, image: &Image) -> Result<u64, Errno> {
    if !image.movable {
        return Ok(0);
    }
    let (first, end) = image.span(PAGE_SIZE);
    let at = space.map(ctx, MapRequest::anonymous(end - first, Access::NONE))?;
    Ok(at.get() - first)
}

/// Maps the segments. The marks say where they lie.
fn map_image(
    ctx: &mut MaySleep,
    space: &Mm,
    file: &Arc<File>,
    image: &Image,
    base: u64,
) -> Result<Marks, Errno> {
    let object = file.ops().page_object(ctx, file)?;
    let mut marks = Marks::default();
    for segment in &image.segments {
        let address = base.checked_add(segment.address).ok_or(Errno::ENOEXEC)?;
        let end = address.checked_add(segment.size).filter(|end| *end <= STACK_END).ok_or(Errno::ENOEXEC)?;
        let in_page = address % PAGE_SIZE;
        let file_end = address + segment.from_file;
        let mapped_end =
            if segment.from_file == 0 { address - in_page } else { file_end.next_multiple_of(PAGE_SIZE) };
        if segment.from_file > 0 {
            let request = MapRequest::anonymous(in_page + segment.from_file, segment.access)
                .at(VirtAddr::new(address - in_page))
                .of(Arc::clone(&object), segment.offset - in_page);
            space.map(ctx, request)?;
        }
        let memory_end = end.next_multiple_of(PAGE_SIZE);
        if memory_end > mapped_end {
            let request = MapRequest::anonymous(memory_end - mapped_end, segment.access);
            space.map(ctx, request.at(VirtAddr::new(mapped_end)))?;
        }
        if segment.from_file > 0 && segment.access.write {
            zero(ctx, space, file_end, mapped_end.min(end.next_multiple_of(PAGE_SIZE)))?;
        }
        note(&mut marks, address, end, file_end, segment.access);
    }
    let brk = base + image.span(PAGE_SIZE).1;
    marks.brk = (brk, brk);
    Ok(marks)
}

fn note(marks: &mut Marks, address: u64, end: u64, file_end: u64, access: Access) {
    if access.execute && !access.write {
        let begin = if marks.code.0 == 0 { address } else { marks.code.0 };
        marks.code = (begin, file_end);
    } else if access.write {
        let begin = if marks.data.0 == 0 { address } else { marks.data.0 };
        marks.data = (begin, end);
    }
}

/// What follows the file's bytes in their last page is zero.
fn zero(ctx: &mut MaySleep, space: &Mm, from: u64, to: u64) -> Result<(), Errno> {
    static ZEROS: [u8; 4096] = [0; 4096];
    let mut at = from;
    while at < to {
        let step = (to - at).min(ZEROS.len() as u64);
        space.write_remote(ctx, VirtAddr::new(at), &ZEROS[..step as usize])?;
        at += step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_scripts() {
        assert_eq!(script(b"\x7fELF"), Ok(None));
        assert_eq!(script(b"#!/bin/sh\nexit"), Ok(Some((&b"/bin/sh"[..], None))));
        assert_eq!(script(b"#! /bin/sh  -e x \n"), Ok(Some((&b"/bin/sh"[..], Some(&b"-e x"[..])))));
        assert_eq!(script(b"#!/bin/sh"), Ok(Some((&b"/bin/sh"[..], None))));
        assert_eq!(script(b"#!  \n"), Err(Errno::ENOEXEC));
        let mut long = [b'x'; FIRST_LINE];
        long[..2].copy_from_slice(b"#!");
        assert_eq!(script(&long), Err(Errno::ENOEXEC));
    }

    #[test]
    fn a_set_user_file_changes_the_effective_user() {
        let creds = Creds { uid: 5, euid: 5, ..Creds::ROOT };
        let attr = Attr { uid: 7, ..Attr::plain(1, crate::fs::Kind::File, 0o4755) };
        let new = new_creds(&attr, &creds);
        assert_eq!((new.uid, new.euid, new.suid, new.fsuid), (5, 7, 7, 7));
    }
}
