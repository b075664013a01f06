//! Trees: one captured from skiboot (powernv9, 1 GB, one CPU, `-append "hello world"`), one made here in
//! the shape of pseries, and broken ones.

use super::*;

const MB: u64 = 1 << 20;

/// Writes a flat tree.
struct Maker {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Maker {
    fn new() -> Self {
        Self { structure: Vec::new(), strings: Vec::new() }
    }
    fn word(&mut self, word: usize) {
        self.structure.extend((word as u32).to_be_bytes());
    }
    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }
    fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.word(BEGIN_NODE);
        self.padded(format!("{name}\0").as_bytes());
        inside(self);
        self.word(END_NODE);
    }
    fn property(&mut self, name: &str, value: &[u8]) {
        self.word(PROPERTY);
        self.word(value.len());
        self.word(self.strings.len());
        self.strings.extend(format!("{name}\0").bytes());
        self.padded(value);
    }
    fn cells(&mut self, name: &str, cells: &[u32]) {
        let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.property(name, &value);
    }
    fn finish(mut self) -> &'static mut [u8] {
        self.word(9);
        let (structure, strings) = (56, 56 + self.structure.len());
        let total = strings + self.strings.len();
        let header =
            [0xd00d_feed, total, structure, strings, 40, 17, 16, 0, self.strings.len(), self.structure.len()];
        let mut tree: Vec<u8> = header.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect();
        tree.extend([0; 16]);
        tree.extend(self.structure);
        tree.extend(self.strings);
        tree.leak()
    }
}

/// A guest of 256 MB in two nodes, with these CPUs and this initrd.
fn pseries(cpus: &[u32], initrd: Option<(u64, u64)>) -> &'static mut [u8] {
    ticking(cpus, initrd, 512_000_000)
}

/// The same, with that time base.
fn ticking(cpus: &[u32], initrd: Option<(u64, u64)>, hertz: u64) -> &'static mut [u8] {
    let mut maker = Maker::new();
    maker.node("", |root| {
        root.cells("#address-cells", &[2]);
        root.cells("#size-cells", &[2]);
        root.node("chosen", |chosen| {
            chosen.property("bootargs", b"loglevel=7 -- x\0");
            if let Some((start, end)) = initrd {
                chosen.property("linux,initrd-start", &start.to_be_bytes());
                chosen.cells("linux,initrd-end", &[end as u32]);
            }
        });
        root.node("memory@8000000", |memory| memory.cells("reg", &[0, 0x800_0000, 0, 0x800_0000]));
        root.node("memory@0", |memory| memory.cells("reg", &[0, 0, 0, 0x800_0000]));
        root.node("rtas", |rtas| {
            rtas.cells("start-cpu", &[0x2006]);
            rtas.cells("power-off", &[0x2003]);
        });
        root.node("cpus", |node| {
            node.cells("#address-cells", &[1]);
            node.cells("#size-cells", &[0]);
            for cpu in cpus {
                node.node(&format!("PowerPC,POWER9@{cpu:x}"), |node| {
                    node.property("device_type", b"cpu\0");
                    node.cells("reg", &[*cpu]);
                    node.property("timebase-frequency", &hertz.to_be_bytes());
                });
            }
        });
    });
    maker.finish()
}

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)).expect("a range")
}

fn held() -> [Reserved; 1] {
    [Reserved { range: range(4 * MB, 6 * MB), owner: "kernel" }]
}

fn read_as(tree: &'static [u8], boot_cpu: u32) -> Result<(BootInfo, Devices), &'static str> {
    read(tree, Known { machine: "test", boot_cpu, held: &held() })
}

fn powernv9() -> &'static mut [u8] {
    include_bytes!("testdata/powernv9.dtb").to_vec().leak()
}

#[test]
fn skiboots_tree() {
    let tree = powernv9();
    assert!(read_as(powernv9(), 0).is_err(), "the library takes long names: `tidy` is not needed any more");
    tidy(tree);
    let (info, devices) = read_as(tree, 0).expect("a good tree");
    assert_eq!(devices, Devices { timebase: 512_000_000, uart: Some(0x6_0300_d001_03f8), rtas: [None; 3] });
    assert_eq!(info.memory[..], [range(0, 1 << 30)]);
    assert_eq!(info.cpus[..], [0]);
    assert_eq!((info.cmdline, info.initrd, info.cpus_found), (b"hello world".as_slice(), None, 1));
    assert!(info.complaints.is_empty(), "{:?}", info.complaints);
    // Kernel, skiboot's seven, once each.
    assert_eq!(info.reserved.len(), 8);
    assert!(info.reserved.iter().any(|held| held.range == range(0x3000_0000, 0x3060_0000)));
}

