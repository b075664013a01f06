//! Writes cpio archives of the format "newc", the one that kernels unpack as their initial RAM disk.
//!
//! An entry is a header of 13 numbers in eight hexadecimal digits each behind `070701`, the name with
//! a zero byte, and the content; name and content are each filled up to a multiple of four bytes.
//! Everything belongs to root and has the date 0, so that the same input gives the same bytes.

/// File types of `st_mode`.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTERS: u32 = 0o020_000;

/// An archive under construction.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A folder. Those above it must have been written before.
    pub fn folder(&mut self, path: &str, permissions: u32) {
        self.entry(path, DIRECTORY | permissions, 2, &[]);
    }

    /// A file.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, 1, content);
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, LINK | 0o777, 1, target.as_bytes());
    }

    /// A device of characters.
    pub fn device(&mut self, path: &str, permissions: u32, number: (u32, u32)) {
        self.entries += 1;
        self.header(path, self.entries, CHARACTERS | permissions, 1, 0, number);
    }

    /// The whole archive, with the entry that ends it.
    pub fn finish(mut self) -> Vec<u8> {
        self.entries = 0;
        self.header("TRAILER!!!", 0, 0, 1, 0, (0, 0));
        self.fill();
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, links: u32, content: &[u8]) {
        self.entries += 1;
        self.header(path, self.entries, mode, links, content.len(), (0, 0));
        self.bytes.extend_from_slice(content);
        self.fill();
    }

    fn header(&mut self, path: &str, inode: u32, mode: u32, links: u32, size: usize, special: (u32, u32)) {
        let name = path.trim_start_matches('/');
        self.bytes.extend_from_slice(b"070701");
        // inode, mode, owner, group, links, date, size, device, special device, name's length, sum.
        for number in
            [inode, mode, 0, 0, links, 0, size as u32, 0, 0, special.0, special.1, name.len() as u32 + 1, 0]
        {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.fill();
    }

    fn fill(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_cpio_writes() {
        let mut archive = Archive::default();
        archive.folder("/d", 0o755);
        archive.file("d/f", 0o644, b"hello");
        archive.link("l", "d/f");
        let bytes = archive.finish();
        let text = String::from_utf8(bytes.clone()).unwrap().replace('\0', ".");
        let zeros = "00000000";
        let header = |inode: u32, mode: &str, links: u32, size: u32, name: u32| {
            format!(
                "070701{inode:08x}{mode}{zeros}{zeros}{links:08x}{zeros}{size:08x}{zeros}{zeros}{zeros}{zeros}{name:08x}{zeros}"
            )
        };
        let wanted = [
            header(1, "000041ed", 2, 0, 2) + "d.",
            header(2, "000081a4", 1, 5, 4) + "d/f." + ".." + "hello...",
            header(3, "0000a1ff", 1, 3, 2) + "l." + "d/f.",
            header(0, zeros, 1, 0, 11) + "TRAILER!!!." + "...",
        ];
        assert_eq!(text, wanted.concat());
        assert_eq!(bytes.len() % 4, 0);
    }
}
