//! The thread that carries out claims: whatever waits is written together, so that a rush costs one look at the disk and
//! not one a passenger.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::store::claims::{Claims, Order, Said};
use super::{BackendError, Clock, StoreError};

/// Orders that may wait; more are told to come again.
const WAITING_MAX: usize = 256;
/// Orders of one transaction.
const TOGETHER_MAX: usize = 64;

type Waiting = (Order, oneshot::Sender<Result<Said, String>>);

/// Takes orders. When it is dropped, the thread ends and the file is closed.
pub(super) struct ClaimsDesk {
    orders: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl ClaimsDesk {
    pub(super) fn open(dir: &Path, clock: Clock) -> Result<Self, BackendError> {
        let claims = Claims::open(dir)?;
        let (orders, waiting) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("claims".into())
            .spawn(move || work(&claims, &waiting, &clock))
            .map_err(StoreError::from)?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Carries an order out. It is durable when it is answered; `None`: too many wait.
    pub(super) async fn carry_out(&self, order: Order) -> Result<Option<Said>, StoreError> {
        let (answer, said) = oneshot::channel();
        let orders = self.orders.as_ref();
        if orders.is_none_or(|orders| orders.try_send((order, answer)).is_err()) {
            return Ok(None);
        }
        match said.await {
            Ok(Ok(said)) => Ok(Some(said)),
            Ok(Err(why)) => Err(StoreError::Failed(why)),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for ClaimsDesk {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the claims ended by a panic");
        }
    }
}

fn work(claims: &Claims, waiting: &Receiver<Waiting>, clock: &Clock) {
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(TOGETHER_MAX - 1);
        let (orders, answers): (Vec<_>, Vec<_>) = std::iter::once(first).chain(more).unzip();
        match claims.carry_out(clock(), &orders) {
            Ok(said) => {
                for (answer, said) in answers.into_iter().zip(said) {
                    // Whoever asked may be gone.
                    let _ = answer.send(Ok(said));
                }
            }
            Err(error) => {
                tracing::error!(%error, "claims cannot be kept");
                for answer in answers {
                    let _ = answer.send(Err(error.to_string()));
                }
            }
        }
    }
}
