//! notify-lab: a server that takes notifications as Pushbullet, ntfy and a webhook take them, refuses what they refuse,
//! and can be told to be in trouble.
//!
//! What came in is kept, and also shown at `GET /_lab/requests`. Secrets are visible there and nowhere else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The Pushbullet token that the lab knows.
pub const PUSHBULLET_TOKEN: &str = "o.KnownToTheLab";
/// The ntfy token that the lab knows. Topics that start with `private-` need it.
pub const NTFY_TOKEN: &str = "tk_KnownToTheLab";

/// Largest message that ntfy takes as text, in bytes.
const NTFY_MESSAGE_MAX: usize = 4_096;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

/// Trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The month's or the day's allowance is used up.
    Quota,
    /// Too many requests.
    RateLimit,
    /// The token is not known any more.
    AuthRevoked,
    /// The answer takes longer than anybody waits.
    Slow,
    /// The connection is closed without an answer.
    HalfClose,
    /// A proxy answers in the vendor's place.
    Html502,
    /// The answer says 200, but is no JSON.
    GarbageJson,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    trouble: VecDeque<Trouble>,
}

/// The running lab. Dropping it ends it.
pub struct NotifyLab {
    pub url: String,
    state: Arc<Mutex<State>>,
    count: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or(Json::Null)
    }

    fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.split(';').next().unwrap_or_default() == "application/json")
    }
}

/// Status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

impl NotifyLab {
    /// Starts on a free port of this machine.
    pub async fn start() -> NotifyLab {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (told, count) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state), Arc::new(told)));
        NotifyLab { url, state, count, _tasks: tasks }
    }

    /// The next requests are met with this trouble, one each, in order.
    pub fn then(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().trouble.extend(troubles);
    }

    /// What came in so far.
    pub fn requests(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// Waits until so many requests have come in.
    ///
    /// # Panics
    /// When they do not come for a long time.
    pub async fn wait_for(&self, requests: usize) -> Vec<Received> {
        let mut count = self.count.clone();
        let waited = tokio::time::timeout(Duration::from_secs(60), count.wait_for(|count| *count >= requests)).await;
        waited.expect("requests come in").unwrap();
        self.requests()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, told: Arc<watch::Sender<usize>>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (state, told) = (Arc::clone(&state), Arc::clone(&told));
        // A client that breaks off is no concern of a vendor.
        tasks.spawn(async move { drop(converse(stream, &state, &told).await) });
        while tasks.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, state: &Mutex<State>, told: &watch::Sender<usize>) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    if request.path.starts_with("/_lab/") {
        let reply = lab(&request, state);
        return write(&mut stream, &reply).await;
    }
    let trouble = {
        let mut state = state.lock().unwrap();
        state.received.push(request.clone());
        told.send_replace(state.received.len());
        state.trouble.pop_front()
    };
    match trouble {
        Some(Trouble::HalfClose) => Ok(()),
        Some(Trouble::Slow) => {
            // Until the client has had enough.
            let _ = stream.read(&mut [0; 16]).await?;
            Ok(())
        }
        Some(Trouble::Html502) => {
            let page = "<html><head><title>502 Bad Gateway</title></head></html>".to_owned();
            write(&mut stream, &(502, vec![("content-type", "text/html".to_owned())], page)).await
        }
        Some(Trouble::GarbageJson) => write(&mut stream, &(200, Vec::new(), "{\"id\": tru".to_owned())).await,
        trouble => write(&mut stream, &vendor(&request, trouble)).await,
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Ok(Some(Received { method, path, headers, text }))
}

async fn write(stream: &mut TcpStream, (status, headers, body): &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        head.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}

fn lab(request: &Received, state: &Mutex<State>) -> Reply {
    if request.path != "/_lab/requests" {
        return (404, Vec::new(), json!({"error": "the lab has /_lab/requests"}).to_string());
    }
    let state = state.lock().unwrap();
    let all: Vec<Json> = state
        .received
        .iter()
        .map(|request| {
            let headers: serde_json::Map<String, Json> =
                request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            json!({"method": request.method, "path": request.path, "headers": headers, "body": request.text})
        })
        .collect();
    (200, Vec::new(), Json::Array(all).to_string())
}

fn vendor(request: &Received, trouble: Option<Trouble>) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        (_, "/v2/pushes" | "/v2/users/me") => pushbullet(request, trouble),
        ("POST", "/") => ntfy(request, trouble),
        (_, path) if path.starts_with("/hook") => webhook(trouble),
        _ => (404, Vec::new(), json!({"error": "not found"}).to_string()),
    }
}

