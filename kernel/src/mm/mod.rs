//! Memory: frames, small objects, the heap.

#[cfg(not(loom))]
pub mod frame;
#[cfg(all(test, not(loom)))]
pub mod testing;

/// Reports misuse of memory, by name. A debug build stops there; otherwise the kernel goes on, and
/// what was misused is left alone: a free path does not panic.
#[cfg(not(loom))]
#[track_caller]
fn misuse(what: core::fmt::Arguments<'_>) {
    log::error!(target: "mm", "{what}");
    if cfg!(debug_assertions) {
        panic!("{what}");
    }
}
