//! The first packet of a connection: who is it, may it come in, and what is it told.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;
use tracing::{debug, info};

use crate::auth::{Login, Verdict};
use crate::connection::{ALIASES_MAX, SharedHub};
use crate::hub::{Entered, Entering, Hub};
use crate::message::Message;
use crate::outlet::Outlet;
use crate::packet::{self, Connect, Packet};
use crate::properties as property;
use crate::session::Seat;
use crate::wire::{self, Fault, put_binary, put_variable, reason};

/// How long a client has for its CONNECT.
const PATIENCE: Duration = Duration::from_secs(10);
/// QoS 0 messages that wait for a slow client, beyond the retained ones that a subscription may bring at once.
const LANE_HEADROOM: usize = 4_096;

/// A client that is in.
pub(crate) struct Accepted {
    pub(crate) entered: Entered,
    pub(crate) outlet: Rc<Outlet>,
    /// How long it may be silent.
    pub(crate) keep_alive: Option<Duration>,
    /// What it sent behind its CONNECT.
    pub(crate) input: BytesMut,
}

/// Lets a client in, or turns it away.
pub(crate) async fn accept(socket: &TcpStream, address: SocketAddr, hub: &SharedHub) -> Option<Accepted> {
    let mut input = BytesMut::new();
    let connect = match tokio::time::timeout(PATIENCE, first_packet(socket, &mut input, hub)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(refusal)) => {
            debug!(%address, "mqtt client turned away before it said who it is");
            write(socket, &refusal).await;
            return None;
        }
        Err(_) => {
            debug!(%address, "mqtt client did not say who it is");
            return None;
        }
    };
    let version_5 = connect.version_5;
    let (client_id, assigned) = match name(&connect) {
        Ok(name) => name,
        Err(code) => {
            write(socket, &refusal(version_5, code)).await;
            return None;
        }
    };
    if connect.wants_authentication {
        write(socket, &refusal(version_5, reason::AUTH_METHOD)).await;
        return None;
    }
    let user = match judge(&connect, &client_id, address, hub).await {
        Verdict::Accept { user } => user,
        verdict => {
            info!(%address, %client_id, "mqtt client refused");
            let bad = verdict == Verdict::BadCredentials;
            write(socket, &refusal(version_5, if bad { reason::CREDENTIALS } else { reason::NOT_AUTHORIZED })).await;
            return None;
        }
    };
    Some(enter(*connect, client_id, assigned, user, hub, input))
}

fn enter(
    connect: Connect,
    client_id: Arc<str>,
    assigned: bool,
    user: Option<String>,
    hub: &SharedHub,
    input: BytesMut,
) -> Accepted {
    let mut hub = hub.borrow_mut();
    let window = usize::from(connect.receive_maximum.min(hub.limits.inflight_max));
    let lane = hub.limits.retained_max + LANE_HEADROOM;
    let outlet = Rc::new(Outlet::new(connect.version_5, connect.packet_maximum, window, lane));
    let wanted = connect.session_expiry;
    let will = connect.will.map(|will| {
        let delay = will.of.will_delay;
        Hub::arm(Message::from_will(will), delay, wanted)
    });
    let entering = Entering {
        client_id: Arc::clone(&client_id),
        user,
        clean_start: connect.clean_start,
        expiry: wanted,
        will,
        seat: Seat::Socket(Rc::clone(&outlet)),
    };
    let limits = hub.limits.clone();
    let entered = hub.enter(entering, |entered| {
        let mut properties = BytesMut::new();
        if connect.version_5 {
            if entered.expiry != wanted {
                properties.put_u8(property::SESSION_EXPIRY);
                properties.put_u32(entered.expiry);
            }
            properties.put_u8(property::RECEIVE_MAXIMUM);
            properties.put_u16(limits.inflight_max);
            properties.put_u8(property::PACKET_MAXIMUM);
            properties.put_u32(u32::try_from(limits.packet_bytes_max).unwrap_or(u32::MAX));
            properties.put_u8(property::TOPIC_ALIAS_MAXIMUM);
            properties.put_u16(ALIASES_MAX);
            if assigned {
                properties.put_u8(property::ASSIGNED_CLIENT_ID);
                put_binary(&mut properties, client_id.as_bytes());
            }
        }
        outlet.raw(&connack(connect.version_5, entered.session_present, reason::SUCCESS, &properties));
    });
    hub.settle();
    debug!(%client_id, session_present = entered.session_present, "mqtt client connected");
    // One and a half times what it promised.
    let patience = Duration::from_millis(u64::from(connect.keep_alive) * 1_500);
    Accepted { entered, outlet, keep_alive: Some(patience).filter(|patience| !patience.is_zero()), input }
}

