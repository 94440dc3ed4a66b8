//! `turnstiled backend`: runs the reference backend until it is told to end, makes its private authority, enrols gates.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::directive::{self, DirectiveArgs};
use super::passages::{self, PassagesArgs, PassagesError};
use crate::backend::ca::{AUTHORITY_DAYS, Authority, GATE_DAYS};
use crate::backend::directives::PublishError;
use crate::backend::enrol::{self, Enrolment};
use crate::backend::secure::{default_names, host_name};
use crate::backend::{Backend, BackendError, DEFAULT_LISTEN, OwnCertificate, Tls, system_clock};
use crate::config::ConfigError;
use crate::config::load::{credentials, secret};
use crate::domain::{GateId, ListId, Utc};
use crate::sync::tls::{Files, renew};

/// Port that gates call by TLS if nothing else is said.
const TLS_PORT: u16 = 9481;

/// Serves lists to gates and takes their passages.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackendArgs {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<BackendCommand>,
    /// Where to listen without TLS: an address of this machine only
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    pub listen: SocketAddr,
    /// Where lists, passages and keys live. Made at the first start
    #[arg(long, value_name = "DIRECTORY", required = true)]
    pub data: Option<PathBuf>,
    /// Where to listen for gates by TLS, like 0.0.0.0:9481; they show certificates
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub tls: Option<SocketAddr>,
    /// A name or address that gates call this backend by, for the certificate that its authority issues; may be
    /// repeated. Without it: localhost, 127.0.0.1, the name of this machine, and the address of --tls
    #[arg(
        long,
        value_name = "NAME",
        requires = "tls",
        conflicts_with = "tls_certificate"
    )]
    pub tls_name: Vec<String>,
    /// Certificate of this backend, PEM, instead of one that its own authority issues. This and the next two: a name
    /// without a slash is a systemd credential, if there is one of that name. Read again when they change
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key", "tls_ca"])]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate, PEM; not readable by everybody
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// The authority that gates' certificates come from, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_ca: Option<PathBuf>,
}

/// What a backend's directory is prepared with, whether or not a backend is running on it; and questions to one that runs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum BackendCommand {
    /// Make the private authority that issues the certificates of gates and backend
    Ca(CaArgs),
    /// Make the bundle of a gate: key, certificate, authority, public list key, peppers, lines for its config
    Enrol(EnrolArgs),
    /// Sign what gates shall do for a time: lane modes, rules of the policy
    Directive(DirectiveArgs),
    /// Read passages back as JSON lines, by gate, lane, person or time
    Passages(PassagesArgs),
}

