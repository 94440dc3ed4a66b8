//! What a fuzz target does with its bytes: a gate reads them as a code of one profile, and neither panics nor takes longer
//! than [`TIME_MAX`] nor allocates more than [`BYTES_MAX`].
//!
//! A decoder has layers: a code that is damaged on the outside never comes to its inside. So the first byte of an input
//! says where the rest goes in: as the text itself, or inside of all that a phone would wrap around it, signed by a key
//! that the gate knows.

#![allow(dead_code, unused_imports, reason = "of the modules that are compiled here, some functions have their users elsewhere")]

#[path = "../../../src/codes/mod.rs"]
pub mod codes;
#[path = "../../../src/domain/mod.rs"]
pub mod domain;
pub mod frame;
pub mod lab;
pub mod line;
#[path = "../../../src/proto/mod.rs"]
pub mod proto;
#[path = "../../../src/vision/mod.rs"]
pub mod vision;
mod wrap;

use std::alloc::System;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use codes::{Pepper, Profile, Reader, TrustList};
use domain::{Assurance, IdCard, IdCardKind, ListId, Personal, Shown, Tag, TagKind, Utc};
use lab::mint::{self, Seed};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Longest that one code may take.
pub const TIME_MAX: Duration = Duration::from_millis(50);
/// Most that one code may allocate, all in all: bytes given back count as well.
pub const BYTES_MAX: usize = 1 << 20;
/// 2026-11-24T12:53:20Z.
pub const NOW: Utc = Utc::from_secs(1_795_524_800);
pub const SEED: Seed = Seed(1);

/// A gate that knows the lab's issuer of every profile.
fn gate() -> &'static Reader {
    static GATE: OnceLock<Reader> = OnceLock::new();
    GATE.get_or_init(|| {
        let all = [
            Profile::Hcert,
            Profile::Shc,
            Profile::RideV81,
            Profile::RideCwt,
            Profile::IdCard,
            Profile::Tag,
        ];
        let mut text = String::from("version = 1\n");
        for profile in all {
            let minted = mint::mint(profile, SEED, NOW).expect("a lab can make every code");
            text.push_str(&minted.trust);
        }
        // All other texts.
        text.push_str("[[issuer]]\nid = \"rest\"\nprofile = \"opaque\"\npriority = 200\ndetect = [{ length_min = 1 }]\n");
        let trust = TrustList::parse(&text).expect("the lab's trust list is one");
        let list = ListId::new("lab").expect("a name");
        Reader::new(trust, vec![(list, Pepper::from_bytes([1; 32]))]).expect("one pepper")
    })
}

/// Reads it within the bounds.
fn read(shown: &Shown) {
    let gate = gate();
    let region = Region::new(ALLOCATOR);
    let began = Instant::now();
    let read = gate.read(shown);
    let took = began.elapsed();
    let allocated = region.change().bytes_allocated;
    drop(read);
    assert!(took <= TIME_MAX || again(gate, shown) <= TIME_MAX, "it took {took:?}");
    assert!(allocated <= BYTES_MAX, "it allocated {allocated} bytes");
}

/// The same once more: on a machine with other work a process may have to wait once for its turn.
fn again(gate: &Reader, shown: &Shown) -> Duration {
    let began = Instant::now();
    drop(gate.read(shown));
    began.elapsed()
}

/// One input of a target.
pub fn code(profile: Profile, data: &[u8]) {
    let Some((layer, rest)) = data.split_first() else {
        return;
    };
    if let Some(text) = wrap::text(profile, *layer, rest) {
        read(&Shown::Code(Personal::new(text)));
    }
}

/// One input of the target for cards: kind, then number and days with line feeds between them.
pub fn card(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let kind = match kind % 4 {
        0 => IdCardKind::Resident,
        1 => IdCardKind::HongKongMacaoTaiwan,
        2 => IdCardKind::Foreign2017,
        _ => IdCardKind::Foreign2023,
    };
    let text = String::from_utf8_lossy(rest);
    let mut fields = text.splitn(3, '\n').map(str::to_owned);
    read(&Shown::Card(IdCard {
        number: Personal::new(fields.next().unwrap_or_default()),
        kind,
        valid_from: fields.next().unwrap_or_default(),
        valid_until: fields.next(),
    }));
}

/// One input of the target for tags: kind, assurance, bits (little-endian), then the identifier.
pub fn tag(data: &[u8]) {
    let [kind, assurance, low, high, id @ ..] = data else {
        return;
    };
    let kind = match kind % 3 {
        0 => TagKind::Em4100,
        1 => TagKind::Iso14443a,
        _ => TagKind::Bits,
    };
    let assurance = match assurance % 3 {
        0 => Assurance::Identifier,
        1 => Assurance::Signed,
        _ => Assurance::Authenticated,
    };
    if let Some(tag) = Tag::new(kind, u16::from_le_bytes([*low, *high]), id.to_vec(), assurance) {
        read(&Shown::Tag(tag));
    }
}

/// Inputs to begin with, each with its name.
pub fn seeds(profile: Profile) -> Vec<Vec<u8>> {
    wrap::seeds(profile)
}
