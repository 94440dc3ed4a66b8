//! The relay boards of a gate: which one serves which lane, and what all of them say. Each has a thread of its own, so
//! that one that hangs or is gone holds up no lane but its own.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::Poll;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::start::OpenBoard;
use crate::config::boards::Board;
use crate::domain::LaneId;
use crate::drivers::MonoClock;
use crate::drivers::gpio::{self, Command, GpioEvent, Layout};

/// Commands and events of one board that may wait.
const EVENTS: usize = 256;

/// The way to every board.
pub struct Lines(Vec<One>);

struct One {
    lanes: Vec<LaneId>,
    commands: SyncSender<Command>,
    thread: JoinHandle<()>,
}

/// What the boards say.
pub struct LineEvents {
    boards: Vec<(Vec<LaneId>, mpsc::Receiver<GpioEvent>)>,
    /// Who is asked first: nobody who talks without end keeps another from being heard.
    first: usize,
}

/// Starts a thread for each board. `opener`: opens a board in the place of the configured driver, by its name.
///
/// # Errors
/// The error of the system, if there can be no further thread.
pub fn start(
    boards: &[Board],
    mono: MonoClock,
    mut opener: impl FnMut(&str) -> Option<OpenBoard>,
) -> std::io::Result<(Lines, LineEvents)> {
    let (mut lines, mut events) = (Vec::new(), Vec::new());
    for board in boards {
        let layout = Layout::new(&board.config);
        let (commands, taken) = sync_channel(EVENTS);
        let (said, heard) = mpsc::channel(EVENTS);
        let thread = match opener(&board.name) {
            Some(open) => gpio::spawn(open, layout, taken, said, mono)?,
            None => {
                let open = gpio::opener(&board.config.gpio, &layout);
                gpio::spawn(open, layout, taken, said, mono)?
            }
        };
        events.push((board.lanes.clone(), heard));
        lines.push(One {
            lanes: board.lanes.clone(),
            commands,
            thread,
        });
    }
    let events = LineEvents {
        boards: events,
        first: 0,
    };
    Ok((Lines(lines), events))
}

impl Lines {
    /// Hands a command to the board of its lane, or to every board if it is of no lane.
    ///
    /// # Errors
    /// The number of a board that does not take commands.
    pub fn command(&self, command: Command) -> Result<(), usize> {
        let is_for = |board: &One| {
            command
                .lane()
                .is_none_or(|lane| board.lanes.contains(&lane))
        };
        let mut taken = Ok(());
        for (number, board) in self.0.iter().enumerate().filter(|(_, board)| is_for(board)) {
            if board.commands.try_send(command).is_err() {
                taken = Err(number);
            }
        }
        taken
    }

    /// Every output inactive, and the threads ended; false if one of them broke off.
    pub fn end(self) -> bool {
        // All channels are closed first: each board ends at once.
        let threads: Vec<_> = self.0.into_iter().map(|one| one.thread).collect();
        let broke_off = threads.into_iter().filter_map(|thread| thread.join().err());
        broke_off.count() == 0
    }
}

impl LineEvents {
    /// The next thing that a board says of itself or of its lanes, with the number of the board. `None`: all have ended.
    pub async fn next(&mut self) -> Option<(usize, GpioEvent)> {
        std::future::poll_fn(|cx| {
            let (count, mut ended) = (self.boards.len(), 0);
            for n in 0..count {
                let number = self.first.wrapping_add(n) % count.max(1);
                let Some((lanes, events)) = self.boards.get_mut(number) else {
                    continue;
                };
                loop {
                    match events.poll_recv(cx) {
                        Poll::Pending => break,
                        Poll::Ready(None) => {
                            ended += 1;
                            break;
                        }
                        // Of lanes that other boards serve it knows nothing.
                        Poll::Ready(Some(event))
                            if event.lane().is_some_and(|lane| !lanes.contains(&lane)) => {}
                        Poll::Ready(Some(event)) => {
                            self.first = number.wrapping_add(1);
                            return Poll::Ready(Some((number, event)));
                        }
                    }
                }
            }
            if ended == count {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }
}
