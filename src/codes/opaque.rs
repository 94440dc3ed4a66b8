//! Opaque codes: health codes by GB/T 38961, codes of provinces and transit apps, printed codes. The gate does not
//! parse them for truth; their text is the identifier, and lists or the backend say what it stands for (CODES §1.2).

use sha2::{Digest as _, Sha256};

use super::trust_list::Issuer;
use crate::domain::{Replay, ReplayKey};

/// What keeps a code of a dynamic issuer from being used twice. `canonical` is the text as it goes into the row key.
pub(super) fn replay(issuer: &Issuer, canonical: &str) -> Option<Replay> {
    let window_s = issuer.window_s.filter(|_| issuer.dynamic)?;
    let key = Sha256::new()
        .chain_update(issuer.id.as_str())
        .chain_update([0x1F])
        .chain_update(canonical)
        .finalize();
    Some(Replay {
        key: ReplayKey(key.into()),
        window_s,
    })
}
