//! The auditor: where each table is in its life, noted apart from the code that moves it.
//!
//! ```text
//!  free --> fresh --> linked --> unlinked --> flushed --> waiting --> free
//!             |                                  |
//!             '-- never linked: free             '-- freed at once (schemes immediate, ipi): free
//! ```
//!
//! QEMU hides the worst mistakes: it caches no page walks, so a missing flush of the walk cache, or
//! a table freed before its flush, runs well there. The types make the wrong order hard to write;
//! the auditor asserts each transition in debug builds, whatever the types say, and the mutants are
//! run against it. In a release build it is nothing.
//!
//! Each fragment of a page has its own note with a generation, which counts its lives: a
//! report that names one tells whether two notes are about the same life. The page has a note of its
//! owner, the list of one address space: whoever hands out, links or unlinks one of its tables says for
//! whom he does it.

#[cfg(debug_assertions)]
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Tables of address spaces made from now on are overwritten when they are free. Debug builds always do.
#[cfg(not(loom))]
pub fn poison_free_tables() {
    POISONS.store(true, core::sync::atomic::Ordering::Relaxed);
}

/// Whether free tables are overwritten.
pub fn poisons() -> bool {
    cfg!(debug_assertions) || POISONS.load(core::sync::atomic::Ordering::Relaxed)
}

static POISONS: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Where a table is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Life {
    /// It may be handed out; it holds poison.
    Free,
    /// Handed out, and seen by its holder only.
    Fresh,
    /// An entry points to it.
    Linked,
    /// No entry points to it; TLBs and walk caches may.
    Unlinked,
    /// No CPU translates through it; walkers may still read it.
    Flushed,
    /// RCU has it.
    Waiting,
}

#[cfg(debug_assertions)]
const LIVES: [Life; 6] =
    [Life::Free, Life::Fresh, Life::Linked, Life::Unlinked, Life::Flushed, Life::Waiting];

/// The notes about the tables of one page, and whose the page is (0: nobody's).
#[cfg(debug_assertions)]
#[derive(Debug)]
pub struct Audit<const W: usize> {
    /// In the low byte a [`Life`], above it the generation.
    notes: [[AtomicU32; 64]; W],
    owner: AtomicUsize,
}

/// The notes about the tables of one page: none in this build.
#[cfg(not(debug_assertions))]
#[derive(Debug)]
pub struct Audit<const W: usize>(());

#[cfg(debug_assertions)]
impl<const W: usize> Audit<W> {
    /// All free, in their first generation.
    pub const fn new() -> Self {
        Self { notes: [const { [const { AtomicU32::new(0) }; 64] }; W], owner: AtomicUsize::new(0) }
    }

    fn note(&self, index: u16) -> &AtomicU32 {
        &self.notes[usize::from(index) / 64][usize::from(index) % 64]
    }

    /// Where that table is in its life, and which life it is.
    pub fn look(&self, index: u16) -> (Life, u32) {
        let note = self.note(index).load(Ordering::Relaxed);
        (LIVES[(note & 0xff) as usize], note >> 8)
    }

    /// The table goes from one place to the next. Panics if it was elsewhere.
    #[track_caller]
    pub fn step(&self, index: u16, from: Life, to: Life) {
        self.step_from(index, &[from], to);
    }

    /// The table is freed without a grace period.
    #[track_caller]
    pub fn end_at_once(&self, index: u16) {
        self.step_from(index, &[Life::Fresh, Life::Flushed], Life::Free);
    }

    #[track_caller]
    fn step_from(&self, index: u16, from: &[Life], to: Life) {
        let note = self.note(index);
        let (life, generation) = self.look(index);
        assert!(
            from.contains(&life),
            "table {index} of a page is {life:?} in its life {generation}, and was about to be {to:?}; its \
             owner is {:#x}",
            self.owner.load(Ordering::Relaxed)
        );
        // A new life begins when the table is handed out.
        let generation = generation + u32::from(to == Life::Fresh);
        // Relaxed: notes are about tables that their mover holds alone; the order comes from the
        // locks that make it so. An exchange, so that two movers at once are seen.
        let old = note.swap((generation & 0xff_ffff) << 8 | to as u32, Ordering::Relaxed);
        assert!(old & 0xff == life as u32, "two CPUs move table {index} of a page at once");
    }

