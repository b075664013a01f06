//! A page table as `/proc/PID/page_tables` shows it. Linux has no such file for a process; the words are
//! in a fixed order, so that `awk` finds them by number whatever the format.
//!
//! ```text
//! s390x DAT (11/11/8), layout frag, free rcu
//! 0 00000000-40000000000 table 0xe4c000 page 0xe4c000 fragment 0/1 bytes 16384 part 0/1 entries 2/2048 linked page-has 1 live 0 waiting 0 free region-third table
//!  1 00000000-80000000 table 0xe7c000 page 0xe7c000 fragment 0/1 bytes 16384 part 0/1 entries 2/2048 linked page-has 1 live 0 waiting 0 free segment table
//!   2 01000000-01100000 table 0xf19000 page 0xf19000 fragment 0/2 bytes 2048 part 0/1 entries 23/256 linked page-has 1 live 0 waiting 1 free page table
//! ```

use crate::fs::pseudo::Text;
use crate::mm::pgtable::dump::TableInfo;

/// The first line: the tables' format, how they lie in pages, how they are freed.
pub fn head(to: &mut Text, (format, layout, free): (&str, &str, &str)) {
    to.print(format_args!("{format}, layout {layout}, free {free}\n"));
}

/// A table's line. Where it lies is told if `addresses`; else it is 0, as in pagemap.
pub fn line(to: &mut Text, table: &TableInfo, addresses: bool) {
    let shown = |at: crate::addr::PhysAddr| if addresses { at.get() } else { 0 };
    let [free, live, late, covered] = table.stages;
    to.print(format_args!(
        "{:depth$}{} {:08x}-{:08x} table {:#x} page {:#x} ",
        "",
        table.level,
        table.range.start.get(),
        table.range.end.get(),
        shown(table.table),
        shown(table.page),
        depth = table.level,
    ));
    to.print(format_args!(
        "fragment {}/{} bytes {} part {}/{} entries {}/{} {} page-has {live} live {} waiting {free} free {}\n",
        table.fragment.0,
        table.fragment.1,
        table.fragment_bytes,
        table.part.0,
        table.part.1,
        table.entries.0,
        table.entries.1,
        table.state(),
        late + covered,
        table.name,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PhysAddr, VirtAddr};
    use crate::mm::pgtable::frag::Stage;

    #[test]
    fn words_in_their_order() {
        let table = TableInfo {
            level: 2,
            name: "page table",
            range: VirtAddr::new(0x100_0000)..VirtAddr::new(0x110_0000),
            table: PhysAddr::new(0xd6_5800),
            page: PhysAddr::new(0xd6_5000),
            fragment: (1, 2),
            fragment_bytes: 2048,
            part: (0, 1),
            entries: (148, 256),
            linked: true,
            stage: Some(Stage::Live),
            stages: [0, 2, 0, 0],
        };
        let printed = |addresses| {
            let mut text = Text::new();
            line(&mut text, &table, addresses);
            String::from_utf8(text.into_bytes().expect("memory")).expect("text")
        };
        assert_eq!(
            printed(true),
            "  2 01000000-01100000 table 0xd65800 page 0xd65000 fragment 1/2 bytes 2048 part 0/1 entries 148/256 \
             linked page-has 2 live 0 waiting 0 free page table\n"
        );
        assert!(printed(false).contains(" table 0x0 page 0x0 fragment 1/2 "));
        let mut text = Text::new();
        head(&mut text, ("s390x DAT (11/11/8)", "frag", "rcu"));
        assert_eq!(text.bytes(), Ok(b"s390x DAT (11/11/8), layout frag, free rcu\n".as_slice()));
    }

    #[test]
    fn a_state_is_one_word() {
        let states = [Stage::Live, Stage::Late, Stage::Covered, Stage::Free].map(|stage| {
            let table = TableInfo {
                level: 0,
                name: "",
                range: VirtAddr::new(0)..VirtAddr::new(0),
                table: PhysAddr::new(0),
                page: PhysAddr::new(0),
                fragment: (0, 1),
                fragment_bytes: 1,
                part: (0, 1),
                entries: (0, 1),
                linked: false,
                stage: Some(stage),
                stages: [0; 4],
            };
            table.state()
        });
        assert_eq!(states, ["unlinked", "late", "covered", "free"]);
    }
}
