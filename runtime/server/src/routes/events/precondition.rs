//! Expected versions as HTTP has them: the version of a stream is its entity tag.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion};

use crate::error::{ApiError, ApiResult};

/// The entity tag of a stream.
pub(in crate::routes) fn tag(version: u64) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

fn wrong(text: impl Into<String>) -> ApiError {
    ApiError::bad_request("invalid_precondition", text)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default().trim())
}

/// What `If-Match` and `If-None-Match` ask of the stream that is appended to.
///
/// # Errors
/// They say something that a stream cannot be.
pub(super) fn of(headers: &HeaderMap) -> ApiResult<Option<ExpectedVersion>> {
    match (text(headers, &header::IF_MATCH), text(headers, &header::IF_NONE_MATCH)) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(ExpectedVersion::Exists)),
        (None, Some("*")) => Ok(Some(ExpectedVersion::NoStream)),
        (Some(tag), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            let text = || format!("If-Match is '{tag}'; use the ETag of the stream, such as \"3\", or *");
            version.map(|version| Some(ExpectedVersion::Exact(version))).ok_or_else(|| wrong(text()))
        }
        _ => Err(wrong("use If-Match with the ETag of the stream or *, or If-None-Match: * for one that is not there")),
    }
}

/// Asks it of the first event. The others follow it.
///
/// # Errors
/// The events are for several streams, or say themselves what they expect.
pub(super) fn ask(requests: &mut [AppendRequest], expected: ExpectedVersion) -> ApiResult<()> {
    let Some((first, others)) = requests.split_first_mut() else { return Ok(()) };
    if others.iter().any(|other| other.stream != first.stream) {
        return Err(wrong(
            "If-Match is about one stream, and these events are for several; use expectedversion in each",
        ));
    }
    if first.expected != ExpectedVersion::Any || others.iter().any(|other| other.expected != ExpectedVersion::Any) {
        return Err(wrong("the events have expectedversion, and the request a precondition; use one of them"));
    }
    first.expected = expected;
    Ok(())
}

/// What becomes of an append that was refused.
pub(super) fn refused(error: AppendError, asked: bool) -> ApiError {
    let unmet = asked && matches!(error, AppendError::Conflict { .. });
    let error = ApiError::from(error);
    if unmet { ApiError { status: StatusCode::PRECONDITION_FAILED, ..error } } else { error }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Option<ExpectedVersion>, &'static str> {
        let headers = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        of(&headers.collect()).map_err(|error| error.code)
    }

    #[test]
    fn headers_say_which_version_is_expected() {
        for (pairs, expected) in [
            (vec![], Ok(None)),
            (vec![("if-match", "\"3\"")], Ok(Some(ExpectedVersion::Exact(3)))),
            (vec![("if-match", "*")], Ok(Some(ExpectedVersion::Exists))),
            (vec![("if-none-match", "*")], Ok(Some(ExpectedVersion::NoStream))),
            (vec![("if-match", "3")], Err("invalid_precondition")),
            (vec![("if-match", "W/\"3\"")], Err("invalid_precondition")),
            (vec![("if-match", "\"3\", \"4\"")], Err("invalid_precondition")),
            (vec![("if-none-match", "\"3\"")], Err("invalid_precondition")),
            (vec![("if-match", "*"), ("if-none-match", "*")], Err("invalid_precondition")),
        ] {
            assert_eq!(read(&pairs), expected, "{pairs:?}");
        }
    }
}
