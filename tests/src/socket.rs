//! A WebSocket client for tests.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::PATIENCE;
use crate::server::Server;

/// An open socket that speaks JSON.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens a socket as the server's own page would.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn open(server: &Server, path: &str) -> Socket {
        let origin = format!("http://127.0.0.1:{}", server.http_port);
        Socket::try_open(server, path, &[("origin", &origin)])
            .await
            .unwrap_or_else(|status| panic!("{path}: refused with {status}"))
    }

    /// Opens a socket with these headers.
    ///
    /// # Errors
    /// The status with which the server refused; 0 when it did not answer at all.
    pub async fn try_open(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let url = format!("ws://127.0.0.1:{}{path}", server.http_port);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((stream, _)) => Ok(Socket { stream }),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    pub async fn send(&mut self, message: &Json) {
        self.stream.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next JSON frame; `None` when the socket is closed.
    pub async fn next(&mut self) -> Option<Json> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("no frame");
            match frame {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The first answer that a frame gives.
    pub async fn find<T>(&mut self, what: &str, mut look: impl FnMut(&Json) -> Option<T>) -> T {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let frame = self.next().await.unwrap_or_else(|| panic!("the socket closed before {what}"));
                if let Some(found) = look(&frame) {
                    return found;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no frame brought {what}"))
    }
}
