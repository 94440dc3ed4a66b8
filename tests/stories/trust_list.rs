//! A gate follows the signed trust list of its backend: what is new counts without a restart, what is wrong is refused
//! whole, and nothing older ever comes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstiled::backend::{self, system_clock};
use turnstiled::cli::trust::{Command, SignArgs, run};
use turnstiled::domain::{Colour, Direction, Reason, Utc, Verdict};
use turnstiled::lab::demo::cast::{Carries, Known, Person, Walk};
use turnstiled::lab::demo::lane::{DemoLane, Witness};
use turnstiled::lab::demo::props::Props;
use turnstiled::lab::demo::stage::Stage;
use turnstiled::lab::mint::Seed;
use turnstiled::lab::mint::ride_cwt::{self, Chain, Token};

use crate::scene::has_alarm;

const PATIENCE: Duration = Duration::from_secs(30);
/// An ID card, so that a gate without any other issuer has one.
const CARD: &str = "[[issuer]]\nid = \"id-card\"\nprofile = \"idcard\"\n\n";

struct Site {
    stage: Stage,
    lanes: [DemoLane; 2],
    /// Codes shown so far: each has its own nonce.
    shown: u8,
}

/// Seconds since 1970.
fn now_s() -> u64 {
    system_clock()().as_secs()
}

fn chain() -> Chain {
    Chain::new(Seed(7)).unwrap()
}

/// A person at the entry.
fn somebody(text: String) -> Person {
    Person {
        story: "somebody",
        act: turnstiled::lab::demo::cast::Act::Connected,
        direction: Direction::Entry,
        carries: Carries::Phone(text),
        known: Known::No,
        walk: Walk::Through,
        expected: (Verdict::Grant, Reason::InOrder),
    }
}

impl Site {
    /// A gate that has the trust key 1 pinned, and only knows the codes of the demo until it has a signed trust list.
    async fn open(folder: &Path) -> Self {
        let key = secret(folder, 1);
        let any_port = ([127, 0, 0, 1], 0).into();
        let replace = vec![(
            "list_keys = ".to_owned(),
            format!("trust_keys = [\"{}\"]\nlist_keys = ", public(&key)),
        )];
        let props = Props {
            replace,
            ..Props::default()
        };
        let (stage, lanes) = Stage::set_with(&[], 7, any_port, system_clock(), props)
            .await
            .unwrap();
        stage.wait_until_ready().await.unwrap();
        let shown = 0;
        Self {
            stage,
            lanes,
            shown,
        }
    }

    /// Where the backend looks for its trust list.
    fn served(&self) -> PathBuf {
        backend::trust::file(&self.stage.folder().join("backend"))
    }

    /// The trust list of this text is signed with that key, and the backend has it.
    fn publishes(&self, folder: &Path, text: &str, key: u8) {
        fs::write(folder.join("trust.toml"), text).unwrap();
        let out = folder.join("signed.json");
        let _ = fs::remove_file(&out);
        let args = SignArgs {
            file: folder.join("trust.toml"),
            data: None,
            key: Some(secret(folder, key)),
            out: Some(out.clone()),
            days: 1,
        };
        run(&Command::Sign(args)).unwrap();
        // As a whole, as the command itself does it.
        fs::rename(out, self.served()).unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&turnstiled::telemetry::Status) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.stage.gate.status.borrow().clone();
            if holds(&status) {
                return;
            }
            assert!(Instant::now() < until, "never came: {what}; {status:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_version(&self, version: u64) {
        let what = format!("trust list {version}");
        self.until(&what, |status| status.trust.version == version)
            .await;
    }

