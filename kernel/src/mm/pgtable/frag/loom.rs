//! Every interleaving of a few CPUs, with the memory model of the machine that is not there.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fallow --lib --release --target-dir target/loom frag`: no
//! bound on preemptions, 340,000 interleavings.
//!
//! Loom itself finds: two CPUs in one cell without an order between them (state, links, owner, a
//! fragment's contents), a deadlock, an owner that is never freed or freed too early.

use super::{Fragment, FragmentList, PageSource, PtPage};
use crate::addr::PhysAddr;
use crate::mm::pgtable::audit::Life;
use crate::rcu::Deferred;
use crate::sync::MaySleep;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::sync::{Arc, Mutex};
use loom::thread::spawn;

/// Runs the model and says how much it tried, and how often what the test is about came up.
fn every_interleaving(name: &str, test: impl Fn() -> bool + Sync + Send + 'static) {
    use std::sync::atomic::AtomicUsize;
    let runs = std::sync::Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let (counted, began) = (runs.clone(), std::time::Instant::now());
    loom::model(move || {
        counted.0.fetch_add(1, Relaxed);
        counted.1.fetch_add(usize::from(test()), Relaxed);
    });
    let (all, hits) = (runs.0.load(Relaxed), runs.1.load(Relaxed));
    println!("{name}: {all} interleavings, the case itself in {hits}, {:.1?}", began.elapsed());
    assert!(hits > 0, "the test never came to its point");
}

type Descriptor = &'static PtPage<1>;

const PAGES: usize = 2;

/// A kernel of two pages and one reader's CPU, with the smallest RCU there is: a read section
/// holds its CPU's lock, and a grace period takes and drops the lock of every CPU.
struct Machine {
    pages: [Descriptor; PAGES],
    rest: Mutex<Frames>,
    rcu: Mutex<Rcu>,
    reader_cpu: Mutex<()>,
}

struct Frames {
    free: Vec<Descriptor>,
    taken: usize,
    given_back: usize,
}

#[derive(Default)]
struct Rcu {
    queue: Vec<Descriptor>,
}

impl Machine {
    fn new() -> &'static Self {
        let pages: [Descriptor; PAGES] =
            std::array::from_fn(|_| &*Box::leak(Box::new(PtPage::new(PhysAddr::new(0)))));
        Box::leak(Box::new(Self {
            pages,
            rest: Mutex::new(Frames { free: pages.to_vec(), taken: 0, given_back: 0 }),
            rcu: Mutex::new(Rcu::default()),
            reader_cpu: Mutex::new(()),
        }))
    }

    /// One grace period for all that is queued now, and their callbacks.
    fn rcu_turn(&self) -> usize {
        let due = self.rcu.lock().unwrap().queue.clone();
        if due.is_empty() {
            return 0;
        }
        drop(self.reader_cpu.lock().unwrap());
        for page in &due {
            let mut rcu = self.rcu.lock().unwrap();
            rcu.queue.retain(|queued| !std::ptr::eq(*queued, *page));
            drop(rcu);
            page.grace_over();
        }
        due.len()
    }

    /// `rcu_barrier` twice; then everything is back.
    fn shut_down(&self) {
        self.rcu_turn();
        self.rcu_turn();
        assert!(self.rcu.lock().unwrap().queue.is_empty(), "a third barrier would be needed");
        let frames = self.rest.lock().unwrap();
        assert_eq!(frames.taken, frames.given_back, "leaked a page");
    }

    /// Which of the machine's tables a fragment is.
    fn number(&self, fragment: &Fragment<1>) -> usize {
        let (page, index) = fragment.place();
        let at = self.pages.iter().position(|known| std::ptr::eq(*known, page)).unwrap();
        2 * at + index as usize
    }
}

impl PageSource<1> for Machine {
    fn new_page(&self, _bytes: usize, _ctx: Option<&mut MaySleep>) -> Option<Descriptor> {
        let mut frames = self.rest.lock().unwrap();
        frames.taken += 1;
        Some(frames.free.pop().expect("out of pages"))
    }
    fn free_page(&self, page: Descriptor) {
        let mut frames = self.rest.lock().unwrap();
        assert!(!frames.free.iter().any(|free| std::ptr::eq(*free, page)), "given back twice");
        frames.given_back += 1;
        frames.free.push(page);
    }
    fn call_rcu(&self, page: Descriptor) {
        let mut rcu = self.rcu.lock().unwrap();
        assert!(!rcu.queue.iter().any(|queued| std::ptr::eq(*queued, page)), "H1: queued twice");
        rcu.queue.push(page);
    }
    fn page_of(&self, _table: PhysAddr) -> Option<Descriptor> {
        None
    }
    fn warn(&self, what: &'static str) {
        panic!("{what}");
    }
}

fn list_of(machine: &'static Machine, n: u16) -> FragmentList<1> {
    FragmentList::new(machine, n, 4096, None).unwrap()
}

/// Retires a table that has lived.
fn retire(fragment: Fragment<1>) {
    let (page, index) = fragment.place();
    page.audit.step(index, Life::Fresh, Life::Linked);
    page.audit.step(index, Life::Linked, Life::Unlinked);
    page.audit.step(index, Life::Unlinked, Life::Flushed);
    fragment.retire();
}

fn two_live(machine: &'static Machine) -> (Arc<FragmentList<1>>, Fragment<1>, Fragment<1>) {
    let list = Arc::new(list_of(machine, 2));
    let (a, b) = (list.alloc(None).unwrap(), list.alloc(None).unwrap());
    assert!(std::ptr::eq(a.place().0, b.place().0));
    (list, a, b)
}

