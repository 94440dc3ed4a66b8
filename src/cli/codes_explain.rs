//! `turnstiled codes explain`: one code, step by step, as a gate takes it. Local: nothing is sent, logged or kept, and the
//! code itself is not repeated.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::explain_policy::{OUTCOMES, word_of};
use super::{CONFIG, DATA, Failure};
use crate::backend::system_clock;
use crate::codes::{Reader, TrustList, examine, instant};
use crate::config::{self, Config};
use crate::core::{Settings, preview};
use crate::domain::{
    ClockQuality, Credential, Direction, Finding, HealthOutcome, LaneId, Medium, Mono, Now,
    Personal, Presentation, Shown, Standing, Utc,
};
use crate::runtime::assess::{Assessor, Job};
use crate::runtime::settings::core_settings;
use crate::store::codes::MemoryCodes;

/// More than any code.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// `turnstiled codes explain`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What the code holds; "-" reads it from standard input, so that it stays out of the shell's history
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Config of the gate: its trust list and its policy count
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// When it is shown, like 2026-11-24T08:00:00+08:00; without it: now
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Utc>,
}

fn time(text: &str) -> Result<Utc, String> {
    instant(text).ok_or_else(|| "a time looks like 2026-11-24T08:00:00+08:00".into())
}

/// Explains; exit code 0 if a gate would read it, 1 if it would refuse it whatever lists say.
///
/// # Errors
/// [`Failure`]: 78 if the config cannot be used, 65 if the trust list or the input cannot.
pub fn run(args: &Args, input: &mut impl Read, out: &mut impl Write) -> Result<u8, Failure> {
    let broken = |error: std::io::Error| Failure::new(1, &error);
    let config = config::load(&args.config).map_err(|error| Failure::new(CONFIG, &error))?;
    let trust = trust_list(&config)?;
    let text = if args.text == "-" {
        let mut text = Vec::new();
        input
            .take(TEXT_BYTES_MAX)
            .read_to_end(&mut text)
            .map_err(broken)?;
        String::from_utf8(text)
            .map_err(|_| data("what stands in standard input is not UTF-8".into()))?
    } else {
        args.text.clone()
    };
    let text = Personal::new(text);
    let at = args.at.unwrap_or_else(|| system_clock()());
    let (lines, read) = explained(&config, trust, &text, at)?;
    for line in lines {
        writeln!(out, "{line}").map_err(broken)?;
    }
    Ok(u8::from(!read))
}

fn data(sentence: String) -> Failure {
    Failure {
        code: DATA,
        sentence,
    }
}

fn trust_list(config: &Config) -> Result<TrustList, Failure> {
    let path = config.trust_file.display();
    let mut text = String::new();
    std::fs::File::open(&config.trust_file)
        .and_then(|file| file.take(4 << 20).read_to_string(&mut text))
        .map_err(|error| data(format!("{path}: {error}")))?;
    TrustList::parse(&text).map_err(|error| data(format!("{path}: {error}")))
}

/// The steps, and whether a gate reads it.
fn explained(
    config: &Config,
    trust: TrustList,
    text: &Personal<String>,
    at: Utc,
) -> Result<(Vec<String>, bool), Failure> {
    let mut lines = vec![format!(
        "1 text: {} characters",
        text.expose().chars().count()
    )];
    lines.extend(issuers(&trust, text.expose(), at));
    let reader =
        Reader::new(trust, Vec::new()).map_err(|error| Failure::new(super::SOFTWARE, &error))?;
    let shown = Shown::Code(text.clone());
    let held_by = reader.read(&shown).ok().map(|reading| reading.lists);
    let assessor = Assessor {
        trust: reader.into(),
        cache: Arc::new(MemoryCodes::default()),
        lists: Vec::new(),
        certificates: config.certificates.clone(),
        learned: None,
    };
    let job = Job {
        number: 0,
        floor: at,
        certificates: None,
        now: Now {
            mono: Mono::from_millis(0),
            utc: Some(at),
            quality: ClockQuality::Synchronised,
        },
        presentation: Presentation {
            lane: LaneId(0),
            direction: Direction::Entry,
            medium: Medium::QrCode,
            shown,
            seen: Mono::from_millis(0),
            read: Mono::from_millis(0),
        },
    };
    let assessment = assessor.assess(&job);
    match assessment.assessed.finding {
        Finding::Read {
            credential,
            standing,
        } => {
            let asks = assessment.asking.is_some() && config.backend.is_some();
            lines.push(credential_line(&credential, at));
            lines.push(lists_line(config, held_by.flatten().as_deref(), asks));
            lines.extend(decisions(
                &core_settings(config),
                &credential,
                &standing,
                at,
            ));
            Ok((lines, true))
        }
        Finding::Refused { reason, .. } => {
            lines.push(format!("3 refused: {}; no list is asked", reason.as_str()));
            Ok((lines, false))
        }
        Finding::ByStaff => Ok((lines, false)),
    }
}

/// Who may have made it, and how far the checks of each come.
fn issuers(trust: &TrustList, text: &str, at: Utc) -> Vec<String> {
    let tried = examine::each(text, trust);
    if tried.is_empty() {
        return vec!["2 issuer: none of the trust list recognises it".to_owned()];
    }
    let line = |(issuer, examined): (&crate::codes::Issuer, examine::Examined)| {
        let mut steps = vec![format!(
            "2 issuer {} ({})",
            issuer.id,
            issuer.profile.as_str()
        )];
        if issuer.profile.is_signed() {
            let word = |holds: bool, yes: &str, no: &str| {
                if holds { yes.to_owned() } else { no.to_owned() }
            };
            steps.push(word(examined.transport, "unpacked", "not unpacked"));
            steps.push(word(
                examined.signature,
                "signature holds",
                "signature does not hold",
            ));
            if let Some((from, until)) = examined.window {
                let early = from.is_some_and(|from| at < from);
                let late = until.is_some_and(|until| until < at);
                let when = if early {
                    "not yet valid"
                } else if late {
                    "expired"
                } else {
                    "in its time"
                };
                steps.push(when.to_owned());
            }
        }
        if let Some(fault) = examined.fault {
            steps.push(fault.to_string());
        }
        steps.join(": ")
    };
    tried.into_iter().map(line).collect()
}

