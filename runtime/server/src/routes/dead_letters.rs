//! Messages that failed and that nobody took care of: looked at, and sent again.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tidewire_api::List;
use tidewire_api::dead_letter::{
    DeadLetter as Public, DeadLettersQuery, LetterNode, RetryAnswer, RetryQuery, RetryRequest,
};
use tidewire_engine::SendError;
use tidewire_engine::dead_letters::{DeadLetter, FAILED, LetterError, Reason, STREAM, retried_id};
use tidewire_log::EventLog as _;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query as LogQuery};

use super::events::{self, find};
use crate::app::Core;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Query, Running};
use crate::web::route::{Route, Routes};

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;
/// Pages of the log that one request looks through for the letters of one node.
const PAGES: usize = 50;
/// Letters that one request sends again.
const RETRIES: u64 = 1_000;
/// How long a retry waits for room in the node's inbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held while letters are sent again, so that two who ask at once do not send the same one twice.
static RETRYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub fn register(routes: &mut Routes) {
    let read = Permission::MessagesRead;
    let list_route = Route::get("/api/dead-letters", read, "Messages that failed, the latest first");
    routes.add(list_route.query::<DeadLettersQuery>().answers::<List<Public>>(), list);
    let operate = Permission::Operate;
    let one_route = Route::post("/api/dead-letters/{id}/retry", operate, "Sends a failed message to its node again");
    routes.add(one_route.query::<RetryQuery>().status(202), retry_one);
    let all_route = Route::post("/api/dead-letters/retry", operate, "Sends all failed messages of a node again");
    routes.add(all_route.body::<RetryRequest>().answers::<RetryAnswer>().status(202), retry_all);
}

/// All letters, or those that may be a node's: the text narrows, [`of_node`] decides.
fn filter(node: Option<&str>) -> Filter {
    let text = node.map(|node| serde_json::json!({ "id": node }).to_string());
    // Without the braces: in the event more follows.
    let text = text.map(|text| text.trim_matches(|c| c == '{' || c == '}').into());
    Filter { event_types: vec![FAILED.into()], text, ..Filter::stream(format!("{STREAM}*")) }
}

fn of_node(letter: &DeadLetter, node: Option<&str>) -> bool {
    node.is_none_or(|node| letter.node.id.as_str() == node)
}

async fn list(core: Running, Query(query): Query<DeadLettersQuery>) -> ApiResult<axum::Json<List<Public>>> {
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let node = query.node.as_deref();
    let start = events::start(query.cursor.as_deref());
    let (mut items, mut next, mut pages) = (Vec::new(), Some(start), 0);
    while let Some(from) = next.filter(|_| items.len() < limit && pages < PAGES) {
        let direction = Direction::Backwards;
        let query = LogQuery { filter: filter(node), from, direction, limit: limit - items.len() };
        let page = core.log.read(query).await?;
        for event in &page.events {
            if let Some(letter) = DeadLetter::of(event).filter(|letter| of_node(letter, node)) {
                let retried = core.log.event_by_id(retried_id(&event.id)).await?;
                items.push(public(event, letter, retried.as_deref()));
            }
        }
        next = page.next;
        pages += 1;
    }
    Ok(axum::Json(List { items, next: next.map(|next| next.to_string()) }))
}

fn public(event: &Event, letter: DeadLetter, retried: Option<&Event>) -> Public {
    let node = letter.node;
    Public {
        id: event.id.to_compact().into(),
        position: event.position.get(),
        time: event.time,
        node: LetterNode {
            id: node.id.to_string(),
            type_name: node.type_name,
            name: node.name,
            flow: node.flow.to_string(),
        },
        reason: match letter.reason {
            Reason::Failed => "failed".to_owned(),
            Reason::Removed => "removed".to_owned(),
        },
        error: letter.error,
        code: letter.code,
        message: letter.message,
        cut: letter.cut,
        hops: letter.hops,
        revision: letter.revision,
        suppressed: letter.suppressed,
        kept: letter.bytes.is_some(),
        retried: retried.map(|event| event.recorded_time),
    }
}

