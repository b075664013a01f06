//! How tables lie in page-table pages: three ways that were tried or discussed, one binary.
//!
//! | layout | s390x | ppc64 |
//! |---|---|---|
//! | `page` | a 4 KB page for each 2 KB table: Linux since 6.7, half of it wasted | a 64 KB page for each leaf table |
//! | `frag` | two halves of a page, freed and reused one by one | as many as fit: 256 of 256 bytes with 64 KB leaves |
//! | `group` | a page fills two consecutive segment entries: 2 MB | a page fills 16 consecutive entries: 32 MB |
//!
//! The layout says how the leaf tables lie. An upper table smaller than a page is always one of
//! several in a page (the 4 KB directories of ppc64, sixteen to a page), one as large or larger has a
//! block of its own (the 16 KB tables of s390x, the 64 KB root of ppc64). All of them are freed
//! through the same code: a page or a group is a page of one fragment.

use crate::arch::paging::{self, PagingFormat};

/// How leaf tables lie in page-table pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A page for each table.
    Page,
    /// Several tables in a page, each with its own life.
    Frag,
    /// A page's tables live and die together.
    Group,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Page, Self::Frag, Self::Group];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Frag => "frag",
            Self::Group => "group",
        }
    }

    /// The layout of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }
}

/// How the tables of one level lie in page-table pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packing {
    /// Bytes of a page-table page, and its alignment.
    pub page_bytes: usize,
    /// Fragments of a page: what is handed out and freed by itself.
    pub fragments: u16,
    /// Tables of a fragment; they fill that many consecutive entries of their parent.
    pub tables: usize,
}

impl Packing {
    /// How the tables of `level` lie under `layout`.
    pub const fn of<F: PagingFormat>(layout: Layout, level: usize) -> Self {
        let table = F::LEVELS[level].bytes();
        let page = 1 << F::PAGE_SHIFT;
        if table >= page {
            return Self { page_bytes: table, fragments: 1, tables: 1 };
        }
        let fit = page / table;
        match layout {
            Layout::Page if level == paging::last::<F>() => {
                Self { page_bytes: page, fragments: 1, tables: 1 }
            }
            Layout::Group if level == paging::last::<F>() => {
                Self { page_bytes: page, fragments: 1, tables: fit }
            }
            _ => Self { page_bytes: page, fragments: fit as u16, tables: 1 },
        }
    }

    /// Bytes of a fragment, spare ones included.
    pub const fn fragment_bytes(self) -> usize {
        self.page_bytes / self.fragments as usize
    }
}

/// Stops the compiler if a group could straddle two parents, or if a page had more fragments than
/// its descriptor has bits.
pub const fn check<F: PagingFormat>(words: usize) {
    let mut layout = 0;
    while layout < Layout::ALL.len() {
        let mut level = 0;
        while level < F::LEVELS.len() {
            let packing = Packing::of::<F>(Layout::ALL[layout], level);
            assert!(packing.fragments as usize <= 64 * words);
            assert!(level > 0 || packing.tables == 1);
            assert!(level == 0 || F::LEVELS[level - 1].entries >= packing.tables);
            assert!(packing.tables * F::LEVELS[level].bytes() <= packing.fragment_bytes());
            level += 1;
        }
        layout += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
    use crate::arch::s390x_format::S390Dat;

    fn packed<F: PagingFormat>(layout: Layout, level: usize) -> (usize, u16, usize) {
        let packing = Packing::of::<F>(layout, level);
        (packing.page_bytes >> 10, packing.fragments, packing.tables)
    }

    #[test]
    fn as_the_table_says() {
        assert_eq!(Layout::ALL.map(|l| packed::<S390Dat>(l, 2)), [(4, 1, 1), (4, 2, 1), (4, 1, 2)]);
        assert_eq!(Layout::ALL.map(|l| packed::<S390Dat>(l, 1)), [(16, 1, 1); 3]);
        assert_eq!(Layout::ALL.map(|l| packed::<Ppc64Radix4K>(l, 3)), [(64, 1, 1), (64, 16, 1), (64, 1, 16)]);
        assert_eq!(
            Layout::ALL.map(|l| packed::<Ppc64Radix64K>(l, 3)),
            [(64, 1, 1), (64, 256, 1), (64, 1, 256)]
        );
        assert_eq!(Layout::ALL.map(|l| packed::<Ppc64Radix4K>(l, 2)), [(64, 16, 1); 3]);
        assert_eq!(packed::<Ppc64Radix4K>(Layout::Frag, 0), (64, 1, 1));
        assert_eq!(Layout::named("group"), Some(Layout::Group));
        assert_eq!(Layout::named("grup"), None);
    }
}
