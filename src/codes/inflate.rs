//! Inflating within bounds: a code of 1,500 characters can claim to hold a megabyte.

use flate2::{Decompress, FlushDecompress, Status};

/// Most that a code may hold once it is inflated, bytes (DESIGN §3).
const INFLATED_MAX: usize = 64 << 10;
/// How much room is made at a time, bytes: most codes need it once.
const ROOM: usize = 8 << 10;

/// The content of a zlib stream (RFC 1950) that ends where `packed` ends. `None`: damaged, cut off, or too large.
pub(super) fn zlib(packed: &[u8]) -> Option<Vec<u8>> {
    inflate(Decompress::new(true), packed)
}

/// The content of a raw deflate stream (RFC 1951) that ends where `packed` ends. `None`: damaged, cut off, or too large.
pub(super) fn deflate(packed: &[u8]) -> Option<Vec<u8>> {
    inflate(Decompress::new(false), packed)
}

fn inflate(mut state: Decompress, packed: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        if content.len() == content.capacity() {
            content.reserve(ROOM);
        }
        let before = (state.total_in(), state.total_out());
        let rest = packed.get(usize::try_from(before.0).ok()?..)?;
        let status = state
            .decompress_vec(rest, &mut content, FlushDecompress::None)
            .ok()?;
        let read = usize::try_from(state.total_in()).ok()?;
        if content.len() > INFLATED_MAX {
            return None;
        }
        match status {
            Status::StreamEnd => return (read == packed.len()).then_some(content),
            Status::Ok | Status::BufError => {
                if before == (state.total_in(), state.total_out()) {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    fn packed(content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(content).unwrap();
        deflate.write_all(content).unwrap();
        (zlib.finish().unwrap(), deflate.finish().unwrap())
    }

    #[test]
    fn up_to_64_kb_are_inflated_and_not_a_byte_more() {
        for (len, fits) in [
            (0, true),
            (1, true),
            (65_536, true),
            (65_537, false),
            (1 << 20, false),
        ] {
            let content = vec![7; len];
            let (a, b) = packed(&content);
            assert!(a.len() < 1_500, "{len} bytes fit into a code");
            let expected = fits.then_some(content);
            assert_eq!(
                (zlib(&a), deflate(&b)),
                (expected.clone(), expected),
                "{len}"
            );
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let (a, b) = packed(b"a few words, a few words, and more");
        for cut in 0..a.len() {
            assert_eq!(zlib(&a[..cut]), None, "zlib, {cut}");
        }
        for cut in 0..b.len() {
            assert_eq!(deflate(&b[..cut]), None, "deflate, {cut}");
        }
        assert_eq!(zlib(&[&a[..], b"x"].concat()), None);
        assert_eq!(deflate(&[&b[..], b"x"].concat()), None);
        assert_eq!((zlib(&b), deflate(&a)), (None, None));
    }
}