async fn retry_one(
    actor: Principal,
    core: Running,
    Path(id): Path<String>,
    Query(query): Query<RetryQuery>,
) -> ApiResult<StatusCode> {
    let unknown = || ApiError::not_found(format!("there is no failed message {id}"));
    let event = find(&core, &id).await.map_err(|error| if error.code == "not_found" { unknown() } else { error })?;
    let letter = DeadLetter::of(&event).ok_or_else(unknown)?;
    let _retrying = RETRYING.lock().await;
    if !query.again && core.log.event_by_id(retried_id(&event.id)).await?.is_some() {
        let text = "the message was sent again before; add ?again=true to do it once more";
        return Err(ApiError::new(StatusCode::CONFLICT, "already_retried", text));
    }
    retry(&core, &event, &letter, &actor).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn retry_all(
    actor: Principal,
    core: Running,
    Json(request): Json<RetryRequest>,
) -> ApiResult<(StatusCode, axum::Json<RetryAnswer>)> {
    let node = request.node.as_str();
    let _retrying = RETRYING.lock().await;
    let mut answer = RetryAnswer { retried: 0, not_kept: 0, more: false };
    let began = Instant::now();
    // Nothing beyond today's end: a message that fails once more would be sent again and again.
    let (mut next, end) = (Some(Position::FIRST), core.log.head());
    while let Some(from) = next.filter(|from| *from <= end) {
        let page = core.log.read(LogQuery::forwards(filter(Some(node)), from, LIMIT_MAX)).await?;
        for event in page.events.iter().filter(|event| event.position <= end) {
            let Some(letter) = DeadLetter::of(event).filter(|letter| of_node(letter, Some(node))) else { continue };
            if core.log.event_by_id(retried_id(&event.id)).await?.is_some() {
                continue;
            }
            if answer.retried >= RETRIES || began.elapsed() > PATIENCE {
                answer.more = true;
                return Ok((StatusCode::ACCEPTED, axum::Json(answer)));
            }
            match retry(&core, event, &letter, &actor).await {
                Ok(()) => answer.retried += 1,
                Err(error) if error.code == "not_kept" => answer.not_kept += 1,
                Err(error) => return Err(error.with("retried", answer.retried)),
            }
        }
        next = page.next;
    }
    Ok((StatusCode::ACCEPTED, axum::Json(answer)))
}

/// Sends the message first and records it then: a crash in between sends it twice rather than never.
async fn retry(core: &Core, event: &Event, letter: &DeadLetter, actor: &Principal) -> ApiResult<()> {
    let message = letter.message()?;
    let id = letter.node.id.as_str();
    match tokio::time::timeout(PATIENCE, core.engine.send(id, message)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(gone(id, error)),
        Err(_) => {
            let text = format!("the inbox of node \"{id}\" is full; try again when it has caught up");
            let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "node_busy", text);
            return Err(ApiError { retry_after: Some(5), ..busy });
        }
    }
    let retried: Option<AppendRequest> = DeadLetter::retried(event, &actor.actor());
    core.log.append(retried.into_iter().collect()).await?;
    Ok(())
}

fn gone(id: &str, error: SendError) -> ApiError {
    let text = match error {
        SendError::Unknown => {
            "is not in the flows any more; restore the deploy that had it, or send the message elsewhere"
        }
        SendError::Disabled => "is switched off; switch it on first",
        SendError::Closed => "was removed meanwhile",
    };
    ApiError::new(StatusCode::CONFLICT, "node_gone", format!("node \"{id}\" {text}"))
}

impl From<LetterError> for ApiError {
    fn from(error: LetterError) -> Self {
        let code = match error {
            LetterError::NotKept => "not_kept",
            LetterError::Damaged(_) => "letter_damaged",
        };
        ApiError::new(StatusCode::CONFLICT, code, error.to_string())
    }
}
