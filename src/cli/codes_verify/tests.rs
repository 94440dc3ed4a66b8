use std::path::Path;

use super::*;

fn verify(input: &[u8]) -> Vec<Value> {
    let args = Args {
        ndjson: true,
        trust: None,
    };
    verify_by(&args, input)
}

fn verify_by(args: &Args, mut input: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    assert_eq!(run(args, &mut input, &mut out).unwrap(), 0);
    let lines = std::str::from_utf8(&out).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(answer: &Value) -> (bool, bool, Option<bool>, &str) {
    (
        answer["transport_ok"].as_bool().unwrap(),
        answer["signature_ok"].as_bool().unwrap(),
        answer["within_validity"].as_bool(),
        answer["reason"].as_str().unwrap(),
    )
}

/// What the source of a case states: `None` if it does not.
fn stated(expected: &Value, flags: &[&str]) -> Option<bool> {
    let stated: Vec<bool> = flags.iter().filter_map(|flag| expected[flag].as_bool()).collect();
    (!stated.is_empty()).then(|| stated.iter().all(|flag| *flag))
}

#[test]
fn every_published_case_comes_out_as_its_country_says() {
    let Some(shared) = std::env::var_os("TURNSTILED_SHARED") else {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("SKIPPED: TURNSTILED_SHARED names no folder with the published cases");
        }
        return;
    };
    let cases = std::fs::read(Path::new(&shared).join("data/hcert/cases.ndjson")).unwrap();
    let answers = verify(&cases);
    let cases = std::str::from_utf8(&cases).unwrap().lines();
    let cases: Vec<Value> = cases.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((cases.len(), answers.len()), (292, 292));
    let mut wrong = Vec::new();
    let mut compared = [0; 4];
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(case["case"], answer["case"]);
        let expected = &case["expected"];
        let (transport, signature, within, reason) = said(answer);
        let usage = Some(reason != "the key may not vouch for this");
        let checks = [
            (
                stated(
                    expected,
                    &["EXPECTEDUNPREFIX", "EXPECTEDB45DECODE", "EXPECTEDCOMPRESSION", "EXPECTEDDECODE"],
                ),
                Some(transport),
            ),
            (stated(expected, &["EXPECTEDVERIFY"]), Some(signature)),
            (stated(expected, &["EXPECTEDEXPIRATIONCHECK"]), within),
            (stated(expected, &["EXPECTEDKEYUSAGE"]), usage),
        ];
        for ((stated, found), count) in checks.into_iter().zip(&mut compared) {
            *count += usize::from(stated.is_some());
            if stated.is_some() && stated != found {
                wrong.push(format!("{answer}\n    {} {expected}", case["clock"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared.iter().all(|count| *count > 80), "{compared:?}");
}
