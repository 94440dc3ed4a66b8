//! Codes that are kept in the tree, so that what was good once stays good.

use serde::Deserialize;

use super::{gate, read};

#[derive(Deserialize)]
struct Vector {
    made_by: String,
    /// `[[issuer]]` of a trust list.
    trust: String,
    text: String,
    /// First and last second, since 1970.
    valid_from: Option<u64>,
    valid_until: Option<u64>,
    /// Row key under the pepper of 32 bytes 01, hex: it is part of the identifier, and people's lists depend on it.
    row_key: String,
    /// Replay key of a dynamic code, hex.
    replay: Option<String>,
}

#[test]
fn the_codes_in_the_tree_are_read_as_ever() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/codes.json");
    let vectors: Vec<Vector> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut profiles = std::collections::BTreeSet::new();
    for vector in &vectors {
        let gate = gate(&vector.trust);
        let by = &vector.made_by;
        let credential = read(&gate, &vector.text)
            .unwrap_or_else(|e| panic!("{by}: {e} {:?}", e.fault))
            .credential;
        let seconds = |at: Option<crate::domain::Utc>| at.map(crate::domain::Utc::as_secs);
        assert_eq!(seconds(credential.valid_from), vector.valid_from, "{by}");
        assert_eq!(seconds(credential.valid_until), vector.valid_until, "{by}");
        let hex = crate::lab::mint::hex;
        assert_eq!(hex(&credential.keys[0].1.0), vector.row_key, "{by}");
        assert_eq!(
            credential.replay.map(|r| hex(&r.key.0)),
            vector.replay,
            "{by}"
        );
        profiles.insert(gate.trust().issuers[0].profile.as_str());
    }
    assert!(profiles.is_superset(&["opaque", "hcert", "shc", "ride.v81", "ride.cwt"].into()));
}
