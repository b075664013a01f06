//! The set against a map from page to attribute, with failing allocations, dropped drafts and readers
//! that stay in an old version. Compiled twice: in the library, with small leaves, and as a test of its
//! own (`tests/vma_set.rs`), with those of the kernel.

use super::memory::Memory;
use super::{Errno, Guard, Head, MaySleep, Vma, VmaSet};
use proptest::prelude::*;
use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr::NonNull;

type Attr = u8;
type Model = BTreeMap<u64, Attr>;

/// Counts blocks, fails when told to, and keeps retired blocks until the "grace period" ends.
#[derive(Default)]
struct TestMemory {
    live: Cell<usize>,
    budget: Cell<Option<usize>>,
    waiting: RefCell<Vec<NonNull<Head>>>,
}

impl TestMemory {
    fn end_grace_period(&self) {
        for block in self.waiting.borrow_mut().drain(..) {
            // SAFETY: retired, and the test has dropped the views that could see it.
            unsafe { (&self).free(block.cast(), (*block.as_ptr()).layout()) };
        }
    }
}

// SAFETY: the host's allocator; retired blocks wait for `end_grace_period`.
unsafe impl Memory for &TestMemory {
    fn alloc(&self, layout: Layout, _ctx: Option<&mut MaySleep>) -> Option<NonNull<u8>> {
        if let Some(left) = self.budget.get() {
            self.budget.set(Some(left.checked_sub(1)?));
        }
        self.live.set(self.live.get() + 1);
        // SAFETY: a block is not empty.
        NonNull::new(unsafe { alloc(layout) })
    }
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        self.live.set(self.live.get() - 1);
        // SAFETY: from `alloc`, with that layout (the caller).
        unsafe {
            // Poison: a reader that is still there must notice.
            block.as_ptr().write_bytes(0xdd, layout.size());
            dealloc(block.as_ptr(), layout);
        }
    }
    unsafe fn retire(&self, block: NonNull<Head>) {
        self.waiting.borrow_mut().push(block);
    }
}

struct Section;
// SAFETY: `end_grace_period` is called when no view is used any more.
unsafe impl Guard for Section {}

#[derive(Clone, Debug)]
enum Op {
    Put { start: u64, len: u64, attr: Option<Attr> },
    Change { start: u64, len: u64, add: Attr },
}

#[derive(Clone, Debug)]
struct Step {
    ops: Vec<Op>,
    commit: bool,
    budget: Option<usize>,
    grace: bool,
    probe: (u64, u64, u64),
}

