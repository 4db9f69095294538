//! Copying a message into a node, and fetching early what is needed next.
//!
//! The memory of a node was last read by another core, so a plain copy stalls
//! on fetching each of its cache lines for writing. Asking for the lines
//! about 1 KiB ahead (`prefetchw`) hides that, where the CPU has it. `core`'s
//! prefetch intrinsic compiles to `prefetcht0`, which fetches for reading and
//! loses the effect, hence the assembly.
//!
//! Measured in a ring of 20 nodes, one writer, one reader, as ratios to a bare
//! ring that uses `memcpy`: the range of the medians of several runs, on a
//! virtual machine whose state changed between them.
//!
//! | way | 1 KiB | 16 KiB | 64 KiB | 1 MiB |
//! |---|---|---|---|---|
//! | one line at a time with AVX-512, one `prefetchw` for each | 0.8 to 1.4 | 1.0 to 1.1 | 0.96 to 1.11 | 1.05 to 1.13 |
//! | `memcpy` by 512 bytes, eight `prefetchw` before each | 1.1 to 1.4 | 0.9 to 1.2 | 0.89 to 1.10 | 0.97 to 1.09 |
//! | `memcpy` | 1.4 | 0.9 | 0.93 to 0.98 | 1.06 to 1.09 |
//!
//! On another day, when the machine's last-level cache held the whole source and so fed one
//! core at 10.5 GB/s, the first lines of the source's *next page*, fetched at
//! the start of each page (which the hardware's own prefetching never
//! crosses), gave 5 x 1 MiB 0.99 -> 1.05, 20 x 1 MiB 1.04 -> 1.13, and
//! neither gain nor loss from 4 to 64 KiB. Two lines or eight did as well as
//! four, the page after next did not do better; `cldemote`d destinations
//! lost a third; prefetching the source line by line lost a tenth.
//!
//! At 64 KiB, where a ring of 20 lies in the second-level cache, the machine's
//! state decides: on that other day AVX-512 lines took 4 % from the bare ring
//! and 0 to 3 % from this one.
//!
//! So `memcpy` up to 1 KiB (there the gain comes from fetching the *next* node
//! while this one is being committed or read), and above that AVX-512 where it
//! is, `memcpy` by 512 bytes where only `prefetchw` is, `memcpy` elsewhere. A
//! loop of AVX2 lines did not do better than the second.

/// How far ahead of the stores lines are fetched, in bytes.
const AHEAD: usize = 1024;
/// Bytes copied between two rounds of fetching, without AVX-512.
const CHUNK: usize = 512;

/// Copies `source` to the start of `node`.
///
/// # Panics
///
/// If `source` is longer than `node`.
#[inline]
pub fn copy_into(node: &mut [u8], source: &[u8]) {
    let node = &mut node[..source.len()];
    if source.len() <= AHEAD || !cpu::can_prefetch() {
        node.copy_from_slice(source);
        return;
    }
    prefetch_for_writing(node.as_ptr(), node.len());
    if cpu::by_lines(node, source) {
        return;
    }
    let mut done = 0;
    while done < source.len() {
        let end = (done + CHUNK).min(source.len());
        let ahead = (done + AHEAD).min(source.len());
        let more = CHUNK.min(source.len() - ahead);
        cpu::fetch_for_writing(node[ahead..].as_ptr(), more);
        node[done..end].copy_from_slice(&source[done..end]);
        done = end;
    }
}

/// Asks for the first bytes of something that will be written soon. Nobody
/// is disturbed but the caches: it may be another's yet.
#[inline]
pub(super) fn prefetch_for_writing(first: *const u8, len: usize) {
    if cpu::can_prefetch() {
        cpu::fetch_for_writing(first, len.min(AHEAD));
    }
}

