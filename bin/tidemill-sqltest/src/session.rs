//! One connection, and what a statement on it gives: text by the simple protocol, bytes and types
//! by the extended one.

use std::error::Error as StdError;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{SinkExt, StreamExt};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// A connection to either server.
pub struct Session {
    client: Client,
}

/// What a statement gave, as text.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Names of the columns; none when there was no row description.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// The count of the last command tag.
    pub count: u64,
}

/// What a query gave by the extended protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Described {
    /// Names and types of the columns.
    pub columns: Vec<(String, String)>,
    /// The rows, each value in its binary format.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

/// The error of a statement.
#[derive(Debug)]
pub struct Failure {
    /// SQLSTATE.
    pub code: String,
    /// The message alone.
    pub message: String,
    /// Detail and hint, a line each.
    pub more: String,
    /// Where in the statement, in characters from 1; None if that is not said.
    pub position: Option<u32>,
}

impl Failure {
    /// All that is told, the place in the statement too.
    pub fn whole(&self) -> String {
        match self.position {
            Some(position) => format!("{self}\nPOSITION: {position}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.code, self.message, self.more)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let Some(db) = error.as_db_error() else {
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            return Failure {
                code: "08006".to_owned(),
                message,
                more: String::new(),
                position: None,
            };
        };
        let mut more = String::new();
        if let Some(detail) = db.detail() {
            more.push_str(&format!("\nDETAIL: {detail}"));
        }
        if let Some(hint) = db.hint() {
            more.push_str(&format!("\nHINT: {hint}"));
        }
        let position = match db.position() {
            Some(ErrorPosition::Original(position)) => Some(*position),
            _ => None,
        };
        let (code, message) = (db.code().code().to_owned(), db.message().to_owned());
        Failure { code, message, more, position }
    }
}

impl Session {
    /// Connects, and drives the connection in the background.
    pub async fn open(port: u16, user: &str, database: &str) -> Result<Session> {
        let (client, connection) = Config::new()
            .host("127.0.0.1")
            .port(port)
            .user(user)
            .dbname(database)
            .connect_timeout(Duration::from_secs(5))
            .connect(NoTls)
            .await
            .with_context(|| format!("connect to port {port}, database {database}"))?;
        tokio::spawn(connection);
        Ok(Session { client })
    }

    /// Whether the server has hung up.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Cancels what is running, a while from now.
    pub fn cancel_after(&self, wait: Duration) {
        let token = self.client.cancel_token();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = token.cancel_query(NoTls).await;
        });
    }

    /// Runs statements by the simple protocol. COPY .. TO STDOUT gives a row a line.
    pub async fn run(&self, sql: &str) -> Result<Outcome, Failure> {
        let upper = sql.trim_start().get(..5).unwrap_or_default().to_uppercase();
        if upper == "COPY " && sql.to_uppercase().contains("FROM STDIN") {
            return self.copy_in(sql).await;
        }
        if upper == "COPY " || upper == "COPY(" {
            return self.copy_out(sql).await;
        }
        let mut outcome = Outcome::default();
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    outcome.columns = columns.iter().map(|c| c.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => outcome.rows.push(
                    (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect(),
                ),
                SimpleQueryMessage::CommandComplete(count) => outcome.count = count,
                _ => {}
            }
        }
        Ok(outcome)
    }

    /// Runs a COPY .. FROM STDIN: its data are the lines after the first.
    async fn copy_in(&self, sql: &str) -> Result<Outcome, Failure> {
        let Some((sql, data)) = sql.split_once('\n') else {
            // One that is refused: the client library is lost when a COPY fails before its data.
            self.client.simple_query(sql).await?;
            return Ok(Outcome::default());
        };
        let bytes = format!("{data}\n");
        let mut sink = pin!(self.client.copy_in::<_, bytes::Bytes>(sql).await?);
        // What the server refuses is told by `finish`.
        let _ = sink.send(bytes::Bytes::from(bytes)).await;
        let count = sink.finish().await?;
        Ok(Outcome { count, ..Outcome::default() })
    }

    async fn copy_out(&self, sql: &str) -> Result<Outcome, Failure> {
        let mut stream = pin!(self.client.copy_out(sql).await?);
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        let text = String::from_utf8_lossy(&bytes);
        let rows: Vec<Vec<Option<String>>> = text
            .lines()
            .map(|line| {
                line.split('\t').map(|value| (value != "\\N").then(|| value.to_owned())).collect()
            })
            .collect();
        let width = rows.first().map_or(0, Vec::len);
        let columns = vec!["copy".to_owned(); width];
        Ok(Outcome { columns, count: rows.len() as u64, rows })
    }

    /// Runs a query by the extended protocol, with parameters as text.
    pub async fn describe(
        &self,
        sql: &str,
        parameters: &[Option<String>],
    ) -> Result<Described, Failure> {
        let statement = self.client.prepare(sql).await?;
        let columns = statement
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_().to_string()))
            .collect::<Vec<_>>();
        let parameters: Vec<TextParameter> =
            parameters.iter().cloned().map(TextParameter).collect();
        let mut stream = pin!(self.client.query_raw(&statement, parameters.iter()).await?);
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await {
            let row = row?;
            let values = (0..row.len()).map(|column| {
                let value = row.try_get::<_, Option<Raw<'_>>>(column)?;
                // The oids of created types, which are in the bytes, are each server's own.
                let own = statement.columns().get(column).is_some_and(|c| holds_oid(c.type_()));
                Ok(value.map(|raw| if own { Vec::new() } else { raw.0.to_vec() }))
            });
            rows.push(values.collect::<Result<Vec<_>, tokio_postgres::Error>>()?);
        }
        Ok(Described { columns, rows })
    }
}

