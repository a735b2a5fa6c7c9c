//! A table whose content is read from the upstream while the stream goes on: its first content,
//! or all of it once more (RESYNC).

use std::sync::Arc;

use tidemill_repr::{Lsn, RowBatch, SqlError};

use crate::sink::IngestSink;

use super::pgoutput::{self, Message};
use super::source::TableConfig;
use super::spool::Spool;
use super::transaction::Transaction;
use super::work::{Base, Form, TableWork};

/// Stands in the spool for a form; its number is the form's.
const FORM: &[u8] = b"@";

/// A snapshot on its way, and the changes that come after it.
#[derive(Default)]
pub(crate) struct Catching {
    /// Whether a snapshot task reads it.
    pub(crate) reading: bool,
    /// Whether it is not read upstream, but copied from another table here.
    pub(crate) copying: bool,
    /// The position of the snapshot.
    pub(crate) snapshot: Option<Lsn>,
    /// The parts that hold the snapshot, when it is read.
    pub(crate) parts: Option<Vec<String>>,
    pub(crate) rows: u64,
    /// How many bytes of the snapshot came so far.
    pub(crate) bytes: u64,
    /// Messages of the stream, by the position of their commit.
    kept: Spool,
    /// How much of them belongs to transactions that were received whole.
    whole: u64,
    forms: Vec<Arc<Form>>,
    /// Whether the last form is in force where the spool ends.
    form_is_current: bool,
}

/// What a table should hold.
pub(crate) struct CaughtUp {
    /// With the content by key, if it was needed.
    pub(crate) work: TableWork,
    pub(crate) parts: Vec<String>,
    pub(crate) rows: RowBatch,
    /// How many changes came after the snapshot.
    pub(crate) updates: u64,
}

impl Catching {
    /// For a table whose content of this position is copied from another table here.
    pub(crate) fn of_copy(position: Lsn) -> Catching {
        let snapshot = Some(position);
        Catching { reading: true, copying: true, snapshot, ..Catching::default() }
    }

    /// Keeps a message of a transaction with this commit.
    pub(crate) fn keep(
        &mut self,
        commit: Lsn,
        form: Option<&Arc<Form>>,
        message: &[u8],
    ) -> Result<(), SqlError> {
        if let Some(form) = form
            && !(self.form_is_current
                && self.forms.last().is_some_and(|last| Arc::ptr_eq(last, form)))
        {
            self.kept.push(self.forms.len() as u64, FORM)?;
            self.forms.push(Arc::clone(form));
            self.form_is_current = true;
        }
        self.kept.push(commit.0, message)
    }

    /// The transaction was received whole.
    pub(crate) fn transaction_ends(&mut self) {
        self.whole = self.kept.len();
    }

    /// The rest of the transaction will not come.
    pub(crate) fn transaction_breaks(&mut self) {
        self.kept.truncate(self.whole);
        self.form_is_current = false;
    }

    /// Whether the snapshot is read and the stream has reached it.
    pub(crate) fn is_ready(&self, position: Lsn) -> bool {
        self.parts.is_some() && self.snapshot.is_some_and(|snapshot| snapshot <= position)
    }

    /// Adds what came after the snapshot to it. An error inside is of the table.
    pub(crate) async fn catch_up(
        self,
        sink: &Arc<dyn IngestSink>,
        config: &TableConfig,
    ) -> Result<Result<CaughtUp, SqlError>, SqlError> {
        let id = config.id;
        let snapshot = self.snapshot.unwrap_or_default();
        let mut parts = self.parts.unwrap_or_default();
        let mut work = TableWork::new(config.clone());
        let types = work.types();
        let mut transaction = Transaction::default();
        let mut form: Option<Arc<Form>> = None;
        let mut kept = self.kept.read();
        while let Some((number, bytes)) = kept.next()? {
            if bytes == FORM {
                let index = usize::try_from(number).unwrap_or(usize::MAX);
                form = self.forms.get(index).cloned();
                work.binding = None;
                continue;
            }
            // Committed before: in the snapshot.
            if Lsn(number) < snapshot {
                continue;
            }
            let message = pgoutput::decode(bytes)
                .map_err(|_| SqlError::internal("a change that was kept cannot be read"))?;
            let is_truncate = matches!(&message, Message::Truncate { .. });
            let form = form.as_deref().filter(|_| !is_truncate);
            let mut base = Base::Parts(&mut parts);
            work.change(sink, &mut transaction, &mut base, form, (&message, bytes.len())).await?;
            if transaction.is_large() {
                transaction.spill(sink, |_| Some(types.clone())).await?;
            }
        }
        let mut rows = RowBatch::new();
        let mut updates = 0;
        for changes in transaction.finish().await?.into_iter().filter(|c| c.table == id) {
            match changes.outcome {
                Ok(batch) => rows = batch,
                Err(error) => {
                    sink.discard_parts(parts);
                    return Ok(Err(error));
                }
            }
            parts.extend(changes.parts);
            updates = changes.updates;
        }
        Ok(Ok(CaughtUp { work, parts, rows, updates }))
    }
}