fn pushbullet(request: &Received, trouble: Option<Trouble>) -> Reply {
    let refuse = |status: u16, code: &str, message: &str| -> Reply {
        let mut error = json!({"type": "invalid_request", "message": message, "cat": "~(=^‥^)"});
        let mut body = json!({});
        if !code.is_empty() {
            error["code"] = code.into();
            body["error_code"] = code.into();
        }
        body["error"] = error;
        (status, Vec::new(), body.to_string())
    };
    let token = request.header("access-token");
    if trouble == Some(Trouble::AuthRevoked) || token != Some(PUSHBULLET_TOKEN) {
        return refuse(401, "invalid_access_token", "Access token is missing or invalid.");
    }
    match trouble {
        Some(Trouble::Quota) => {
            return refuse(400, "pushbullet_pro_required", "Pushbullet Pro is required to make this call.");
        }
        Some(Trouble::RateLimit) => {
            let message = "You have been ratelimited for performing too many requests/ops in a short period of time, \
                           check the X-Ratelimit-* headers";
            let (status, _, body) = refuse(429, "ratelimited", message);
            return (status, ratelimit(0), body);
        }
        _ => {}
    }
    if request.path == "/v2/users/me" {
        return (200, ratelimit(32_764), json!({"active": true, "iden": "ujlab", "name": "Lab"}).to_string());
    }
    let body = request.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    if request.method != "POST" || !request.is_json() || !body.is_object() {
        return refuse(400, "", "Failed to parse JSON body.");
    }
    let known = ["type", "title", "body", "url", "guid", "device_iden", "email", "channel_tag", "client_iden"];
    if let Some(other) = body.as_object().and_then(|body| body.keys().find(|key| !known.contains(&key.as_str()))) {
        return refuse(400, "", &format!("The param '{other}' is not known."));
    }
    match text("type") {
        "note" => {}
        "link" if !text("url").is_empty() => {}
        "link" => return refuse(400, "", "The param 'url' is missing."),
        "" => return refuse(400, "", "The param 'type' is missing."),
        _ => return refuse(400, "", "The param 'type' has an invalid value."),
    }
    let push = json!({
        "active": true, "iden": "ujpah72o0sjAoRtnM0jc", "type": text("type"), "title": text("title"), "body": text("body"),
        "created": 1_412_047_948.579_029, "modified": 1_412_047_948.579_031, "direction": "self", "dismissed": false,
        "guid": text("guid"), "sender_iden": "ujlab", "receiver_iden": "ujlab",
    });
    (200, ratelimit(32_764), push.to_string())
}

fn ratelimit(remaining: u32) -> Vec<(&'static str, String)> {
    vec![
        ("X-Ratelimit-Limit", "32768".to_owned()),
        ("X-Ratelimit-Remaining", remaining.to_string()),
        // Long past, so that a client that obeys it goes on after a moment.
        ("X-Ratelimit-Reset", "1432447070".to_owned()),
    ]
}

fn ntfy(request: &Received, trouble: Option<Trouble>) -> Reply {
    let refuse = |code: u32, error: &str| -> Reply {
        let http = code / 100;
        let link = "https://ntfy.sh/docs/publish/";
        (http as u16, Vec::new(), json!({"code": code, "http": http, "error": error, "link": link}).to_string())
    };
    let authorization = request.header("authorization");
    let revoked = trouble == Some(Trouble::AuthRevoked);
    if revoked || authorization.is_some_and(|value| value != format!("Bearer {NTFY_TOKEN}")) {
        return refuse(40101, "unauthorized");
    }
    match trouble {
        Some(Trouble::Quota) => return refuse(42908, "limit reached: daily message quota reached"),
        Some(Trouble::RateLimit) => return refuse(42901, "limit reached: too many requests"),
        _ => {}
    }
    let Ok(body) = serde_json::from_str::<Json>(&request.text) else {
        return refuse(40024, "invalid request: request body must be valid JSON");
    };
    if !body.is_object() || !request.is_json() {
        return refuse(40017, "invalid request: request body must be message JSON");
    }
    let topic = body["topic"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(plain) {
        return refuse(40009, "invalid request: topic invalid");
    }
    if topic.starts_with("private-") && authorization.is_none() {
        return refuse(40301, "forbidden");
    }
    if !body["priority"].is_null() && !body["priority"].as_i64().is_some_and(|priority| (1..=5).contains(&priority)) {
        return refuse(40007, "invalid request: priority invalid");
    }
    let is_texts = |value: &Json| value.as_array().is_some_and(|items| items.iter().all(Json::is_string));
    if !body["tags"].is_null() && !is_texts(&body["tags"]) {
        return refuse(40024, "invalid request: request body must be valid JSON");
    }
    if body["actions"].as_array().is_some_and(|actions| actions.len() > 3) {
        return refuse(40018, "invalid request: actions invalid, too many actions");
    }
    let message = body["message"].as_str().unwrap_or("triggered");
    if message.len() > NTFY_MESSAGE_MAX {
        return refuse(41301, "attachment too large, or bandwidth limit reached");
    }
    let taken = json!({
        "id": "hwQ2YpKdmg", "time": 1_735_941_000, "expires": 1_735_984_200, "event": "message", "topic": topic,
        "message": message,
    });
    (200, Vec::new(), taken.to_string())
}

fn webhook(trouble: Option<Trouble>) -> Reply {
    match trouble {
        Some(Trouble::AuthRevoked) => (403, Vec::new(), json!({"message": "invalid signature"}).to_string()),
        Some(Trouble::Quota | Trouble::RateLimit) => {
            (429, vec![("Retry-After", "1".to_owned())], json!({"message": "slow down"}).to_string())
        }
        _ => (200, vec![("content-type", "text/plain".to_owned())], "ok".to_owned()),
    }
}
