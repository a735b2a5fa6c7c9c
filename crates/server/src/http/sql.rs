//! `POST /api/sql`: a request's results in one JSON document.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tidemill_coord::{Notice, Session};
use tidemill_repr::{RelationDesc, Row, SqlError, SqlState};
use tokio_util::sync::CancellationToken;

use super::request::{self, SqlRequest};
use super::run::{self, Output, Stop};
use super::{Web, json};
use crate::authenticate::{Authentication, check_password};
use crate::startup;

/// The longest answer.
const MAX_RESULT: usize = 256 << 20;

/// What stands behind the `?`.
#[derive(Deserialize)]
pub struct Parameters {
    /// Settings, as a JSON object.
    options: Option<String>,
}

/// Answers a request.
pub async fn serve(
    State(web): State<Web>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let session = open(&web, &parameters, &headers);
    let (mut session, _permits) = match session {
        Ok(session) => session,
        Err(error) => return refused(&error),
    };
    let request = match request::parse_request(&body) {
        Ok(request) => request,
        Err(error) => return refused(&error),
    };
    drop(body);
    let text = answer(&web, &mut session, &request).await;
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn open(
    web: &Web,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<(Session, Counted), SqlError> {
    let settings: BTreeMap<String, String> = match &parameters.options {
        Some(text) => serde_json::from_str(text).map_err(|_| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid options")
                .with_hint("Give a JSON object of texts: ?options={\"cluster\": \"..\"}.")
        })?,
        None => BTreeMap::new(),
    };
    let (user, password) = match request::credentials(headers)? {
        Some((user, password)) => (user, Some(password)),
        None => (String::new(), None),
    };
    web.open(request::session_options(user, settings), password.as_deref())
}

impl Web {
    /// Opens a session; it counts until the second value is dropped.
    pub(super) fn open(
        &self,
        options: tidemill_coord::SessionOptions,
        password: Option<&str>,
    ) -> Result<(Session, Counted), SqlError> {
        let options = startup::with_defaults(options, false);
        startup::check_name(&options, false)?;
        let coordinator = &self.coordinator;
        if self.authentication == Authentication::Password {
            let password = password.unwrap_or_default();
            check_password(coordinator, &options.user, password, &*self.secret)?;
        }
        // Where the client is may be known to a proxy only: a policy must let everybody in.
        let anywhere = std::net::Ipv4Addr::UNSPECIFIED;
        coordinator.login(&options.user, Some(anywhere.into()))?;
        if !coordinator.has_database(&options.database) {
            let message = format!("database \"{}\" does not exist", options.database);
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
        }
        if coordinator.is_full(&options.user) {
            return Err(too_many());
        }
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| too_many())?;
        let counted = Counted { _permit: permit, _connection: self.metrics.connection() };
        Ok((self.coordinator.session(options), counted))
    }
}

fn too_many() -> SqlError {
    SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

/// Holds a session's place.
pub struct Counted {
    _permit: tokio::sync::OwnedSemaphorePermit,
    _connection: crate::metrics::OpenConnection,
}

/// The answer to what is no request.
fn refused(error: &SqlError) -> Response {
    let status = match error.code.0 {
        "53300" => StatusCode::SERVICE_UNAVAILABLE,
        code if code.starts_with("28") => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({ "error": json::error(error) }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn answer(web: &Web, session: &mut Session, request: &SqlRequest) -> String {
    let mut results =
        Results { text: String::new(), desc: None, count: 0, shutdown: web.shutdown.clone() };
    let outcome = run::run(web, session, request, &mut results).await;
    if let Err(Stop::Error(error)) = &outcome {
        web.metrics.error(error.code.0);
        results.failed(error, &session.take_notices());
    }
    format!("{{\"results\":[{}]}}", results.text)
}

/// The results so far, as the inside of a JSON array.
struct Results {
    text: String,
    /// The columns of the rows that are being written, and where their result begins.
    desc: Option<(usize, Value)>,
    /// Rows of the statement so far.
    count: usize,
    shutdown: CancellationToken,
}

impl Results {
    fn begin(&mut self) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
    }

    /// Ends with an error; rows of the failed statement are dropped.
    fn failed(&mut self, error: &SqlError, notices: &[Notice]) {
        self.drop_rows();
        self.begin();
        let result = json!({ "error": json::error(error), "notices": list(notices) });
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{result}");
    }

    /// Takes away the beginning of a result that is not complete.
    fn drop_rows(&mut self) {
        if let Some((start, _)) = self.desc.take() {
            self.text.truncate(start);
        }
    }
}

fn list(notices: &[Notice]) -> Value {
    Value::Array(notices.iter().map(json::notice).collect())
}

impl Output for Results {
    const STREAMS: bool = false;

    async fn starting(&mut self, desc: Option<&RelationDesc>, _: bool) -> Result<(), Stop> {
        let start = self.text.len();
        self.begin();
        self.count = 0;
        self.desc = desc.map(|desc| (start, json::description(desc)));
        if self.desc.is_some() {
            self.text.push_str("{\"rows\":[");
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        session: &Session,
        desc: &RelationDesc,
        rows: &[Row],
    ) -> Result<(), Stop> {
        let settings = session.output_settings(desc);
        for row in rows {
            if self.count > 0 {
                self.text.push(',');
            }
            self.count += 1;
            json::push_row(row, desc, &settings, &mut self.text);
            if self.text.len() > MAX_RESULT {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("the result is longer than {MAX_RESULT} bytes"),
                )
                .with_hint("Ask for less at once, or use a PostgreSQL client.")
                .into());
            }
        }
        // Others have a turn between pieces of a long result.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn complete(&mut self, session: &mut Session, tag: String) -> Result<(), Stop> {
        let notices = list(&session.take_notices());
        let parameters: Vec<Value> = session
            .take_reports()
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let tag = Value::String(tag);
        let _ = match self.desc.take() {
            Some((_, desc)) => {
                write!(self.text, "],\"desc\":{desc},\"notices\":{notices},\"tag\":{tag}}}")
            }
            None => write!(
                self.text,
                "{{\"ok\":{tag},\"notices\":{notices},\"parameters\":{}}}",
                Value::Array(parameters)
            ),
        };
        Ok(())
    }

    async fn wait_for<F: Future + Send>(&mut self, future: F) -> Result<F::Output, Stop>
    where
        F::Output: Send,
    {
        // A client that goes takes the whole request with it: hyper drops it.
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.shutdown.cancelled() => Err(Stop::Error(crate::client::shutting_down())),
        }
    }

    fn rewind(&mut self) -> bool {
        self.text.clear();
        self.desc = None;
        true
    }
}
