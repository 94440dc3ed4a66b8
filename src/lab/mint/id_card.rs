//! Facts of ID cards of a lab. A card is no text, so what is printed is for an emulated reader: kind, number, days.

use super::{MintError, Minted, Seed, hcert};
use crate::codes::id_card::check_digit;
use crate::domain::{IdCard, IdCardKind, Personal, Utc};

/// A card of this kind that is valid for some years around `at`. Nobody has its number: no district is called 00.
///
/// # Errors
/// [`MintError`] for a time that no calendar has.
pub fn card(seed: Seed, kind: IdCardKind, at: Utc) -> Result<IdCard, MintError> {
    let years = |years: u64| years * 366 * 86_400;
    let day = |at| hcert::day(at).map(|day| day.replace('-', ""));
    let (district, order) = match kind {
        IdCardKind::Resident => ("110000", 3),
        IdCardKind::HongKongMacaoTaiwan => ("810000", 3),
        IdCardKind::Foreign2017 => ("XXX0000", 0),
        IdCardKind::Foreign2023 => ("900000", 3),
    };
    let order = seed.digits("id card", if order == 0 { 2 } else { order });
    let number = if kind == IdCardKind::Foreign2017 {
        format!("{district}900101{order}")
    } else {
        let first = format!("{district}19900101{order}");
        let check = check_digit(first.as_bytes()).ok_or(MintError::Range("a number"))?;
        format!("{first}{}", char::from(check))
    };
    Ok(IdCard {
        number: Personal::new(number),
        kind,
        valid_from: day(Utc::from_secs(at.as_secs().saturating_sub(years(2))))?,
        valid_until: Some(day(Utc::from_secs(at.as_secs() + years(5)))?),
    })
}

/// One card of each kind, a line each.
pub(super) fn minted(seed: Seed, at: Utc) -> Result<Minted, MintError> {
    let lines = [
        ("resident", IdCardKind::Resident),
        ("hong_kong_macao_taiwan", IdCardKind::HongKongMacaoTaiwan),
        ("foreign2017", IdCardKind::Foreign2017),
        ("foreign2023", IdCardKind::Foreign2023),
    ]
    .map(|(name, kind)| {
        let card = card(seed, kind, at)?;
        let until = card.valid_until.unwrap_or_default();
        Ok(format!(
            "{name} {} {} {until}",
            card.number.expose(),
            card.valid_from
        ))
    });
    Ok(Minted {
        text: lines
            .into_iter()
            .collect::<Result<Vec<_>, MintError>>()?
            .join("\n"),
        trust: "[[issuer]]\nid = \"lab-id-card\"\nprofile = \"idcard\"\nclass = \"identity\"\n"
            .into(),
        keys: Vec::new(),
    })
}
