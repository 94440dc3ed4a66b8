//! Vectors of READERS §3.2 and §3.3, all prefixes, all single-bit errors, noise.

use proptest::prelude::*;

use super::*;

const RDM: [u8; 14] = *b"\x020D00C8D3B1A7\x03";
const RDM_TAG: &str = "em4100:0D00C8D3B1";
/// Facility 75, number 51937: 00100101 11100101 01110000 11, first bit first.
const W26_TAG: &str = "bits26:25E570C0";
const BOTH: [WiegandFormat; 2] = [WiegandFormat::W26, WiegandFormat::W34];

fn rdm() -> TagReader {
    TagReader::new(TagCodec::Rdm6300)
}

fn text() -> TagReader {
    TagReader::new(TagCodec::WiegandText(BOTH.to_vec()))
}

fn bytes() -> TagReader {
    TagReader::new(TagCodec::WiegandBytes(BOTH.to_vec()))
}

/// Tags and errors out of `bytes`, and what silence makes of the rest.
fn read(reader: &mut TagReader, bytes: &[u8]) -> Vec<Result<String, TagError>> {
    let steps = bytes.iter().map(|byte| Some(*byte)).chain([None]);
    let mut got = Vec::new();
    for step in steps {
        let result = match step {
            Some(byte) => reader.push(byte),
            None => reader.silence(),
        };
        let spelled = |tag: Tag| tag.identifier().expose().clone();
        got.extend(result.transpose().map(|tag| tag.map(spelled)));
    }
    got
}

#[test]
fn the_published_frames_are_read_and_built() {
    assert_eq!(read(&mut rdm(), &RDM), [Ok(RDM_TAG.into())]);
    assert_eq!(encode_rdm6300([0x0D, 0x00, 0xC8, 0xD3, 0xB1]), RDM);
    // The card of this frame has 13161393 printed on it.
    assert_eq!(u32::from_be_bytes([0x00, 0xC8, 0xD3, 0xB1]), 13_161_393);
    let bits = 0b00_1001_0111_1001_0101_1100_0011_u32;
    assert_eq!(encode_bytes(75, 51_937), bits.to_be_bytes());
    assert_eq!(encode_text(75, 51_937), b"09795C3\r\n");
    assert_eq!(
        read(&mut bytes(), &bits.to_be_bytes()),
        [Ok(W26_TAG.into())]
    );
    for line in ["09795C3\r\n", "009795c3\r", "\n09795C3\n", "09795C3"] {
        assert_eq!(
            read(&mut text(), line.as_bytes()),
            [Ok(W26_TAG.into())],
            "{line:?}"
        );
    }
}

#[test]
fn modules_with_cr_and_lf_before_the_end_are_read_too() {
    let long = [&RDM[..13], b"\r\n\x03"].concat();
    assert_eq!(read(&mut rdm(), &long), [Ok(RDM_TAG.into())]);
    assert_eq!(read(&mut rdm(), &[&long[..], &RDM].concat()).len(), 2);
}

#[test]
fn a_w34_card_keeps_its_length() {
    // Two bits among the first 17, one among the last 17.
    let value: u64 = 1 << 33 | 1 << 20 | 1 << 5;
    let line = format!("{value:09X}\r");
    let got = read(&mut text(), line.as_bytes());
    assert!(
        matches!(&got[..], [Ok(tag)] if tag.starts_with("bits34:")),
        "{got:?}"
    );
    let five = &value.to_be_bytes()[3..];
    assert_eq!(read(&mut bytes(), five), got);
}

#[test]
fn every_prefix_waits_and_is_dropped_by_silence() {
    for end in 1..RDM.len() {
        let mut reader = rdm();
        for byte in &RDM[..end] {
            assert_eq!(reader.push(*byte), Ok(None), "{end}");
        }
        assert_eq!(reader.silence(), Err(TagError::Unfinished));
        assert_eq!(read(&mut reader, &RDM), [Ok(RDM_TAG.into())]);
    }
    for end in 1..7 {
        assert_eq!(
            read(&mut text(), &b"09795C3"[..end]),
            [Err(TagError::Length)]
        );
    }
    for end in 1..4 {
        assert_eq!(
            read(&mut bytes(), &[0x00, 0x97, 0x95, 0xC3][..end]),
            [Err(TagError::Length)]
        );
    }
}