/// Reads the CONNECT; what cannot be one gets the answer that is returned.
async fn first_packet(socket: &TcpStream, input: &mut BytesMut, hub: &SharedHub) -> Result<Box<Connect>, Vec<u8>> {
    let packet_max = hub.borrow().limits.packet_bytes_max;
    loop {
        let frame = wire::frame(input).map_err(|_| Vec::new())?;
        if let Some((head, body)) = frame {
            if head + body > packet_max || input.first().is_some_and(|first| first >> 4 != 1) {
                return Err(Vec::new());
            }
            if input.len() >= head + body {
                let packet = input.split_to(head + body);
                return connect_of(&packet, head);
            }
        }
        if socket.readable().await.is_err() {
            return Err(Vec::new());
        }
        match socket.try_read_buf(input) {
            Ok(count) if count > 0 => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return Err(Vec::new()),
        }
        // Nobody has proved anything yet: no more than one small buffer before the header is understood.
        if input.len() == input.capacity() {
            input.reserve(1_024);
        }
    }
}

fn connect_of(packet: &[u8], head: usize) -> Result<Box<Connect>, Vec<u8>> {
    let first = packet.first().copied().unwrap_or_default();
    let body = packet.get(head..).unwrap_or_default();
    if let Some(answer) = packet::unsupported_version(first, body) {
        return Err(answer.to_vec());
    }
    match packet::read(first, body, false) {
        Ok(Packet::Connect(connect)) => Ok(connect),
        // Only a client that speaks MQTT 5 understands a reason.
        Err(Fault(code)) if body.get(6) == Some(&5) => Err(refusal(true, code)),
        _ => Err(Vec::new()),
    }
}

/// The client id, and whether the broker made it up.
fn name(connect: &Connect) -> Result<(Arc<str>, bool), u8> {
    if !connect.client_id.is_empty() {
        return Ok((connect.client_id.as_str().into(), false));
    }
    if !connect.version_5 && !connect.clean_start {
        return Err(reason::CLIENT_ID);
    }
    let random = RandomState::new();
    let id = format!("auto-{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
    Ok((id.into(), true))
}

/// Asks the hook; a password may take its time, so that is done on a thread of its own.
async fn judge(connect: &Connect, client_id: &Arc<str>, address: SocketAddr, hub: &SharedHub) -> Verdict {
    let authenticator = hub.borrow().authenticator();
    let (username, password) = (connect.username.clone(), connect.password.clone());
    let client_id = Arc::clone(client_id);
    let anonymous = username.is_none() && password.is_none();
    let ask = move || {
        authenticator.login(&Login {
            client_id: &client_id,
            username: username.as_deref(),
            password: password.as_deref(),
            address,
        })
    };
    if anonymous {
        return ask();
    }
    tokio::task::spawn_blocking(ask).await.unwrap_or(Verdict::NotAllowed)
}

fn connack(version_5: bool, session_present: bool, code: u8, properties: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0x20);
    if version_5 {
        put_variable(&mut out, 2 + wire::variable_len(properties.len()) + properties.len());
        out.put_slice(&[u8::from(session_present), code]);
        put_variable(&mut out, properties.len());
        out.put_slice(properties);
    } else {
        out.put_slice(&[2, u8::from(session_present), code]);
    }
    out.freeze()
}

fn refusal(version_5: bool, code: u8) -> Vec<u8> {
    let code = match code {
        _ if version_5 => code,
        reason::VERSION => 1,
        reason::CLIENT_ID => 2,
        reason::CREDENTIALS => 4,
        reason::NOT_AUTHORIZED => 5,
        _ => 3,
    };
    connack(version_5, false, code, &[]).to_vec()
}

/// Writes an answer that is small enough for any socket.
async fn write(socket: &TcpStream, bytes: &[u8]) {
    if !bytes.is_empty() && socket.writable().await.is_ok() {
        // A client that is gone needs no answer.
        let _ = socket.try_write(bytes);
    }
}
