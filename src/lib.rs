//! `turnstiled`: the gate controller of a turnstile, as a Linux daemon. A commuter shows a QR code, somebody without a
//! phone taps an ID card; the gate opens or holds, network or not.
//!
//! ```text
//!  camera ── frame ──> vision ── text ─┐
//!  card reader ── serial ──> proto ────┤ presentation
//!                                      v
//!                  codes: issuer, checks, row keys          (pure)
//!                  store::codes: what the lists say         (sled, disposable)
//!                                      │ assessed
//!                                      v
//!   sensors, fire ──> core::Gate::step(now, event) ──> actions        (pure: no clock, no I/O)
//!        ^                 ^       │      │      │
//!        │         durable │       │      │      └─> prompt, light, page, metric
//!        │                 │       v      v
//!        │            store::journal   release / lock ──> drivers::gpio ──> barrier
//!        │              (redb)                                │
//!        └──────────────── beams, rotor <─────────────────────┘
//!
//!   backend ── signed manifest, chunks ──> sync ──> store::codes        backend <── passages ── store::journal
//! ```
//!
//! One loop ([`runtime::gateway`]) owns the gate as a plain value. Drivers, stores and sync run on threads and tasks of
//! their own and talk to it over bounded channels; a presentation that finds no room is dropped, never queued to open a
//! gate later. A grant is durable in the journal before the barrier is released.
//!
//! | Module | Holds | Imports of ours |
//! |---|---|---|
//! | [`domain`] | the words of the trade: events, actions, records | - |
//! | [`core`] | the gate: desks, lanes, policy, replay, passback | domain |
//! | [`codes`] | trust list, profiles, row keys | domain |
//! | [`proto`] | serial wire formats | domain |
//! | [`vision`] | luma in, text out | - |
//! | [`config`] | validated settings | domain |
//! | [`store`] | codes cache, journal and state | domain |
//! | [`drivers`] | one thread or task a device | domain, proto, vision, config |
//! | [`sync`] | lists down, passages up, online answers | domain, store, config |
//! | [`backend`] | the reference backend | and sync, codes |
//! | [`telemetry`] | metrics, log, pages | domain |
//! | [`runtime`] | the loop, clocks, systemd | all these |
//! | `lab` | demo, emulators (feature `lab`) | all these |
//! | [`cli`] | subcommands | all these |
//!
//! `tests/tidy.rs` fails on an import that is not in this table.

pub mod backend;
pub mod cli;
pub mod codes;
pub mod config;
pub mod core;
pub mod domain;
pub mod drivers;
#[cfg(feature = "lab")]
pub mod lab;
pub mod proto;
pub mod runtime;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod vision;