/// Whether the binary form of a type holds the oid of a type that is not built in.
fn holds_oid(typ: &Type) -> bool {
    match typ.kind() {
        Kind::Array(element) => element.oid() >= FIRST_OWN_OID || holds_oid(element),
        Kind::Composite(fields) => fields
            .iter()
            .any(|field| field.type_().oid() >= FIRST_OWN_OID || holds_oid(field.type_())),
        _ => false,
    }
}

/// Lower oids are those of built-in objects.
const FIRST_OWN_OID: u32 = 16_384;

impl Described {
    /// A letter a column: I for integers, R for other numbers, T for the rest.
    pub fn type_letters(&self) -> String {
        let letter = |name: &str| match name {
            "int2" | "int4" | "int8" => 'I',
            "float4" | "float8" | "numeric" => 'R',
            _ => 'T',
        };
        self.columns.iter().map(|(_, type_name)| letter(type_name)).collect()
    }

    /// The rows as text, of the types whose binary form is simple; others in hexadecimal.
    pub fn outcome(&self) -> Outcome {
        let rows: Vec<Vec<Option<String>>> = self
            .rows
            .iter()
            .map(|row| {
                let values = row.iter().zip(&self.columns);
                values.map(|(v, (_, t))| v.as_ref().map(|bytes| binary_text(bytes, t))).collect()
            })
            .collect();
        Outcome {
            columns: self.columns.iter().map(|(name, _)| name.clone()).collect(),
            count: rows.len() as u64,
            rows,
        }
    }
}

fn binary_text(bytes: &[u8], type_name: &str) -> String {
    match (type_name, bytes) {
        ("bool", [value]) => if *value == 0 { "f" } else { "t" }.to_owned(),
        ("int2", &[a, b]) => i16::from_be_bytes([a, b]).to_string(),
        ("int4", &[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]).to_string(),
        ("int8", bytes) if bytes.len() == 8 => {
            bytes.iter().fold(0_i64, |value, byte| (value << 8) | i64::from(*byte)).to_string()
        }
        ("text" | "varchar" | "name" | "bpchar" | "unknown", _) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The bytes of a value of any type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A parameter of any type, in text format.
#[derive(Debug)]
struct TextParameter(Option<String>);

impl ToSql for TextParameter {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(ty, out)
    }
}