/// `turnstiled backend ca`
#[derive(Clone, Debug, clap::Args)]
pub struct CaArgs {
    /// Where the backend lives
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,
    /// How long the authority lives, in days
    #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// `turnstiled backend enrol`
#[derive(Clone, Debug, clap::Args)]
pub struct EnrolArgs {
    /// Name of the gate
    #[arg(value_parser = GateId::new)]
    pub gate: GateId,
    /// Where the backend lives
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,
    /// Where the bundle goes: a directory that is not there yet, or is empty
    #[arg(long, value_name = "DIRECTORY")]
    pub out: PathBuf,
    /// How long the certificate lives, in days
    #[arg(long, default_value_t = GATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// The address that the gate calls; without it, this machine by its name, at port 9481
    #[arg(long, value_parser = address)]
    pub url: Option<String>,
    /// A list that the gate follows; may be repeated. Without it: every list that has a pepper
    #[arg(long, value_parser = ListId::new)]
    pub list: Vec<ListId>,
}

/// Why the backend ended, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendRunError {
    /// It could not start, or did not do it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No directive is published.
    #[error(transparent)]
    Directive(#[from] PublishError),
    /// The policy of a directive is none.
    #[error(transparent)]
    Policy(#[from] ConfigError),
    /// It could not be asked.
    #[error(transparent)]
    Passages(#[from] PassagesError),
    /// The signals that end it cannot be heard.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// Nobody says where it lives.
    #[error("no directory is given; name one with --data")]
    NoData,
}

impl BackendRunError {
    /// The exit code of `sysexits`: 64 for an address that is refused, 78 for an adapter or a policy, 66 for a file or list that is not there, 73 for
    /// something that would be overwritten, 69 for everything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Backend(BackendError::NotLoopback(_)) | Self::NoData => 64,
            Self::Backend(BackendError::NoAuthority(_) | BackendError::NoList) => 66,
            Self::Backend(BackendError::Exists(_)) => 73,
            Self::Backend(BackendError::Adapter { .. }) | Self::Policy(_) => 78,
            Self::Passages(error) => error.exit_code(),
            Self::Directive(PublishError::Fault(_)) => 65,
            Self::Backend(_) | Self::Directive(_) | Self::Signals(_) => 69,
        }
    }
}

/// Runs until SIGTERM or SIGINT, or does the other thing that is asked for; a sentence about what was done.
///
/// # Errors
/// [`BackendRunError`] if it does not start, or does not do it.
pub async fn run(args: &BackendArgs) -> Result<Option<String>, BackendRunError> {
    let now = system_clock()();
    match &args.command {
        None => serve(args).await.map(|()| None),
        Some(BackendCommand::Ca(ca)) => {
            let authority = Authority::create(&ca.data, ca.days, now)?;
            let name = authority.facts.common_name.unwrap_or_default();
            let (data, end) = (ca.data.display(), day(authority.facts.not_after));
            Ok(Some(format!(
                "{name} is made in {data}/ca, until {end}; whoever has ca.key can pose as any gate"
            )))
        }
        Some(BackendCommand::Enrol(enrol)) => enrolled(enrol, now).map(Some),
        Some(BackendCommand::Directive(args)) => directive::run(args, now).map(Some),
        Some(BackendCommand::Passages(args)) => {
            passages::run(args, &mut io::stdout()).await?;
            Ok(None)
        }
    }
}

async fn serve(args: &BackendArgs) -> Result<(), BackendRunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(BackendRunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(BackendRunError::Signals)?;
    let data = args.data.as_ref().ok_or(BackendRunError::NoData)?;
    let backend = Backend::start_tls(args.listen, data, system_clock(), gates(args)).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the backend ends");
    backend.shutdown().await;
    Ok(())
}

/// How gates are listened for, if they are.
fn gates(args: &BackendArgs) -> Option<Tls> {
    let listen = args.tls?;
    let credentials = credentials();
    let path = |path: &PathBuf| secret(path, Path::new(""), credentials.as_deref());
    let files = args.tls_certificate.as_ref().zip(args.tls_key.as_ref());
    let certificate = match files.zip(args.tls_ca.as_ref()) {
        Some(((certificate, key), ca)) => OwnCertificate::Files(Files {
            certificate: path(certificate),
            key: path(key),
            ca: path(ca),
        }),
        None if args.tls_name.is_empty() => OwnCertificate::Issued(default_names(listen.ip())),
        None => OwnCertificate::Issued(args.tls_name.clone()),
    };
    Some(Tls {
        listen,
        certificate,
        look: renew::LOOK,
    })
}

fn enrolled(args: &EnrolArgs, now: Utc) -> Result<String, BackendRunError> {
    let here = || {
        let host = host_name().unwrap_or_else(|| "localhost".into());
        format!("https://{host}:{TLS_PORT}")
    };
    let wanted = Enrolment {
        gate: args.gate.clone(),
        days: args.days,
        url: args.url.clone().unwrap_or_else(here),
        lists: args.list.clone(),
        out: args.out.clone(),
    };
    let made = enrol::enrol(&args.data, &wanted, now)?;
    let mut sentence = format!(
        "gate \"{}\" is enrolled until {}; its bundle is in {}, for the lists",
        args.gate,
        day(made.not_after),
        args.out.display()
    );
    for (n, list) in made.lists.iter().enumerate() {
        let between = if n == 0 { " " } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(sentence, "{between}{list}");
    }
    Ok(sentence)
}

/// An address that a gate can call by TLS.
fn address(text: &str) -> Result<String, String> {
    let wrong = || "an address looks like https://backend.example:9481".to_owned();
    let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
    let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if url.scheme() == "https" && url.host_str().is_some() && bare {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(wrong())
    }
}

/// A day, as people write it.
fn day(at: Utc) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "for ever".into(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}
