//! Who claims at a gate of the simulator: the real task, on a runtime whose time stands still between its turns.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::controller::EVENTS_MAX;
use super::link::Link;
use crate::sync::Parts;
use crate::sync::claims::{self, Claimant, News, Order};

/// Times that everybody who can go on does, in a turn.
const ROUNDS: u32 = 12;

/// Who claims, while there is power.
pub(super) struct Claiming {
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<News>,
    /// Ends the task when it goes.
    _stop: watch::Sender<bool>,
}

impl Claiming {
    /// Starts the task. `process` makes its claims unlike those of any other start.
    pub(super) fn begin(parts: &Parts<Link>, runtime: &Runtime, process: u64) -> Self {
        let claimant = Claimant {
            gate: parts.gate.clone(),
            area: None,
            process,
            transport: Arc::clone(&parts.transport),
            report: Arc::clone(&parts.report),
            now: Arc::clone(&parts.now),
        };
        let (orders, waiting) = mpsc::channel(EVENTS_MAX);
        let (told, news) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(claims::run(Arc::new(claimant), waiting, told, stopped));
        Self {
            orders,
            news,
            _stop: stop,
        }
    }

    /// Hands an order on; false if nobody takes it.
    pub(super) fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// The task does what can be done, after so much time; what came of it.
    pub(super) fn turn(&mut self, runtime: &Runtime, after: Duration) -> Vec<News> {
        runtime.block_on(async {
            if !after.is_zero() {
                tokio::time::advance(after).await;
            }
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
        std::iter::from_fn(|| self.news.try_recv().ok()).collect()
    }
}