/// H1, H3: both halves retired on two CPUs while the callback runs on a third.
#[test]
fn two_retirers_and_the_callback() {
    every_interleaving("two retirers, callback; it ran beside them", || {
        let machine = Machine::new();
        let (list, a, b) = two_live(machine);
        let first = spawn(move || retire(a));
        let second = spawn(move || retire(b));
        let ran = machine.rcu_turn() == 1;
        first.join().unwrap();
        second.join().unwrap();
        machine.shut_down();
        drop(list);
        ran
    });
}

/// H4, H10: one CPU allocates and releases while another retires and the callback runs.
#[test]
fn retire_against_alloc_and_release() {
    every_interleaving("retire, alloc + release, callback; the retired one reused", || {
        let machine = Machine::new();
        let (list, a, b) = two_live(machine);
        let retirer = spawn(move || retire(b));
        let allocator = {
            let list = list.clone();
            spawn(move || {
                let c = list.alloc(None).unwrap();
                let reused = c.place().1 == 1;
                c.release();
                reused
            })
        };
        machine.rcu_turn();
        retirer.join().unwrap();
        let reused = allocator.join().unwrap();
        retire(a);
        machine.shut_down();
        reused
    });
}

/// H16, H17: the mm ends, and its last table is retired, while callbacks run on another CPU.
#[test]
fn end_of_the_mm_against_the_callback() {
    every_interleaving("end of the mm, callback; the owner outlives the mm", || {
        let machine = Machine::new();
        let (list, a, b) = two_live(machine);
        retire(a);
        let rcu = spawn(|| {
            machine.rcu_turn();
            machine.rcu_turn()
        });
        drop(list);
        retire(b);
        let outlives = machine.rest.lock().unwrap().given_back == 0;
        rcu.join().unwrap();
        machine.shut_down();
        outlives
    });
}

/// Two CPUs find the list empty: both bring a page, and both pages are used and given back.
#[test]
fn two_allocators() {
    every_interleaving("two allocators, callback; two pages", || {
        let machine = Machine::new();
        let list = Arc::new(list_of(machine, 2));
        let other = {
            let list = list.clone();
            spawn(move || {
                let a = list.alloc(None).unwrap();
                retire(a)
            })
        };
        let b = list.alloc(None).unwrap();
        machine.rcu_turn();
        b.release();
        other.join().unwrap();
        drop(list);
        machine.shut_down();
        machine.rest.lock().unwrap().taken == 2
    });
}

/// H4, H8: two pages of one list; one is retired from while the other is allocated from.
#[test]
fn two_pages_of_one_list() {
    every_interleaving("two pages, two retirers, callbacks; three of four pending", || {
        let machine = Machine::new();
        let (list, a, b) = two_live(machine);
        let (c, d) = (list.alloc(None).unwrap(), list.alloc(None).unwrap());
        retire(a);
        let first = spawn(move || retire(b));
        let second = {
            spawn(move || {
                retire(c);
                d.release()
            })
        };
        let ran = machine.rcu_turn();
        first.join().unwrap();
        second.join().unwrap();
        drop(list);
        machine.shut_down();
        ran == 2
    });
}

/// H1, H35, H38: three fragments of one page, retired on two CPUs around a running callback.
#[test]
fn three_fragments_around_a_callback() {
    every_interleaving("three fragments, two retirers, two rounds of callbacks", || {
        let machine = Machine::new();
        let list = Arc::new(list_of(machine, 3));
        let [a, b, c] = std::array::from_fn(|_| list.alloc(None).unwrap());
        let first = {
            spawn(move || {
                retire(a);
                retire(b)
            })
        };
        let second = spawn(move || retire(c));
        let ran = machine.rcu_turn() + machine.rcu_turn();
        first.join().unwrap();
        second.join().unwrap();
        drop(list);
        machine.shut_down();
        ran == 2
    });
}

/// H2, H7: a reader holds a table while it is unlinked, retired, handed out and written again.
#[test]
fn a_reader_against_reuse() {
    every_interleaving("reader against reuse; the same table, and the reader saw its first life", || {
        let machine = Machine::new();
        let tables: Arc<[UnsafeCell<u64>; 2 * PAGES]> = Arc::new(std::array::from_fn(|_| UnsafeCell::new(0)));
        let entry = Arc::new(AtomicUsize::new(0));
        let (list, twin, table) = two_live(machine);
        let publish = {
            let (tables, entry) = (tables.clone(), entry.clone());
            move |table: &Fragment<1>, stamp| {
                let number = machine.number(table);
                // SAFETY: `with_mut` gives a valid pointer; that nobody else uses it is what loom checks.
                tables[number].with_mut(|table| unsafe { *table = stamp });
                entry.store(number + 1, Release); // pairs with the reader's Acquire (H7)
            }
        };
        publish(&table, 10);
        let number = machine.number(&table);
        let reader = {
            let (tables, entry) = (tables.clone(), entry.clone());
            spawn(move || {
                let section = machine.reader_cpu.lock().unwrap();
                if let Some(number) = entry.load(Acquire).checked_sub(1) {
                    // SAFETY: `with` gives a valid pointer; that nobody writes meanwhile is what loom checks.
                    let stamp = tables[number].with(|table| unsafe { *table });
                    assert!(stamp == 10 || stamp == 20);
                    drop(section);
                    return stamp == 10;
                }
                false
            })
        };
        let rcu = spawn(|| machine.rcu_turn());
        entry.store(0, Release);
        retire(table);
        let again = list.alloc(None).unwrap();
        publish(&again, 20);
        let reused = machine.number(&again) == number;
        let saw = reader.join().unwrap();
        rcu.join().unwrap();
        retire(again);
        retire(twin);
        drop(list);
        machine.shut_down();
        reused && saw
    });
}
