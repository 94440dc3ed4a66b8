//! Rules of a trust list that concern more than one key, or need more than a range.

use std::collections::BTreeMap;

use super::{Issuer, Profile, TrustList};

const ISSUERS_MAX: usize = 256;
const DETECT_MAX: usize = 16;
const LISTS_MAX: usize = 16;
/// Keys of one issuer: a whole country's.
const KEYS_MAX: usize = 1_024;
const WINDOW_S: std::ops::RangeInclusive<u32> = 1..=86_400;
/// Ages of lists, seconds: up to a year.
const AGE_S: std::ops::RangeInclusive<u32> = 60..=31_536_000;

/// A rule that does not hold: path of the key, and what is wrong.
type Broken = (String, String);

fn broken<T>(key: impl Into<String>, sentence: impl Into<String>) -> Result<T, Broken> {
    Err((key.into(), sentence.into()))
}

/// Checks every rule; the first that does not hold is the answer.
pub(super) fn check(list: &TrustList) -> Result<(), Broken> {
    if list.version == 0 {
        return broken("version", "versions count from 1");
    }
    if let (Some(created), Some(not_after)) = (list.created, list.not_after)
        && not_after <= created
    {
        return broken("not_after", "this is not after `created`");
    }
    let count = list.issuers.len();
    if !(1..=ISSUERS_MAX).contains(&count) {
        let sentence = format!("{count} issuers are given; allowed are 1 to {ISSUERS_MAX}");
        return broken("issuer", sentence);
    }
    let mut ids = BTreeMap::new();
    for (i, issuer) in list.issuers.iter().enumerate() {
        let at = |key: &str| format!("issuer[{i}].{key}");
        if let Some(first) = ids.insert(&issuer.id, i) {
            let sentence = format!("\"{}\" is the id of issuer[{first}] already", issuer.id);
            return broken(at("id"), sentence);
        }
        check_issuer(issuer).map_err(|(key, sentence)| (at(&key), sentence))?;
    }
    Ok(())
}

fn check_issuer(issuer: &Issuer) -> Result<(), Broken> {
    check_window(issuer)?;
    check_lists(issuer)?;
    if issuer
        .region
        .as_ref()
        .is_some_and(|region| !is_region(region))
    {
        return broken(
            "region",
            "a region has 1 to 16 characters out of a-z, A-Z, 0-9 and \"-\"",
        );
    }
    check_offline(issuer)?;
    issuer
        .written
        .check(issuer.profile)
        .map_err(|(key, sentence)| (format!("params.{key}"), sentence))?;
    match issuer.profile {
        Profile::IdCard => check_id_card(issuer),
        Profile::Tag => check_tag(issuer),
        Profile::Opaque | Profile::Hcert | Profile::Shc | Profile::RideV81 | Profile::RideCwt => {
            check_code(issuer)?;
            check_keys(issuer)
        }
    }
}

fn is_region(region: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=16).contains(&region.len()) && region.bytes().all(plain)
}