    /// The page is new to its owner: it was nobody's, and all its tables are free.
    #[track_caller]
    pub fn begin(&self, owner: usize) {
        self.all_are_free("new");
        // Relaxed, here and below: the page is the caller's alone.
        let before = self.owner.swap(owner, Ordering::Relaxed);
        assert!(before == 0, "a new page is still {before:#x}'s, and was about to be {owner:#x}'s");
    }

    /// The page is given back: all its tables are free.
    #[track_caller]
    pub fn end(&self) {
        self.all_are_free("dead");
        let before = self.owner.swap(0, Ordering::Relaxed);
        assert!(before != 0, "a page that is nobody's is given back");
    }

    /// The page is that owner's.
    #[track_caller]
    pub fn is_of(&self, owner: usize) {
        // Relaxed: the caller holds a table of the page.
        let of = self.owner.load(Ordering::Relaxed);
        assert!(of == owner, "a page of {of:#x} is taken for {owner:#x}'s");
    }

    #[track_caller]
    fn all_are_free(&self, page: &str) {
        for index in 0..64 * W {
            let (life, generation) = self.look(index as u16);
            assert!(
                life == Life::Free,
                "a {page} page has a table that is {life:?} in its life {generation}"
            );
        }
    }
}

#[cfg(not(debug_assertions))]
impl<const W: usize> Audit<W> {
    /// Nothing.
    pub const fn new() -> Self {
        Self(())
    }
    /// Nothing.
    #[inline(always)]
    pub fn step(&self, _index: u16, _from: Life, _to: Life) {}
    /// Nothing.
    #[inline(always)]
    pub fn end_at_once(&self, _index: u16) {}
    /// Nothing.
    #[inline(always)]
    pub fn begin(&self, _owner: usize) {}
    /// Nothing.
    #[inline(always)]
    pub fn end(&self) {}
    /// Nothing.
    #[inline(always)]
    pub fn is_of(&self, _owner: usize) {}
}

impl<const W: usize> Default for Audit<W> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_life_and_its_generation() {
        let audit = Audit::<1>::new();
        audit.begin(7);
        for life in 1..=3 {
            audit.is_of(7);
            audit.step(5, Life::Free, Life::Fresh);
            audit.step(5, Life::Fresh, Life::Linked);
            audit.step(5, Life::Linked, Life::Unlinked);
            audit.step(5, Life::Unlinked, Life::Flushed);
            audit.step(5, Life::Flushed, Life::Waiting);
            assert_eq!(audit.look(5), (Life::Waiting, life));
            audit.step(5, Life::Waiting, Life::Free);
        }
        assert_eq!(audit.look(4), (Life::Free, 0));
        audit.end();
        audit.begin(8);
        audit.is_of(8);
    }

    #[test]
    #[should_panic(expected = "a page of 0x7 is taken for 0x8's")]
    fn another_owner_is_seen() {
        let audit = Audit::<1>::new();
        audit.begin(7);
        audit.is_of(8);
    }

    #[test]
    #[should_panic(expected = "a dead page has a table that is Linked in its life 1")]
    fn a_page_that_is_given_back_too_early_is_seen() {
        let audit = Audit::<1>::new();
        audit.begin(7);
        audit.step(3, Life::Free, Life::Fresh);
        audit.step(3, Life::Fresh, Life::Linked);
        audit.end();
    }

    #[test]
    #[should_panic(expected = "table 0 of a page is Linked in its life 1, and was about to be Flushed")]
    fn a_flush_before_the_unlink_is_seen() {
        let audit = Audit::<1>::new();
        audit.step(0, Life::Free, Life::Fresh);
        audit.step(0, Life::Fresh, Life::Linked);
        audit.step(0, Life::Unlinked, Life::Flushed);
    }

    #[test]
    #[should_panic(expected = "is Unlinked in its life 1, and was about to be Free")]
    fn a_free_before_the_flush_is_seen() {
        let audit = Audit::<1>::new();
        audit.step(0, Life::Free, Life::Fresh);
        audit.step(0, Life::Fresh, Life::Linked);
        audit.step(0, Life::Linked, Life::Unlinked);
        audit.end_at_once(0);
    }
}
