//! Service-call control blocks: what goes to the SCLP and what comes back, as bytes.
//!
//! Pure, compiled and tested on every host. All integers are big-endian. No public manual
//! describes the SCLP; the layouts are those that Linux and QEMU agree on.
//!
//! Header: u16 length of the block, u8 function code, 3 control bytes, u16 response.

use arrayvec::ArrayVec;

/// Command: what the machine has.
pub const READ_SCP_INFO: u32 = 0x0002_0001;
/// Command: which events we send and receive.
pub const WRITE_EVENT_MASK: u32 = 0x0078_0005;
/// Command: output.
pub const WRITE_EVENT_DATA: u32 = 0x0076_0005;
/// Command: input.
pub const READ_EVENT_DATA: u32 = 0x0077_0005;

/// Event type: lines of ASCII, which `-nographic` connects.
const EVENT_ASCII: u8 = 0x1a;
/// Its bit in an event mask, counted from the left, 1 first.
const MASK_ASCII: u32 = 1 << (32 - EVENT_ASCII);

/// Response: information read.
const RESPONSE_READ: u16 = 0x0010;
/// Response: done.
const RESPONSE_DONE: u16 = 0x0020;

/// Bytes before the text in an output block: SCCB header, event header.
const OUTPUT_TEXT: usize = 14;
/// Bytes before the text in an input block: the same and one zero byte.
const INPUT_TEXT: usize = 15;
const EVENT: usize = 8;

/// The most CPU addresses that are kept.
const MAX_FOUND: usize = 255;

/// What READ SCP INFO said.
#[derive(Debug, PartialEq, Eq)]
pub struct ScpInfo {
    /// Bytes of memory, from address 0 up.
    pub memory: u64,
    /// CPU addresses.
    pub cpus: ArrayVec<u8, MAX_FOUND>,
}

fn u16_at(block: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(block.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(block: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(block.get(at..at + 4)?.try_into().ok()?))
}
fn u64_at(block: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(block.get(at..at + 8)?.try_into().ok()?))
}

/// Reads an answered READ SCP INFO block: 8 increments of memory (u16; 0: u64 at 104), 10 their
/// size in MB (u8; 0: u32 at 100), 16 CPUs (u16), 18 offset of their 16-byte entries.
pub fn parse_scp_info(block: &[u8]) -> Result<ScpInfo, &'static str> {
    const SHORT: &str = "SCLP: information block is cut off";
    if u16_at(block, 6) != Some(RESPONSE_READ) {
        return Err("SCLP: the machine's description cannot be read");
    }
    let increments = match u16_at(block, 8).ok_or(SHORT)? {
        0 => u64_at(block, 104).ok_or(SHORT)?,
        n => u64::from(n),
    };
    let megabytes = match *block.get(10).ok_or(SHORT)? {
        0 => u64::from(u32_at(block, 100).ok_or(SHORT)?),
        n => u64::from(n),
    };
    let memory = increments
        .checked_mul(megabytes)
        .and_then(|megabytes| megabytes.checked_mul(1 << 20))
        .filter(|&bytes| bytes > 0)
        .ok_or("SCLP: the memory's size makes no sense")?;
    let count = usize::from(u16_at(block, 16).ok_or(SHORT)?);
    let offset = usize::from(u16_at(block, 18).ok_or(SHORT)?);
    let entries = block.get(offset..).ok_or(SHORT)?.chunks_exact(16);
    let cpus = entries.map(|entry| entry[0]).take(count.min(MAX_FOUND)).collect();
    Ok(ScpInfo { memory, cpus })
}

/// A READ SCP INFO or READ EVENT DATA block: as long as `block`.
pub fn request(block: &mut [u8]) {
    block.fill(0);
    let length = block.len() as u16;
    block[..2].copy_from_slice(&length.to_be_bytes());
}

/// A WRITE EVENT MASK block: we send and receive ASCII. Gives its length.
pub fn event_mask(block: &mut [u8]) -> usize {
    const LENGTH: u16 = 28;
    block[..LENGTH as usize].fill(0);
    block[..2].copy_from_slice(&LENGTH.to_be_bytes());
    block[10..12].copy_from_slice(&4u16.to_be_bytes()); // bytes of a mask
    block[12..16].copy_from_slice(&MASK_ASCII.to_be_bytes());
    block[16..20].copy_from_slice(&MASK_ASCII.to_be_bytes());
    LENGTH as usize
}

/// How lines end in output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineEnds {
    /// With what a terminal wants: `\n` becomes `\r\n`.
    Terminal,
    /// As the text says.
    AsTheyAre,
}

/// Fills a WRITE EVENT DATA block with as much of `text` as fits; gives what is left.
pub fn output<'t>(block: &mut [u8], text: &'t [u8], ends: LineEnds) -> &'t [u8] {
    let mut at = OUTPUT_TEXT;
    let mut taken = 0;
    for &byte in text {
        if at + 2 > block.len() {
            break;
        }
        if byte == b'\n' && ends == LineEnds::Terminal {
            block[at] = b'\r';
            at += 1;
        }
        block[at] = byte;
        at += 1;
        taken += 1;
    }
    block[..OUTPUT_TEXT].fill(0);
    block[..2].copy_from_slice(&(at as u16).to_be_bytes());
    block[EVENT..EVENT + 2].copy_from_slice(&((at - EVENT) as u16).to_be_bytes());
    block[EVENT + 2] = EVENT_ASCII;
    &text[taken..]
}

