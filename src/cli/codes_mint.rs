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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::TrustList;
    use crate::vision::{self, Luma};

    fn minted(words: &[&str]) -> Result<String, Failure> {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let words = [&["mint", "--at", "2026-11-24T12:53:20Z"], words].concat();
        let cli = <Cli as clap::Parser>::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        run(&cli.args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_profile_has_a_code_an_issuer_and_a_picture() {
        let home = tempfile::tempdir().unwrap();
        let png = home.path().join("code.png").display().to_string();
        for (profile, start) in [
            ("opaque", "LAB:"),
            ("hcert", "HC1:"),
            ("shc", "shc:/"),
            ("ride.v81", "81"),
            ("ride.cwt", "RC1:"),
        ] {
            let code = minted(&[profile, "--png", &png]).unwrap();
            assert!(code.starts_with(start), "{code}");
            let picture = image::open(&png).unwrap().into_luma8();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let luma = Luma::new(width, height, picture.as_raw()).unwrap();
            let texts = vision::read(luma).texts;
            let bytes = |text: &String| mint::hex(&picture::bytes_of(text));
            let shown = texts.first().map(|text| {
                if profile == "ride.v81" {
                    bytes(text)
                } else {
                    text.clone()
                }
            });
            assert_eq!(shown.as_deref(), Some(code.trim_end()), "{profile}");
            std::fs::remove_file(&png).unwrap();
            let trust = minted(&[profile, "--trust"]).unwrap();
            let trust = TrustList::parse(&format!("version = 1\n{trust}")).unwrap();
            assert_eq!(trust.issuers[0].profile.as_str(), profile);
        }
        assert_eq!(minted(&["idcard"]).unwrap().lines().count(), 4);
        let failure = minted(&["idcard", "--png", &png]).unwrap_err();
        assert_eq!(
            (failure.code, failure.sentence.as_str()),
            (65, "--png: an ID card shows no code")
        );
    }

    #[test]
    fn secret_keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join("keys");
        minted(&["ride.v81", "--keys", &keys.display().to_string()]).unwrap();
        for name in ["root", "issuer", "phone"] {
            let file = keys.join(format!("{name}.pem"));
            let pem = std::fs::read_to_string(&file).unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "{name}");
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let failure = minted(&["opaque", "--png", "/nowhere/code.png"]).unwrap_err();
        assert_eq!(failure.code, 73);
        assert!(
            failure
                .sentence
                .starts_with("cannot write /nowhere/code.png: ")
        );
    }
}
