//! Reads what a client is still sending when its request is refused.
//!
//! A server that answers in the middle of an upload and closes the connection makes the client's system throw the answer
//! away: the person sees "connection reset" instead of the reason. So the rest of the body is read and dropped, within
//! bounds, before the answer goes out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;

/// No more of a refused body is read.
const DROPPED_MAX: usize = 256 * 1024 * 1024;
/// Nor for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Passes a request on, then reads what is left of its body.
pub async fn linger(request: Request, next: Next) -> Response {
    // A client that asks first has not begun to send; reading would tell it to.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let sent = Arc::new(Mutex::new(body.into_data_stream()));
    let passed_on = Arc::clone(&sent);
    let body = stream::poll_fn(move |cx| passed_on.lock().poll_next_unpin(cx));
    let response = next.run(Request::from_parts(parts, Body::from_stream(body))).await;
    if !response.status().is_success() {
        // Too much or too slow: the connection closes under the client, there is nothing better left.
        drop(tokio::time::timeout(PATIENCE, drop_rest(&sent)).await);
    }
    response
}

async fn drop_rest(sent: &Mutex<BodyDataStream>) {
    let mut dropped = 0;
    while dropped < DROPPED_MAX
        && let Some(Ok(part)) = stream::poll_fn(|cx| sent.lock().poll_next_unpin(cx)).next().await
    {
        dropped += part.len();
    }
}
