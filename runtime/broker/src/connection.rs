//! One client's socket: packets are read, handed to the hub, and what the hub has to say is written, many packets with
//! one system call.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use bytestring::ByteString;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tracing::debug;

use crate::accept::{self, Accepted};
use crate::hub::{Answer, Hub, Leaving};
use crate::outlet::Outlet;
use crate::packet::{self, Packet, Publish};
use crate::tree::SessionKey;
use crate::wire::{self, Fault, PROTOCOL, reason};

/// Bytes that one read takes at most.
const READ_BYTES: usize = 16 * 1024;
/// Bytes that wait unread by the broker before the socket is no longer read.
const HELD_BYTES: usize = 64 * 1024;
/// Buffers that grew beyond this are given back when empty.
const KEPT_BYTES: usize = 4 * 1024;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many topics a client may abbreviate.
pub(crate) const ALIASES_MAX: u16 = 32;

/// The state of all connections, shared with the broker's thread.
pub(crate) type SharedHub = Rc<RefCell<Hub>>;

/// How a connection ended.
enum End {
    /// The client said goodbye.
    Goodbye,
    /// The client is gone, was sent away, or wants its will to be published.
    Vanished,
}

/// Serves a client until it leaves.
pub(crate) async fn run(socket: TcpStream, address: SocketAddr, hub: SharedHub) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%address, %error, "mqtt socket option refused");
    }
    let Some(Accepted { entered, outlet, keep_alive, input }) = accept::accept(&socket, address, &hub).await else {
        return;
    };
    let mut connection = Connection {
        socket,
        hub: Rc::clone(&hub),
        key: entered.key,
        outlet,
        input,
        aliases: HashMap::new(),
        keep_alive,
        heard: Instant::now(),
        held: false,
        goodbye: None,
    };
    let leaving = match connection.serve().await {
        Ok(End::Goodbye) => Leaving::Goodbye,
        Ok(End::Vanished) => Leaving::Vanished,
        Err(error) => {
            debug!(%address, %error, "mqtt connection ended");
            Leaving::Vanished
        }
    };
    {
        let mut hub = hub.borrow_mut();
        hub.leave(entered.key, entered.generation, leaving);
        hub.settle();
    }
    connection.last_words().await;
}

struct Connection {
    socket: TcpStream,
    hub: SharedHub,
    key: SessionKey,
    outlet: Rc<Outlet>,
    /// Read, and not yet dealt with.
    input: BytesMut,
    aliases: HashMap<u16, ByteString>,
    keep_alive: Option<Duration>,
    heard: Instant,
    /// The packet at the front is a message that cannot be taken now.
    held: bool,
    goodbye: Option<End>,
}