    async fn until_refused(&self, times: u64) {
        let until = Instant::now() + PATIENCE;
        while self.metric("turnstile_trust_failures_total") < times {
            assert!(Instant::now() < until, "refused less than {times} times");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn metric(&self, series: &str) -> u64 {
        crate::outside::metric(
            &crate::outside::get(self.stage.gate.pages, "/metrics"),
            series,
        )
    }

    /// A ride code of this account, made so many seconds from now.
    fn code(&mut self, chain: &Chain, account: u8, offset_s: i64, colour: Colour) -> String {
        self.shown += 1;
        let now = now_s();
        let token = Token {
            account: format!("account {account}"),
            validity_s: Some(120),
            colour: Some(colour),
            ..Token::at(Seed(7), Utc::from_secs(now))
        };
        let made = Utc::from_secs(now.saturating_add_signed(offset_s));
        let token = chain.token(&token).unwrap();
        ride_cwt::text(&chain.code(token, made, &[self.shown; 8]).unwrap())
    }

    async fn comes(&mut self, text: &str) -> (Verdict, Reason) {
        let witness: Witness = self.lanes[0].serve(somebody(text.to_owned())).await;
        let decided = witness
            .decided
            .unwrap_or_else(|| panic!("nothing was decided on {text}"));
        (decided.verdict, decided.reason)
    }

    /// Somebody with a fresh code of this account, made now.
    async fn rides(&mut self, account: u8) -> (Verdict, Reason) {
        let code = self.code(&chain(), account, 0, Colour::Green);
        self.comes(&code).await
    }
}

/// The file of a signing key.
fn secret(folder: &Path, seed: u8) -> PathBuf {
    let path = folder.join(format!("{seed}.key"));
    fs::write(&path, format!("{seed:02x}").repeat(32)).unwrap();
    path
}

fn public(key: &Path) -> String {
    let seed = turnstiled::sync::hex::decode(fs::read_to_string(key).unwrap().trim()).unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    turnstiled::sync::dsse::public_key_text(&key.verifying_key())
}

fn list(version: u64, issuers: &str) -> String {
    format!("version = {version}\n{CARD}{issuers}")
}

const GRANT: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_trust_list_counts_without_a_restart_and_an_older_one_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::open(folder.path()).await;
    let rides = chain().trust("rides");
    assert_eq!(site.rides(1).await, (Verdict::Deny, Reason::UnknownIssuer));

    // It arrives: a code that no list knows opens by what its issuer says in it.
    site.publishes(folder.path(), &list(2, &rides), 1);
    site.until_version(2).await;
    assert_eq!(site.rides(1).await, GRANT);

    // Signed by somebody else: refused whole.
    site.publishes(folder.path(), &list(9, ""), 3);
    site.until_refused(1).await;
    assert_eq!(site.rides(2).await, GRANT);

    // The key is revoked, and that counts at once.
    let revoked = format!("{rides}status = \"revoked\"\n");
    site.stage.lose_backend().await;
    site.publishes(folder.path(), &list(3, &revoked), 1);
    site.stage.bring_back_backend().await.unwrap();
    site.until_version(3).await;
    assert_eq!(site.rides(3).await, (Verdict::Deny, Reason::KeyRevoked));

    // A backend that was restored from a copy serves the older one.
    let refused = site.metric("turnstile_trust_failures_total");
    site.stage.lose_backend().await;
    site.publishes(folder.path(), &list(2, &rides), 1);
    site.stage.bring_back_backend().await.unwrap();
    site.until_refused(refused + 1).await;
    assert_eq!(site.rides(4).await, (Verdict::Deny, Reason::KeyRevoked));

    // Without a backend the gate starts with what it had.
    site.stage.lose_backend().await;
    let stage = site.stage.restart(&mut site.lanes, None, |_| {});
    site.stage = stage.await.unwrap();
    site.until_version(3).await;
    assert_eq!(site.rides(5).await, (Verdict::Deny, Reason::KeyRevoked));

    let check = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_turnstiled"))
            .arg("check")
            .arg(site.stage.folder().join("gate.toml"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = check();
    assert!(
        said.contains("trust list: version 3, signed, from the backend, 2 issuers"),
        "{said}"
    );
    assert!(
        said.contains("the file of the config, version 1, is older"),
        "{said}"
    );

    // Somebody puts an old one, signed well, into its place: the file of the config is older still, but nobody can say
    // that it was signed.
    let served = site.served();
    let put_older = |home: &Path| {
        fs::copy(&served, home.join("trust.json")).unwrap();
    };
    let stage = site.stage.restart(&mut site.lanes, None, put_older);
    site.stage = stage.await.unwrap();
    site.until_version(1).await;
    assert_eq!(site.rides(6).await, (Verdict::Deny, Reason::UnknownIssuer));
    site.stage.strike().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_signed_code_has_a_reason_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::open(folder.path()).await;
    site.publishes(folder.path(), &list(2, &chain().trust("rides")), 1);
    site.until_version(2).await;

    let good = site.code(&chain(), 1, 0, Colour::Green);
    assert_eq!(site.comes(&good).await, GRANT);
    let (other, late, early) = (
        site.code(&chain(), 2, 0, Colour::Red),
        site.code(&chain(), 3, -300, Colour::Green),
        site.code(&chain(), 4, 300, Colour::Green),
    );
    assert_eq!(site.comes(&other).await, (Verdict::Deny, Reason::RedCode));
    assert_eq!(site.comes(&late).await, (Verdict::Deny, Reason::Expired));
    assert_eq!(
        site.comes(&early).await,
        (Verdict::Deny, Reason::NotYetActive)
    );

    let mut forger = Chain::new(Seed(8)).unwrap();
    let unknown = site.code(&forger, 5, 0, Colour::Green);
    assert_eq!(
        site.comes(&unknown).await,
        (Verdict::Deny, Reason::UnknownKey)
    );
    forger.key_id = chain().key_id;
    let forged = site.code(&forger, 6, 0, Colour::Green);
    assert_eq!(
        site.comes(&forged).await,
        (Verdict::Deny, Reason::WrongSignature)
    );
    assert_eq!(
        site.comes("RC1:NOTHING").await,
        (Verdict::Deny, Reason::Malformed)
    );
    // A copy of the first one.
    assert_eq!(site.comes(&good).await, (Verdict::Deny, Reason::Replayed));
    site.stage.strike().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_date_the_rule_of_the_site_speaks_until_a_newer_one_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::open(folder.path()).await;
    let rides = chain().trust("rides");
    let end = now_s() + 3;
    let text = format!("not_after = {end}\n{}", list(2, &rides));
    site.publishes(folder.path(), &text, 1);
    site.until_version(2).await;
    site.until("the alarm", |status| {
        has_alarm(status, "gate", "trust_expired")
    })
    .await;
    assert_eq!(
        site.metric("turnstile_alarm{alarm=\"trust_expired\",lane=\"gate\"}"),
        1
    );
    assert_eq!(site.rides(1).await, (Verdict::Assist, Reason::TrustExpired));

    site.publishes(folder.path(), &list(3, &rides), 1);
    site.until_version(3).await;
    site.until("no alarm", |status| {
        !has_alarm(status, "gate", "trust_expired")
    })
    .await;
    assert_eq!(site.rides(1).await, GRANT);
    site.stage.strike().await.unwrap();
}
