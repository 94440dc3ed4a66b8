use std::collections::VecDeque;

use osdp::ParsedPacket;
use osdp::packet::{Address, ControlByte, CtrlFlags, PacketBuilder, Scb, ScsType, Sqn};
use osdp::reply::CCrypt;
use osdp::secure::crypto::{SessionKeys, client_cryptogram};
use osdp::secure::frame::{Direction, seal, unseal};
use osdp::secure::session::{Disconnected, Secure, Session};

use super::*;
use crate::domain::{Assurance, Personal};
use crate::proto::osdp::Key;

const KEY: [u8; 16] = [
    0x94, 0x4B, 0x8E, 0xDD, 0xCB, 0xAA, 0x2B, 0x5F, 0xE2, 0xB0, 0x14, 0x8D, 0x1B, 0x2F, 0x95, 0xC9,
];
/// 26 bits, as the published RAW sample has them.
const CARD: [u8; 8] = [0x00, 0x01, 0x1A, 0x00, 0xA5, 0xC3, 0xF0, 0x80];

fn key(bytes: [u8; 16]) -> Key {
    Personal::new(bytes)
}

fn settings(address: u8) -> ReaderSettings {
    ReaderSettings {
        address,
        key: key(KEY),
        assurance: Assurance::Identifier,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.split_whitespace();
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// A reader of another make than ours, but for the arithmetic of the crate.
struct Peer {
    address: u8,
    key: [u8; 16],
    session: Option<Session<Secure>>,
    rnd_a: [u8; 8],
    /// What it answers to polls, code and data.
    queue: VecDeque<(u8, Vec<u8>)>,
    /// The last frame and its answer: a repeated frame is answered by the same bytes.
    last: Option<(Vec<u8>, Vec<u8>)>,
    secure: bool,
    /// As it comes from its maker: it knows the public key, and takes one of its own.
    is_new: bool,
    seen: Vec<u8>,
}

impl Peer {
    fn new(address: u8, key: [u8; 16]) -> Self {
        Self {
            address,
            key,
            session: None,
            rnd_a: [0; 8],
            queue: VecDeque::new(),
            last: None,
            secure: true,
            is_new: false,
            seen: Vec::new(),
        }
    }

    fn plain(&self, sqn: Sqn, scb: Option<ScsType>, code: u8, data: Vec<u8>) -> Vec<u8> {
        let mut flags = CtrlFlags::USE_CRC;
        if scb.is_some() {
            flags |= CtrlFlags::HAS_SCB;
        }
        PacketBuilder {
            addr: Address::reply(self.address).unwrap(),
            ctrl: ControlByte::new(sqn, flags),
            scb: scb.map(|kind| Scb::new(kind, [u8::from(!self.is_new)])),
            code,
            data,
        }
        .encode()
        .unwrap()
    }

    /// The session as the other side has it: it can only be the same.
    fn mirrored(&self) -> Session<Secure> {
        let session = Session::<Disconnected>::new(self.key).challenge(self.rnd_a);
        let session = session.receive_ccrypt(&self.ccrypt()).unwrap();
        let rmac = session.initial_rmac();
        session.confirm_rmac_i(&rmac).unwrap()
    }

    fn ccrypt(&self) -> CCrypt {
        let keys = SessionKeys::derive(&self.key, &self.rnd_a);
        let rnd_b = [7; 8];
        CCrypt {
            cuid: [1; 8],
            rnd_b,
            client_cryptogram: client_cryptogram(&keys.s_enc, &self.rnd_a, &rnd_b),
        }
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = frame.strip_prefix(&[0xFF]).unwrap();
        let (packet, _) = ParsedPacket::parse(frame).unwrap();
        if packet.addr.pd_addr() != self.address {
            return None;
        }
        if let Some((last, answer)) = &self.last
            && last == frame
            && packet.ctrl.sqn != Sqn::ZERO
        {
            return Some(answer.clone());
        }
        self.seen.push(packet.code);
        let mut took_key = false;
        let sqn = packet.ctrl.sqn;
        let answer = match packet.code {
            0x61 if packet.scb.is_none() => {
                self.session = None;
                self.plain(sqn, None, 0x45, vec![0; 12])
            }
            0x62 if packet.scb.is_none() => self.plain(sqn, None, 0x46, vec![9, 0, 0]),
            0x76 if !self.secure => self.plain(sqn, None, 0x41, vec![5]),
            0x76 => {
                self.rnd_a = packet.data.try_into().unwrap();
                let data = self.ccrypt().encode().unwrap();
                self.plain(sqn, Some(ScsType::Scs12), 0x76, data)
            }
            0x77 => {
                let session = self.mirrored();
                let rmac = session.last_other_mac().to_vec();
                self.session = Some(session);
                self.plain(sqn, Some(ScsType::Scs14), 0x78, rmac)
            }
            _ => {
                let Some(session) = &mut self.session else {
                    return Some(self.plain(sqn, None, 0x41, vec![6]));
                };
                let plain = unseal(session, &packet, frame).unwrap();
                if packet.code == 0x75 && self.is_new {
                    assert_eq!(plain[..2], [0x01, 0x10]);
                    self.key = plain[2..].try_into().unwrap();
                    // The answer still goes by the old key.
                    took_key = true;
                }
                let (code, data) = match packet.code {
                    0x60 => self.queue.pop_front().unwrap_or((0x40, vec![])),
                    0x64 => (0x48, vec![0, 0]),
                    _ => (0x40, vec![]),
                };
                let address = Address::reply(self.address).unwrap();
                let encrypt = !data.is_empty();
                seal(
                    session,
                    address,
                    sqn,
                    Direction::PdToAcu,
                    encrypt,
                    code,
                    &data,
                )
                .unwrap()
            }
        };
        self.is_new &= !took_key;
        self.last = Some((frame.to_vec(), answer.clone()));
        Some(answer)
    }
}

struct Scene {
    bus: Bus,
    peers: Vec<Peer>,
    now: Mono,
    news: Vec<(u64, Output)>,
    /// Everything that went over the line: what was sent, and what was answered.
    tape: Vec<(Vec<u8>, Vec<u8>)>,
    /// Spoils or drops an answer.
    fault: Box<dyn FnMut(usize, Vec<u8>) -> Vec<u8>>,
}

fn counting() -> impl FnMut() -> Option<[u8; 8]> + Send + 'static {
    let mut next = 0_u64;
    move || {
        next += 1;
        Some(next.to_be_bytes())
    }
}

impl Scene {
    fn new(peers: Vec<Peer>) -> Self {
        let readers = peers.iter().map(|peer| settings(peer.address)).collect();
        let mut bus = Bus::new(readers, counting());
        bus.start(Mono::default());
        Self {
            bus,
            peers,
            now: Mono::default(),
            news: Vec::new(),
            tape: Vec::new(),
            fault: Box::new(|_, answer| answer),
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        let mut out = Vec::new();
        loop {
            for output in std::mem::take(&mut out) {
                let Output::Send(frame) = output else {
                    self.news.push((self.now.as_millis(), output));
                    continue;
                };
                let answer = self.peers.iter_mut().find_map(|peer| peer.answer(&frame));
                let answer = (self.fault)(self.tape.len(), answer.unwrap_or_default());
                self.tape.push((frame, answer.clone()));
                self.now = self.now + Duration::from_millis(3);
                self.bus.step(self.now, Input::Bytes(&answer), &mut out);
            }
            if !out.is_empty() {
                continue;
            }
            let due = self.bus.deadline();
            if due > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(due);
            self.bus.step(self.now, Input::TimedOut, &mut out);
        }
    }

    fn taken(&mut self) -> Vec<Output> {
        let news = std::mem::take(&mut self.news)
            .into_iter()
            .map(|(_, output)| output);
        news.filter(|output| !matches!(output, Output::Fault(_) | Output::Identified(..)))
            .collect()
    }

    fn tap(&mut self, peer: usize) {
        self.peers[peer].queue.push_back((0x50, CARD.to_vec()));
    }
}

fn is_card(output: &Output) -> bool {
    matches!(output, Output::Presented { tag, .. } if tag.identifier().expose() == "bits26:A5C3F080")
}

#[test]
fn the_captured_handshake_comes_out_byte_for_byte() {
    let nonce = || Some([0x01, 0xD8, 0xFD, 0x25, 0x38, 0xCA, 0x94, 0x14]);
    let mut bus = Bus::new(vec![settings(5)], nonce);
    let mut now = Mono::default();
    bus.start(now);
    let mut sent = Vec::new();
    let mut news = Vec::new();
    for answer in [
        "53 85 14 00 04 45 BE BA FE 01 01 AF BE AD DE AD DE AD 01 B9",
        "53 85 1D 00 05 46 02 01 01 04 01 01 05 01 01 08 01 00 09 01 00 0A 00 01 10 02 00 67 31",
        "53 85 2B 00 0E 03 12 01 76 BE BA 01 00 AF BE AD DE D7 64 C8 CC E9 32 55 C4 6D EA BC 2E E8 EA A0 26 4D 95 C7 \
         9A 27 54 E9 C8 80 F0",
        "53 85 1B 00 0F 03 14 01 78 CB 97 05 BB 41 80 A4 AC 5F C4 69 03 EC B3 44 D0 D2 22",
    ] {
        let mut out = Vec::new();
        now = bus.deadline();
        bus.step(now, Input::TimedOut, &mut out);
        bus.step(now, Input::Bytes(&hex(answer)), &mut out);
        for output in out {
            match output {
                Output::Send(frame) => sent.push(frame),
                other @ (Output::Up(_)
                | Output::Down(..)
                | Output::Presented { .. }
                | Output::Stale(_)
                | Output::Tamper(..)
                | Output::PowerFailure(..)
                | Output::Identified(..)
                | Output::Provisioned(..)
                | Output::Fault(_)) => news.push(other),
            }
        }
    }
    for (frame, want) in sent.iter().zip([
        "FF 53 05 09 00 04 61 00 C1 25",
        "FF 53 05 09 00 05 62 00 A2 47",
        "FF 53 05 13 00 0E 03 11 01 76 01 D8 FD 25 38 CA 94 14 5D 5C",
        "FF 53 05 1B 00 0F 03 13 01 77 BF 28 E3 71 9B 3F 73 4A 71 47 68 B5 97 02 49 2A 53 C4",
    ]) {
        assert_eq!(*frame, hex(want));
    }
    assert_eq!((sent.len(), news.pop()), (4, Some(Output::Up(0))));
    let identity = "OSDP vendor BEBAFE model 1 version 1 serial 3735928495 firmware 173.222.173";
    assert_eq!(news, [Output::Identified(0, identity.into())]);
}

#[test]
fn a_card_goes_through_the_secure_channel_and_lights_are_set() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(1_000);
    assert_eq!(scene.taken(), [Output::Up(0)]);
    scene.bus.show(0, Look::Go);
    scene.tap(0);
    scene.run(1_000);
    let news = scene.taken();
    assert!(matches!(&news[..], [card] if is_card(card)), "{news:?}");
    let seen = &scene.peers[0].seen;
    // Ready when it came up, and then green with a beep.
    assert_eq!(seen.iter().filter(|code| **code == 0x69).count(), 2);
    assert_eq!(seen.iter().filter(|code| **code == 0x6A).count(), 1);
    assert_eq!(seen.iter().filter(|code| **code == 0x64).count(), 1);
}

#[test]
fn nothing_is_polled_in_clear_whatever_the_reader_says() {
    let mut peer = Peer::new(5, KEY);
    peer.secure = false;
    let mut scene = Scene::new(vec![peer]);
    scene.run(20_000);
    assert_eq!(scene.taken(), [Output::Down(0, Cause::NotSecure)]);
    assert!(!scene.peers[0].seen.contains(&0x60));
}

#[test]
fn a_reader_with_another_key_or_with_the_public_one_is_refused() {
    for key in [[1; 16], osdp::secure::SCBK_D] {
        let mut scene = Scene::new(vec![Peer::new(5, key)]);
        scene.tap(0);
        scene.run(20_000);
        assert_eq!(scene.taken(), [Output::Down(0, Cause::WrongKey)]);
    }
}

#[test]
fn a_replayed_transcript_brings_no_card() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(500);
    scene.tap(0);
    scene.run(500);
    assert!(scene.taken().iter().any(is_card));
    let tape: Vec<_> = scene
        .tape
        .iter()
        .map(|(_, answer)| answer.clone())
        .collect();
    // A fresh bus has other random bytes; whoever plays the tape has no key.
    let mut bus = Bus::new(vec![settings(5)], || Some([0xA5; 8]));
    let mut now = Mono::default();
    let mut out = Vec::new();
    for answer in tape.iter().cycle().take(2_000) {
        now = now.max(bus.deadline());
        bus.step(now, Input::TimedOut, &mut out);
        bus.step(now, Input::Bytes(answer), &mut out);
    }
    assert!(out.contains(&Output::Down(0, Cause::WrongKey)));
    assert!(
        !out.iter()
            .any(|output| matches!(output, Output::Up(_) | Output::Presented { .. }))
    );
}

