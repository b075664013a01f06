//! The s390x entry formats: pure values, compiled and tested on every host.
