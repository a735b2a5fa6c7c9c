//! The extended protocol: prepared statements and portals.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use tidemill_coord::{Prepared, Response, Session, TransactionStatus};
use tidemill_repr::{Datum, Oid, Row, ScalarType, SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::Outcome;
use crate::connection::Connection;
use crate::frontend::{Bind, Target, utf8};
use crate::rows::Answer;
use crate::values::{column_formats, read_parameters};

/// A statement with its parameters, and how far it ran.
pub(crate) struct Portal {
    prepared: Arc<Prepared>,
    parameters: Vec<Row>,
    formats: Vec<bool>,
    answer: Option<Answer>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Plans a statement and keeps it under a name.
    pub fn parse(&mut self, name: &str, query: &str, oids: &[u32]) -> Outcome<()> {
        if !name.is_empty() && self.session.prepared(name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        self.session.forget_prepared(name);
        let known = oids.iter().map(|oid| parameter_type(&self.session, *oid));
        let types = known.collect::<Result<Vec<_>, _>>()?;
        let mut statements = self.session.parse(query)?;
        if statements.len() > 1 {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            )
            .into());
        }
        let prepared = self.session.prepare(statements.pop(), &types)?;
        self.session.keep_prepared(name, prepared);
        backend::empty(&mut self.client.output, b'1');
        Ok(())
    }

    /// Makes a portal of a statement and values.
    pub async fn bind(&mut self, bind: &Bind<'_>) -> Outcome<()> {
        let prepared = Arc::clone(self.statement(bind.statement)?);
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", bind.portal),
            )
            .into());
        }
        let resolved = self.resolve_names(&prepared, bind).await?;
        let values: Vec<Option<&[u8]>> = resolved.iter().map(Option::as_deref).collect();
        let parameters = read_parameters(
            &prepared.parameters,
            &bind.parameter_formats,
            &values,
            bind.statement,
            &self.session.text_settings(),
        )?;
        if let Some(desc) = &prepared.desc {
            column_formats(desc, &bind.result_formats)?;
        }
        let formats = bind.result_formats.clone();
        let portal = Portal { prepared, parameters, formats, answer: None };
        self.portals.insert(bind.portal.to_owned(), portal);
        backend::empty(&mut self.client.output, b'2');
        Ok(())
    }

    /// The parameters, with the oids of names that are given for relations and types: only the
    /// catalog knows these.
    async fn resolve_names<'a>(
        &mut self,
        prepared: &Prepared,
        bind: &Bind<'a>,
    ) -> Outcome<Vec<Option<Cow<'a, [u8]>>>> {
        let mut resolved = Vec::with_capacity(bind.parameters.len());
        for (position, value) in bind.parameters.iter().enumerate() {
            let typ = prepared.parameters.get(position);
            let format = match bind.parameter_formats[..] {
                [one] => Some(one),
                _ => bind.parameter_formats.get(position).copied(),
            };
            let name = match (typ, value, format) {
                (
                    Some(ScalarType::Regclass | ScalarType::Regtype),
                    Some(text),
                    None | Some(false),
                ) if !text.iter().all(u8::is_ascii_digit) => Some(utf8(text)?),
                _ => None,
            };
            resolved.push(match (name, typ) {
                (Some(name), Some(typ)) => {
                    let query = format!("SELECT '{}'::{typ}::oid", name.replace('\'', "''"));
                    let statement = self.session.parse(&query)?.pop();
                    let lookup = self.session.prepare(statement, &[])?;
                    let response = self.session.execute(&lookup, &[]).await?;
                    let mut oid = 0;
                    if let Response::Rows(mut rows) = response
                        && let Some(found) = rows.next(1).await?
                        && let Some(Some(Datum::Int(number))) = found.first().map(Row::first)
                    {
                        oid = number;
                    }
                    Some(Cow::Owned(oid.to_string().into_bytes()))
                }
                _ => value.map(Cow::Borrowed),
            });
        }
        Ok(resolved)
    }

    /// Tells the parameters and columns of a statement, or the columns of a portal.
    pub fn describe(&mut self, target: Target, name: &str) -> Outcome<()> {
        let (prepared, formats) = match target {
            Target::Statement => {
                let prepared = Arc::clone(self.statement(name)?);
                backend::parameter_description(&mut self.client.output, &prepared.parameters);
                (prepared, Vec::new())
            }
            // A cursor that DECLARE made is a portal too: drivers ask for its columns by name.
            Target::Portal if !self.portals.contains_key(name) => {
                let desc = self.session.cursor_desc(name).ok_or_else(|| no_portal(name))?;
                backend::row_description(&mut self.client.output, desc, &[]);
                return Ok(());
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                let formats = match &portal.prepared.desc {
                    Some(desc) => column_formats(desc, &portal.formats)?,
                    None => Vec::new(),
                };
                (Arc::clone(&portal.prepared), formats)
            }
        };
        self.tell();
        match &prepared.desc {
            Some(desc) => backend::row_description(&mut self.client.output, desc, &formats),
            None => backend::empty(&mut self.client.output, b'n'),
        }
        Ok(())
    }

    /// Runs a portal, or goes on with it.
    pub async fn execute(&mut self, name: &str, max_rows: usize) -> Outcome<()> {
        let idle = self.session.transaction_status() == TransactionStatus::Idle;
        let next = match self.portals.get(name).ok_or_else(|| no_portal(name))? {
            _ if !idle => None,
            // The client may wait for an answer before it sends more.
            portal if portal.prepared.is_copy() => self.client.peek_kind(),
            portal if portal.answer.is_none() => Some(self.client.wait_for_kind().await?),
            _ => None,
        };
        if next.is_some_and(|kind| kind != b'S') {
            // All that is sent before Sync is committed together, or not at all.
            self.session.begin_implicit_block();
        }
        let (key, mut portal) = self.portals.remove_entry(name).ok_or_else(|| no_portal(name))?;
        let started = Instant::now();
        self.deadline = self.session.statement_timeout().map(|limit| started + limit);
        let mut answer = match portal.answer.take() {
            Some(answer) => answer,
            None => {
                let executed = self.session.execute(&portal.prepared, &portal.parameters);
                let response = self.client.wait_for(executed).await??;
                let response = self.with_copy_in(response).await?;
                self.tell();
                let answer = Answer::new(response, &portal.formats, &self.session)?;
                if portal.prepared.desc.is_none() {
                    // Rows that Describe could not foretell.
                    answer.describe(&mut self.client.output);
                }
                answer
            }
        };
        self.send(&mut answer, max_rows).await?;
        self.metrics.query(answer.kind(), started.elapsed());
        portal.answer = Some(answer);
        self.portals.insert(key, portal);
        Ok(())
    }

    /// Forgets a statement or a portal; one that is not there is no error.
    pub fn close(&mut self, target: Target, name: &str) {
        match target {
            Target::Statement => self.session.forget_prepared(name),
            Target::Portal => drop(self.portals.remove(name)),
        }
        backend::empty(&mut self.client.output, b'3');
    }

    fn statement(&self, name: &str) -> Result<&Arc<Prepared>, SqlError> {
        self.session.prepared(name).ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

/// The type with an oid; none where the client leaves it to the server.
fn parameter_type(session: &Session, oid: u32) -> Result<Option<ScalarType>, SqlError> {
    if oid == 0 {
        return Ok(None);
    }
    match ScalarType::from_oid(Oid(oid)).or_else(|| session.created_type(Oid(oid))) {
        Some(ScalarType::Unknown) => Ok(None),
        Some(typ) => Ok(Some(typ)),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("type with OID {oid} does not exist"),
        )
        .with_hint("Give 0 to let the server find the type of a parameter.")),
    }
}
