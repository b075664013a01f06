//! From a path to an inode.
//!
//! [`Walk::find`] does it for all calls: it gives the directory, the last name, and what has that name,
//! if anything. What is missing in the middle is an error; what is missing at the end is not, since
//! somebody may want to make it.
//!
//! A symbolic link's text takes the place of its name in the path, and the walk goes on from there: no
//! recursion, and 40 links at most, as in Linux.

use super::access::{Access, EXECUTE};
use super::attr::Kind;
use super::file::{File, Location};
use super::inode::{Inode, NAME_MAX, Target};
use super::mount::Place;
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// The most bytes of a path, its NUL included.
pub const PATH_MAX: usize = 4096;
/// The most symbolic links on one way.
pub const LINKS_MAX: usize = 40;

/// Who walks, and from where.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// Who asks.
    pub who: Access<'a>,
    /// Where `/` is, and where `..` leads nowhere.
    pub root: Place,
    /// Where paths begin that do not begin with `/`.
    pub start: Place,
}

/// What is done about a symbolic link that has the last name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is what is meant, unless a `/` comes after it.
    Stay,
    /// The name is what is meant: it is to be made, or taken away.
    Name,
}

/// What a path leads to.
#[derive(Debug)]
pub struct Found<'p> {
    /// The directory of the last name; without a last name what the path leads to.
    pub directory: Place,
    /// What has the name; `None` if nothing has.
    pub place: Option<Place>,
    /// Whether a `/` comes after the last name: it is to be a directory.
    pub slash: bool,
    /// How the path ended, if not with a name.
    pub dots: Option<Dots>,
    /// The open file that the path's last link stood for (`/proc/PID/fd/N`, `exe`).
    jumped: Option<Arc<File>>,
    text: Cow<'p, [u8]>,
    name: Range<usize>,
}

/// The end of a path that is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dots {
    /// The root, or a link of `/proc` that jumps.
    Root,
    /// `.`
    One,
    /// `..`
    Two,
}

impl Found<'_> {
    /// The last name; `None` for a path that ends in `/`, `.` or `..`.
    pub fn name(&self) -> Option<&[u8]> {
        if self.dots.is_some() { None } else { self.text.get(self.name.clone()) }
    }
    /// The directory and name, for an open file to remember.
    pub fn location(&self) -> Result<Option<Location>, Errno> {
        let (directory, name) = match (self.name(), self.jumped.as_ref().and_then(|file| file.location())) {
            (Some(name), _) => (&self.directory, name),
            (None, Some(location)) => (&location.directory, &*location.name),
            (None, None) => return Ok(None),
        };
        Ok(Some(Location { directory: directory.clone(), name: copy(name)?.into_boxed_slice() }))
    }
}

/// A copy, or ENOMEM.
pub fn copy(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// ENOTDIR unless it is a directory, EACCES unless he may search it.
pub fn check_search(ctx: &mut MaySleep, place: &Place, who: &Access<'_>) -> Result<(), Errno> {
    if place.inode.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    who.check(&place.attr(ctx)?, EXECUTE)
}

impl Walk<'_> {
    /// What the path leads to. ENOENT: something in the middle does not exist, or the path is empty.
    pub fn find<'p>(&self, ctx: &mut MaySleep, path: &'p [u8], last: Last) -> Result<Found<'p>, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut text = Cow::Borrowed(path);
        let mut here = if path[0] == b'/' { self.root.clone() } else { self.start.clone() };
        let (mut at, mut links) = (0, 0);
        let mut dots = Dots::Root;
        let mut jumped = None;
        loop {
            let begin = at + leading_slashes(&text[at..]);
            let len = text[begin..].iter().take_while(|&&byte| byte != b'/').count();
            let name = begin..begin + len;
            if len == 0 {
                let slash = true;
                return Ok(Found {
                    directory: here.clone(),
                    place: Some(here),
                    slash,
                    dots: Some(dots),
                    jumped,
                    text,
                    name,
                });
            }
            check_search(ctx, &here, &self.who)?;
            if len > NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            let rest = name.end + leading_slashes(&text[name.end..]);
            let (is_last, slash) = (rest == text.len(), rest > name.end);
            at = rest;
            if &text[name.clone()] == b"." {
                dots = Dots::One;
                continue;
            }
            if &text[name.clone()] == b".." {
                dots = Dots::Two;
                if !here.is(&self.root) {
                    here = here.parent(ctx)?;
                }
                continue;
            }
            let inode = match here.inode.lookup(ctx, &text[name.clone()]) {
                Ok(inode) => inode,
                Err(Errno::ENOENT) if is_last => {
                    let (place, dots, jumped) = (None, None, None);
                    return Ok(Found { directory: here, place, slash, dots, jumped, text, name });
                }
                Err(error) => return Err(error),
            };
            let next = Place { mount: here.mount.clone(), inode }.uncovered();
            let follow = match last {
                _ if !is_last => true,
                Last::Follow => true,
                Last::Stay => slash,
                Last::Name => false,
            };
            if next.inode.kind() == Kind::Link && follow {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::ELOOP);
                }
                match next.inode.follow(ctx, &self.who)? {
                    Target::Place(place) => (here, dots, jumped) = (place, Dots::Root, None),
                    Target::Open(file) => {
                        (here, dots) = (file.place().clone(), Dots::Root);
                        jumped = Some(file);
                    }
                    Target::Path(target) => {
                        text = Cow::Owned(replace(target, &text[name.end..])?);
                        if text[0] == b'/' {
                            here = self.root.clone();
                        }
                        (at, dots) = (0, Dots::Root);
                    }
                }
                continue;
            }
            if !is_last {
                here = next;
                continue;
            }
            if slash && last != Last::Name && next.inode.kind() != Kind::Directory {
                return Err(Errno::ENOTDIR);
            }
            let (place, dots, jumped) = (Some(next), None, None);
            return Ok(Found { directory: here, place, slash, dots, jumped, text, name });
        }
    }

    /// What the path leads to. ENOENT if it does not exist.
    pub fn resolve(&self, ctx: &mut MaySleep, path: &[u8], last: Last) -> Result<Place, Errno> {
        self.find(ctx, path, last)?.place.ok_or(Errno::ENOENT)
    }
}

