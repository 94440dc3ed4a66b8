//! The way to the backend: what follows lists, trust list and directives, delivers passages and asks, and the certificates it is
//! called with.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};

use super::certificates::Certificates;
use super::files::{self, Secure};
use super::gateway::Answer;
use super::online::Online;
use crate::config::Config;
use crate::domain::{Directive, Utc};
use crate::drivers::MonoClock;
use crate::store::codes::Codes;
use crate::store::journal::Journal;
use crate::store::learned::Learned;
use crate::sync::claims::{self, Claimant};
use crate::sync::directives;
use crate::sync::tls::{
    self,
    renew::{self, Renewal},
};
use crate::sync::{self, Client, Followed, FollowedTrust, Parts, Report, SyncEvent};

/// What talks to the backend needs of the gate.
pub(super) struct Link<'a> {
    pub(super) cache: &'a Arc<dyn Codes>,
    pub(super) journal: &'a Journal,
    pub(super) mono: MonoClock,
    pub(super) uplink: &'a Arc<Notify>,
    pub(super) learned: Option<&'a Arc<Learned>>,
    pub(super) sync: mpsc::Sender<SyncEvent>,
    pub(super) answers: mpsc::Sender<Answer>,
    /// What came of claims.
    pub(super) claimed: mpsc::Sender<claims::News>,
    pub(super) trust: Option<FollowedTrust>,
    /// Directives that were accepted before.
    pub(super) directed: Vec<Arc<Directive>>,
}

/// Whom a gate talks to while somebody waits.
#[derive(Default)]
pub(super) struct Asked {
    /// Whom to ask online.
    pub(super) online: Option<Online>,
    /// Where claims go.
    pub(super) claims: Option<mpsc::Sender<claims::Order>>,
}

/// Claims and claims taken back that may wait for their task.
const CLAIMS: usize = 64;

/// Starts what follows lists, delivers passages and claims. Nothing of it without a backend.
pub(super) fn start_sync(
    config: &Config,
    found: Option<files::Link>,
    followed: &[Followed],
    link: Link<'_>,
    process: u64,
    stop: &watch::Receiver<bool>,
) -> Asked {
    let Some((backend, found)) = config.backend.as_ref().zip(found) else {
        return Asked::default();
    };
    let mono = link.mono;
    let parts = Arc::new(Parts {
        gate: config.gate.clone(),
        transport: Arc::new(found.client),
        codes: Arc::clone(link.cache),
        journal: link.journal.clone(),
        keys: found.keys,
        poll: backend.poll_ms.duration(),
        report: Arc::new(Report::new(link.sync)),
        wake: Arc::clone(link.uplink),
        now: Arc::new(move || mono.now()),
    });
    let mut tasks = sync::start(&parts, followed, stop);
    if let Some(trust) = link.trust {
        tasks.spawn(sync::trust::follow(Arc::clone(&parts), trust, stop.clone()));
    }
    if let Some(addressee) = found.addressee {
        let parts = Arc::clone(&parts);
        tasks.spawn(directives::follow(
            parts,
            addressee,
            link.directed,
            stop.clone(),
        ));
    }
    let claims = backend.claims.then(|| {
        let (orders, waiting) = mpsc::channel(CLAIMS);
        let claimant = Arc::new(Claimant {
            gate: config.gate.clone(),
            area: config.passback.area(),
            process,
            transport: Arc::clone(&parts.transport),
            report: Arc::clone(&parts.report),
            now: Arc::clone(&parts.now),
        });
        tasks.spawn(claims::run(claimant, waiting, link.claimed, stop.clone()));
        orders
    });
    tokio::spawn(async move { while tasks.join_next().await.is_some() {} });
    let online = link.learned.map(|learned| {
        // No list named: the backend may know more than the lists this gate follows.
        let (transport, report) = (Arc::clone(&parts.transport), Arc::clone(&parts.report));
        Online::new(
            sync::Online::new(config.gate.clone(), &[], transport, report),
            link.answers,
            Arc::clone(learned),
            mono,
        )
    });
    Asked { online, claims }
}

/// Looks after the gate's certificates: reads them again when their files change, and knows when they end.
pub(super) fn look_after(
    config: &Config,
    secure: Secure,
    floor: Utc,
    client: Client,
    stop: &watch::Receiver<bool>,
) -> Certificates {
    let Secure { files, facts, date } = secure;
    date.raise_floor(floor);
    let (send, ends) = watch::channel(facts);
    let renewal = Renewal::new(files, Some(config.gate.clone()));
    let checked_at = date.date();
    let take = move |material: tls::Material| match client.renew(&material, Arc::clone(&checked_at))
    {
        Ok(()) => {
            tracing::info!("certificate, key and authority are read again");
            send.send_replace((material.facts, material.authority));
        }
        Err(error) => tracing::error!(%error, "the new certificate is not used"),
    };
    tokio::spawn(renew::run(renewal, renew::LOOK, stop.clone(), take));
    Certificates::new(ends, date)
}
