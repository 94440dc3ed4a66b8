//! Imports as an operator makes them.

use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::backend::Backend;
use crate::codes::row_key::{ID_CARD, OPAQUE, SUBJECT, TAG, row_key, subject_key};
use crate::domain::{Colour, IssuerId, Row, Subject};
use crate::store::codes::Change;
use crate::sync::chunk::decode_row;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    import: ImportArgs,
}

const GOOD: &str = "\
kind,issuer,identifier,colour,valid_from,valid_until,entitlements,subject,region
opaque,demo,CODE-1,green
opaque,demo,\"CODE,2\",red,2026-03-01T00:00:00+08:00,2000000000,3,0102030405060708,44
id_card,demo,11010119000101001x,yellow,,,none
opaque,demo,CODE-4,not_applied
";

fn pepper() -> Pepper {
    Pepper::from_bytes([5; 32])
}

fn parse(text: &str, mode: Mode) -> Result<Vec<Change>, CsvError> {
    let rows = match rows::read(text.as_bytes(), &pepper(), mode, &std::env::temp_dir()) {
        Ok(rows) => rows,
        Err(ReadError::Line(error)) => return Err(error),
        Err(ReadError::Spool(error)) => panic!("{error}"),
    };
    let change = |row: io::Result<_>| decode_row(&row.unwrap()).unwrap();
    Ok(rows.into_rows().map(change).collect())
}

fn row_of(changes: &[Change], kind: &str, identifier: &str) -> Option<Row> {
    let key = row_key(&pepper(), kind, &IssuerId::new("demo").unwrap(), identifier).unwrap();
    changes.iter().find_map(|change| match change {
        Change::Put(k, value) if *k == key => Some(Row::decode(value).unwrap()),
        Change::Put(..) | Change::Remove(_) => None,
    })
}

