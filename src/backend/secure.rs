//! The backend's own certificate: issued by its private authority and renewed in time, or read from files.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time;

use super::ca::Authority;
use super::inner::Inner;
use super::{BackendError, Clock};
use crate::domain::Utc;
use crate::sync::tls::renew::Renewal;
use crate::sync::tls::{self, CheckedAt, Date, FileError, Files, Material};

/// How long a certificate of our own authority lives, in days; it is renewed after two thirds of that.
const OWN_DAYS: u32 = 90;

/// How gates are listened for.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Which certificate is shown.
    pub certificate: OwnCertificate,
    /// How often to look whether it has to be renewed, or has been.
    pub look: Duration,
}

/// Where the backend's certificate comes from.
#[derive(Clone, Debug)]
pub enum OwnCertificate {
    /// From the authority in the data directory, for these names and addresses.
    Issued(Vec<String>),
    /// From files. Gates must come from the authority in them.
    Files(Files),
}

/// What gates call this machine by, if nobody says otherwise: `localhost`, `127.0.0.1`, its name, and the address that
/// it listens on.
#[must_use]
pub fn default_names(listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(host_name());
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The name of this machine, as far as it has one.
#[must_use]
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let plain = !name.is_empty() && name != "(none)" && name.is_ascii();
    plain.then(|| name.to_owned())
}

/// Where the newest certificate comes from.
pub(super) enum Source {
    Issued(PathBuf, Vec<String>),
    Files(Box<Renewal>),
}

impl Source {
    /// The first certificate, and where the next come from.
    pub(super) fn open(
        own: &OwnCertificate,
        data: &Path,
        now: Utc,
    ) -> Result<(Self, Material), BackendError> {
        match own {
            OwnCertificate::Issued(names) => {
                let source = Self::Issued(data.into(), names.clone());
                Ok((source, issue(data, names, now)?))
            }
            OwnCertificate::Files(files) => {
                // The stamp is taken first: what changes meanwhile is read again.
                let renewal = Renewal::new(files.clone(), None);
                let material = Material::read(files)
                    .map_err(|FileError { path, why }| BackendError::Secret { path, what: why })?;
                Ok((Self::Files(Box::new(renewal)), material))
            }
        }
    }

    /// The next certificate, if it is time for one.
    fn next(&mut self, at_hand: &Material, now: Utc) -> Option<Material> {
        match self {
            Self::Files(renewal) => renewal.look(),
            Self::Issued(data, names) => {
                let life = at_hand.facts.not_after.since(at_hand.facts.not_before);
                if at_hand.facts.not_after.since(now) >= life / 3 {
                    return None;
                }
                match issue(data, names, now) {
                    // Near the end of the authority nothing newer can be had.
                    Ok(next) if next.facts.not_after > at_hand.facts.not_after => Some(next),
                    Ok(_) => None,
                    Err(error) => {
                        tracing::warn!(%error, "the backend's certificate cannot be renewed");
                        None
                    }
                }
            }
        }
    }
}

fn issue(data: &Path, names: &[String], now: Utc) -> Result<Material, BackendError> {
    let authority = Authority::open(data)?;
    let issued = authority.backend(names, OWN_DAYS, now)?;
    let bad = |what: &str| BackendError::Issue(what.into());
    let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes())
        .map_err(|_| bad("it cannot be read back"))?;
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())
        .map_err(|_| bad("its key cannot be read back"))?;
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes())
        .map_err(|_| bad("the authority cannot be read back"))?;
    Material::new(vec![certificate], key, vec![root]).map_err(|(_, why)| BackendError::Issue(why))
}

/// The date of the backend's clock, which it trusts.
pub(super) fn date(clock: &Clock) -> Date {
    let clock = Arc::clone(clock);
    Arc::new(move || CheckedAt {
        utc: clock(),
        trusted: true,
    })
}

/// Renews the certificate for ever.
pub(super) async fn keep(
    mut source: Source,
    mut at_hand: Material,
    every: Duration,
    inner: Arc<Inner>,
    rules: watch::Sender<Arc<ServerConfig>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        inner.seen.certificates(&at_hand, inner.now());
        tokio::select! {
            // An error means that the backend was dropped: the same.
            _ = stop.wait_for(|stop| *stop) => return,
            () = time::sleep(every) => {}
        }
        let now = inner.now();
        let looked = tokio::task::spawn_blocking(move || {
            let next = source.next(&at_hand, now);
            (source, at_hand, next)
        });
        let Ok((back, before, next)) = looked.await else {
            return;
        };
        (source, at_hand) = (back, before);
        let Some(next) = next else { continue };
        match tls::server(&next, date(&inner.clock)) {
            Ok(config) => {
                tracing::info!("the backend shows a new certificate");
                rules.send_replace(Arc::new(config));
                at_hand = next;
            }
            Err(error) => tracing::error!(%error, "the new certificate is not used"),
        }
    }
}
