//! The rules of a connection, for either side.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};

use super::identity::{Facts, gate_of};
use super::{Date, Material};

/// The rules cannot be made: keys and authorities have been checked, so this is a mistake of ours.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] Error),
    /// It refuses the authority.
    #[error("TLS cannot be set up: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Rules for whoever calls: shows our certificate, and believes a server that our authority vouches for.
///
/// # Errors
/// [`TlsError`].
pub fn client(material: &Material, date: Date) -> Result<ClientConfig, TlsError> {
    let believed =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&material.roots), provider())
            .build()?;
    let verifier = Arc::new(Backends { believed, date });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(shown(material)));
    // A resumed connection would go past the check of the certificates.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Rules for whoever calls without TLS: they believe nobody.
///
/// # Errors
/// [`TlsError`].
pub fn plain() -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Rules for whoever calls a service that is none of ours, and that these authorities vouch for.
///
/// # Errors
/// [`TlsError`].
pub fn believing(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Rules for whoever is called: shows our certificate, and answers gates that our authority vouches for.
///
/// # Errors
/// [`TlsError`].
pub fn server(material: &Material, date: Date) -> Result<ServerConfig, TlsError> {
    let believed =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&material.roots), provider())
            .build()?;
    let verifier = Arc::new(Gates { believed, date });
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(shown(material)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn shown(material: &Material) -> SingleCertAndKey {
    SingleCertAndKey::from(Arc::clone(&material.key))
}

/// The date to check these certificates at. While a date is only known not to be before the floor, nobody can say that
/// something is not valid *yet*: then it is checked at its first day.
fn checked_at<'a>(
    date: &Date,
    first: &'a CertificateDer<'a>,
    rest: &'a [CertificateDer<'a>],
) -> UnixTime {
    let at = date();
    let mut utc = at.utc;
    if !at.trusted {
        for facts in std::iter::once(first).chain(rest).map(Facts::of) {
            // What cannot be read is refused by whoever looks next.
            utc = facts.map_or(utc, |facts| utc.max(facts.not_before));
        }
    }
    UnixTime::since_unix_epoch(Duration::from_millis(utc.as_millis()))
}

/// Believes backends, at the date of the gate.
struct Backends {
    believed: Arc<WebPkiServerVerifier>,
    date: Date,
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backends")
    }
}

impl ServerCertVerifier for Backends {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = checked_at(&self.date, end_entity, intermediates);
        self.believed
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.believed.supported_verify_schemes()
    }
}

/// Believes clients that name a gate, at the date of the backend.
struct Gates {
    believed: Arc<dyn ClientCertVerifier>,
    date: Date,
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gates")
    }
}

impl ClientCertVerifier for Gates {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.believed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = checked_at(&self.date, end_entity, intermediates);
        let verified = self
            .believed
            .verify_client_cert(end_entity, intermediates, now)?;
        // Whoever is no gate has nothing to ask here; the alert says "access denied".
        gate_of(end_entity).map_err(|_| CertificateError::ApplicationVerificationFailure)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.believed.supported_verify_schemes()
    }
}
