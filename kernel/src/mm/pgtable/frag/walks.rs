//! The real list and descriptors against a flat model, in long random walks on one CPU.
#![expect(clippy::expect_used, reason = "tests stop where the test is wrong")]

use super::state::FragState;
use super::{Fragment, FragmentList, PageSource, PtPage};
use crate::addr::PhysAddr;
use crate::mm::pgtable::audit::Life;
use crate::rcu::{Deferred, RcuHead};
use crate::sync::MaySleep;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::size_of;

/// Bytes of a page; nothing is stored in these pages.
const BYTES: usize = 4096;

/// A kernel of one CPU: `turn` is one grace period with its callbacks.
struct Machine<const W: usize> {
    free: RefCell<Vec<&'static PtPage<W>>>,
    queue: RefCell<Vec<&'static PtPage<W>>>,
    in_use: RefCell<Vec<&'static PtPage<W>>>,
}

// SAFETY: these tests use a machine from one thread only.
unsafe impl<const W: usize> Sync for Machine<W> {}

impl<const W: usize> Machine<W> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            free: RefCell::default(),
            queue: RefCell::default(),
            in_use: RefCell::default(),
        }))
    }
    fn turn(&self) {
        let due: Vec<_> = self.queue.borrow_mut().drain(..).collect();
        due.into_iter().for_each(PtPage::grace_over);
    }
    fn pages(&self) -> usize {
        self.in_use.borrow().len()
    }
}

impl<const W: usize> PageSource<W> for Machine<W> {
    fn new_page(&self, _bytes: usize, _ctx: Option<&mut MaySleep>) -> Option<&'static PtPage<W>> {
        let page = self
            .free
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Box::leak(Box::new(PtPage::new(PhysAddr::new(0)))));
        self.in_use.borrow_mut().push(page);
        Some(page)
    }
    fn free_page(&self, page: &'static PtPage<W>) {
        let mut in_use = self.in_use.borrow_mut();
        let at = in_use.iter().position(|used| std::ptr::eq(*used, page)).expect("given back twice");
        self.free.borrow_mut().push(in_use.swap_remove(at));
    }
    fn call_rcu(&self, page: &'static PtPage<W>) {
        assert!(!self.queue.borrow().iter().any(|queued| std::ptr::eq(*queued, page)), "H1");
        self.queue.borrow_mut().push(page);
    }
    fn page_of(&self, _table: PhysAddr) -> Option<&'static PtPage<W>> {
        None
    }
    fn warn(&self, what: &'static str) {
        panic!("{what}");
    }
}

fn list_of<const W: usize>(machine: &'static Machine<W>, n: u16) -> FragmentList<W> {
    FragmentList::new(machine, n, BYTES, None).expect("memory")
}

/// What happens to a table before it is retired, for the auditor.
fn used<const W: usize>(fragment: Fragment<W>) -> Fragment<W> {
    let (page, index) = fragment.place();
    page.audit.step(index, Life::Fresh, Life::Linked);
    page.audit.step(index, Life::Linked, Life::Unlinked);
    page.audit.step(index, Life::Unlinked, Life::Flushed);
    fragment
}

/// A small, good enough generator; the seed is the test's.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

fn key<const W: usize>(fragment: &Fragment<W>) -> (usize, u16) {
    let (page, index) = fragment.place();
    (page as *const PtPage<W> as usize, index)
}

