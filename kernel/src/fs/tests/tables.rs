//! Tables of descriptors.

use super::*;
use crate::fs::fdtable::FdTable;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMIT: u64 = 20;

#[derive(Clone, Debug)]
enum Op {
    Install(bool),
    From(i32),
    Replace(i32, bool),
    Close(i32),
    Mark(i32, bool),
    Range(u32, u32),
    Exec,
    Reserve,
    Duplicate,
}

fn op() -> impl Strategy<Value = Op> {
    let fd = || -2..24_i32;
    prop_oneof![
        any::<bool>().prop_map(Op::Install),
        fd().prop_map(Op::From),
        (fd(), any::<bool>()).prop_map(|(fd, cloexec)| Op::Replace(fd, cloexec)),
        fd().prop_map(Op::Close),
        (fd(), any::<bool>()).prop_map(|(fd, on)| Op::Mark(fd, on)),
        (0..24_u32, 0..30_u32).prop_map(|(first, last)| Op::Range(first, last)),
        Just(Op::Exec),
        Just(Op::Reserve),
        Just(Op::Duplicate),
    ]
}

proptest! {
    #[test]
    fn descriptors_are_the_lowest_free_ones(ops in prop::collection::vec(op(), 1..60)) {
        let world = World::new();
        world.touch("/f").expect("made");
        let mut table = FdTable::new();
        let mut model: BTreeMap<i32, (usize, bool)> = BTreeMap::new();
        let file = || world.open("/f", linux::O_RDONLY).expect("opened");
        let identity = |file: &Arc<File>| Arc::as_ptr(file) as usize;
        let lowest = |model: &BTreeMap<i32, (usize, bool)>, from: i32| {
            (from..LIMIT as i32).find(|fd| !model.contains_key(fd)).ok_or(Errno::EMFILE)
        };
        // Kept, so that no two have one address.
        let mut files = Vec::new();
        for op in ops {
            match op {
                Op::Install(cloexec) => {
                    let file = file();
                    let expected = lowest(&model, 0);
                    prop_assert_eq!(table.install(file.clone(), cloexec, LIMIT), expected);
                    if let Ok(fd) = expected {
                        model.insert(fd, (identity(&file), cloexec));
                    }
                    files.push(file);
                }
                Op::From(from) => {
                    let expected =
                        if (0..LIMIT as i32).contains(&from) { lowest(&model, from) } else { Err(Errno::EINVAL) };
                    let file = file();
                    match table.reserve(from, LIMIT) {
                        Ok(reserved) => {
                            prop_assert_eq!(Ok(reserved.fd()), expected);
                            prop_assert_eq!(table.get(reserved.fd()).err(), Some(Errno::EBADF));
                            let busy = table.replace(reserved.fd(), file.clone(), false, LIMIT);
                            prop_assert_eq!(busy.err(), Some(Errno::EBUSY));
                            let fd = reserved.install(file.clone(), false);
                            model.insert(fd, (identity(&file), false));
                        }
                        Err(error) => prop_assert_eq!(Err(error), expected),
                    }
                    files.push(file);
                }
                Op::Replace(fd, cloexec) => {
                    let file = file();
                    let old = table.replace(fd, file.clone(), cloexec, LIMIT);
                    if (0..LIMIT as i32).contains(&fd) {
                        let old = old.expect("inside").map(|file| identity(&file));
                        let before = model.insert(fd, (identity(&file), cloexec));
                        prop_assert_eq!(old, before.map(|before| before.0));
                    } else {
                        prop_assert_eq!(old.err(), Some(Errno::EBADF));
                    }
                    files.push(file);
                }
                Op::Close(fd) => {
                    let closed = table.close(fd).map(|file| identity(&file));
                    prop_assert_eq!(closed, model.remove(&fd).map(|before| before.0).ok_or(Errno::EBADF));
                }
                Op::Mark(fd, on) => {
                    let done = table.set_cloexec(fd, on);
                    prop_assert_eq!(done, model.get_mut(&fd).map(|entry| entry.1 = on).ok_or(Errno::EBADF));
                }
                Op::Range(first, last) => {
                    table.close_range(first, last);
                    model.retain(|&fd, _| !(first..=last).contains(&(fd as u32)));
                }
                Op::Exec => {
                    table.close_on_exec();
                    model.retain(|_, entry| !entry.1);
                }
                Op::Reserve => drop(table.reserve(0, LIMIT)),
                Op::Duplicate => table = table.duplicate().expect("memory"),
            }
            for fd in -1..24 {
                let expected = model.get(&fd).map(|entry| entry.0).ok_or(Errno::EBADF);
                prop_assert_eq!(table.get(fd).map(|file| identity(&file)), expected);
                prop_assert_eq!(table.cloexec(fd), model.get(&fd).map(|entry| entry.1).ok_or(Errno::EBADF));
            }
            let mut open = Vec::new();
            let mut from = 0;
            while let Some((fd, _)) = table.next_open(from) {
                open.push(fd);
                from = fd + 1;
            }
            prop_assert!(open.iter().eq(model.keys()));
        }
    }
}
