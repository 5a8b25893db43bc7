//! A tiny MQTT 3.1.1 client: what a device does, and no library that the program under test also uses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::PATIENCE;

/// A message as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub duplicate: bool,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{}: {error}", self.text()))
    }
}

type Waiting = Arc<Mutex<HashMap<u16, oneshot::Sender<()>>>>;

/// A connected client.
pub struct Mqtt {
    out: mpsc::UnboundedSender<Vec<u8>>,
    messages: mpsc::UnboundedReceiver<Received>,
    waiting: Waiting,
    next_id: u16,
    tasks: [JoinHandle<()>; 2],
}

impl Mqtt {
    /// Connects with a clean session.
    ///
    /// # Panics
    /// When the broker refuses or does not answer.
    pub async fn connect(port: u16, client_id: &str) -> Mqtt {
        Mqtt::connect_as(port, client_id, true).await
    }

    /// Connects with a session that the broker keeps when the connection ends.
    ///
    /// # Panics
    /// When the broker refuses or does not answer.
    pub async fn connect_kept(port: u16, client_id: &str) -> Mqtt {
        Mqtt::connect_as(port, client_id, false).await
    }

    async fn connect_as(port: u16, client_id: &str, clean: bool) -> Mqtt {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap_or_else(|e| panic!("MQTT port {port}: {e}"));
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut read = BufReader::new(read);
        let (out, to_write) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write_all(write, to_write));
        out.send(connect_packet(client_id, clean)).unwrap();
        let (kind, answer) = tokio::time::timeout(PATIENCE, read_packet(&mut read)).await.unwrap().unwrap();
        assert_eq!((kind, answer.get(1)), (0x20, Some(&0)), "the broker refused the connection");
        let waiting = Waiting::default();
        let (to_messages, messages) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read_all(read, out.clone(), Arc::clone(&waiting), to_messages));
        Mqtt { out, messages, waiting, next_id: 0, tasks: [writer, reader] }
    }

    fn expect_answer(&mut self) -> (u16, oneshot::Receiver<()>) {
        let (done, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap();
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if let Entry::Vacant(place) = waiting.entry(self.next_id) {
                place.insert(done);
                return (self.next_id, answer);
            }
        }
    }

    /// Subscribes with QoS 1 and waits for the broker's word.
    pub async fn subscribe(&mut self, filter: &str) {
        let (id, answer) = self.expect_answer();
        let mut body = id.to_be_bytes().to_vec();
        body.extend(text(filter));
        body.push(1);
        self.out.send(packet(0x82, &body)).unwrap();
        tokio::time::timeout(PATIENCE, answer).await.expect("no SUBACK").expect("the connection broke");
    }

    /// Sends with QoS 1; the receiver resolves when the broker has acknowledged, and fails when the connection breaks.
    pub fn send(&mut self, topic: &str, payload: &[u8]) -> oneshot::Receiver<()> {
        let (id, answer) = self.expect_answer();
        // A closed connection shows in the receiver.
        let _ = self.out.send(publish_packet(topic, id, payload, 1, false));
        answer
    }

    /// Sends with QoS 1 and waits for the acknowledgement.
    pub async fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        let answer = self.send(topic, payload.as_ref());
        tokio::time::timeout(PATIENCE, answer).await.expect("no PUBACK").expect("the connection broke");
    }

    /// The next message.
    pub async fn next(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("no message").expect("the connection broke")
    }

    /// The next message for which a test holds; others are passed over.
    pub async fn next_where(&mut self, mut holds: impl FnMut(&Received) -> bool) -> Received {
        loop {
            let message = self.next().await;
            if holds(&message) {
                return message;
            }
        }
    }

    /// What has arrived and was not asked for yet.
    pub fn pending(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
    }
}

/// A connection that has subscribed and never reads what comes.
///
/// # Panics
/// When nobody listens.
pub async fn deaf(port: u16, client_id: &str, filter: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap_or_else(|e| panic!("MQTT port {port}: {e}"));
    let mut body = vec![0, 1];
    body.extend(text(filter));
    body.push(0);
    let packets = [connect_packet(client_id, true), packet(0x82, &body)].concat();
    stream.write_all(&packets).await.unwrap();
    stream
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A CONNECT of MQTT 3.1.1, without keep-alive.
pub(crate) fn connect_packet(client_id: &str, clean: bool) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([4, if clean { 2 } else { 0 }, 0, 0]);
    body.extend(text(client_id));
    packet(0x10, &body)
}

/// A PUBLISH with QoS 1 or 2.
pub(crate) fn publish_packet(topic: &str, id: u16, payload: &[u8], qos: u8, duplicate: bool) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.to_be_bytes());
    body.extend(payload);
    packet(0x30 | u8::from(duplicate) << 3 | qos << 1, &body)
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn packet(header: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![header];
    let mut length = body.len();
    loop {
        let byte = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { byte | 128 } else { byte });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

async fn write_all(mut write: OwnedWriteHalf, mut packets: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(mut bytes) = packets.recv().await {
        while let Ok(more) = packets.try_recv() {
            bytes.extend(more);
        }
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn read_packet(read: &mut BufReader<OwnedReadHalf>) -> std::io::Result<(u8, Vec<u8>)> {
    let header = read.read_u8().await?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = read.read_u8().await?;
        length |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).await?;
    Ok((header, body))
}

async fn read_all(
    mut read: BufReader<OwnedReadHalf>,
    out: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
    messages: mpsc::UnboundedSender<Received>,
) {
    while let Ok((header, body)) = read_packet(&mut read).await {
        match header >> 4 {
            3 => {
                let (message, id) = received(header, &body);
                if let Some(id) = id {
                    let _ = out.send(packet(0x40, &id));
                }
                let _ = messages.send(message);
            }
            // PUBACK and SUBACK begin with the packet id.
            4 | 9 => {
                let id = u16::from_be_bytes([body[0], body[1]]);
                if let Some(done) = waiting.lock().unwrap().remove(&id) {
                    let _ = done.send(());
                }
            }
            _ => {}
        }
    }
    // Whoever waits for an acknowledgement learns that none will come.
    waiting.lock().unwrap().clear();
}

fn received(header: u8, body: &[u8]) -> (Received, Option<[u8; 2]>) {
    let qos = header >> 1 & 3;
    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let (id, start) = if qos > 0 { (Some([body[end], body[end + 1]]), end + 2) } else { (None, end) };
    let topic = String::from_utf8_lossy(&body[2..end]).into_owned();
    let message =
        Received { topic, payload: body[start..].to_vec(), qos, retain: header & 1 == 1, duplicate: header & 8 == 8 };
    (message, id)
}