fn credential_line(credential: &Credential, at: Utc) -> String {
    let late = credential.valid_until.is_some_and(|until| until < at);
    let early = credential.valid_from.is_some_and(|from| at < from);
    let time = match (
        early,
        late,
        credential.valid_until.or(credential.valid_from),
    ) {
        (true, _, _) => "not yet valid",
        (_, true, _) => "expired",
        (_, _, Some(_)) => "in its time",
        (_, _, None) => "without a time of its own",
    };
    let once = credential.replay.map_or_else(
        || "static: anybody can copy it".to_owned(),
        |replay| format!("for one use, remembered {} s", replay.window_s),
    );
    format!("3 read: made by {}, {time}, {once}", credential.issuer)
}

fn lists_line(config: &Config, held_by: Option<&[crate::domain::ListId]>, asks: bool) -> String {
    let names: Vec<_> = config
        .lists
        .iter()
        .filter(|list| held_by.is_none_or(|held_by| held_by.contains(&list.name)))
        .map(|list| list.name.to_string())
        .collect();
    let lists = if names.is_empty() {
        "no list holds it".to_owned()
    } else {
        format!(
            "lists that hold it: {}; what they say is at the gate and is not looked at here",
            names.join(", ")
        )
    };
    let asks = if asks {
        "; if none knows it, the backend is asked"
    } else {
        ""
    };
    format!("4 {lists}{asks}")
}

/// What comes of it, by itself and by what a list may say.
fn decisions(
    settings: &Settings,
    credential: &Credential,
    itself: &Standing,
    at: Utc,
) -> Vec<String> {
    let mut lines = Vec::new();
    for direction in [Direction::Entry, Direction::Exit] {
        let (verdict, reason) = preview(settings, direction, credential, itself, Some(at));
        let health = OUTCOMES.iter().find(|(health, _)| *health == itself.health);
        let word = health.map_or("unknown", |(_, word)| word);
        let line = format!("{} ({})", word_of(verdict), reason.as_str());
        lines.push(format!("5 {direction}, by itself ({word}) -> {line}"));
        for (health, word) in OUTCOMES {
            if matches!(health, HealthOutcome::Unknown) {
                continue;
            }
            let listed = Standing {
                health,
                entitlements: u16::MAX,
                ..itself.clone()
            };
            let (verdict, reason) = preview(settings, direction, credential, &listed, Some(at));
            let line = format!("{} ({})", word_of(verdict), reason.as_str());
            lines.push(format!("  {direction}, {word}, all entitlements -> {line}"));
        }
    }
    lines.push("replay and passback are looked at where it is shown".to_owned());
    lines
}

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use super::*;
    use crate::lab::mint::ride_cwt::{self, Chain, Token};
    use crate::lab::mint::{Seed, shc};

    const NOW: Utc = Utc::from_secs(1_795_000_000);

    fn explain(trust: &str, text: &str, at: &str) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
        let config = std::fs::read_to_string(example).unwrap();
        let path = folder.path().join("gate.toml");
        std::fs::write(&path, config).unwrap();
        std::fs::write(
            folder.path().join("trust.toml"),
            format!("version = 1\n{trust}"),
        )
        .unwrap();
        let args = Args {
            text: "-".into(),
            config: path,
            at: Some(time(at).unwrap()),
        };
        let mut out = Vec::new();
        let code = run(&args, &mut text.as_bytes(), &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_step_of_a_code_is_said_and_the_code_is_not_repeated() {
        let chain = Chain::new(Seed(1)).unwrap();
        let token = chain.token(&Token::at(Seed(1), NOW)).unwrap();
        let ride = ride_cwt::text(&chain.code(token, NOW, b"12345678").unwrap());
        let trust = chain.trust("rides");
        let (code, said) = explain(&trust, &ride, "2026-11-18T11:06:41Z");
        assert_eq!(code, 0, "{said}");
        for part in [
            "2 issuer rides (ride.cwt): unpacked: signature holds",
            "3 read: made by rides, in its time, for one use",
            "4 lists that hold it: health",
            "5 entry, by itself (",
            "  entry, red, all entitlements -> hold (red_code)",
            "  exit, red, all entitlements -> open (exit_always_open)",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains(&ride));
        let (_, late) = explain(&trust, &ride, "2026-11-19T11:06:41Z");
        assert!(
            late.contains("5 entry, by itself (") && late.contains("-> hold (expired)"),
            "{late}"
        );
        let (code, forged) = explain(
            &Chain::new(Seed(2)).unwrap().trust("rides"),
            &ride,
            "2026-11-18T11:06:41Z",
        );
        assert_eq!(code, 1);
        assert!(forged.contains("3 refused: "), "{forged}");
        let cards = shc::Issuer::new(Seed(1)).unwrap();
        let card = cards.code(&shc::Card::at(Seed(1), NOW).unwrap()).unwrap();
        let (code, said) = explain(&cards.trust("cards"), &card, "2026-11-18T11:06:41Z");
        assert!(
            code == 0 && said.contains("static: anybody can copy it"),
            "{said}"
        );
        let (code, poster) = explain(&trust, "poster", "2026-11-18T11:06:41Z");
        assert!(
            code == 1 && poster.contains("none of the trust list recognises it"),
            "{poster}"
        );
    }
}
