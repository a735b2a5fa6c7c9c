//! `COPY .. FROM STDIN`: bytes come piece by piece, rows go into the table.
//!
//! [`lines`] cuts text and csv into lines, [`fields`] lines into values, [`binary`] reads the
//! binary format; [`bulk`] keeps the rows: a few in memory, many in Parquet parts that the commit
//! names. Memory is bounded by the longest row, whatever is copied.

mod binary;
pub(crate) mod bulk;
mod fields;
mod lines;

use std::sync::Arc;

use tidemill_repr::text::{TextSettings, parse_into};
use tidemill_repr::{Column, Datum, Diff, Row, RowBuilder, SqlError, SqlState};
use tidemill_sql::plan::{CopyFormat, CopyFromPlan, CopyHeader};

use crate::response::Response;
use crate::session::{Session, Transaction};
use crate::snapshot::Snapshot;
use crate::statements::dml::keys::check_copied;
use crate::statements::write::{PendingWrites, UnnamedParts};
use crate::statements::{Execution, dml};
use binary::BinaryReader;
use bulk::Bulk;
use fields::Fields;
use lines::Lines;

/// How many rows are given to a query that adds defaults at once.
const STAGED_ROWS: usize = 4096;

/// How much of a line or value an error shows, in bytes.
const SHOWN: usize = 100;

/// A COPY that takes data.
pub struct CopyIn {
    plan: Arc<CopyFromPlan>,
    snapshot: Arc<Snapshot>,
    source: Source,
    settings: TextSettings,
    builder: RowBuilder,
    /// Rows that still need columns.
    staged: Vec<(Row, Diff)>,
    bulk: Bulk,
    count: u64,
}

/// Where rows are cut out of bytes.
enum Source {
    Lines { lines: Lines, fields: Fields, header: CopyHeader },
    Binary(BinaryReader),
}

impl CopyIn {
    pub(crate) fn new(session: &Session, snapshot: Arc<Snapshot>, plan: &CopyFromPlan) -> CopyIn {
        let options = &plan.options;
        let source = match options.format {
            CopyFormat::Binary => Source::Binary(BinaryReader::default()),
            _ => Source::Lines {
                lines: Lines::new(options),
                fields: Fields::new(options.clone()),
                header: options.header,
            },
        };
        let types: Vec<_> =
            plan.insert.check.desc.columns.iter().map(|column| column.typ.clone()).collect();
        CopyIn {
            bulk: Bulk::new(Arc::clone(&session.shared), plan.insert.table, types),
            plan: Arc::new(plan.clone()),
            snapshot,
            source,
            settings: session.text_settings(),
            builder: RowBuilder::new(),
            staged: Vec::new(),
            count: 0,
        }
    }

    /// How many columns the rows have.
    pub fn columns(&self) -> usize {
        self.plan.columns.len()
    }

    /// Whether the format is binary.
    pub fn is_binary(&self) -> bool {
        self.plan.options.format == CopyFormat::Binary
    }

    /// Takes the rows that are complete.
    fn rows(&mut self, end: bool) -> Result<(), SqlError> {
        let plan = Arc::clone(&self.plan);
        let table = &plan.insert.check.table;
        match &mut self.source {
            Source::Binary(reader) => {
                while reader.next(&plan.columns, table, end, &mut self.builder)? {
                    let place = || format!("COPY {table}, line {}", reader.line());
                    let row = Taken { plan: &plan, builder: &mut self.builder };
                    row.keep(&mut self.bulk, &mut self.staged)
                        .map_err(|error| error.with_context(place()))?;
                    self.count += 1;
                }
            }
            Source::Lines { lines, fields, header } => loop {
                let line = lines.next(end).map_err(|error| {
                    error.with_context(format!("COPY {table}, line {}", lines.number()))
                })?;
                let Some(line) = line else { break };
                let number = lines.number();
                let at_line = |error: SqlError| {
                    if error.context.is_some() {
                        return error;
                    }
                    let shown = shorten(lines.text(&line));
                    error.with_context(format!("COPY {table}, line {number}: \"{shown}\""))
                };
                let text = lines
                    .checked(&line)
                    .map_err(|error| error.with_context(format!("COPY {table}, line {number}")))?;
                if *header != CopyHeader::None {
                    let matching = *header == CopyHeader::Match;
                    *header = CopyHeader::None;
                    if matching {
                        fields
                            .split(text)
                            .and_then(|()| check_header(fields, &plan.columns))
                            .map_err(at_line)?;
                    }
                    continue;
                }
                fields.split(text).map_err(at_line)?;
                read_values(fields, &plan, number, &self.settings, &mut self.builder)
                    .map_err(at_line)?;
                let row = Taken { plan: &plan, builder: &mut self.builder };
                row.keep(&mut self.bulk, &mut self.staged).map_err(at_line)?;
                self.count += 1;
            },
        }
        Ok(())
    }
}

/// A row that was read.
struct Taken<'a> {
    plan: &'a CopyFromPlan,
    builder: &'a mut RowBuilder,
}

impl Taken<'_> {
    fn keep(self, bulk: &mut Bulk, staged: &mut Vec<(Row, Diff)>) -> Result<(), SqlError> {
        if self.plan.direct {
            let checked = self.plan.insert.check.check(self.builder.as_ref());
            if checked.is_ok() {
                bulk.push(self.builder.as_ref());
            }
            self.builder.clear();
            return checked;
        }
        staged.push((self.builder.finish(), 1));
        Ok(())
    }
}

