//! The socket under the library, which flushes after every acknowledgement: here what is written gathers while input
//! is at hand and goes out before the connection waits for more, so that nothing is late and little is written alone.

use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Gathered output is written once it reaches this size even if more input waits.
const GATHER_BYTES: usize = 16 * 1024;
/// Gathered output beyond which the library has to wait: the broker does not read.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Reads between two writes under load; more would delay acknowledgements.
const READS_PER_WRITE: u8 = 4;

/// A socket that gathers writes.
pub(super) struct GatheringStream {
    socket: TcpStream,
    output: BytesMut,
    reads_since_write: u8,
}

impl GatheringStream {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, output: BytesMut::new(), reads_since_write: 0 }
    }

    /// Writes as much as the socket takes; ready when everything is out.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reads_since_write = 0;
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for GatheringStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        this.reads_since_write = this.reads_since_write.saturating_add(1);
        if polled.is_pending() || this.reads_since_write >= READS_PER_WRITE {
            // A full socket wakes this task when it has room.
            let _ = this.poll_drain(cx)?;
        }
        polled
    }
}

impl AsyncWrite for GatheringStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.output.len() >= OUTPUT_BYTES_MAX {
            ready!(this.poll_drain(cx))?;
        }
        this.output.extend_from_slice(bytes);
        if this.output.len() >= GATHER_BYTES {
            let _ = this.poll_drain(cx)?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Does nothing: what is gathered goes out before the connection waits for input.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl Drop for GatheringStream {
    /// The goodbye is still in the buffer.
    fn drop(&mut self) {
        while !self.output.is_empty() {
            match self.socket.try_write(&self.output) {
                Ok(written) if written > 0 => self.output.advance(written),
                _ => return,
            }
        }
    }
}
