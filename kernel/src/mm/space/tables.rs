//! The tables of an address space, in the format that its layout has on this machine.

use super::ground::{Ground, TableFormat};
use crate::arch::current::{Format, FragFormat};
#[cfg(test)]
use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
use crate::error::Errno;
use crate::mm::pgtable::{Layout, PageTable};
use crate::sync::MaySleep;

/// The tables: one of the formats. On the host, of any machine.
pub enum Tables {
    /// Layouts `page` and `group`.
    Whole(PageTable<Format>),
    /// Layout `frag`.
    Fragments(PageTable<FragFormat>),
    /// Of ppc64.
    #[cfg(test)]
    Radix4K(PageTable<Ppc64Radix4K>),
    /// Of ppc64.
    #[cfg(test)]
    Radix64K(PageTable<Ppc64Radix64K>),
}

/// Evaluates an expression with the tables under a name, whatever their format: `on!(mm.tables, t => ..)`.
macro_rules! on {
    ($tables:expr, $name:ident => $body:expr) => {
        match &$tables {
            $crate::mm::space::tables::Tables::Whole($name) => $body,
            $crate::mm::space::tables::Tables::Fragments($name) => $body,
            #[cfg(test)]
            $crate::mm::space::tables::Tables::Radix4K($name) => $body,
            #[cfg(test)]
            $crate::mm::space::tables::Tables::Radix64K($name) => $body,
        }
    };
}
/// The same with two of the same format; another pair, which there is not, gives the last expression.
macro_rules! on_both {
    ($a:expr, $b:expr, $first:ident, $second:ident => $body:expr, $none:expr) => {{
        use $crate::mm::space::tables::Tables;
        match (&$a, &$b) {
            (Tables::Whole($first), Tables::Whole($second)) => $body,
            (Tables::Fragments($first), Tables::Fragments($second)) => $body,
            #[cfg(test)]
            (Tables::Radix4K($first), Tables::Radix4K($second)) => $body,
            #[cfg(test)]
            (Tables::Radix64K($first), Tables::Radix64K($second)) => $body,
            _ => $none,
        }
    }};
}
pub(super) use {on, on_both};

impl Tables {
    pub(super) fn new(ground: &Ground, ctx: &mut MaySleep) -> Result<Self, Errno> {
        let (memory, layout, scheme) = (ground.memory, ground.layout, ground.scheme);
        Ok(match ground.format {
            TableFormat::Machine if layout == Layout::Frag => {
                Self::Fragments(PageTable::new(memory, layout, scheme, Some(ctx))?)
            }
            TableFormat::Machine => Self::Whole(PageTable::new(memory, layout, scheme, Some(ctx))?),
            #[cfg(test)]
            TableFormat::Radix4K => Self::Radix4K(PageTable::new(memory, layout, scheme, Some(ctx))?),
            #[cfg(test)]
            TableFormat::Radix64K => Self::Radix64K(PageTable::new(memory, layout, scheme, Some(ctx))?),
        })
    }
}
