//! Sorted rows as the body of a request, a piece at a time.

use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::sync::chunk::ROW_LEN;
use crate::sync::spool::Spool;

/// Bytes of one piece.
const PIECE_BYTES: usize = 256 << 10;

/// The body.
pub(super) struct FileBody {
    file: File,
    left: u64,
}

impl FileBody {
    pub(super) fn new(rows: Spool) -> Self {
        let left = rows.rows().saturating_mul(ROW_LEN as u64);
        Self {
            file: rows.into_file(),
            left,
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The file was written a moment ago and is read from memory; this process has nothing else to do.
        let mut piece = Vec::new();
        let read = (&self.file)
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece);
        Poll::Ready(match read {
            Ok(0) => None,
            Ok(_) => {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.left = self.left.saturating_sub(length);
                Some(Ok(Frame::data(piece.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