/// The text of an answered READ EVENT DATA block; `None` if there was none.
pub fn input(block: &[u8]) -> Option<&[u8]> {
    if u16_at(block, 6)? != RESPONSE_DONE || *block.get(EVENT + 2)? != EVENT_ASCII {
        return None;
    }
    let end = EVENT + usize::from(u16_at(block, EVENT)?);
    block.get(INPUT_TEXT..end).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QEMU 7.2's answer for `-m 256 -smp 2`, cut behind the CPU entries.
    fn golden() -> [u8; 4096] {
        let mut block = [0; 4096];
        block[..20].copy_from_slice(&[
            0x10, 0x00, 0, 0, 0, 0, 0x00, 0x10, // length, response
            0x01, 0x00, 1, 0, 0, 0, 0, 0, // 256 increments of 1 MB
            0x00, 0x02, 0x00, 0x80, // 2 CPUs at 128
        ]);
        block[128 + 16] = 1;
        block
    }

    #[test]
    fn memory_and_cpus() {
        let info = parse_scp_info(&golden()).unwrap();
        assert_eq!(info.memory, 256 << 20);
        assert_eq!(info.cpus[..], [0, 1]);
    }

    #[test]
    fn wide_fields_take_over_from_zero_ones() {
        let mut block = golden();
        block[8..11].fill(0);
        block[100..104].copy_from_slice(&[0, 0, 1, 0]); // 256 MB
        block[104..112].copy_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0]); // 65536 of them
        assert_eq!(parse_scp_info(&block).unwrap().memory, 1 << 44);
        block[104] = 0xff;
        assert!(parse_scp_info(&block).is_err(), "wraps");
        block[104..112].fill(0);
        assert!(parse_scp_info(&block).is_err(), "no memory");
    }

    #[test]
    fn a_cut_or_refused_block_is_an_error() {
        let block = golden();
        for length in 0..128 {
            // Up to 128 the block ends before the CPU entries that its header promises.
            assert!(parse_scp_info(&block[..length]).is_err(), "cut off at {length}");
        }
        let mut block = golden();
        block[18..20].copy_from_slice(&[0xff, 0xff]);
        assert!(parse_scp_info(&block).is_err());
        block[7] = 0xf0;
        assert!(parse_scp_info(&block).is_err());
    }

    #[test]
    fn more_cpus_than_entries() {
        let mut block = golden();
        block[16..18].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(parse_scp_info(&block).unwrap().cpus.len(), (4096 - 128) / 16);
    }

    #[test]
    fn output_bytes() {
        let mut block = [0xee; 32];
        let rest = output(&mut block, b"a\nb", LineEnds::Terminal);
        assert!(rest.is_empty());
        let golden = [0, 18, 0, 0, 0, 0, 0, 0, 0, 10, 0x1a, 0, 0, 0, b'a', b'\r', b'\n', b'b', 0xee];
        assert_eq!(block[..19], golden);
    }

    #[test]
    fn output_in_parts_loses_nothing() {
        let text = b"\n\nab\ncd\n\n\n\nefg";
        for size in 16..40 {
            let mut block = vec![0; size];
            let mut rest = &text[..];
            let mut seen = Vec::new();
            while !rest.is_empty() {
                rest = output(&mut block, rest, LineEnds::Terminal);
                let length = usize::from(u16_at(&block, 0).unwrap());
                seen.extend_from_slice(&block[OUTPUT_TEXT..length]);
            }
            assert_eq!(seen, b"\r\n\r\nab\r\ncd\r\n\r\n\r\n\r\nefg");
        }
    }

    #[test]
    fn output_as_it_is() {
        let mut block = [0; 32];
        assert_eq!(output(&mut block, b"a\nb\r\n", LineEnds::AsTheyAre), b"");
        assert_eq!(u16_at(&block, 0), Some(19));
        assert_eq!(block[OUTPUT_TEXT..19], *b"a\nb\r\n");
    }

    #[test]
    fn input_bytes() {
        let mut block = [0; 4096];
        request(&mut block);
        assert_eq!(block[..8], [0x10, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(input(&block), None);
        block[6..17].copy_from_slice(&[0, 0x20, 0, 9, 0x1a, 0, 0, 0, 0, b'x', b'y']);
        assert_eq!(input(&block), Some(&b"xy"[..]));
        block[9] = 7; // no text
        assert_eq!(input(&block), None);
        block[8] = 0xff; // longer than the block
        assert_eq!(input(&block), None);
    }

    #[test]
    fn mask_bytes() {
        let mut block = [0xee; 32];
        assert_eq!(event_mask(&mut block), 28);
        let golden =
            [0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x40, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(block[..28], golden);
    }
}
