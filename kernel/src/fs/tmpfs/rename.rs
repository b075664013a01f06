//! Giving something another name.
//!
//! All is checked and allocated before anything changes. One lock over all of it keeps the tree still:
//! while it is held no directory moves, so "lies in" is a question with an answer, and two moves do not
//! lock the same directories in different orders.

use super::directory::Directory;
use super::node::Node;
use crate::error::Errno;
use crate::fs::access::{Access, WRITE};
use crate::fs::attr::Kind;
use crate::fs::inode::{Inode, Moving};
use crate::fs::locks;
use crate::sync::{MaySleep, Mutex};
use alloc::sync::Arc;

/// One for all file systems: moves are rare.
static RENAMING: Mutex<()> = Mutex::new(&locks::RENAMING, ());

/// A directory and a name in it.
type End<'a> = (&'a Node, &'a [u8]);

/// The names of both ends, which may be one directory.
struct Names<'a> {
    from: &'a mut Directory,
    into: Option<&'a mut Directory>,
}

impl Names<'_> {
    fn at_target(&mut self) -> &mut Directory {
        match &mut self.into {
            Some(into) => into,
            None => self.from,
        }
    }
}

/// Gives what is `from` the name `to`.
pub(super) fn rename(
    ctx: &mut MaySleep,
    from: End<'_>,
    to: End<'_>,
    how: Moving,
    who: &Access<'_>,
) -> Result<(), Errno> {
    let _renaming = RENAMING.lock(ctx);
    let (here, there) = (from.0.directory()?, to.0.directory()?);
    if from.0.ino() == to.0.ino() {
        let mut names = here.lock(ctx);
        return with_locks(ctx, Names { from: &mut names, into: None }, from, to, how, who);
    }
    // The ancestor first; two of which neither is one in any order, since only who has the lock of
    // renaming takes such two.
    if from.0.is_below(to.0) {
        let mut into = there.lock(ctx);
        let mut names = here.lock_as(ctx, &locks::DIRECTORY_SECOND);
        with_locks(ctx, Names { from: &mut names, into: Some(&mut into) }, from, to, how, who)
    } else {
        let mut names = here.lock(ctx);
        let mut into = there.lock_as(ctx, &locks::DIRECTORY_SECOND);
        with_locks(ctx, Names { from: &mut names, into: Some(&mut into) }, from, to, how, who)
    }
}

fn is_directory(node: &Node) -> bool {
    node.kind() == Kind::Directory
}

fn with_locks(
    ctx: &mut MaySleep,
    mut names: Names<'_>,
    from: End<'_>,
    to: End<'_>,
    how: Moving,
    who: &Access<'_>,
) -> Result<(), Errno> {
    let source = names.from.get(from.1).ok_or(Errno::ENOENT)?.clone();
    let target = names.at_target().get(to.1).cloned();
    match (&target, how) {
        (Some(_), Moving::NoReplace) => return Err(Errno::EEXIST),
        (None, Moving::Exchange) => return Err(Errno::ENOENT),
        (Some(target), _) if target.ino() == source.ino() => return Ok(()),
        _ => {}
    }
    check(&names, &source, target.as_deref(), from.0, to.0, how, who)?;
    if names.at_target().gone {
        return Err(Errno::ENOENT);
    }
    match target {
        Some(target) if how == Moving::Exchange => {
            names.from.replace(from.1, target.clone());
            names.at_target().replace(to.1, source.clone());
            moved(&target, to.0, from.0);
        }
        Some(target) => {
            if let Ok(victim) = target.directory() {
                let mut victim = victim.lock_as(ctx, &locks::DIRECTORY_THIRD);
                if !victim.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                victim.gone = true;
                to.0.drop_links(1);
            }
            names.from.remove(from.1);
            names.at_target().replace(to.1, source.clone());
            target.lose_name();
        }
        None => {
            let name = names.at_target().prepare(to.1)?;
            names.from.remove(from.1);
            names.at_target().insert(name, source.clone());
        }
    }
    moved(&source, from.0, to.0);
    from.0.touch();
    to.0.touch();
    Ok(())
}

/// Whether he may, and whether it can be: what Linux checks, in its order.
fn check(
    names: &Names<'_>,
    source: &Arc<Node>,
    target: Option<&Node>,
    from: &Node,
    to: &Node,
    how: Moving,
    who: &Access<'_>,
) -> Result<(), Errno> {
    let exchange = how == Moving::Exchange;
    // Into itself, or onto what it lies in.
    if is_directory(source) && to.is_below(source) {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = target
        && is_directory(target)
        && from.is_below(target)
    {
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    who.check_sticky(&from.attr_but_size(), &source.attr_but_size())?;
    if let Some(target) = target {
        who.check_sticky(&to.attr_but_size(), &target.attr_but_size())?;
        match (is_directory(source), is_directory(target)) {
            _ if exchange => {}
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
    }
    // The `..` of a directory that goes elsewhere changes.
    let goes = |node: &Node| {
        if is_directory(node) { who.check(&node.attr_but_size(), WRITE) } else { Ok(()) }
    };
    if names.into.is_some() {
        goes(source)?;
        target.filter(|_| exchange).map_or(Ok(()), goes)?;
    }
    Ok(())
}

/// A node has gone from one directory to another, or to the same.
fn moved(node: &Node, from: &Node, to: &Node) {
    if from.ino() != to.ino() {
        if is_directory(node) {
            from.drop_links(1);
            to.add_link();
        }
        node.set_parent(to.me());
    }
    node.touch_attributes();
}
