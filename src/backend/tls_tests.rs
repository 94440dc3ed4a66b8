//! Gates and a backend that show each other certificates, good and bad, over real sockets on loopback.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use reqwest::{Method, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{self, Instant};

use super::ca::{Authority, Issued};
use super::enrol::{self, Enrolment};
use super::http::routes;
use super::*;
use crate::domain::{Colour, Row, RowKey, Subject};
use crate::sync::client::{self, Ask, Client, Fetched, LinkError, Transport};
use crate::sync::tls::renew::Renewal;
use crate::sync::tls::{CheckedAt, Date, Files, Refusal, SharedDate, Whose, Why};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const SOON: Duration = Duration::from_secs(60);
const START_S: u64 = 1_770_000_000;
const DAY_S: u64 = 86_400;
/// Such names cannot stand in DNS.
const GATE: &str = "Gate_1.north";

fn gate(name: &str) -> GateId {
    GateId::new(name).unwrap()
}

fn list() -> ListId {
    ListId::new("health").unwrap()
}

/// A date that all can read and the test moves.
#[derive(Clone)]
struct Calendar(Arc<AtomicU64>);

impl Calendar {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START_S)))
    }

    fn now(&self) -> Utc {
        Utc::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn after_days(&self, days: u64) {
        self.0.fetch_add(days * DAY_S, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let this = self.clone();
        Arc::new(move || this.now())
    }

    fn date(&self) -> Date {
        let this = self.clone();
        Arc::new(move || CheckedAt {
            utc: this.now(),
            trusted: true,
        })
    }
}

/// The same for the library's own check.
#[derive(Debug)]
struct Today(Utc);

impl rustls::time_provider::TimeProvider for Today {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            self.0.as_secs(),
        )))
    }
}

/// A date that somebody vouches for.
fn on(utc: Utc) -> Date {
    Arc::new(move || CheckedAt { utc, trusted: true })
}

/// A backend with an authority, and a list of one row.
struct Site {
    dir: TempDir,
    calendar: Calendar,
    backend: Backend,
}

impl Site {
    async fn new() -> Self {
        let names = vec!["localhost".into(), "127.0.0.1".into()];
        Self::showing(|_, _| OwnCertificate::Issued(names)).await
    }

    /// The backend shows what this makes, given its directory and the date.
    async fn showing(own: impl FnOnce(&Path, Utc) -> OwnCertificate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let calendar = Calendar::new();
        Authority::create(dir.path(), 3_650, calendar.now()).unwrap();
        let tls = Tls {
            listen: ANY_PORT,
            certificate: own(dir.path(), calendar.now()),
            look: Duration::from_millis(20),
        };
        let backend = Backend::start_tls(ANY_PORT, dir.path(), calendar.clock(), Some(tls))
            .await
            .unwrap();
        let row = Row {
            subject: Subject([1; 8]),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(Colour::Green),
            entitlements: 1,
            region: 0,
        };
        let change = Change::Put(RowKey([7; 16]), row.encode());
        backend
            .import(&list(), Mode::Replace, vec![change])
            .await
            .unwrap();
        Self {
            dir,
            calendar,
            backend,
        }
    }

