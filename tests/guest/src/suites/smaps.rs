//! smaps while everything changes. See [`consistency`](crate::consistency).

use crate::consistency::{a_wrong_file_is_seen, readers_against_changes};
use crate::tests;

tests![a_wrong_file_is_seen, readers_against_changes];
