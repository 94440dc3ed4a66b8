//! Writes the inputs that the targets begin with: `seeds DIRECTORY` makes `DIRECTORY/<target>/seed-<n>`.

use std::fs;
use std::path::PathBuf;

use turnstiled_fuzz::codes::Profile;

fn main() -> std::io::Result<()> {
    let home: PathBuf = std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into()).into();
    for (target, profile) in [
        ("opaque", Profile::Opaque),
        ("hcert", Profile::Hcert),
        ("shc", Profile::Shc),
        ("ride_v81", Profile::RideV81),
        ("ride_cwt", Profile::RideCwt),
        ("id_card", Profile::IdCard),
        ("tag", Profile::Tag),
    ] {
        let folder = home.join(target);
        fs::create_dir_all(&folder)?;
        for (n, seed) in turnstiled_fuzz::seeds(profile).iter().enumerate() {
            fs::write(folder.join(format!("seed-{n}")), seed)?;
        }
    }
    for target in ["reader_text", "reader_identifiers", "reader_sam", "reader_pn532", "reader_osdp"] {
        let folder = home.join(target);
        fs::create_dir_all(&folder)?;
        for (n, seed) in turnstiled_fuzz::line::seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{n}")), seed)?;
        }
    }
    let folder = home.join("vision");
    fs::create_dir_all(&folder)?;
    for (n, seed) in turnstiled_fuzz::frame::seeds().iter().enumerate() {
        fs::write(folder.join(format!("seed-{n}")), seed)?;
    }
    Ok(())
}
