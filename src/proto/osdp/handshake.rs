//! From a challenge to a session: only a reader that knows its key gets there.

use osdp::ParsedPacket;
use osdp::packet::ScsType;
use osdp::reply::{CCrypt, NakErrorCode, RMacI, ReplyCode};
use osdp::secure::session::{Challenged, Cryptogrammed, Secure, Session};

use super::Cause;

/// How far a reader has come.
pub(super) enum Channel {
    Closed,
    Identified,
    Capable,
    Challenged(Session<Challenged>),
    Cryptogrammed(Session<Cryptogrammed>),
    Secure(Session<Secure>),
}

/// Why a reader refuses, if it does.
pub(super) fn nak(packet: &ParsedPacket<'_>) -> Option<NakErrorCode> {
    let is_nak = packet.code == ReplyCode::Nak.as_byte();
    let reason = packet.data.first().filter(|_| is_nak)?;
    // A reason that nobody knows is a refusal all the same.
    Some(NakErrorCode::from_byte(*reason).unwrap_or(NakErrorCode::NoError))
}

/// `01` behind the type: the key of this reader; `00`: the public one, or a refusal.
fn is_keyed(packet: &ParsedPacket<'_>, kind: ScsType, mark: u8) -> bool {
    packet
        .scb
        .is_some_and(|scb| scb.ty == kind && scb.data == [mark])
}

pub(super) fn challenged(
    session: Session<Challenged>,
    packet: &ParsedPacket<'_>,
    nak: Option<NakErrorCode>,
    mark: u8,
) -> Result<Session<Cryptogrammed>, Cause> {
    match nak {
        Some(NakErrorCode::UnexpectedSequenceNumber) => return Err(Cause::Silent),
        Some(_) => return Err(Cause::NotSecure),
        None => {}
    }
    if packet.code != ReplyCode::CCrypt.as_byte() || !is_keyed(packet, ScsType::Scs12, mark) {
        return Err(Cause::NotSecure);
    }
    let answer = CCrypt::decode(packet.data).map_err(|_| Cause::NotSecure)?;
    session.receive_ccrypt(&answer).map_err(|_| Cause::WrongKey)
}

pub(super) fn cryptogrammed(
    session: Session<Cryptogrammed>,
    packet: &ParsedPacket<'_>,
    nak: Option<NakErrorCode>,
    mark: u8,
) -> Result<Session<Secure>, Cause> {
    // Behind the type, 01 says that our cryptogram was good (libosdp, src/osdp_pd.c, in every release looked at). By READERS §2.4 it is the
    // mark of the key, as in the three packets before; the two differ only with the public key. Either will do: what is
    // believed is R-MAC, which nobody computes without the key.
    let is_good = is_keyed(packet, ScsType::Scs14, 0x01) || is_keyed(packet, ScsType::Scs14, mark);
    if nak.is_some() || packet.code != ReplyCode::RMacI.as_byte() || !is_good {
        return Err(Cause::WrongKey);
    }
    let answer = RMacI::decode(packet.data).map_err(|_| Cause::WrongKey)?;
    session
        .confirm_rmac_i(&answer.r_mac_i)
        .map_err(|_| Cause::WrongKey)
}