#[test]
fn a_lost_answer_is_asked_for_again_by_the_same_bytes() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(500);
    let lost = scene.tape.len() + 3;
    scene.fault = Box::new(move |n, answer| if n == lost { vec![] } else { answer });
    scene.tap(0);
    scene.run(2_000);
    assert_eq!(scene.tape[lost].0, scene.tape[lost + 1].0);
    let news = scene.taken();
    assert!(news.iter().filter(|n| is_card(n)).count() == 1, "{news:?}");
    assert!(!news.iter().any(|n| matches!(n, Output::Down(..))));
}

#[test]
fn a_reader_that_went_away_is_back_within_a_second_and_what_was_tapped_meanwhile_is_told_and_not_taken()
 {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(500);
    scene.taken();
    scene.fault = Box::new(|_, _| vec![]);
    scene.run(12_000);
    assert_eq!(scene.taken(), [Output::Down(0, Cause::Silent)]);
    scene.tap(0);
    scene.fault = Box::new(|_, answer| answer);
    let back = scene.now.as_millis();
    scene.run(1_000);
    let up = scene
        .news
        .iter()
        .find(|(_, output)| *output == Output::Up(0))
        .unwrap()
        .0;
    assert!(up - back <= 1_000, "{} ms", up - back);
    assert_eq!(scene.taken(), [Output::Up(0), Output::Stale(0)]);
    scene.tap(0);
    scene.run(500);
    assert!(scene.taken().iter().any(is_card));
}