impl Connection {
    async fn serve(&mut self) -> io::Result<End> {
        let mut alarm: Option<Pin<Box<Sleep>>> = self.keep_alive.map(|patience| Box::pin(tokio::time::sleep(patience)));
        loop {
            self.work();
            self.flush()?;
            if let Some(end) = self.goodbye.take() {
                return Ok(end);
            }
            if self.outlet.is_ended() {
                return Ok(End::Vanished);
            }
            let reads = !self.held || self.input.len() < HELD_BYTES;
            let writes = !self.outlet.bytes.borrow().is_empty();
            let interest = match (reads, writes) {
                (true, true) => Interest::READABLE | Interest::WRITABLE,
                (false, true) => Interest::WRITABLE,
                _ => Interest::READABLE,
            };
            tokio::select! {
                ready = self.socket.ready(interest), if reads || writes => {
                    if ready?.is_readable() && reads && !self.read()? {
                        return Ok(End::Vanished);
                    }
                }
                () = self.outlet.wake.notified() => {}
                () = ring(&mut alarm) => {
                    if let Some(end) = self.check_silence(&mut alarm) {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Ends the connection of a client that has been silent for too long; else sets the alarm again.
    fn check_silence(&mut self, alarm: &mut Option<Pin<Box<Sleep>>>) -> Option<End> {
        let (patience, alarm) = (self.keep_alive?, alarm.as_mut()?);
        if self.held {
            // It is not the client that is silent: its packets wait here.
            self.heard = Instant::now();
        }
        let deadline = self.heard + patience;
        if deadline <= Instant::now() {
            self.outlet.end(reason::KEEP_ALIVE);
            return Some(End::Vanished);
        }
        alarm.as_mut().reset(deadline);
        None
    }

    /// Reads what is there; says no at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        self.input.reserve(READ_BYTES);
        match self.socket.try_read_buf(&mut self.input) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.heard = Instant::now();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Writes as much as the socket takes.
    fn flush(&mut self) -> io::Result<()> {
        loop {
            let mut bytes = self.outlet.bytes.borrow_mut();
            while !bytes.is_empty() {
                match self.socket.try_write(&bytes) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => bytes.advance(written),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            if bytes.capacity() > KEPT_BYTES {
                *bytes = BytesMut::new();
            }
            drop(bytes);
            self.hub.borrow_mut().has_room(self.key);
            if self.outlet.bytes.borrow().is_empty() {
                return Ok(());
            }
        }
    }

    /// Deals with the packets that are there.
    fn work(&mut self) {
        self.held = false;
        let mut worked = false;
        while self.goodbye.is_none() && !self.outlet.is_ended() {
            match self.next_packet() {
                Ok(Some(packet)) => {
                    worked = true;
                    if let Err(fault) = self.handle(packet) {
                        self.outlet.end(fault.0);
                    }
                }
                Ok(None) => break,
                Err(fault) => self.outlet.end(fault.0),
            }
        }
        if worked {
            self.hub.borrow_mut().settle();
        }
        if self.held {
            self.answer_pings();
        } else if self.input.is_empty() && self.input.capacity() > 0 {
            self.input = BytesMut::new();
        }
    }

    /// The packet at the front, if it is there whole and can be taken.
    fn next_packet(&mut self) -> Result<Option<Packet>, Fault> {
        let Some((head, body)) = wire::frame(&self.input)? else { return Ok(None) };
        let mut hub = self.hub.borrow_mut();
        if head + body > hub.limits.packet_bytes_max {
            return Err(Fault(reason::TOO_LARGE));
        }
        let (Some(first), Some(bytes)) = (self.input.first().copied(), self.input.get(head..head + body)) else {
            return Ok(None);
        };
        if first >> 4 == 3 {
            match hub.may_take(self.key, first >> 1 & 3, self.outlet.version_5) {
                Answer::Take => {}
                Answer::Refuse(fault) => return Err(fault),
                Answer::Hold => {
                    self.held = true;
                    return Ok(None);
                }
            }
        }
        let packet = packet::read(first, bytes, self.outlet.version_5)?;
        self.input.advance(head + body);
        Ok(Some(packet))
    }

    /// Answers the signs of life that stand behind a message which has to wait, so that the client does not give up.
    fn answer_pings(&mut self) {
        let (mut at, mut pings) = (0, Vec::new());
        while let Some(Ok(Some((head, body)))) = self.input.get(at..).map(wire::frame) {
            if self.input.len() < at + head + body {
                break;
            }
            if self.input.get(at..at + 2) == Some(&[0xC0, 0]) {
                pings.push(at);
            }
            at += head + body;
        }
        for at in pings.into_iter().rev() {
            let behind = self.input.split_off(at);
            self.input.extend_from_slice(behind.get(2..).unwrap_or_default());
            self.outlet.raw(&[0xD0, 0]);
        }
    }

    fn handle(&mut self, packet: Packet) -> Result<(), Fault> {
        let mut hub = self.hub.borrow_mut();
        match packet {
            Packet::Publish(publish) => {
                let publish = resolve_alias(&mut self.aliases, publish)?;
                hub.received(self.key, publish, self.outlet.version_5);
            }
            Packet::PubAck(id) => hub.acknowledged(self.key, id),
            Packet::PubRec { id, reason } => hub.has_received(self.key, id, reason),
            Packet::PubRel(id) => hub.released(self.key, id),
            Packet::PubComp(id) => hub.completed(self.key, id),
            Packet::Subscribe { id, tag, wanted } => {
                let answers = hub.subscribe(self.key, tag, &wanted);
                let codes: Vec<u8> = answers.iter().map(|(code, _)| self.code(*code)).collect();
                self.outlet.codes(0x90, id, &codes);
                hub.bring_retained(self.key, tag, &wanted, &answers);
            }
            Packet::Unsubscribe { id, filters } => {
                let codes = hub.unsubscribe(self.key, &filters);
                self.outlet.codes(0xB0, id, if self.outlet.version_5 { &codes } else { &[] });
            }
            Packet::PingReq => self.outlet.raw(&[0xD0, 0]),
            Packet::Disconnect { reason, session_expiry } => {
                if session_expiry.is_some_and(|expiry| !hub.set_expiry(self.key, expiry)) {
                    return Err(PROTOCOL);
                }
                self.goodbye = Some(if reason == reason::SUCCESS { End::Goodbye } else { End::Vanished });
            }
            Packet::Connect(_) => return Err(PROTOCOL),
        }
        Ok(())
    }

    /// A code of a SUBACK, as the version has it.
    fn code(&self, code: u8) -> u8 {
        if self.outlet.version_5 { code } else { code.min(reason::UNSPECIFIED) }
    }

    /// Writes what is left, if the client takes it soon, and closes the socket.
    async fn last_words(&mut self) {
        let write = async {
            while !self.outlet.bytes.borrow().is_empty() {
                if self.socket.writable().await.is_err() {
                    return;
                }
                let mut bytes = self.outlet.bytes.borrow_mut();
                match self.socket.try_write(&bytes) {
                    Ok(written) if written > 0 => bytes.advance(written),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    _ => return,
                }
            }
        };
        if tokio::time::timeout(LAST_WORDS, write).await.is_err() {
            debug!("mqtt client did not take the last words");
        }
    }
}

/// Resolves when the alarm goes off, if there is one.
async fn ring(alarm: &mut Option<Pin<Box<Sleep>>>) {
    match alarm {
        Some(alarm) => alarm.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Puts the topic in place of its abbreviation.
fn resolve_alias(aliases: &mut HashMap<u16, ByteString>, mut publish: Publish) -> Result<Publish, Fault> {
    let Some(alias) = publish.of.topic_alias else { return Ok(publish) };
    if alias == 0 || alias > ALIASES_MAX {
        return Err(Fault(reason::ALIAS_INVALID));
    }
    if publish.topic.is_empty() {
        publish.topic = aliases.get(&alias).cloned().ok_or(PROTOCOL)?;
    } else {
        aliases.insert(alias, publish.topic.clone());
    }
    Ok(publish)
}
