//! What comes over the line of a reader, for the serial codecs: bytes in any pieces, with silence between them.
//!
//! The first byte of an input is how many bytes come together. Each codec gives only what passes its own check, in bounded
//! time, whatever comes.

use std::time::{Duration, Instant};

use crate::TIME_MAX;
use crate::domain::{Assurance, Mono, Personal};
use crate::proto::keyboard::Keyboard;
use crate::proto::line::{LINE_MAX, LineReader, LineShape};
use crate::proto::osdp::{Bus, Input, Output, ReaderSettings};
use crate::proto::pn532::{self, FrameBuffer, Pn532Machine};
use crate::proto::sam::{self, ReplyBuffer, SamMachine};
use crate::proto::tags::{TagCodec, TagReader, WiegandFormat};

fn within(data: &[u8], mut all: impl FnMut(&[u8])) {
    let Some((size, rest)) = data.split_first() else {
        return;
    };
    let mut once = || {
        let began = Instant::now();
        rest.chunks(usize::from(*size).max(1)).for_each(&mut all);
        began.elapsed()
    };
    let took = once();
    // On a machine with other work a process may have to wait once for its turn.
    assert!(took <= TIME_MAX || once() <= TIME_MAX, "it took {took:?}");
}

/// Text lines of scanners, sent or typed.
pub fn text(data: &[u8]) {
    let shape = LineShape {
        prefix: "P".into(),
        aim_id: true,
        ..LineShape::default()
    };
    for shape in [LineShape::default(), shape] {
        let mut reader = LineReader::new(LINE_MAX).shaped(shape);
        let check = |line: Option<Personal<String>>| {
            if let Some(line) = line {
                let line = line.expose();
                assert!(line.len() <= LINE_MAX && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        };
        within(data, |bytes| {
            for byte in bytes {
                check(reader.push(*byte).unwrap_or_default());
            }
            check(reader.silence().unwrap_or_default());
        });
    }
    let mut keyboard = Keyboard::default();
    for pair in data.chunks_exact(2) {
        let typed = keyboard.key(u16::from(pair[0]), i32::from(pair[1] % 3));
        assert!(typed.is_none_or(|byte| byte.is_ascii()));
    }
}

/// RDM6300 and Wiegand.
pub fn identifiers(data: &[u8]) {
    let formats = || [26, 34].into_iter().filter_map(WiegandFormat::of_bits).collect();
    for codec in [
        TagCodec::Rdm6300,
        TagCodec::WiegandText(formats()),
        TagCodec::WiegandBytes(formats()),
    ] {
        let mut reader = TagReader::new(codec);
        within(data, |bytes| {
            for byte in bytes {
                if let Ok(Some(tag)) = reader.push(*byte) {
                    assert!(tag.identifier().expose().len() <= 32);
                }
            }
            let _ = reader.silence();
            assert!(reader.is_empty());
        });
    }
}

/// SAM_V and SAM_A.
pub fn sam(data: &[u8]) {
    let mut now = Mono::default();
    let mut out = Vec::new();
    let (mut machine, mut buffer) = (SamMachine::default(), ReplyBuffer::new());
    machine.start(now, &mut out);
    within(data, |bytes| {
        buffer.push(bytes);
        while let Some(reply) = buffer.next_reply() {
            machine.step(now, sam::Input::Reply(reply), &mut out);
        }
        now = now + Duration::from_millis(120);
        if buffer.is_unfinished() {
            buffer.silence();
            machine.step(now, sam::Input::Corrupt, &mut out);
        }
        machine.step(now, sam::Input::TimedOut, &mut out);
        for output in out.drain(..) {
            match output {
                sam::Output::Presented { card, .. } => {
                    assert!(matches!(card.number.expose().len(), 15 | 18));
                }
                sam::Output::GaveUp => {
                    // As the driver does: the connection is opened anew.
                    machine = SamMachine::default();
                    break;
                }
                _ => {}
            }
        }
    });
}

/// PN532.
pub fn pn532(data: &[u8]) {
    let mut now = Mono::default();
    let mut out = Vec::new();
    let (mut machine, mut buffer) = (Pn532Machine::default(), FrameBuffer::default());
    machine.start(now, &mut out);
    within(data, |bytes| {
        buffer.push(bytes);
        while let Some(frame) = buffer.next_frame() {
            machine.step(now, pn532::Input::Frame(frame), &mut out);
        }
        now = now + Duration::from_millis(60);
        machine.step(now, pn532::Input::TimedOut, &mut out);
        if out.drain(..).any(|output| output == pn532::Output::GaveUp) {
            machine.start(now, &mut out);
        }
    });
}

/// OSDP: nothing that has no key gives a card, whatever it sends.
pub fn osdp(data: &[u8]) {
    let readers = (0..2).map(|address| ReaderSettings {
        address,
        key: Personal::new([7; 16]),
        assurance: Assurance::Identifier,
    });
    let mut nonce = 0_u64;
    let mut bus = Bus::new(readers.collect(), move || {
        nonce += 1;
        Some(nonce.to_be_bytes())
    });
    let mut now = Mono::default();
    let mut out = Vec::new();
    bus.start(now);
    within(data, |bytes| {
        now = now.max(bus.deadline());
        bus.step(now, Input::TimedOut, &mut out);
        bus.step(now, Input::Bytes(bytes), &mut out);
        for output in out.drain(..) {
            let is_trusted = matches!(output, Output::Up(_) | Output::Presented { .. } | Output::Stale(_));
            assert!(!is_trusted, "nobody here knows the key");
        }
    });
}

/// Good frames of each codec to begin with, from READERS' vectors and our own encoders.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let hex = |text: &str| -> Vec<u8> {
        let pairs = text.split(' ').filter_map(|pair| u8::from_str_radix(pair, 16).ok());
        std::iter::once(64).chain(pairs).collect()
    };
    match target {
        "reader_text" => vec![b"\x40HC1:6BF+70\r\n".to_vec(), b"\x40P]Q1CODE\r".to_vec(), hex("02 00 00 01 00 33 31 41 0D")],
        "reader_identifiers" => vec![
            hex("02 30 44 30 30 43 38 44 33 42 31 41 37 03"),
            [&[64][..], &crate::proto::tags::encode_text(75, 51_937)].concat(),
            [&[64][..], &crate::proto::tags::encode_bytes(75, 51_937)].concat(),
        ],
        "reader_sam" => vec![
            hex("AA AA AA 96 69 00 04 00 00 90 94 AA AA AA 96 69 00 08 00 00 9F 00 00 00 00 97"),
            hex("AA AA AA 96 69 00 0C 00 00 90 00 00 00 00 00 00 00 00 9C"),
        ],
        "reader_pn532" => vec![
            hex("00 00 FF 00 FF 00 00 00 FF 02 FE D5 15 16 00"),
            hex("00 00 FF 00 FF 00 00 00 FF 0C F4 D5 4B 01 01 00 04 08 04 FB 0E E2 0B D8 00"),
        ],
        "reader_osdp" => vec![
            hex("53 80 14 00 04 45 BE BA FE 01 01 AF BE AD DE AD DE AD 01 B9"),
            hex("53 85 2B 00 0E 03 12 01 76 BE BA 01 00 AF BE AD DE D7 64 C8 CC E9 32 55 C4 6D EA BC 2E E8 EA A0 26 4D 95 C7 9A 27 54 E9 C8 80 F0"),
        ],
        _ => Vec::new(),
    }
}
