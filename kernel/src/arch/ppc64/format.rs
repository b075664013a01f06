//! The ppc64 entry formats: pure values, compiled and tested on every host.
