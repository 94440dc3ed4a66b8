//! `turnstiled codes mint`: keys and codes of issuers that exist in a lab only.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{CANNOT_CREATE, DATA, Failure};
use crate::backend::system_clock;
use crate::codes::Profile;
use crate::domain::Utc;
use crate::lab::mint::{self, Seed, picture};

/// Makes a code of a lab's issuer. Everything follows from the seed, so the same words make the same code, and a gate that
/// has the trust list entry believes all codes of that seed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its format; `idcard` gives facts for an emulated reader, one card of each kind
    #[arg(value_enum)]
    pub profile: Kind,
    /// Where keys and numbers come from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// When the code is made, like 2026-11-24T08:00:00Z; now if absent
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
    /// Draw it as a QR code into this file as well
    #[arg(long, value_name = "FILE.png")]
    pub png: Option<PathBuf>,
    /// Print the issuer's entry for a trust list instead of the code
    #[arg(long)]
    pub trust: bool,
    /// Write the secret keys into this folder, PEM; for other programs that are to sign
    #[arg(long, value_name = "DIRECTORY")]
    pub keys: Option<PathBuf>,
}

/// A profile, as it is called in trust lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A code that only lists know
    Opaque,
    /// Health certificate of the EU
    Hcert,
    /// SMART Health Card
    Shc,
    /// National transit ride code; its text is bytes read as ISO 8859-1, printed as hex
    #[value(name = "ride.v81")]
    RideV81,
    /// Open ride code
    #[value(name = "ride.cwt")]
    RideCwt,
    /// ID cards
    Idcard,
}

impl From<Kind> for Profile {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Opaque => Self::Opaque,
            Kind::Hcert => Self::Hcert,
            Kind::Shc => Self::Shc,
            Kind::RideV81 => Self::RideV81,
            Kind::RideCwt => Self::RideCwt,
            Kind::Idcard => Self::IdCard,
        }
    }
}

/// Makes it.
///
/// # Errors
/// [`Failure`]: 65 if there is no such code, 73 if a file cannot be written, 1 if the output cannot.
pub fn run(args: &Args, out: &mut impl Write) -> Result<u8, Failure> {
    let at = match args.at {
        Some(at) => u64::try_from(at.as_millisecond()).map(Utc::from_millis),
        None => Ok(system_clock()()),
    };
    let at = at.map_err(|_| Failure {
        code: DATA,
        sentence: "--at: codes are made from 1970 on".into(),
    })?;
    let minted = mint::mint(args.profile.into(), Seed(args.seed), at)
        .map_err(|error| Failure::new(DATA, &error))?;
    if let Some(folder) = &args.keys {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        for (name, pem) in &minted.keys {
            let file = folder.join(format!("{name}.pem"));
            let written = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&file)
                .and_then(|mut open| open.write_all(pem.as_bytes()));
            written.map_err(|error| cannot_write(&file, &error))?;
        }
    }
    if let Some(file) = &args.png {
        if args.profile == Kind::Idcard {
            return Err(Failure {
                code: DATA,
                sentence: "--png: an ID card shows no code".into(),
            });
        }
        let picture = picture::qr(&minted.text).map_err(|error| Failure::new(DATA, &error))?;
        picture
            .save(file)
            .map_err(|error| cannot_write(file, &error))?;
    }
    let text = if args.trust {
        minted.trust
    } else if args.profile == Kind::RideV81 {
        mint::hex(&picture::bytes_of(&minted.text))
    } else {
        minted.text
    };
    writeln!(out, "{}", text.trim_end()).map_err(|error| Failure::new(1, &error))?;
    Ok(0)
}

fn cannot_write(file: &Path, error: &dyn std::error::Error) -> Failure {
    let mut failure = Failure::new(CANNOT_CREATE, error);
    failure.sentence = format!("cannot write {}: {}", file.display(), failure.sentence);
    failure
}
