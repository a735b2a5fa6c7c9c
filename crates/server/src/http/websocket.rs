//! `/api/experimental/sql`: a session over a WebSocket, each message a JSON object.
//!
//! A task reads what the client sends, a few messages ahead; so a client that goes is noticed
//! while a statement runs, and one that sends without end waits.

use std::future::Future;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidemill_coord::{Session, TransactionStatus};
use tidemill_repr::{RelationDesc, Row, SqlError, SqlState};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::request::{self, Hello};
use super::run::{self, Output, Stop};
use super::{MAX_REQUEST, Web, json};
use crate::startup::PATIENCE;

/// How many messages of a client are read ahead.
const READ_AHEAD: usize = 4;

/// Opens a WebSocket.
pub async fn serve(State(web): State<Web>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_REQUEST)
        .max_frame_size(MAX_REQUEST)
        .on_upgrade(move |socket| talk(web, socket))
}

async fn talk(web: Web, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let gone = CancellationToken::new();
    let (sender, mut messages) = mpsc::channel(READ_AHEAD);
    let reader = tokio::spawn(read(stream, sender, gone.clone()));
    let mut socket = Socket { sink, gone, shutdown: web.shutdown.clone() };
    if let Err(Stop::Error(error)) = converse(&web, &mut socket, &mut messages).await {
        let _ = socket.send("Error", json::error(&error)).await;
        let frame = CloseFrame { code: close_code::POLICY, reason: "".into() };
        let _ = socket.sink.send(Message::Close(Some(frame))).await;
    }
    let _ = socket.sink.close().await;
    reader.abort();
}

/// Reads texts until the client goes.
async fn read(
    mut stream: SplitStream<WebSocket>,
    sender: mpsc::Sender<Message>,
    gone: CancellationToken,
) {
    let _gone = gone.drop_guard();
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(_) | Message::Binary(_) => {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

async fn converse(
    web: &Web,
    socket: &mut Socket,
    messages: &mut mpsc::Receiver<Message>,
) -> Result<(), Stop> {
    let hello = tokio::time::timeout(PATIENCE, messages.recv());
    let hello = hello.await.ok().flatten().ok_or(Stop::Gone)?;
    let hello: Hello = serde_json::from_slice(bytes(&hello)).map_err(|_| {
        SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid authentication message")
            .with_hint("Send {\"user\": \"..\", \"password\": \"..\", \"options\": {..}} first.")
    })?;
    let options = request::session_options(hello.user, hello.options);
    let (mut session, _counted) = web.open(options, hello.password.as_deref())?;
    for (name, value) in session.reported_settings() {
        socket.parameter(name, &value).await?;
    }
    let id = session.number();
    let secret = session.cancel_key().first_chunk().map_or(0, |key| i32::from_be_bytes(*key));
    socket.send("BackendKeyData", json!({ "conn_id": id, "secret_key": secret })).await?;
    loop {
        socket.ready(&mut session).await?;
        let shutdown = socket.shutdown.clone();
        let message = tokio::select! {
            biased;
            message = messages.recv() => message.ok_or(Stop::Gone)?,
            () = shutdown.cancelled() => return Err(crate::client::shutting_down().into()),
        };
        let outcome = match request::parse_request(bytes(&message)) {
            Ok(request) => run::run(web, &mut session, &request, socket).await,
            Err(error) => Err(Stop::Error(error)),
        };
        match outcome {
            Err(Stop::Error(error)) if error.code != SqlState::ADMIN_SHUTDOWN => {
                web.metrics.error(error.code.0);
                socket.tell(&mut session).await?;
                socket.send("Error", json::error(&error)).await?;
            }
            other => other?,
        }
    }
}

fn bytes(message: &Message) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// The half of the socket that is written.
struct Socket {
    sink: SplitSink<WebSocket, Message>,
    /// The client is gone.
    gone: CancellationToken,
    shutdown: CancellationToken,
}

impl Socket {
    /// Puts a message into the buffer; waits while that is full.
    async fn feed(&mut self, text: String) -> Result<(), Stop> {
        let gone = self.gone.clone();
        let shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = gone.cancelled() => Err(Stop::Gone),
            fed = self.sink.feed(Message::Text(text.into())) => fed.map_err(|_| Stop::Gone),
            () = shutdown.cancelled() => Err(Stop::Gone),
        }
    }

    async fn send(&mut self, kind: &str, payload: Value) -> Result<(), Stop> {
        self.feed(json!({ "type": kind, "payload": payload }).to_string()).await
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        let gone = self.gone.clone();
        tokio::select! {
            biased;
            () = gone.cancelled() => Err(Stop::Gone),
            flushed = self.sink.flush() => flushed.map_err(|_| Stop::Gone),
        }
    }

    async fn parameter(&mut self, name: &str, value: &str) -> Result<(), Stop> {
        self.send("ParameterStatus", json!({ "name": name, "value": value })).await
    }

    /// Sends what the session has to say beside answers.
    async fn tell(&mut self, session: &mut Session) -> Result<(), Stop> {
        for notice in session.take_notices() {
            self.send("Notice", json::notice(&notice)).await?;
        }
        for (name, value) in session.take_reports() {
            self.parameter(name, &value).await?;
        }
        Ok(())
    }

    async fn ready(&mut self, session: &mut Session) -> Result<(), Stop> {
        self.tell(session).await?;
        session.wait_for_client();
        let status = match session.transaction_status() {
            TransactionStatus::Idle => "I",
            TransactionStatus::InTransaction => "T",
            TransactionStatus::Failed => "E",
        };
        self.send("ReadyForQuery", json!(status)).await?;
        self.flush().await
    }
}

impl Output for Socket {
    const STREAMS: bool = true;

    async fn starting(&mut self, desc: Option<&RelationDesc>, streaming: bool) -> Result<(), Stop> {
        let payload = json!({ "has_rows": desc.is_some(), "is_streaming": streaming });
        self.send("CommandStarting", payload).await?;
        if let Some(desc) = desc {
            self.send("Rows", json::description(desc)).await?;
        }
        if streaming { self.flush().await } else { Ok(()) }
    }

    async fn rows(
        &mut self,
        session: &Session,
        desc: &RelationDesc,
        rows: &[Row],
    ) -> Result<(), Stop> {
        let settings = session.output_settings(desc);
        for row in rows {
            let mut text = String::from("{\"type\":\"Row\",\"payload\":");
            json::push_row(row, desc, &settings, &mut text);
            text.push('}');
            self.feed(text).await?;
        }
        self.flush().await
    }

    async fn complete(&mut self, session: &mut Session, tag: String) -> Result<(), Stop> {
        self.tell(session).await?;
        self.send("CommandComplete", Value::String(tag)).await
    }

    async fn wait_for<F: Future + Send>(&mut self, future: F) -> Result<F::Output, Stop>
    where
        F::Output: Send,
    {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.gone.cancelled() => Err(Stop::Gone),
            () = self.shutdown.cancelled() => Err(Stop::Error(crate::client::shutting_down())),
        }
    }

    fn rewind(&mut self) -> bool {
        false
    }
}