/// Asks for the first bytes of something that will be read soon.
#[inline]
pub(super) fn prefetch_for_reading(first: *const u8, len: usize) {
    cpu::fetch_for_reading(first, len.min(AHEAD));
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod cpu {
    use super::AHEAD;
    use std::arch::x86_64::{__cpuid, _MM_HINT_T0, _mm_prefetch};
    use std::sync::atomic::{AtomicU8, Ordering};

    const LINE: usize = 64;
    type Line = [u8; LINE];

    /// Lines of a page, beyond which the hardware does not fetch by itself.
    const PAGE: usize = 4096 / LINE;

    /// Whether the CPU says that it has `prefetchw`.
    #[inline]
    pub fn can_prefetch() -> bool {
        static KNOWN: AtomicU8 = AtomicU8::new(0);
        match KNOWN.load(Ordering::Relaxed) {
            0 => {
                let has = __cpuid(0x8000_0000).eax >= 0x8000_0001
                    && __cpuid(0x8000_0001).ecx & 1 << 8 != 0;
                KNOWN.store(1 + u8::from(has), Ordering::Relaxed);
                has
            }
            known => known == 2,
        }
    }

    /// Copies line by line, fetching [`AHEAD`], if the CPU's vectors are as
    /// wide as a line; whether it did.
    #[inline]
    pub fn by_lines(node: &mut [u8], source: &[u8]) -> bool {
        if !is_x86_feature_detected!("avx512f") {
            return false;
        }
        let (lines, rest) = node.as_chunks_mut::<LINE>();
        let (from, last) = source.as_chunks::<LINE>();
        // SAFETY: the CPU has AVX-512, as was just asked.
        unsafe { wide(lines, from) };
        rest.copy_from_slice(last);
        true
    }

    #[target_feature(enable = "avx512f")]
    fn wide(lines: &mut [Line], from: &[Line]) {
        // Beyond its end lies somebody else's node.
        let fetching = lines.len().saturating_sub(AHEAD / LINE);
        let (first, last) = lines.split_at_mut(fetching);
        for (page, from) in first.chunks_mut(PAGE).zip(from.chunks(PAGE)) {
            let next_page = from.as_ptr().wrapping_add(PAGE);
            fetch_for_reading(next_page.cast(), 4 * LINE);
            for (line, from) in page.iter_mut().zip(from) {
                fetch_for_writing(line.as_ptr().wrapping_add(AHEAD), LINE);
                *line = *from;
            }
        }
        for (line, from) in last.iter_mut().zip(&from[fetching..]) {
            *line = *from;
        }
    }

    /// Fetches the lines of `len` bytes from `line` on for writing.
    #[inline]
    pub fn fetch_for_writing(mut line: *const u8, len: usize) {
        for _ in 0..len.div_ceil(LINE) {
            // SAFETY: a prefetch is a hint: it reads and writes nothing and
            // never faults, whatever the address.
            unsafe {
                std::arch::asm!("prefetchw [{}]", in(reg) line,
                    options(nostack, preserves_flags, readonly));
            }
            line = line.wrapping_add(LINE);
        }
    }

    /// Fetches the lines of `len` bytes from `line` on for reading.
    #[inline]
    pub fn fetch_for_reading(mut line: *const u8, len: usize) {
        for _ in 0..len.div_ceil(LINE) {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
            line = line.wrapping_add(LINE);
        }
    }
}

/// Elsewhere the hardware's own prefetching has to do. (So under Miri, which knows
/// no assembly.)
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod cpu {
    pub fn can_prefetch() -> bool {
        false
    }
    pub fn by_lines(_: &mut [u8], _: &[u8]) -> bool {
        false
    }
    pub fn fetch_for_writing(_: *const u8, _: usize) {}
    pub fn fetch_for_reading(_: *const u8, _: usize) {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_length_is_copied_whole() {
        let source: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        for len in (0..600).chain([1023, 1024, 1025, 1535, 1536, 1537, 4999, 5000]) {
            let mut node = vec![0xee; 5001];
            super::copy_into(&mut node, &source[..len]);
            assert_eq!(node[..len], source[..len]);
            assert!(node[len..].iter().all(|b| *b == 0xee), "length {len}");
        }
    }
}
