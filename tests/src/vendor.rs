//! A server that takes notifications as Pushbullet and ntfy take them, refuses what they refuse, and keeps a record.

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Json,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The running server.
pub struct Vendor {
    pub url: String,
    record: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Vendor {
    /// Starts one that knows this Pushbullet token.
    pub async fn start(token: &str) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let record = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, token.to_owned(), Arc::clone(&record)));
        Vendor { url, record, task }
    }

    /// What came in so far.
    pub fn requests(&self) -> Vec<Request> {
        self.record.lock().unwrap().clone()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, token: String, record: Arc<Mutex<Vec<Request>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (token, record) = (token.clone(), Arc::clone(&record));
        tokio::spawn(async move {
            // A client that breaks off is no concern of the vendor.
            let _ = answer(stream, &token, &record).await;
        });
    }
}

async fn answer(mut stream: TcpStream, token: &str, record: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    let (status, body) = match request.path.as_str() {
        "/v2/pushes" => pushbullet(&request, token),
        "/" => ntfy(&request),
        _ => (404, json!({"error": {"type": "invalid_request", "message": "The resource could not be found."}})),
    };
    record.lock().unwrap().push(request);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
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
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let body = serde_json::from_slice(&bytes[end..]).unwrap_or(Json::Null);
    Ok(Some(Request { method, path, headers, body }))
}

fn is_json(request: &Request) -> bool {
    request.method == "POST" && request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
}

fn pushbullet(request: &Request, token: &str) -> (u16, Json) {
    let refuse = |status, code: &str, message: &str| {
        let error = json!({"code": code, "type": "invalid_request", "message": message, "cat": "~(=^‥^)"});
        (status, json!({"error": error, "error_code": code}))
    };
    if request.header("access-token") != Some(token) {
        return refuse(401, "invalid_access_token", "Access token is missing or invalid.");
    }
    let text = |key: &str| request.body[key].as_str().is_some_and(|text| !text.is_empty());
    if !is_json(request) || request.body["type"] != "note" || !text("body") {
        return refuse(400, "invalid_request", "The param 'body' is missing or has an invalid value.");
    }
    let title = request.body["title"].clone();
    (
        200,
        json!({"active": true, "iden": "ujpah72o0sjAoRtnM0jc", "type": "note", "title": title, "created": 1412047948.57}),
    )
}

fn ntfy(request: &Request) -> (u16, Json) {
    let refuse = |code: u64, error: &str| (400, json!({"code": code, "http": 400, "error": error}));
    if !is_json(request) || !request.body.is_object() {
        return refuse(40017, "invalid request: request body must be message JSON");
    }
    let topic = request.body["topic"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(plain) {
        return refuse(40009, "invalid request: topic invalid");
    }
    if request.body["priority"].as_i64().is_some_and(|priority| !(1..=5).contains(&priority)) {
        return refuse(40007, "invalid request: priority invalid");
    }
    (200, json!({"id": "hwQ2YpKdmg", "time": 1_635_528_741, "event": "message", "topic": topic}))
}
