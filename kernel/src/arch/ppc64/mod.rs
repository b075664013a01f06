//! The ppc64le machines (powernv9, pseries).