fn leading_slashes(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| byte == b'/').count()
}

/// The link's text, and what came after the link's name.
fn replace(mut target: Vec<u8>, rest: &[u8]) -> Result<Vec<u8>, Errno> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    if target.len() + rest.len() >= 2 * PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    target.try_reserve_exact(rest.len()).map_err(|_| Errno::ENOMEM)?;
    target.extend_from_slice(rest);
    Ok(target)
}

/// The name that an inode has in its directory. ENOENT: none any more.
fn name_in(ctx: &mut MaySleep, directory: &Arc<dyn Inode>, ino: u64) -> Result<Box<[u8]>, Errno> {
    let mut found = Err(Errno::ENOENT);
    directory.readdir(ctx, super::inode::FIRST_ENTRY, &mut |_, entry| {
        if entry.ino != ino {
            return true;
        }
        found = copy(entry.name).map(Vec::into_boxed_slice);
        false
    })?;
    found
}

/// The path of a directory, as seen from a root. ENOENT if it has none any more. A place that is not
/// below the root begins with `(unreachable)`, as in Linux.
pub fn path_of_directory(ctx: &mut MaySleep, place: &Place, root: &Place) -> Result<Vec<u8>, Errno> {
    // From the end to the beginning, reversed at last: `d/c/b/a/`, each name itself reversed.
    let mut reversed: Vec<u8> = Vec::new();
    let mut here = place.clone();
    let reachable = loop {
        if here.is(root) {
            break true;
        }
        while here.is_mount_root() {
            match here.mount.covers() {
                Some(covered) => here = covered.clone(),
                None => break,
            }
        }
        if here.is_mount_root() {
            break here.is(root);
        }
        let parent = here.inode.parent(ctx)?;
        let name = name_in(ctx, &parent, here.inode.ino())?;
        reversed.try_reserve(name.len() + 1).map_err(|_| Errno::ENOMEM)?;
        reversed.extend(name.iter().rev());
        reversed.push(b'/');
        here = Place { mount: here.mount, inode: parent }.uncovered();
    };
    if reversed.is_empty() {
        reversed = copy(b"/")?;
    }
    if !reachable {
        let prefix = b"(unreachable)";
        reversed.try_reserve(prefix.len()).map_err(|_| Errno::ENOMEM)?;
        reversed.extend(prefix.iter().rev());
    }
    reversed.reverse();
    Ok(reversed)
}

/// What stands behind the path of what has no name any more.
pub const DELETED: &[u8] = b" (deleted)";

/// Where a file is that is not where it was opened; `None` if it is, or cannot be found.
fn moved(ctx: &mut MaySleep, file: &super::File, location: &Location) -> Option<Location> {
    let ino = file.inode().ino();
    let there = location.directory.inode.lookup(ctx, &location.name);
    if there.is_ok_and(|inode| inode.ino() == ino) {
        return None;
    }
    let directory = file.inode().found_in()?;
    let name = name_in(ctx, &directory, ino).ok()?;
    Some(Location { directory: Place { mount: file.place().mount.clone(), inode: directory }, name })
}

/// The path of an open file, for `/proc/PID/fd`, `exe` and `maps`: the one by which it was opened, or the
/// one to which it was moved since; with ` (deleted)` behind it if it has no name any more. A file that never had one gives `None`.
pub fn path_of_file(ctx: &mut MaySleep, file: &super::File, root: &Place) -> Result<Option<Vec<u8>>, Errno> {
    let deleted = file.place().attr(ctx)?.nlink == 0;
    let mut path = match file.location() {
        _ if file.inode().kind() == Kind::Directory => match path_of_directory(ctx, file.place(), root) {
            Err(Errno::ENOENT) if deleted => copy(b"/")?,
            other => other?,
        },
        None => return Ok(None),
        Some(location) => {
            let moved = if deleted { None } else { moved(ctx, file, location) };
            let Location { directory, name } = moved.as_ref().unwrap_or(location);
            let mut path = match path_of_directory(ctx, directory, root) {
                Err(Errno::ENOENT) => Vec::new(),
                other => other?,
            };
            path.try_reserve(name.len() + 1).map_err(|_| Errno::ENOMEM)?;
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            path
        }
    };
    if deleted {
        path.try_reserve(DELETED.len()).map_err(|_| Errno::ENOMEM)?;
        path.extend_from_slice(DELETED);
    }
    Ok(Some(path))
}