#[test]
fn tamper_and_power_are_told_once_a_change() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(500);
    scene.taken();
    for status in [[1, 0], [1, 0], [1, 1], [0, 0]] {
        scene.peers[0].queue.push_back((0x48, status.to_vec()));
        scene.run(200);
    }
    let want = [
        Output::Tamper(0, true),
        Output::PowerFailure(0, true),
        Output::Tamper(0, false),
        Output::PowerFailure(0, false),
    ];
    assert_eq!(scene.taken(), want);
}

#[test]
fn an_answer_in_clear_ends_the_session_and_is_not_believed() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(500);
    scene.taken();
    let at = scene.tape.len() + 2;
    scene.fault = Box::new(move |n, answer| {
        if n != at {
            return answer;
        }
        // The card of somebody on the line, under the number that is waited for.
        let sqn = ParsedPacket::parse(&answer).unwrap().0.ctrl.sqn;
        Peer::new(5, [0; 16]).plain(sqn, None, 0x50, CARD.to_vec())
    });
    scene.run(2_000);
    assert_eq!(
        scene.taken(),
        [Output::Down(0, Cause::Forged), Output::Up(0)]
    );
}

#[test]
fn noise_before_every_answer_loses_none() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.fault = Box::new(|_, answer| [&[0x53, 0xFF, 0x00, 0x53][..], &answer].concat());
    scene.run(1_000);
    scene.tap(0);
    scene.run(1_000);
    let news = scene.taken();
    assert!(
        matches!(&news[..], [Output::Up(0), card] if is_card(card)),
        "{news:?}"
    );
}

