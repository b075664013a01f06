//! Page-table fragments that share one page: freed *and* reused through RCU.
//!
//! A page-table page holds `n` tables, its *fragments*: 2 of 2 KB in a 4 KB page on s390x, 256 of
//! 256 bytes in a 64 KB page on ppc64; `n = 1` is a page, or a group of tables, that comes and goes
//! as a whole. A fragment that was unlinked may still be read, by the hardware of another CPU or by
//! a lock-free walker, until a *grace period* that began after the unlinking is over. The fragments
//! of one page are unlinked at different times, yet the page has one `RcuHead`.
//!
//! ```text
//!             alloc           retire          arm           grace period over
//!     FREE ----------> LIVE ----------> LATE -----> COVERED -----------------> FREE
//!      00               01               11           10                        00   (dead, used)
//!       ^---- release ---'                                 a callback is queued exactly
//!             never linked                                 while a fragment is COVERED
//! ```
//!
//! The first to be retired arms the callback and is covered by it. Whoever is retired while that
//! callback is on its way is *late*: the grace period may have begun before, so it does not count.
//! The callback frees what it covered and, if anybody is late, covers the late ones and queues the
//! same head again. When nothing but FREE is left the page goes back to the frame allocator.
//!
//! | file | what | who checks it |
//! |---|---|---|
//! | [`state`] | the picture above as a value with total functions | `explore.rs` walks every reachable state |
//! | [`list`] | list, lock, callback | `loom.rs` tries every interleaving, `walks.rs` walks at random |
//! | `cell` | where a page keeps its state | likewise |
//! | [`page`] | the descriptor of a page-table page | likewise |
//! | [`counted`] | the owner's reference count, made without panic | likewise |
//!
//! # What protects what
//!
//! | data | protected by |
//! |---|---|
//! | a page's state and links, the head of the list | the owner's list lock, **interrupts off** (H24) |
//! | a page's `rcu` | nobody touches it from `call_rcu` until the callback is invoked; then it is the callback's |
//! | a page's `owner` | does not change between the page's first fragment and its last |
//! | the owner's memory | its count: one for the address space, one for each page; dropped after the lock |
//! | a fragment's contents | whoever holds the [`Fragment`]; nothing here writes where a reader may look (H6) |
//!
//! # Invariants
//!
//! 1. A fragment is in exactly one of the four stages: two bits cannot say anything else.
//! 2. COVERED is not empty if and only if one callback is queued or about to be (H1).
//! 3. LATE is empty unless COVERED is not: nobody waits for a callback that nobody queued.
//! 4. The grace period of the queued callback began after every COVERED one was retired (H2, H35).
//! 5. A page is listed if and only if some, not all, of its fragments are FREE: the head of the
//!    list always has one to give, a pending page blocks nobody (H8, H9), and a page is never both
//!    listed and given back (H3, H4).
//! 6. A page holds a count of its owner until it is given back (H16), and it is given back as soon
//!    as it is empty, whether or not its address space still lives (H15, H17).
//!
//! # What it asks of RCU
//!
//! `call_rcu` allocates nothing, may be called with interrupts off and from a callback, also with
//! the very head of that callback (H39); the grace period begins after the call (H35). A callback
//! may queue itself again, once: leak accounting needs `rcu_barrier` **twice** (H20).
//!
//! # Rejected
//!
//! *A polling cookie per fragment*: time passes without an event, so membership would not be a
//! function of the state, pages would stay listed while pending, and H8 would be back. *Three masks*
//! (freed, freed meanwhile, free: the design of 2023): half as much memory again, and they can
//! contradict each other. *Retiring without the lock*: four words are not one atomic, and it saves
//! one short lock for each table, after a flush of the TLBs of all CPUs.

mod cell;
pub mod counted;
pub mod list;
pub mod page;
pub mod state;

pub use list::{Fragment, FragmentList, PageSource, Wipe};
pub use page::PtPage;
pub use state::Stage;

#[cfg(all(test, not(loom)))]
mod explore;
#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod walks;