/// A text as errors show it.
fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= SHOWN {
        return text.into_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(SHOWN)])
}

fn bad_data(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// The values of a line, as a row of the columns that are copied.
fn read_values(
    fields: &Fields,
    plan: &CopyFromPlan,
    number: u64,
    settings: &TextSettings,
    builder: &mut RowBuilder,
) -> Result<(), SqlError> {
    builder.clear();
    if fields.len() > plan.columns.len() {
        return Err(bad_data("extra data after last expected column"));
    }
    for (position, column) in plan.columns.iter().enumerate() {
        let Some(value) = fields.value(position) else {
            return Err(bad_data(format!("missing data for column \"{}\"", column.name)));
        };
        let Some(text) = value else {
            builder.push(Datum::Null);
            continue;
        };
        parse_into(&column.typ, text, settings, builder).map_err(|error| {
            let shown = shorten(text.as_bytes());
            error.with_context(format!(
                "COPY {}, line {number}, column {}: \"{shown}\"",
                plan.insert.check.table, column.name
            ))
        })?;
    }
    Ok(())
}

fn check_header(fields: &Fields, columns: &[Column]) -> Result<(), SqlError> {
    if fields.len() != columns.len() {
        return Err(bad_data(format!(
            "wrong number of fields in header line: got {}, expected {}",
            fields.len(),
            columns.len()
        )));
    }
    for (position, column) in columns.iter().enumerate() {
        let expected = &column.name;
        let number = position + 1;
        match fields.value(position).flatten() {
            Some(name) if name == expected => {}
            Some(name) => {
                return Err(bad_data(format!(
                    "column name mismatch in header line field {number}: got \"{name}\", \
                     expected \"{expected}\""
                )));
            }
            None => {
                return Err(bad_data(format!(
                    "column name mismatch in header line field {number}: got null value (\"{}\"), \
                     expected \"{expected}\"",
                    fields.null()
                )));
            }
        }
    }
    Ok(())
}

impl Session {
    /// Takes a piece of the data of a COPY; waits while the disk is busy.
    ///
    /// # Errors
    /// The data is wrong, or the client cancels. The COPY is over then.
    pub async fn copy_data(&mut self, copy: &mut CopyIn, data: &[u8]) -> Result<(), SqlError> {
        if self.is_cancelled() {
            return Err(self.cancelled().await);
        }
        match &mut copy.source {
            Source::Binary(reader) => reader.append(data),
            Source::Lines { lines, .. } => lines.append(data),
        }
        copy.rows(false)?;
        if copy.staged.len() >= STAGED_ROWS {
            self.complete_rows(copy).await?;
        }
        copy.bulk.spill(false).await
    }

    /// The data of a COPY has ended: its rows are committed, or left to the transaction block.
    ///
    /// # Errors
    /// The data is wrong, or the rows cannot be committed.
    pub async fn copy_end(&mut self, mut copy: CopyIn) -> Result<Response, SqlError> {
        copy.rows(true)?;
        self.complete_rows(&mut copy).await?;
        let (batch, parts) = copy.bulk.finish().await?;
        let table = copy.plan.insert.table;
        if self.temporary.has(table) {
            self.temporary.write(table, &batch);
            return Ok(Response::Tag(format!("COPY {}", copy.count)));
        }
        let snapshot = Arc::clone(&copy.snapshot);
        let execution = Execution { snapshot, parameters: &[], cache: None };
        let in_memory = std::iter::once(Ok(Arc::new(batch.clone())));
        let in_parts = parts.iter().flat_map(UnnamedParts::batches);
        let check = &copy.plan.insert.check;
        let keys = check_copied(self, &execution, table, check, in_memory.chain(in_parts)).await?;
        let mut alone = PendingWrites::default();
        let writes = match &mut self.transaction {
            Transaction::Open(open) => &mut open.writes,
            _ => &mut alone,
        };
        writes.add(table, &batch, None);
        writes.add_keys(keys);
        if let Some(parts) = parts {
            writes.add_parts(table, parts);
        }
        if !alone.is_empty() {
            alone.commit(self).await?;
        }
        Ok(Response::Tag(format!("COPY {}", copy.count)))
    }

    /// Gives staged rows the columns they lack.
    async fn complete_rows(&mut self, copy: &mut CopyIn) -> Result<(), SqlError> {
        if copy.staged.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut copy.staged);
        let staged = rows.len() as u64;
        let mut query = copy.plan.insert.query.clone();
        put_rows(&mut query, rows);
        let rows = dml::constant_rows(self, &copy.snapshot, &query).await?;
        let mut kept = 0;
        for (row, diff) in &rows {
            copy.plan.insert.check.check(row.as_ref()).map_err(|error| {
                error.with_context(format!("COPY {}", copy.plan.insert.check.table))
            })?;
            for _ in 0..*diff {
                copy.bulk.push(row.as_ref());
                kept += 1;
            }
        }
        // WHERE leaves rows out.
        copy.count = copy.count.saturating_sub(staged) + kept;
        Ok(())
    }
}

/// Puts rows where the query reads them: at the end of its inputs.
fn put_rows(query: &mut tidemill_plan::QueryExpr, new: Vec<(Row, Diff)>) {
    use tidemill_plan::QueryExpr;
    let mut place = query;
    loop {
        place = match place {
            QueryExpr::Constant { rows, .. } => {
                *rows = new;
                return;
            }
            QueryExpr::Project { input, .. }
            | QueryExpr::Map { input, .. }
            | QueryExpr::Filter { input, .. } => input,
            _ => return,
        };
    }
}