const PAGES: u64 = 400;

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![8 => 1..4u64, 3 => 1..40u64, 1 => 1..PAGES];
    let attr = prop_oneof![1 => Just(None), 2 => (0..3u8).prop_map(Some), 2 => (0..200u8).prop_map(Some)];
    prop_oneof![
        5 => (0..PAGES, len.clone(), attr).prop_map(|(start, len, attr)| Op::Put { start, len, attr }),
        1 => (0..PAGES, len, 0..3u8).prop_map(|(start, len, add)| Op::Change { start, len, add }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let budget = prop_oneof![3 => Just(None), 1 => (0..6usize).prop_map(Some)];
    let probe = (0..PAGES, 0..PAGES, 1..20u64);
    (prop::collection::vec(op(), 1..4), prop::bool::weighted(0.9), budget, any::<bool>(), probe)
        .prop_map(|(ops, commit, budget, grace, probe)| Step { ops, commit, budget, grace, probe })
}

fn apply(model: &mut Model, op: &Op) {
    match *op {
        Op::Put { start, len, attr } => {
            for page in start..start + len {
                model.remove(&page);
                model.extend(attr.map(|attr| (page, attr)));
            }
        }
        Op::Change { start, len, add } => {
            for (_, attr) in model.range_mut(start..start + len) {
                *attr = attr.wrapping_add(add);
            }
        }
    }
}

fn vmas(model: &Model) -> Vec<Vma<Attr>> {
    let mut all: Vec<Vma<Attr>> = Vec::new();
    for (&page, &attrs) in model {
        match all.last_mut() {
            Some(last) if last.end == page && last.attrs == attrs => last.end = page + 1,
            _ => all.push(Vma { start: page, end: page + 1, attrs }),
        }
    }
    all
}

fn highest_gap(model: &Model, size: u64, low: u64, high: u64) -> Option<u64> {
    (low..=high.checked_sub(size)?).rev().find(|&at| model.range(at..at + size).next().is_none())
}

fn run(steps: Vec<Step>) {
    let memory = TestMemory::default();
    let set = VmaSet::new(&memory);
    let mut model = Model::new();
    let guard = Section;
    let mut old: Vec<(_, Vec<Vma<Attr>>)> = Vec::new();
    for step in steps {
        let before = memory.live.get();
        memory.budget.set(step.budget);
        let mut draft = set.draft();
        let mut next = model.clone();
        let mut whole = true;
        for op in &step.ops {
            let result = match *op {
                Op::Put { start, len, attr } => {
                    let result = draft.put(start..start + len, attr, None);
                    if result.is_ok() {
                        apply(&mut next, op);
                    }
                    // Failed or not, the draft stands.
                    assert!(draft.view().iter_from(0).copied().eq(vmas(&next)));
                    result
                }
                Op::Change { start, len, add } => {
                    let result = draft.change(start..start + len, None, |attr| attr.wrapping_add(add));
                    apply(&mut next, op);
                    whole &= result.is_ok();
                    result
                }
            };
            assert!(result.is_ok() || result == Err(Errno::ENOMEM) && step.budget.is_some());
            if !whole {
                break;
            }
            draft.view().audit();
        }
        if step.commit && whole {
            draft.commit();
            model = next;
        } else {
            drop(draft);
            assert_eq!(memory.live.get(), before, "a dropped draft leaves nothing");
        }

        let view = set.read(&guard);
        let leaves = view.audit();
        let blocks = leaves + usize::from(leaves > 1);
        assert_eq!(memory.live.get(), blocks + memory.waiting.borrow().len(), "no block is lost");
        let all = vmas(&model);
        let (addr, other, size) = step.probe;
        assert_eq!(view.find(addr), all.iter().find(|vma| vma.end > addr));
        assert_eq!(view.before(addr), all.iter().rev().find(|vma| vma.start < addr));
        assert!(view.iter_from(addr).eq(all.iter().filter(|vma| vma.end > addr)));
        let window = addr.min(other)..addr.max(other);
        let parts: u64 = view.within(window.clone()).map(|vma| vma.len()).sum();
        assert_eq!(parts, model.range(window.clone()).count() as u64);
        assert_eq!(
            view.highest_gap(size, window.clone()),
            highest_gap(&model, size, window.start, window.end)
        );
        old.push((view, all));
        for (view, all) in &old {
            assert!(view.iter_from(0).eq(all), "a version does not change");
        }
        if step.grace {
            old.clear();
            memory.end_grace_period();
        }
    }
    drop(old);
    drop(set);
    memory.end_grace_period();
    assert_eq!(memory.live.get(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.min(100), max_shrink_iters: 2000, failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn like_the_model(steps in prop::collection::vec(step(), 1..100)) {
        run(steps);
    }
}

/// The draft of a munmap that fails leaves the published version alone.
#[test]
fn no_memory_changes_nothing() {
    let memory = TestMemory::default();
    let set = VmaSet::new(&memory);
    let mut draft = set.draft();
    for page in 0..1000 {
        draft.put(2 * page..2 * page + 1, Some(0), None).expect("memory");
    }
    draft.commit();
    memory.end_grace_period();
    for budget in 0.. {
        memory.budget.set(Some(budget));
        let mut draft = set.draft();
        let result = draft.put(501..1501, None, None);
        drop(draft);
        assert_eq!(set.read(&Section).iter_from(0).count(), 1000);
        if result.is_ok() {
            assert!(budget <= 3, "a munmap of any size needs two leaves and an index at most: {budget}");
            break;
        }
    }
    drop(set);
    memory.end_grace_period();
    assert_eq!(memory.live.get(), 0);
}

/// A change that makes a mapping equal to the one behind the range.
#[test]
fn a_merge_beyond_the_end_of_a_change_ends() {
    let memory = TestMemory::default();
    let set = VmaSet::new(&memory);
    let mut draft = set.draft();
    draft.put(0..10, Some(1), None).expect("memory");
    draft.put(10..20, Some(2), None).expect("memory");
    draft.change(0..10, None, |_| 2).expect("memory");
    assert_eq!(draft.view().find(0), Some(&Vma { start: 0, end: 20, attrs: 2 }));
    draft.commit();
    drop(set);
    memory.end_grace_period();
}