#[test]
fn a_guests_tree() {
    let (info, devices) = read_as(pseries(&[0, 8, 16], Some((32 * MB, 33 * MB))), 8).expect("a good tree");
    assert_eq!(devices.rtas, [Some(0x2003), Some(0x2006), None]);
    assert_eq!(devices.uart, None);
    assert_eq!(info.memory[..], [range(0, 256 * MB)], "adjacent ranges are one, in order");
    assert_eq!(info.cpus[..], [8, 0, 16], "the boot CPU is number 0");
    assert_eq!(info.cmdline, b"loglevel=7 -- x");
    assert_eq!(info.initrd, Some(range(32 * MB, 33 * MB)));
    assert!(info.reserved.iter().any(|held| held.owner == "initrd"));
}

#[test]
fn a_time_base_without_sense() {
    for (hertz, good) in [
        (0, false),
        (999_999, false),
        (1_000_000, true),
        (10_000_000_000, true),
        (10_000_000_001, false),
        (u64::MAX, false),
    ] {
        let found = read_as(ticking(&[0], None, hertz), 0).map(|(_, devices)| devices.timebase);
        assert_eq!(found.ok(), good.then_some(hertz), "{hertz} Hz");
    }
}

#[test]
fn more_cpus_than_are_used() {
    let all: Vec<u32> = (0..40).collect();
    let (info, _) = read_as(pseries(&all, None), 39).expect("a good tree");
    assert_eq!((info.cpus.len(), info.cpus_found, info.cpus[0]), (MAX_CPUS, 40, 39));
    let (info, _) = read_as(pseries(&[1], None), 7).expect("a good tree");
    assert_eq!((&info.cpus[..], info.cpus_found, info.complaints.len()), ([7, 1].as_slice(), 2, 1));
}

#[test]
fn an_initrd_must_lie_in_free_memory() {
    for bad in [(33 * MB, 32 * MB), (255 * MB, 257 * MB), (5 * MB, 7 * MB), (0, u32::MAX.into())] {
        let (info, _) = read_as(pseries(&[0], Some(bad)), 0).expect("a good tree");
        assert_eq!((info.initrd, info.complaints.len()), (None, 1), "{bad:x?}");
    }
}

#[test]
fn a_kernel_outside_of_memory() {
    let held = [Reserved { range: range(255 * MB, 257 * MB), owner: "kernel" }];
    let known = Known { machine: "test", boot_cpu: 0, held: &held };
    assert!(read(pseries(&[0], None), known).is_err_and(|why| why.contains("too little memory")));
}

/// Every truncation, and every byte of the tree changed in some ways, is answered, not followed by a
/// panic or an access outside.
#[test]
fn broken_trees_are_refused_or_read() {
    for whole in [pseries(&[0, 1], Some((32 * MB, 33 * MB))), &mut *powernv9()] {
        let step = whole.len() / 400 + 1;
        for length in (0..whole.len()).step_by(step) {
            let cut = whole[..length].to_vec().leak();
            tidy(cut);
            assert!(read_as(cut, 0).is_err(), "{length}");
        }
        for at in (0..whole.len()).step_by(step / 8 + 1) {
            for change in [0xff, 0x80, 0x01] {
                let mut broken = whole.to_vec();
                broken[at] ^= change;
                let broken = broken.leak();
                tidy(broken);
                let _ = read_as(broken, 0);
            }
        }
    }
}

#[test]
fn the_header_is_checked_before_the_rest() {
    let header = |magic: u32, size: u32| {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&magic.to_be_bytes());
        bytes[4..].copy_from_slice(&size.to_be_bytes());
        size_of_tree(bytes)
    };
    fn size_of_tree(bytes: [u8; 8]) -> Result<usize, &'static str> {
        size(bytes)
    }
    assert_eq!(header(0xd00d_feed, 16407), Ok(16407));
    assert!(header(0xd00d_feed, 39).is_err() && header(0xd00d_feed, u32::MAX).is_err());
    assert!(header(0xedfe_0dd0, 16407).is_err());
}