fn walk<const W: usize>(n: u16, seed: u64) {
    let machine = Machine::<W>::new();
    let list = list_of(machine, n);
    let mut dice = Dice(seed);
    let mut live: Vec<Fragment<W>> = vec![];
    // When a fragment was retired; it may be handed out again one whole turn later.
    let mut retired: HashMap<(usize, u16), u64> = HashMap::new();
    let mut now = 0;
    // The walk drifts between a few tables and many.
    let mut bias = 5;
    for step in 0..40_000 {
        if step % 500 == 0 {
            bias = 2 + dice.roll(7);
        }
        match dice.roll(12) {
            x if x < bias => {
                let fragment = list.alloc(None).expect("the machine has pages");
                assert!(!live.iter().any(|other| key(other) == key(&fragment)), "handed out twice");
                if let Some(then) = retired.remove(&key(&fragment)) {
                    assert!(now > then, "H2: handed out before its grace period was over");
                }
                live.push(fragment);
            }
            9 => {
                machine.turn();
                now += 1;
            }
            x if !live.is_empty() => {
                let at = dice.roll(live.len());
                let fragment = live.swap_remove(at);
                if x == 10 {
                    fragment.release();
                } else {
                    retired.insert(key(&fragment), now);
                    used(fragment).retire();
                }
            }
            _ => {}
        }
    }
    live.into_iter().for_each(|fragment| used(fragment).retire());
    drop(list);
    machine.turn();
    machine.turn();
    assert_eq!(machine.pages(), 0, "H15, H17: leaked pages, n = {n}, seed {seed}");
}

#[test]
fn random_walks() {
    for seed in 1..=5 {
        walk::<1>(1, seed);
        walk::<1>(2, seed);
        walk::<1>(3, seed);
        walk::<1>(16, seed);
        walk::<1>(64, seed);
        walk::<2>(65, seed);
        walk::<4>(256, seed);
    }
}

/// H9: a fragment is reused while its twin lives, so the churn beside a live twin takes one page.
#[test]
fn churn_beside_a_live_twin_takes_one_page() {
    let machine = Machine::<1>::new();
    let list = list_of(machine, 2);
    let twin = list.alloc(None).unwrap();
    for _ in 0..1000 {
        let fragment = list.alloc(None).unwrap();
        used(fragment).retire();
        machine.turn();
        assert_eq!(machine.pages(), 1);
    }
    used(twin).retire();
}

/// H8: a page that is all pending is on no list; what lies behind it is found.
#[test]
fn churn_with_slow_grace_periods_is_bounded() {
    for (n, every) in [(2, 8), (3, 8), (16, 100), (64, 100)] {
        let machine = Machine::<1>::new();
        let list = list_of(machine, n);
        let twin = list.alloc(None).unwrap();
        let mut most = 0;
        for step in 0..10_000 {
            let fragment = list.alloc(None).unwrap();
            used(fragment).retire();
            if step % every == 0 {
                machine.turn();
            }
            most = most.max(machine.pages());
        }
        // Two grace periods' worth of pending fragments at most, and the page in hand.
        let bound = (2 * every as usize).div_ceil(n as usize) + 1;
        println!("n={n}, a grace period every {every}: {most} pages at most, bound {bound}");
        assert!(most <= bound);
        used(twin).retire();
    }
}

/// H38: one callback for a page, however many of its fragments wait.
#[test]
fn many_retired_fragments_are_one_callback() {
    let machine = Machine::<4>::new();
    let list = list_of(machine, 256);
    let all: Vec<_> = (0..256).map(|_| list.alloc(None).unwrap()).collect();
    all.into_iter().for_each(|fragment| used(fragment).retire());
    assert_eq!(machine.queue.borrow().len(), 1);
    machine.turn();
    machine.turn();
    assert_eq!(machine.pages(), 0);
}

/// Wrong steps are refused and change nothing; nothing panics.
#[test]
fn transitions_are_total() {
    let state = FragState::<1>::fresh(2);
    assert_eq!((state.retire(1), state.release(1)), (None, None)); // FREE
    assert_eq!((state.retire(2), state.release(999)), (None, None)); // no such fragment
    assert_eq!(state.grace_over(), None); // nothing queued
    let (state, _) = state.retire(0).unwrap();
    assert_eq!((state.retire(0), state.release(0)), (None, None)); // pending
}

#[test]
fn sizes() {
    println!("state: n<=64 {} B, n<=256 {} B", size_of::<FragState<1>>(), size_of::<FragState<4>>());
    println!(
        "descriptor: n<=64 {} B, n<=256 {} B (rcu_head {} B)",
        size_of::<PtPage<1>>(),
        size_of::<PtPage<4>>(),
        size_of::<RcuHead>()
    );
}
