//! Locks, per-CPU data, contexts.
