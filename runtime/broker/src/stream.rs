//! One client's socket as the protocol library sees it.
//!
//! The library writes and flushes every packet on its own. Here packets gather while more input is at hand and go out
//! together, at the latest when the connection has nothing left to read: one system call for many packets under load,
//! no delay when idle. On the way out MQTT 5 messages lose the properties that only the broker added. A client that
//! switched its keep-alive off is kept although the library ends connections that are silent for five minutes.

use crate::framing::{self, Boundary, PINGREQ, PINGRESP};
use bytes::{Buf, BytesMut};
use mqtt5::{broker::transport::WebSocketTransport, error::Result as MqttResult};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// Gathered output is written once it reaches this size even if more input waits. A few read chunks' worth.
const GATHER_BYTES: usize = 16 * 1024;
/// Gathered output beyond which the library has to wait: the client does not read.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Output buffers that grew beyond this are given back when empty.
const OUTPUT_BYTES_KEPT: usize = 4 * 1024;
/// Reads between two writes under load; more would delay acknowledgements.
const READS_PER_WRITE: u8 = 4;
/// The library gives a silent client without keep-alive 300 s; a sign of life on its behalf comes before that.
const SILENCE_MAX: Duration = Duration::from_secs(240);

/// A socket that gathers writes.
pub(crate) struct ClientStream {
    socket: TcpStream,
    peer: SocketAddr,
    output: BytesMut,
    reads_since_write: u8,
    is_version_5: Option<bool>,
    silence: Silence,
}

/// What is known about a client's keep-alive.
enum Silence {
    /// The CONNECT has not arrived whole; these are its first bytes.
    Unknown(BytesMut),
    /// The client keeps the connection alive itself.
    Bounded,
    /// The client may be silent for ever.
    Unbounded { boundary: Boundary, alarm: Pin<Box<Sleep>>, pongs_to_hide: u32 },
}

impl ClientStream {
    pub(crate) fn new(socket: TcpStream, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            output: BytesMut::new(),
            reads_since_write: 0,
            is_version_5: None,
            silence: Silence::Unknown(BytesMut::new()),
        }
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
        if self.output.capacity() > OUTPUT_BYTES_KEPT {
            self.output = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Learns from bytes that a client sent.
    fn note_input(&mut self, bytes: &[u8]) {
        match &mut self.silence {
            Silence::Bounded => {}
            Silence::Unbounded { boundary, alarm, .. } => {
                boundary.pass(bytes);
                alarm.as_mut().reset(Instant::now() + SILENCE_MAX);
            }
            Silence::Unknown(head) => {
                head.extend_from_slice(bytes);
                self.silence = match framing::keep_alive_of_connect(head) {
                    Some(0) => {
                        let mut boundary = Boundary::default();
                        boundary.pass(head);
                        Silence::Unbounded { boundary, alarm: Box::pin(sleep(SILENCE_MAX)), pongs_to_hide: 0 }
                    }
                    None if head.len() < 16 => return,
                    _ => Silence::Bounded,
                };
            }
        }
    }

    /// Pings on behalf of a client that has been silent for long and may be.
    fn poll_sign_of_life(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Silence::Unbounded { boundary, alarm, pongs_to_hide } = &mut self.silence else {
            return Poll::Pending;
        };
        ready!(alarm.as_mut().poll(cx));
        if !boundary.is_between_packets() || buf.remaining() < PINGREQ.len() {
            return Poll::Pending;
        }
        alarm.as_mut().reset(Instant::now() + SILENCE_MAX);
        *pongs_to_hide += 1;
        buf.put_slice(&PINGREQ);
        Poll::Ready(Ok(()))
    }

    fn hides(&mut self, packet: &[u8]) -> bool {
        match &mut self.silence {
            Silence::Unbounded { pongs_to_hide, .. } if *pongs_to_hide > 0 && packet == PINGRESP => {
                *pongs_to_hide -= 1;
                true
            }
            _ => false,
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.socket).poll_read(cx, buf) {
            Poll::Ready(result) => {
                result?;
                this.note_input(buf.filled().get(before..).unwrap_or_default());
                this.reads_since_write += 1;
                if this.reads_since_write >= READS_PER_WRITE || this.output.len() >= GATHER_BYTES {
                    // A full socket wakes this task when it has room; a broken one is found out by the next read.
                    let _ = this.poll_drain(cx)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let _ = this.poll_drain(cx)?;
                this.poll_sign_of_life(cx, buf)
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    /// Takes one whole packet: the library hands over each packet in one piece.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, packet: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.output.len() >= OUTPUT_BYTES_MAX {
            ready!(this.poll_drain(cx))?;
        }
        if this.hides(packet) {
            return Poll::Ready(Ok(packet.len()));
        }
        if this.is_version_5.is_none() {
            this.is_version_5 = framing::is_version_5_connack(packet);
        }
        if this.is_version_5 == Some(true) {
            framing::append_without_added_properties(packet, &mut this.output);
        } else {
            this.output.extend_from_slice(packet);
        }
        Poll::Ready(Ok(packet.len()))
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

impl WebSocketTransport for ClientStream {
    fn peer_addr(&self) -> MqttResult<SocketAddr> {
        Ok(self.peer)
    }
}

impl Drop for ClientStream {
    /// The last words (a refusal, a DISCONNECT with its reason) are still in the buffer.
    fn drop(&mut self) {
        while !self.output.is_empty() {
            match self.socket.try_write(&self.output) {
                Ok(written) if written > 0 => self.output.advance(written),
                _ => return,
            }
        }
    }
}