fn written(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("people.csv");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

async fn import(args: &[&str]) -> Result<Summary, ImportError> {
    let args = [&["import", "--list", "health"], args].concat();
    run(&Cli::try_parse_from(args).unwrap().import).await
}

#[test]
fn every_column_arrives() {
    let changes = parse(GOOD, Mode::Replace).unwrap();
    assert_eq!(changes.len(), 4);
    assert!(changes.is_sorted_by_key(Change::key));
    let first = row_of(&changes, OPAQUE, "CODE-1").unwrap();
    assert_eq!((first.colour, first.entitlements), (Some(Colour::Green), 1));
    assert_eq!((first.valid_from_s, first.valid_until_s), (0, 0));
    let second = row_of(&changes, OPAQUE, "CODE,2").unwrap();
    assert_eq!(second.subject, Subject([1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(
        (second.valid_from_s, second.valid_until_s),
        (1_772_294_400, 2_000_000_000)
    );
    assert_eq!((second.entitlements, second.region), (3, 44));
    let card = row_of(&changes, ID_CARD, "11010119000101001X").unwrap();
    assert_eq!((card.colour, card.entitlements), (Some(Colour::Yellow), 0));
    assert_eq!(row_of(&changes, OPAQUE, "CODE-4").unwrap().colour, None);
}

#[test]
fn a_bad_value_is_named_with_line_column_and_what_is_allowed_but_not_repeated() {
    let number = "11010119000101001X";
    for (line, wanted) in [
        (
            "passport,demo,1,green",
            "column 1 (kind): must be one of opaque, hcert, shc, ride.v81, ride.cwt, id_card, tag, revoked",
        ),
        ("opaque,d e,1,green", "column 2 (issuer): a name is made of"),
        (
            "opaque,demo, ,green",
            "column 3 (identifier): the identifier is empty",
        ),
        (
            "id_card,demo,123,green",
            "column 3 (identifier): the number of an ID card has",
        ),
        (
            "opaque,demo,1,blue",
            "column 4 (colour): must be one of green, yellow, red, not_applied",
        ),
        ("opaque,demo,1,removed", "column 4 (colour): must be one of"),
        (
            &format!("opaque,demo,1,{number}"),
            "column 4 (colour): must be one of",
        ),
        (
            "opaque,demo,1,green,yesterday",
            "column 5 (valid_from): must be empty",
        ),
        (
            "opaque,demo,1,green,9999999999",
            "column 5 (valid_from): must be empty",
        ),
        (
            "opaque,demo,1,green,1900-01-01T00:00:00Z",
            "column 5 (valid_from): must be empty",
        ),
        (
            "opaque,demo,1,green,20,10",
            "column 6 (valid_until): must not be before",
        ),
        (
            "opaque,demo,1,green,,,65536",
            "column 7 (entitlements): must be empty or ride",
        ),
        (
            "opaque,demo,1,green,,,,12",
            "column 8 (subject): must be empty or 16 hex",
        ),
        (
            "opaque,demo,1,green,,,,,256",
            "column 9 (region): must be a number",
        ),
        (
            "opaque,demo,1,green,,,,,1,2",
            "has 10 fields, the first line names 9",
        ),
        (
            "opaque,demo,CODE-1 ,red",
            "column 3 (identifier): the same credential is in line 2",
        ),
    ] {
        let error = parse(&format!("{GOOD}\n{line}\n"), Mode::Replace)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 7"), "{error}");
        assert!(error.contains(wanted), "{line} -> {error}");
        assert!(!error.contains(number), "{error}");
    }
}

#[test]
fn a_header_is_needed_and_may_have_another_order() {
    let refused = |text: &str| parse(text, Mode::Replace).unwrap_err().to_string();
    assert!(refused("").starts_with("line 1: the columns are missing: kind,issuer,"));
    assert!(refused("opaque,demo,1,green\n").starts_with("line 1: column 1 is none of kind,"));
    assert!(refused("kind,kind\n").contains("column 2 is there twice"));
    assert!(refused("kind,issuer,colour\n").contains("the column identifier is missing"));
    let turned = parse(
        "colour,identifier,issuer,kind\nred,CODE-1,demo,opaque\n",
        Mode::Replace,
    );
    assert_eq!(
        row_of(&turned.unwrap(), OPAQUE, "CODE-1").unwrap().colour,
        Some(Colour::Red)
    );
    assert!(
        parse("kind,issuer,identifier,colour\n", Mode::Replace)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_patch_can_take_somebody_out() {
    let text = "kind,issuer,identifier,colour\nopaque,demo,1,removed\nopaque,demo,2,red\n";
    let changes = parse(text, Mode::Patch).unwrap();
    assert_eq!(
        changes
            .iter()
            .filter(|c| matches!(c, Change::Remove(_)))
            .count(),
        1
    );
    assert!(row_of(&changes, OPAQUE, "2").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_becomes_a_list_through_a_running_backend() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let backend = Backend::start("127.0.0.1:0".parse().unwrap(), &data)
        .await
        .unwrap();
    let (url, file) = (backend.url(), written(&dir, GOOD));
    let summary = import(&[&file, "--backend", &url]).await.unwrap();
    assert_eq!(
        summary.to_string(),
        "4 lines read; list health is now at era 1, version 1, with 4 rows"
    );
    let again = import(&[&file, "--backend", &url]).await.unwrap();
    assert!(again.to_string().contains("has not changed"), "{again}");
    let patch = "kind,issuer,identifier,colour\nopaque,demo,CODE-1,removed\n";
    let patch = written(&dir, patch);
    let summary = import(&[&patch, "--backend", &url, "--patch"])
        .await
        .unwrap();
    assert_eq!((summary.imported.version, summary.imported.rows), (2, 3));
    // A bad last line: nothing of the file is taken over.
    let bad = written(
        &dir,
        "kind,issuer,identifier,colour\nopaque,demo,9,red\nopaque,demo,8,x\n",
    );
    let error = import(&[&bad, "--backend", &url]).await.unwrap_err();
    assert_eq!(error.exit_code(), 65);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{bad}: line 3, column 4 (colour): must be one of")),
        "{text}"
    );
    let list = ListId::new("health").unwrap();
    let probe = backend
        .import(&list, Mode::Patch, Vec::new())
        .await
        .unwrap();
    assert_eq!((probe.version, probe.rows), (2, 3));
    let locked = import(&[&file, "--data", &data.display().to_string()])
        .await
        .unwrap_err();
    assert!(
        locked.to_string().starts_with("a backend is running on "),
        "{locked}"
    );
    backend.shutdown().await;
    let error = import(&[&file, "--backend", &url]).await.unwrap_err();
    assert_eq!(error.exit_code(), 69);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_pepper_is_noticed_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::start("127.0.0.1:0".parse().unwrap(), &dir.path().join("data"))
        .await
        .unwrap();
    let (url, file) = (backend.url(), written(&dir, GOOD));
    let pepper = dir.path().join("other.pepper");
    let given = pepper.display().to_string();
    let error = import(&[&file, "--backend", &url, "--pepper-file", &given])
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::PepperFile { .. }), "{error}");
    fs::write(&pepper, "00".repeat(32)).unwrap();
    let error = import(&[&file, "--backend", &url, "--pepper-file", &given])
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::OtherPepper { .. }), "{error}");
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_becomes_a_list_without_a_backend_and_the_backend_serves_it_later() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = written(&dir, GOOD);
    let summary = import(&[&file, "--data", &data.display().to_string()])
        .await
        .unwrap();
    assert_eq!((summary.imported.version, summary.imported.rows), (1, 4));
    let pepper = data.join("peppers/health.pepper");
    assert_eq!(
        fs::metadata(&pepper).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let backend = Backend::start("127.0.0.1:0".parse().unwrap(), &data)
        .await
        .unwrap();
    let list = ListId::new("health").unwrap();
    let probe = backend
        .import(&list, Mode::Patch, Vec::new())
        .await
        .unwrap();
    assert_eq!((probe.version, probe.rows, probe.changed), (1, 4, false));
    backend.shutdown().await;
    let missing = import(&["nowhere.csv", "--data", &data.display().to_string()]).await;
    assert_eq!(missing.unwrap_err().exit_code(), 66);
}

#[test]
fn rows_of_every_kind_arrive_under_their_kind() {
    for kind in super::rows::KINDS {
        let identifier = match kind {
            ID_CARD => "11010119000101001X",
            TAG => "iso14443a:04A1B2C3",
            SUBJECT => "00000000000000ff",
            _ => "a:1",
        };
        let issuer = if kind == SUBJECT { "any" } else { "demo" };
        let csv = format!("kind,issuer,identifier,colour\n{kind},{issuer},{identifier},red\n");
        let changes = parse(&csv, Mode::Replace).unwrap();
        if kind == SUBJECT {
            let key = subject_key(&pepper(), Subject([0, 0, 0, 0, 0, 0, 0, 0xff])).unwrap();
            assert!(matches!(changes[..], [Change::Put(put, _)] if put == key));
            let bad = parse(&csv.replace("00ff", "0"), Mode::Replace).unwrap_err();
            assert!(bad.what.contains("16 hex digits"), "{}", bad.what);
        } else {
            assert!(row_of(&changes, kind, identifier).is_some(), "{kind}");
        }
    }
}