    fn authority(&self) -> Authority {
        Authority::open(self.dir.path()).unwrap()
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.backend.tls_addr().unwrap().port())
    }

    /// A gate that was enrolled for a year.
    fn enrolled(&self, name: &str) -> Material {
        let issued = self.authority().gate(&gate(name), 365, self.calendar.now());
        material(&issued.unwrap(), &self.authority())
    }

    fn client(&self, material: &Material) -> Client {
        Client::secure(&self.url("127.0.0.1"), material, self.calendar.date()).unwrap()
    }

    /// What the backend has counted under this certificate and reason.
    async fn counted(&self, whose: Whose, why: Why) {
        let line = format!(
            "refused_connections_total{{certificate=\"{}\",reason=\"{}\"}}",
            whose.as_str(),
            why.as_str()
        );
        let until = Instant::now() + SOON;
        loop {
            let text = self.backend.inner.seen.render().unwrap();
            if text.contains(&line) {
                return;
            }
            assert!(Instant::now() < until, "{line} is not in:\n{text}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn material(issued: &Issued, believed: &Authority) -> Material {
    let chain = vec![certificate(&issued.certificate)];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    Material::new(chain, key, vec![certificate(&believed.pem)]).unwrap()
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

async fn manifest(client: &Client) -> Result<Fetched, LinkError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match client.manifest(&list(), &Ask::default()).await {
            // On a busy machine the end of the connection may overtake the word why.
            Err(LinkError::Away(_)) if tries < 10 => {}
            done => return done,
        }
    }
}

fn refusal(result: Result<Fetched, LinkError>) -> Refusal {
    match result {
        Err(LinkError::Untrusted(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

fn delivery(name: &str) -> Vec<u8> {
    serde_json::json!({"gate": name, "epoch": "00".repeat(16), "first_seq": 1,
        "events": [{"seq": 1, "hash": "ab".repeat(32), "record": "{}"}]})
    .to_string()
    .into_bytes()
}

fn question(name: &str) -> Vec<u8> {
    serde_json::json!({"gate": name, "profile": "opaque", "issuer": "health", "identifier": "HC:1"})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_writes_as_itself_and_as_nobody_else() {
    let site = Site::new().await;
    let client = site.client(&site.enrolled(GATE));
    assert!(matches!(manifest(&client).await, Ok(Fetched::New { .. })));
    client.passages(delivery(GATE)).await.unwrap();
    assert_eq!(
        client.resolve(question(GATE), SOON).await,
        Err(LinkError::NotFound)
    );
    let claim = |gate: &str| {
        let claim = serde_json::json!({
            "gate": gate, "claim_id": "ab".repeat(16), "replay_key": "cd".repeat(32), "window": 60,
        });
        claim.to_string().into_bytes()
    };
    assert!(client.claim(claim(GATE), SOON).await.is_ok());
    let theirs = client.claim(claim("gate-2"), SOON).await;
    assert!(matches!(theirs, Err(LinkError::Forbidden(_))), "{theirs:?}");
    let id = "ab".repeat(16);
    let theirs = client.take_back(&gate("gate-2"), &id, SOON).await;
    assert!(matches!(theirs, Err(LinkError::Forbidden(_))), "{theirs:?}");
    client.take_back(&gate(GATE), &id, SOON).await.unwrap();
    for answer in [
        client.passages(delivery("gate-2")).await,
        client.resolve(question("gate-2"), SOON).await,
    ] {
        let Err(LinkError::Forbidden(why)) = answer else {
            panic!("{answer:?}")
        };
        assert!(why.contains(GATE) && why.contains("gate-2"), "{why}");
    }
    assert_eq!(site.backend.counts(&gate(GATE)).unwrap().len(), 1);
    assert!(site.backend.counts(&gate("gate-2")).unwrap().is_empty());
    let text = site.backend.inner.seen.render().unwrap();
    for call in ["/v1/passages", "/v1/resolve"] {
        let line = format!("forbidden_calls_total{{call=\"{call}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_gates_is_refused_and_stays_open_on_this_machine() {
    let site = Site::new().await;
    let (far, near) = (
        site.client(&site.enrolled(GATE)),
        Client::new(&site.backend.url()).unwrap(),
    );
    let for_gates = [
        ("get", "/healthz"),
        ("get", "/openapi.json"),
        ("get", "/v1/lists/health/manifest"),
        ("get", "/v1/chunks/0"),
        ("post", "/v1/passages"),
        ("post", "/v1/resolve"),
        ("post", "/v1/claims"),
        ("delete", "/v1/claims/0"),
        ("get", "/v1/trust"),
        ("get", "/v1/directives"),
    ];
    for (path, methods, _) in routes() {
        let path = path.replace("{list}", "health").replace("{sha256}", "0");
        let path = path.replace("{id}", "0");
        for method in methods {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let asked = |client: &Client| client::send(client.request(verb.clone(), &path, None));
            let forbidden = asked(&far).await.unwrap().status() == StatusCode::FORBIDDEN;
            let allowed = for_gates.contains(&(*method, path.as_str()));
            assert_eq!(forbidden, !allowed, "{method} {path}");
            let status = asked(&near).await.unwrap().status();
            assert_ne!(status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_certificate_of_a_gate_is_refused_with_its_reason_on_both_sides() {
    let site = Site::new().await;
    let (ours, now) = (site.authority(), site.calendar.now());
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::create(elsewhere.path(), 3_650, now).unwrap();
    let id = gate(GATE);
    let long_ago = Utc::from_secs(START_S - 30 * DAY_S);
    let later = Utc::from_secs(START_S + 30 * DAY_S);
    let client_auth = ExtendedKeyUsagePurpose::ClientAuth;
    let dns = SanType::DnsName(Ia5String::try_from("gate-1").unwrap());
    // What it shows, what the gate is told of its own certificate, and what the backend finds in it.
    let cases = [
        (
            foreign.gate(&id, 365, now),
            Why::UnknownAuthority,
            Why::UnknownAuthority,
        ),
        (ours.gate(&id, 10, long_ago), Why::Expired, Why::Expired),
        // The alert is the same for both.
        (ours.gate(&id, 10, later), Why::Expired, Why::NotYetValid),
        (
            ours.backend(&["localhost".into()], 10, now),
            Why::WrongPurpose,
            Why::WrongPurpose,
        ),
        (
            ours.issue("gate-1", vec![dns], client_auth, 10, now),
            Why::NoIdentity,
            Why::NoIdentity,
        ),
    ];
    for (issued, told, found) in cases {
        let client = site.client(&material(&issued.unwrap(), &ours));
        let refusal = refusal(manifest(&client).await);
        assert_eq!(
            (refusal.whose, refusal.why),
            (Whose::Ours, told),
            "{refusal}"
        );
        assert!(
            refusal
                .to_string()
                .starts_with("the backend refuses our certificate: ")
        );
        site.counted(Whose::Theirs, found).await;
    }
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_or_without_tls_is_refused() {
    let site = Site::new().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&site.authority().pem)).unwrap();
    let today = Arc::new(Today(site.calendar.now()));
    let config = rustls::ClientConfig::builder_with_details(tls::provider(), today)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connect = || TcpStream::connect(site.backend.tls_addr().unwrap());
    let stranger = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let error = match stranger.connect(name, connect().await.unwrap()).await {
        Ok(mut stream) => {
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await;
            stream.read_u8().await.unwrap_err()
        }
        Err(error) => error,
    };
    let found = Refusal::find(&error, "the backend").unwrap();
    assert_eq!((found.whose, found.why), (Whose::Ours, Why::Missing));
    site.counted(Whose::Theirs, Why::Missing).await;

    let mut plain = connect().await.unwrap();
    plain
        .write_all(b"GET /v1/lists HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    let _ = time::timeout(SOON, plain.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(!answer.starts_with(b"HTTP"), "no word without TLS");
    site.counted(Whose::Theirs, Why::Protocol).await;
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_cannot_be_believed_is_refused_and_hears_why() {
    let site = Site::new().await;
    let enrolled = site.enrolled(GATE);
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::create(elsewhere.path(), 3_650, site.calendar.now()).unwrap();
    let issued = site.authority().gate(&gate(GATE), 365, site.calendar.now());
    let believes_others = material(&issued.unwrap(), &foreign);
    let (early, late) = (START_S - 30 * DAY_S, START_S + 100 * DAY_S);
    let here = site.url("127.0.0.1");
    let today = site.calendar.now();
    let cases = [
        (
            &here,
            &believes_others,
            today,
            Why::UnknownAuthority,
            Why::UnknownAuthority,
        ),
        (
            &here,
            &enrolled,
            Utc::from_secs(late),
            Why::Expired,
            Why::Expired,
        ),
        (
            &here,
            &enrolled,
            Utc::from_secs(early),
            Why::NotYetValid,
            Why::Expired,
        ),
    ];
    for (url, shown, date, found, told) in cases {
        let client = Client::secure(url, shown, on(date)).unwrap();
        let refusal = refusal(manifest(&client).await);
        assert_eq!(
            (refusal.whose, refusal.why),
            (Whose::Theirs, found),
            "{refusal}"
        );
        site.counted(Whose::Ours, told).await;
    }
    // It is called by a name that is not in its certificate.
    let named = Site::showing(|_, _| OwnCertificate::Issued(vec!["backend.example".into()])).await;
    let client = named.client(&named.enrolled(GATE));
    let wrong_name = refusal(manifest(&client).await);
    assert_eq!(
        (wrong_name.whose, wrong_name.why),
        (Whose::Theirs, Why::WrongName)
    );
    assert!(
        wrong_name.to_string().contains("127.0.0.1")
            && wrong_name.to_string().contains("backend.example"),
        "{wrong_name}"
    );
    named.counted(Whose::Ours, Why::WrongName).await;
    named.backend.shutdown().await;
    // Plain HTTP where TLS is expected.
    let plain = format!("https://{}", site.backend.addr());
    let client = Client::secure(&plain, &enrolled, site.calendar.date()).unwrap();
    assert_eq!(refusal(manifest(&client).await).why, Why::Protocol);
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_cannot_pose_as_the_backend() {
    let site = Site::showing(|data, now| {
        let issued = Authority::open(data)
            .unwrap()
            .gate(&gate("gate-2"), 365, now);
        OwnCertificate::Files(write_files(data, &issued.unwrap(), &data.join("ca/ca.pem")))
    })
    .await;
    let client = site.client(&site.enrolled(GATE));
    let refusal = refusal(manifest(&client).await);
    assert_eq!(refusal.whose, Whose::Theirs);
    assert!(
        matches!(refusal.why, Why::WrongPurpose | Why::WrongName),
        "{refusal}"
    );
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_whose_clock_nobody_vouches_for_refuses_only_what_has_surely_ended() {
    let site = Site::new().await;
    let enrolled = site.enrolled(GATE);
    let with_floor = |floor: u64| {
        let date = SharedDate::new(Utc::from_secs(floor)).date();
        Client::secure(&site.url("localhost"), &enrolled, date).unwrap()
    };
    // No date at all: 1970. The backend's certificate began long after.
    assert!(manifest(&with_floor(0)).await.is_ok());
    let refused = refusal(manifest(&with_floor(START_S + 100 * DAY_S)).await);
    assert_eq!(refused.why, Why::Expired);
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_ends_its_connections_too() {
    let site = Site::new().await;
    let issued = site.authority().gate(&gate(GATE), 10, site.calendar.now());
    let client = site.client(&material(&issued.unwrap(), &site.authority()));
    assert!(manifest(&client).await.is_ok());
    site.calendar.after_days(11);
    let first = manifest(&client).await;
    if let Err(LinkError::Forbidden(why)) = &first {
        assert!(why.contains("ended"), "{why}");
    } else {
        // The client had let go of it already: a new one does not come about either.
        assert_eq!(refusal(first).why, Why::Expired);
    }
    // That connection is closed; the next one does not come about.
    let refusal = refusal(manifest(&client).await);
    assert_eq!((refusal.whose, refusal.why), (Whose::Ours, Why::Expired));
    site.backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backend_renews_its_own_certificate_in_time() {
    let site = Site::new().await;
    let enrolled = site.enrolled(GATE);
    assert!(manifest(&site.client(&enrolled)).await.is_ok());
    site.calendar.after_days(70);
    // The first certificate ends after 90 days: a gate that looks 100 days on believes the second one only.
    let ahead = on(site.calendar.now() + Duration::from_secs(30 * DAY_S));
    let until = Instant::now() + SOON;
    loop {
        let client = Client::secure(&site.url("127.0.0.1"), &enrolled, Arc::clone(&ahead)).unwrap();
        match manifest(&client).await {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < until, "{error:?}"),
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    site.backend.shutdown().await;
}

/// Writes key and certificate into a directory, as any tool that renews certificates would.
fn write_files(dir: &Path, issued: &Issued, ca: &Path) -> Files {
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.join(name);
        secrets::write_durably(&path, text.as_bytes(), 0o600).unwrap();
        path
    };
    Files {
        certificate: file("own.pem", &issued.certificate),
        key: file("own.key", &issued.key),
        ca: ca.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_files_are_taken_up_without_a_restart_and_torn_ones_are_not() {
    let names = ["127.0.0.1".to_owned()];
    let site = Site::showing(|data, now| {
        let issued = Authority::open(data).unwrap().backend(&names, 10, now);
        OwnCertificate::Files(write_files(data, &issued.unwrap(), &data.join("ca/ca.pem")))
    })
    .await;
    let ca = site.dir.path().join("ca/ca.pem");
    let home = tempfile::tempdir().unwrap();
    let issue = |days| {
        site.authority()
            .gate(&gate(GATE), days, site.calendar.now())
    };
    let files = write_files(home.path(), &issue(10).unwrap(), &ca);
    let mut renewal = Renewal::new(files.clone(), Some(gate(GATE)));
    let client = site.client(&Material::read_for(&files, &gate(GATE)).unwrap());
    assert!(manifest(&client).await.is_ok());
    assert!(renewal.look().is_none(), "nothing has changed");

    site.calendar.after_days(5);
    // Half of it: the new certificate with the old key. It is not used, and looked at again.
    let next = issue(365).unwrap();
    std::fs::write(&files.certificate, &next.certificate).unwrap();
    assert!(renewal.look().is_none());
    assert!(
        Material::read(&files)
            .unwrap_err()
            .to_string()
            .contains("own.key")
    );
    write_files(home.path(), &next, &ca);
    let renewed = renewal.look().expect("the new files are read");
    client.renew(&renewed, site.calendar.date()).unwrap();

    // The backend's own files change as well; then both old certificates end.
    let issued = site.authority().backend(&names, 365, site.calendar.now());
    write_files(site.dir.path(), &issued.unwrap(), &ca);
    let ahead = on(site.calendar.now() + Duration::from_secs(20 * DAY_S));
    let until = Instant::now() + SOON;
    loop {
        let far = Client::secure(&site.url("127.0.0.1"), &renewed, Arc::clone(&ahead)).unwrap();
        match manifest(&far).await {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < until, "{error:?}"),
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    site.calendar.after_days(20);
    assert!(manifest(&client).await.is_ok(), "both sides were renewed");

    // Somebody puts another gate's certificate there.
    let other = site
        .authority()
        .gate(&gate("gate-2"), 365, site.calendar.now());
    write_files(home.path(), &other.unwrap(), &ca);
    assert!(renewal.look().is_none());
    site.backend.shutdown().await;
}

#[test]
fn a_key_for_everybody_another_key_and_no_pem_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let now = Utc::from_secs(START_S);
    let authority = Authority::create(dir.path(), 10, now).unwrap();
    let ca = dir.path().join("ca/ca.pem");
    let issue = || authority.gate(&gate(GATE), 5, now).unwrap();
    let files = write_files(dir.path(), &issue(), &ca);
    assert!(Material::read_for(&files, &gate(GATE)).is_ok());
    let says = |files: &Files, name: &str, what: &str| {
        let error = Material::read_for(files, &gate(GATE))
            .unwrap_err()
            .to_string();
        assert!(error.contains(name) && error.contains(what), "{error}");
    };
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&files.key, mode(0o604)).unwrap();
    says(&files, "own.key", "chmod o-rwx");
    std::fs::set_permissions(&files.key, mode(0o640)).unwrap();
    std::fs::write(&files.key, issue().key.as_bytes()).unwrap();
    says(&files, "own.key", "not the key of the certificate");
    std::fs::write(&files.key, "nothing").unwrap();
    says(&files, "own.key", "BEGIN PRIVATE KEY");
    std::fs::write(&files.certificate, "nothing").unwrap();
    says(&files, "own.pem", "BEGIN CERTIFICATE");
    std::fs::write(&files.certificate, vec![b'x'; 70_000]).unwrap();
    says(&files, "own.pem", "larger than");
    let none = Files {
        certificate: dir.path().join("none.pem"),
        ..files.clone()
    };
    says(&none, "none.pem", "No such file");
    let files = write_files(
        dir.path(),
        &authority.gate(&gate("gate-2"), 5, now).unwrap(),
        &ca,
    );
    says(&files, "own.pem", "certificate of gate \"gate-2\"");
    let own = authority.backend(&["x".into()], 5, now).unwrap();
    says(
        &write_files(dir.path(), &own, &ca),
        "own.pem",
        "names no gate",
    );
}

#[test]
fn an_authority_is_made_once_and_its_key_is_for_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let now = Utc::from_secs(START_S);
    assert!(matches!(
        Authority::open(dir.path()),
        Err(BackendError::NoAuthority(_))
    ));
    let made = Authority::create(dir.path(), 100, now).unwrap();
    let again = Authority::create(dir.path(), 100, now);
    assert!(matches!(again, Err(BackendError::Exists(_))));
    let mode = std::fs::metadata(dir.path().join("ca/ca.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let opened = Authority::open_or_create(dir.path(), now).unwrap();
    assert_eq!((&opened.pem, &opened.facts), (&made.pem, &made.facts));
    // Nothing outlives it, and it issues nothing once it has ended.
    let issued = opened.gate(&gate(GATE), 365, now).unwrap();
    assert_eq!(issued.not_after, made.facts.not_after);
    let late = opened.gate(&gate(GATE), 365, issued.not_after);
    assert!(matches!(late, Err(BackendError::Issue(_))));
}

#[test]
fn a_bundle_holds_all_a_gate_needs_and_never_replaces_another() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("backend"), dir.path().join("bundles/gate"));
    let now = Utc::from_secs(START_S);
    let mut wanted = Enrolment {
        gate: gate(GATE),
        days: 30,
        url: "https://backend.example:9481".into(),
        lists: Vec::new(),
        out: out.clone(),
    };
    let none = enrol::enrol(&data, &wanted, now);
    assert!(matches!(none, Err(BackendError::NoList)));
    assert!(!out.exists());
    wanted.lists = vec![list()];
    let made = enrol::enrol(&data, &wanted, now).unwrap();
    assert_eq!(made.not_after, now + Duration::from_secs(30 * DAY_S));
    let mode = |name: &str| {
        let found = std::fs::metadata(out.join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for secret in ["gate.key", "health.pepper"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    let files = Files {
        certificate: out.join("gate.pem"),
        key: out.join("gate.key"),
        ca: out.join("ca.pem"),
    };
    let material = Material::read_for(&files, &gate(GATE)).unwrap();
    assert_eq!(material.facts.not_after, made.not_after);
    let fragment = std::fs::read_to_string(out.join("gate-fragment.toml")).unwrap();
    let fragment: toml::Table = fragment.parse().unwrap();
    let key = std::fs::read_to_string(out.join("list.pub")).unwrap();
    assert_eq!(
        fragment["backend"]["list_keys"][0].as_str(),
        Some(key.trim())
    );
    assert_eq!(
        fragment["backend"]["url"].as_str(),
        Some(wanted.url.as_str())
    );
    assert_eq!(
        fragment["list"][0]["pepper_file"].as_str(),
        Some("health.pepper")
    );

    let before = std::fs::read(out.join("gate.key")).unwrap();
    assert!(matches!(
        enrol::enrol(&data, &wanted, now),
        Err(BackendError::Exists(_))
    ));
    assert_eq!(std::fs::read(out.join("gate.key")).unwrap(), before);
    // Nothing of the attempts is left beside it. All lists with a pepper are taken if none is named.
    wanted.lists = Vec::new();
    wanted.out = dir.path().join("bundles/second");
    assert_eq!(enrol::enrol(&data, &wanted, now).unwrap().lists, [list()]);
    let names = std::fs::read_dir(dir.path().join("bundles")).unwrap();
    assert_eq!(names.count(), 2);
}
