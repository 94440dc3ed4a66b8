//! The formats of a list, so that another program can write one. `tests/foreign/write_list.py` is such a program: it
//! shares no code with this crate, and a test has a gate follow what it wrote.
//!
//! # Where things are
//!
//! Below the address of the backend (`backend.url`), with `GET`; a folder of files under these names will do:
//!
//! | Path | Holds |
//! |---|---|
//! | `/v1/lists/LIST/manifest` | the newest manifest of the list, a signed JSON document. A gate adds `?have=V&wait=S`: who can, holds the answer for up to S seconds while V is the newest version; files cannot and need not |
//! | `/v1/trust` | the trust list, a signed JSON document as `turnstiled codes trust sign` writes it, of type `application/vnd.turnstiled.trust+json`, with a key of its own: `version`, `created` and `not_after` as below, and the issuers (`hardware/trust.toml`). `?have=V&wait=S` as above |
//! | `/v1/chunks/SHA256` | a chunk, named by the 64 lower-case hex digits of the SHA-256 of its bytes as sent. It never changes, so any cache may keep it. `Range: bytes=N-` is used after a broken connection |
//!
//! A gate follows a list by its name, 1 to 64 characters of `a-z A-Z 0-9 . _ -`, no dot first. Integers in binary data are
//! big-endian everywhere.
//!
//! # Row: 40 bytes
//!
//! | Bytes | Field | |
//! |---|---|---|
//! | 0..16 | key | the row key, below |
//! | 16..24 | subject | the person, the same number behind each of a person's credentials; zero: not told |
//! | 24..28 | valid from | first second of validity since 1970; zero: from always |
//! | 28..32 | valid until | last second of validity since 1970; zero: for ever |
//! | 32 | colour | 0 green, 1 yellow, 2 red, 3 known but has not applied. Any other value: the list is refused |
//! | 33..35 | entitlements | bit set; bit 0 is the ride |
//! | 35 | region | index of the region the row comes from |
//! | 36 | mark | 0: the row is put; 1: it is removed, and bytes 16 to 35 are zero |
//! | 37..40 | reserved | zero |
//!
//! Bytes 16 to 35 are the *value* of the row.
//!
//! # Row key: 16 bytes
//!
//! The first 16 bytes of HMAC-SHA-256 with the pepper of the list, 32 bytes, as key, over
//! `kind 0x1F issuer 0x1F identifier` in UTF-8. Kind is `opaque` (the identifier is the text of a code), `id_card` (it is
//! the number of a card), a signed profile, or `revoked` (a name that an issuer revokes a code by; any colour). Signed profiles
//! are `hcert` (the UVCI), `shc` (what the card is hashed to), `ride.v81` (the card account number, 20 digits) and `ride.cwt`
//! (the account); `codes::hcert` and `codes::shc` say more, also of names to revoke by. The issuer is its `id` in the trust list of the gates. White space (space, tab, line feed, form feed,
//! carriage return) is taken off both ends of the identifier, and in a card number `x` becomes `X`.
//!
//! A pepper is named by its id: the first 4 bytes of SHA-256 over `turnstiled pepper id`, 0x1F, and the 32 bytes, as a number.
//!
//! # Chunk
//!
//! Up to 26,214 rows (1 MiB), keys ascending strictly, as one zstd stream (RFC 8878) of at most 1,114,112 bytes. Raw blocks are
//! allowed: keys do not compress anyway.
//!
//! # Manifest
//!
//! UTF-8 JSON; fields that are not known are ignored.
//!
//! | Field | |
//! |---|---|
//! | `list` | the name; a manifest under another list's address is refused |
//! | `era`, `version` | u32, u64. Order is era first, then version; a gate remembers the highest pair it accepted and refuses what is below, even after its cache was lost. The same pair has the same rows for ever. A new era is how a backend comes back that has lost its newest versions |
//! | `created` | second since 1970 when it was signed; the age of the list counts from here, so an unchanged list is signed again from time to time |
//! | `fresh_until` | second since 1970; from then on the list counts as stale |
//! | `pepper_id` | which pepper the keys are made with; a gate that has another refuses the list |
//! | `rows` | how many rows the list has |
//! | `digest` | 64 hex digits: the sum modulo 2^256 over all rows of SHA-256(key, value), 36 bytes each, taken as numbers |
//! | `snapshot` | names of the chunks that make up the whole list, at most 8192: their rows, one after the other, ascend strictly and remove nothing |
//! | `deltas` | at most 64 of `{"from": VERSION, "chunks": [...]}`, at most 64 chunks and a million rows each: what leads from that version of the same era and pepper to this one. May be empty |
//!
//! # Signature
//!
//! The manifest is the payload of a DSSE envelope, version 1.0.2, of at most 4 MiB:
//!
//! ```json
//! {"payloadType": "application/vnd.turnstiled.manifest+json", "payload": "BASE64",
//!  "signatures": [{"keyid": "anything", "sig": "BASE64"}]}
//! ```
//!
//! `sig` is an Ed25519 signature over `DSSEv1 SP LEN SP TYPE SP LEN SP PAYLOAD`: SP a space, TYPE the payload type, PAYLOAD the
//! bytes before base64, each after its length in decimal. Base64 is standard, with padding. One of at most four signatures
//! must be by one of the gate's `backend.list_keys`, base64 of the 32 bytes of the public key.
//!
//! # Example
//!
//! Pepper 32 bytes 0x0B (id 0x31080dac), kind `opaque`, issuer `demo.health`, identifier `CODE-1`, red, subject
//! 0102030405060708, valid until 2000000000, entitlements 1, region 44:
//!
//! ```text
//! row key  40542aea8dfa6b0ce3575c4d774e575d
//! row      40542aea8dfa6b0ce3575c4d774e575d 0102030405060708 00000000 77359400 02 0001 2c 00 000000
//! digest   of the list with this one row: SHA-256 of the first 36 bytes,
//!          78ba95be0651b2a608c826a9e9f49f05b11a5f04b50d7bf96d690e77f6a47753
//! ```

#[cfg(test)]
mod tests {
    use crate::domain::{Colour, Digest, Row, RowKey, Subject};
    use crate::store::codes::Change;
    use crate::sync::chunk::encode_row;
    use crate::sync::hex;

    #[test]
    fn the_example_is_what_this_crate_writes() {
        let text = include_str!("format.rs");
        let hex_after = |name: &str| -> String {
            let at = text.find(&format!("//! {name} ")).unwrap();
            let line = text[at + 4 + name.len()..].lines().next().unwrap();
            line.chars().filter(|c| !c.is_whitespace()).collect()
        };
        let key = RowKey(hex::decode(&hex_after("row key ")).unwrap());
        let value = Row {
            subject: Subject([1, 2, 3, 4, 5, 6, 7, 8]),
            valid_from_s: 0,
            valid_until_s: 2_000_000_000,
            colour: Some(Colour::Red),
            entitlements: 1,
            region: 44,
        }
        .encode();
        let row = hex::encode(&encode_row(&Change::Put(key, value)));
        assert_eq!(row, hex_after("row     "));
        let mut digest = Digest::default();
        digest.add(&key, &value);
        let digest = hex::encode(digest.as_bytes());
        assert!(
            text.contains(&format!("//!          {digest}\n")),
            "{digest}"
        );
    }
}
