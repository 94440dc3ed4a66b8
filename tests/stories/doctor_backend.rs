//! A technician asks how a gate stands with its backend: the certificates' ends, an answer or the reason of none.

use std::fs;

use crate::doctor_gate::{findings, of};
use crate::mutual_trust::{CONFIG, TRUST, good, start};

#[test]
fn an_enrolled_gate_hears_when_its_certificates_end_and_why_its_backend_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let people = "kind,issuer,identifier,colour\nopaque,health,HC:1,green\n";
    fs::write(home.join("people.csv"), people).unwrap();
    good(home, "codes import --list health --data backend people.csv");
    good(home, "backend ca --data backend");
    let (backend, found) = start(
        home,
        "backend --data backend --listen 127.0.0.1:0 --tls 127.0.0.1:0",
        "the backend is up",
        &["tls="],
    );
    let port = found[0].rsplit(':').next().unwrap();
    let site = home.join("site");
    let enrols = |days: u32| {
        let _ = fs::remove_dir_all(&site);
        good(
            home,
            &format!(
                "backend enrol North_1 --data backend --out site --days {days} --url https://localhost:{port}"
            ),
        );
        for name in ["frames", "lines"] {
            fs::create_dir(site.join(name)).unwrap();
        }
        let fragment = fs::read_to_string(site.join("gate-fragment.toml")).unwrap();
        fs::write(site.join("gate.toml"), format!("{CONFIG}\n{fragment}")).unwrap();
        fs::write(site.join("trust.toml"), TRUST).unwrap();
    };

    enrols(90);
    let (code, found) = findings(&site);
    assert_eq!(code, Some(0), "nothing is wrong: {found:#?}");
    let (grade, said) = of(&found, "certificate", "gate");
    assert!(
        grade == "good" && (said.contains("89 days") || said.contains("90 days")),
        "{said}"
    );
    assert_eq!(of(&found, "certificate", "authority").0, "good");
    assert_eq!(
        of(&found, "backend", port),
        ("good".to_owned(), "answers".to_owned())
    );

    enrols(5);
    let (grade, said) = of(&findings(&site).1, "certificate", "gate");
    assert!(
        grade == "look" && (said.contains("in 4 days") || said.contains("in 5 days")),
        "{said}"
    );

    // Somebody else's authority: the backend hangs up, and the doctor says whose certificate it is about.
    good(
        home,
        "backend enrol North_1 --data stranger --list health --out false",
    );
    for name in ["gate.pem", "gate.key"] {
        fs::copy(home.join("false").join(name), site.join(name)).unwrap();
    }
    let (grade, said) = of(&findings(&site).1, "backend", port);
    assert!(
        grade == "look" && said.contains("our certificate"),
        "{said}"
    );

    enrols(90);
    drop(backend);
    let (code, found) = findings(&site);
    assert_eq!(code, Some(0), "a gate serves without its backend");
    let (grade, said) = of(&found, "backend", port);
    assert!(grade == "look" && !said.is_empty(), "{said}");

    // A key that everybody can read is no secret.
    let key = site.join("gate.key");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&key, open).unwrap();
    let (code, found) = findings(&site);
    assert_eq!(code, Some(1), "{found:#?}");
    let (grade, said) = of(&found, "config", "files");
    assert!(grade == "wrong" && said.contains("gate.key"), "{said}");
}