#[test]
fn eight_readers_share_the_line_and_one_that_is_dead_does_not_stop_the_others() {
    let peers = (0..8).map(|address| Peer::new(address, KEY)).collect();
    let mut scene = Scene::new(peers);
    scene.run(2_000);
    assert_eq!(scene.taken().len(), 8);
    scene.peers.remove(3);
    scene.run(2_000);
    assert_eq!(scene.taken(), [Output::Down(3, Cause::Silent)]);
    for n in 0..7 {
        scene.tap(n);
    }
    scene.run(2_000);
    assert_eq!(scene.taken().iter().filter(|n| is_card(n)).count(), 7);
}

/// Two hours of line time with one byte in a thousand spoiled: no card that nobody showed, and none missed.
#[test]
fn hours_on_a_noisy_line_brings_every_card_once_and_no_other() {
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    scene.fault = Box::new(move |_, mut answer| {
        for byte in &mut answer {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if (seed >> 33).is_multiple_of(1_000) {
                *byte ^= 1 << ((seed >> 40) % 8);
            }
        }
        answer
    });
    let mut cards = 0;
    let mut stale = 0;

    for _ in 0..60 {
        scene.run(60_000);
        scene.tap(0);
        scene.run(60_000);
        scene.tape.clear();
        scene.peers[0].seen.clear();
        for output in scene.taken() {
            match output {
                Output::Presented { .. } => {
                    assert!(is_card(&output));
                    cards += 1;
                }
                Output::Stale(_) => stale += 1,
                Output::Up(_) | Output::Down(..) => {}
                other @ (Output::Send(_)
                | Output::Tamper(..)
                | Output::PowerFailure(..)
                | Output::Identified(..)
                | Output::Provisioned(..)
                | Output::Fault(_)) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(cards + stale, 60);
    assert!(cards >= 55, "{stale} had to be tapped again");
}

#[test]
fn without_random_bytes_no_session_is_begun() {
    let mut peer = Peer::new(5, KEY);
    let mut bus = Bus::new(vec![settings(5)], || None);
    let mut out = Vec::new();
    for _ in 0..20 {
        let now = bus.deadline();
        bus.step(now, Input::TimedOut, &mut out);
        for output in std::mem::take(&mut out) {
            if let Output::Send(frame) = output {
                let answer = peer.answer(&frame).unwrap();
                bus.step(now, Input::Bytes(&answer), &mut out);
            }
        }
    }
    assert!(!peer.seen.contains(&0x76));
}

#[test]
fn a_new_reader_is_given_its_key_only_when_somebody_asks_and_is_served_with_it_then() {
    let mut peer = Peer::new(5, osdp::secure::SCBK_D);
    peer.is_new = true;
    let mut scene = Scene::new(vec![peer]);
    scene.run(10_000);
    assert!(!scene.peers[0].seen.contains(&0x75), "nobody asked");
    assert!(!scene.taken().contains(&Output::Up(0)));
    let mut out = Vec::new();
    let lasts = Duration::from_secs(60);
    scene.bus.provision(scene.now, 0, lasts, &mut out);
    assert_eq!(
        out,
        [
            Output::Down(0, Cause::Provisioning),
            Output::Provisioned(0, Provisioned::Open)
        ]
    );
    scene.run(3_000);
    assert_eq!(
        scene.taken(),
        [
            Output::Provisioned(0, Provisioned::Taken),
            Output::Down(0, Cause::OutOfStep),
            Output::Up(0)
        ]
    );
    assert_eq!(scene.peers[0].key, KEY);
    assert_eq!(
        scene.peers[0]
            .seen
            .iter()
            .filter(|code| **code == 0x75)
            .count(),
        1
    );
    scene.run(1_000);
    scene.tap(0);
    scene.run(1_000);
    assert!(scene.taken().iter().any(is_card));
}

#[test]
fn the_time_for_a_key_ends_by_itself_and_no_card_is_taken_in_it() {
    // A reader that has a key of its own already: the public one is nothing to it.
    let mut scene = Scene::new(vec![Peer::new(5, KEY)]);
    scene.run(1_000);
    scene.taken();
    let mut out = Vec::new();
    let lasts = Duration::from_secs(3_600);
    scene.bus.provision(scene.now, 0, lasts, &mut out);
    scene.tap(0);
    scene.run(299_000);
    assert_eq!(scene.taken(), []);
    scene.run(3_000);
    let news = scene.taken();
    assert_eq!(
        news[..2],
        [Output::Provisioned(0, Provisioned::TimedOut), Output::Up(0)]
    );
    assert!(
        !news.iter().any(is_card),
        "what was tapped meanwhile is old"
    );
}
