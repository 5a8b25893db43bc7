//! The HTTP handle against real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers every connection with the same bytes, then closes it.
async fn server(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![0; 4096];
            let _ = stream.read(&mut seen).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    address
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: "post".into(),
        url,
        headers: vec![("Authorization".into(), "Bearer CANARY-1".into())],
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(5),
    }
}

fn outgoing() -> Outgoing {
    Outgoing::new(Policy::default()).unwrap()
}

#[tokio::test]
async fn any_answer_comes_back_whatever_its_status() {
    let address = server(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno".to_vec()).await;
    let response = outgoing().send(request(format!("http://{address}/x"))).await.unwrap();
    assert_eq!((response.status, response.header("retry-after"), &response.body[..]), (429, Some("7"), &b"no"[..]));
}

#[tokio::test]
async fn a_redirect_is_answered_not_followed() {
    let address =
        server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    assert_eq!(outgoing().send(request(format!("http://{address}/"))).await.unwrap().status, 302);
}

#[tokio::test]
async fn broken_connections_may_be_tried_again_and_show_no_secret() {
    let closing = server(Vec::new()).await;
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for address in [closing, dead] {
        let error =
            outgoing().send(request(format!("http://u:CANARY-2@{address}/CANARY-3?t=CANARY-4"))).await.unwrap_err();
        assert!(error.retryable && error.text.contains(&address.to_string()), "{error}");
        assert!(!error.text.contains("CANARY"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = request(format!("http://{}/", listener.local_addr().unwrap()));
    slow.timeout = Duration::from_millis(50);
    let error = outgoing().send(slow).await.unwrap_err();
    assert!(error.retryable && error.text.contains("in time"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".to_vec();
    answer.resize(3_000_000, b'x');
    let address = server(answer).await;
    let error = outgoing().send(request(format!("http://{address}/"))).await.unwrap_err();
    assert!(!error.retryable && error.text.contains("1 MiB"), "{error}");
}

#[tokio::test]
async fn forbidden_addresses_are_refused_before_anything_is_sent() {
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://[::]/",
    ] {
        let error = outgoing().send(request(url.into())).await.unwrap_err();
        assert!(!error.retryable && error.text.contains("the address"), "{url}: {error}");
    }
    for url in ["ftp://example.org/", "no url", "file:///etc/passwd", "http://"] {
        assert!(!outgoing().send(request(url.into())).await.unwrap_err().retryable, "{url}");
    }
}

#[tokio::test]
async fn the_name_localhost_may_be_asked_another_name_for_it_not() {
    let address = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let named = outgoing().send(request(format!("http://localhost:{}/", address.port()))).await;
    // Where localhost means ::1 first, nothing listens there; the client then takes 127.0.0.1.
    assert_eq!(named.unwrap().status, 200);
    let name = "localhost".parse::<Name>().unwrap();
    assert!(FilteredDns(Policy { loopback: false, ..Policy::default() }).resolve(name).await.is_err());
}
