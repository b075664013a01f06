//! Physical and virtual addresses, frame numbers, ranges. Arithmetic is checked: an address that
//! wraps is a bug, and says so where it happens.

use core::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this value.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }
            /// Its value.
            pub const fn get(self) -> u64 {
                self.0
            }
            /// The address `bytes` further up; `None` past the end of the 64-bit space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }
            /// The next multiple of `align`, a power of two, at or below.
            pub const fn align_down(self, align: u64) -> Self {
                assert!(align.is_power_of_two());
                Self(self.0 & !(align - 1))
            }
            /// The next multiple of `align`, a power of two, at or above; `None` on overflow.
            pub const fn align_up(self, align: u64) -> Option<Self> {
                assert!(align.is_power_of_two());
                match self.0.checked_add(align - 1) {
                    Some(value) => Some(Self(value & !(align - 1))),
                    None => None,
                }
            }
            /// Whether it is a multiple of `align`, a power of two.
            pub const fn is_aligned(self, align: u64) -> bool {
                assert!(align.is_power_of_two());
                self.0 & (align - 1) == 0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// An address in the machine's memory: s390x absolute, ppc64 real.
    ///
    /// It is not one that the machine translates:
    /// ```compile_fail,E0308
    /// use fallow::addr::{PhysAddr, VirtAddr};
    /// let at: VirtAddr = PhysAddr::new(0x1000);
    /// ```
    PhysAddr
}
address! {
    /// An address that the machine translates.
    VirtAddr
}

/// The number of a frame: its physical address divided by [`PAGE_SIZE`](crate::arch::PAGE_SIZE).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Pfn(u64);

impl Pfn {
    /// The frame with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
    /// The frame that `addr` lies in.
    pub const fn containing(addr: PhysAddr) -> Self {
        Self(addr.get() >> crate::arch::PAGE_SHIFT)
    }
    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
    /// Where it begins.
    pub const fn start(self) -> PhysAddr {
        PhysAddr::new(self.0 << crate::arch::PAGE_SHIFT)
    }
}

/// Physical addresses from `start` up to, not including, `end`.
///
/// # Invariants
/// `start <= end`.
///
/// It is not made around the check:
/// ```compile_fail,E0451
/// use fallow::addr::{PhysAddr, PhysRange};
/// let backwards = PhysRange { start: PhysAddr::new(2), end: PhysAddr::new(1) };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhysRange {
    start: PhysAddr,
    end: PhysAddr,
}

impl PhysRange {
    /// `None` if `end` lies below `start`.
    pub const fn new(start: PhysAddr, end: PhysAddr) -> Option<Self> {
        if start.get() <= end.get() { Some(Self { start, end }) } else { None }
    }
    /// `size` bytes from `start` on; `None` past the end of the 64-bit space.
    pub const fn sized(start: PhysAddr, size: u64) -> Option<Self> {
        match start.checked_add(size) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }
    /// The first address.
    pub const fn start(self) -> PhysAddr {
        self.start
    }
    /// The first address behind it.
    pub const fn end(self) -> PhysAddr {
        self.end
    }
    /// Bytes.
    pub const fn size(self) -> u64 {
        self.end.get() - self.start.get()
    }
    /// Whether it holds no address.
    pub const fn is_empty(self) -> bool {
        self.size() == 0
    }
    /// Whether both hold some address.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start.get() < other.end.get()
            && other.start.get() < self.end.get()
            && !self.is_empty()
            && !other.is_empty()
    }
}

impl fmt::Debug for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#x}-{:#x})", self.start.get(), self.end.get())
    }
}
impl fmt::Display for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