#[test]
fn every_single_bit_error_of_an_rdm_frame_is_caught() {
    for bit in 0..RDM.len() * 8 {
        let mut frame = RDM;
        frame[bit / 8] ^= 1 << (bit % 8);
        let got = read(&mut rdm(), &frame);
        assert!(got.iter().all(Result::is_err), "bit {bit}: {got:?}");
    }
}

#[test]
fn every_single_bit_error_of_wiegand_bytes_is_caught() {
    let good = encode_bytes(75, 51_937);
    for bit in 0..32 {
        let mut frame = good.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        let got = read(&mut bytes(), &frame);
        assert!(got.iter().all(Result::is_err), "bit {bit}: {got:?}");
    }
}

/// One bit of a hex digit on a serial line can be two bits of the value: A and C, D and E. Parity does not see that.
#[test]
fn a_single_bit_error_of_a_wiegand_line_is_caught_but_for_digits_that_differ_in_two_bits() {
    for number in [51_937, 0, 0xABCD, 0xFFFF] {
        let good = encode_text(75, number);
        let tag = read(&mut text(), &good);
        for bit in 0..7 * 8 {
            let mut line = good.clone();
            line[bit / 8] ^= 1 << (bit % 8);
            let was = good[bit / 8].to_ascii_uppercase();
            let is = line[bit / 8].to_ascii_uppercase();
            let slips = matches!(
                (was, is),
                (b'A', b'C') | (b'C', b'A') | (b'D', b'E') | (b'E', b'D')
            );
            let got = read(&mut text(), &line);
            // A digit in the other case is the same digit.
            assert!(
                slips || got == tag || got.iter().all(Result::is_err),
                "bit {bit}: {got:?}"
            );
        }
    }
}

#[test]
fn lengths_that_are_not_configured_are_refused() {
    let only = || TagReader::new(TagCodec::WiegandText(vec![WiegandFormat::W26]));
    assert_eq!(read(&mut only(), b"0123456789\r"), [Err(TagError::Length)]);
    // Short runs of zeros: a missing common ground.
    for zeros in [&[0][..], &[0, 0], &[0, 0, 0], &[0; 9]] {
        assert_eq!(read(&mut bytes(), zeros), [Err(TagError::Length)]);
    }
    // 32 bits in which the first six are no padding.
    assert_eq!(read(&mut bytes(), &[0xFF; 4]), [Err(TagError::Length)]);
}

#[test]
fn noise_before_a_tag_is_one_fault_and_the_tag_is_read() {
    let noise = [b"\x02\x020D\xFF\x02", &RDM[..]].concat();
    assert_eq!(
        read(&mut rdm(), &noise),
        [Err(TagError::Foreign), Ok(RDM_TAG.into())]
    );
    let line = [b"\xFFnoise 1\r", &b"09795C3\r"[..]].concat();
    let got = read(&mut text(), &line);
    assert!(got[0].is_err() && got[1] == Ok(W26_TAG.into()), "{got:?}");
}

proptest! {
    #[test]
    fn any_bytes_end_and_the_next_tag_is_read(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (mut reader, frame, tag) in [
            (rdm(), RDM.to_vec(), RDM_TAG),
            (text(), b"09795C3\r".to_vec(), W26_TAG),
            (bytes(), vec![0x00, 0x97, 0x95, 0xC3], W26_TAG),
        ] {
            let before = reader.bytes.as_ptr();
            read(&mut reader, &noise);
            prop_assert!(reader.is_empty());
            prop_assert_eq!(read(&mut reader, &frame), [Ok(tag.to_owned())]);
            prop_assert_eq!(reader.bytes.as_ptr(), before);
        }
    }
}