fn check_window(issuer: &Issuer) -> Result<(), Broken> {
    if issuer.dynamic && issuer.profile.is_signed() {
        return broken(
            "dynamic",
            "the profile says whether its codes are meant for one use; leave this key out",
        );
    }
    match (issuer.dynamic, issuer.window_s) {
        (true, None) => broken(
            "window_s",
            "a dynamic issuer needs this key: 1 to 86400 seconds",
        ),
        (false, Some(_)) => broken(
            "window_s",
            "only an issuer with dynamic = true has a window",
        ),
        (true, Some(s)) if !WINDOW_S.contains(&s) => {
            broken("window_s", format!("{s} s is outside 1 to 86400 s"))
        }
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

fn check_lists(issuer: &Issuer) -> Result<(), Broken> {
    let Some(lists) = &issuer.list else {
        return Ok(());
    };
    if lists.len() > LISTS_MAX {
        return broken(
            "list",
            "at most 16 lists are allowed; leave the key out for all of them",
        );
    }
    if lists.is_empty() && !issuer.profile.is_signed() {
        return broken(
            "list",
            "allowed are 1 to 16 lists: only a signed code says something by itself; leave the key out for all of them",
        );
    }
    Ok(())
}

fn check_offline(issuer: &Issuer) -> Result<(), Broken> {
    let offline = &issuer.offline;
    let ages = [
        ("offline.stale_after_s", offline.stale_after_s),
        ("offline.hard_stale_s", offline.hard_stale_s),
    ];
    for (key, age) in ages {
        if let Some(s) = age.filter(|s| !AGE_S.contains(s)) {
            return broken(key, format!("{s} s is outside 60 to 31536000 s"));
        }
    }
    if let (Some(stale), Some(hard)) = (offline.stale_after_s, offline.hard_stale_s)
        && hard < stale
    {
        return broken("offline.hard_stale_s", "this is shorter than stale_after_s");
    }
    Ok(())
}

fn check_code(issuer: &Issuer) -> Result<(), Broken> {
    if issuer.cards.is_some() {
        return broken("cards", "only profile \"idcard\" has cards");
    }
    if issuer.card_query {
        return broken(
            "card_query",
            "only profile \"idcard\" has cards to ask about",
        );
    }
    let by_default = super::Detect::of_profile(issuer.profile).is_some();
    if issuer.detect.len() > DETECT_MAX || (issuer.detect.is_empty() && !by_default) {
        let profile = issuer.profile.as_str();
        let sentence = format!(
            "profile \"{profile}\" needs 1 to {DETECT_MAX} shapes here, like [{{ prefix = \"HC1:\" }}]"
        );
        return broken("detect", sentence);
    }
    for (i, detect) in issuer.detect.iter().enumerate() {
        detect
            .check()
            .map_err(|sentence| (format!("detect[{i}]"), sentence))?;
    }
    Ok(())
}

fn check_keys(issuer: &Issuer) -> Result<(), Broken> {
    let (count, profile) = (issuer.keys.len(), issuer.profile.as_str());
    if issuer.profile == Profile::Opaque && count > 0 {
        return broken(
            "key",
            "profile \"opaque\" has no signature to check; leave this key out",
        );
    }
    if issuer.profile.is_signed() && !(1..=KEYS_MAX).contains(&count) {
        let sentence =
            format!("profile \"{profile}\" needs 1 to {KEYS_MAX} keys, here are {count}");
        return broken("key", sentence);
    }
    for (i, key) in issuer.keys.iter().enumerate() {
        let algorithm = key.key.algorithm();
        if !super::written::algorithms(issuer.profile).contains(&algorithm) {
            let sentence = format!("profile \"{profile}\" does not sign by {algorithm:?}");
            return broken(format!("key[{i}]"), sentence);
        }
        if let (Some(from), Some(until)) = (key.valid_from, key.valid_until)
            && until < from
        {
            return broken(format!("key[{i}].valid_until"), "this is before valid_from");
        }
    }
    Ok(())
}

fn check_tag(issuer: &Issuer) -> Result<(), Broken> {
    let foreign = [
        ("detect", !issuer.detect.is_empty()),
        ("cards", issuer.cards.is_some()),
        ("card_query", issuer.card_query),
        ("dynamic", issuer.dynamic),
        ("key", !issuer.keys.is_empty()),
    ];
    match foreign.into_iter().find(|(_, given)| *given) {
        Some((key, _)) => broken(
            key,
            "profile \"tag\" is known by its reader and has nothing but a number; leave this key out",
        ),
        None => Ok(()),
    }
}

fn check_id_card(issuer: &Issuer) -> Result<(), Broken> {
    if !issuer.detect.is_empty() {
        return broken(
            "detect",
            "profile \"idcard\" is known by its reader; leave this key out",
        );
    }
    if issuer.dynamic {
        return broken(
            "dynamic",
            "a card is shown again and again; leave this key out",
        );
    }
    if issuer.cards.as_ref().is_some_and(Vec::is_empty) {
        return broken("cards", "empty: leave the key out for all cards");
    }
    if issuer.translated {
        return broken(
            "translated",
            "a card is asked about with card_query = true; leave this key out",
        );
    }
    if !issuer.keys.is_empty() {
        return broken("key", "the reader proves the card; leave this key out");
    }
    Ok(())
}
