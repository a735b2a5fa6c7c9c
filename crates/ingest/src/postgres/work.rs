//! Changes of one table to updates: of the stream as it comes, and of what waited for a snapshot.

use std::sync::Arc;

use tidemill_repr::{ColumnType, SqlError, SqlState};

use crate::sink::IngestSink;

use super::difference::{Target, difference};
use super::keyed::KeyedContent;
use super::pgoutput::{Message, Relation};
use super::source::TableConfig;
use super::table::{Attribute, TableBinding, table_error};
use super::transaction::Transaction;

/// The form in which the stream sends a table.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) relation: Relation,
    /// The table's columns in the upstream's catalog, when the form came.
    pub(crate) attributes: Vec<Attribute>,
}

/// What a table held before the transaction that is being worked on.
pub(crate) enum Base<'a> {
    /// What was handed over.
    Ledger,
    /// A snapshot that is not committed yet.
    Parts(&'a mut Vec<String>),
}

/// A table, and how its changes become updates.
pub(crate) struct TableWork {
    pub(crate) config: TableConfig,
    /// How tuples of this session's stream become rows.
    pub(crate) binding: Option<TableBinding>,
    /// The table's content by key, with the changes of the open transaction. Put together when
    /// it is needed first, and then kept up.
    pub(crate) content: Option<KeyedContent>,
}

impl TableWork {
    pub(crate) fn new(config: TableConfig) -> TableWork {
        TableWork { config, binding: None, content: None }
    }

    /// The types of the columns here.
    pub(crate) fn types(&self) -> Vec<ColumnType> {
        self.config.columns.iter().map(|column| column.typ.clone()).collect()
    }

    /// Adds what a message does to the table to the transaction. What makes the table impossible
    /// to follow is noted there; an error here is of the source.
    pub(crate) async fn change(
        &mut self,
        sink: &Arc<dyn IngestSink>,
        transaction: &mut Transaction,
        base: &mut Base<'_>,
        form: Option<&Form>,
        (message, bytes): (&Message<'_>, usize),
    ) -> Result<(), SqlError> {
        let id = self.config.id;
        if transaction.has_failed(id) {
            return Ok(());
        }
        if matches!(message, Message::Truncate { .. }) {
            return self.truncate(sink, transaction, base).await;
        }
        if let Err(error) = self.bind(form) {
            self.fail(sink, transaction, error);
            return Ok(());
        }
        let looks_back = matches!(message, Message::Update { .. } | Message::Delete { .. });
        if let Some(key) = self.binding.as_ref().and_then(TableBinding::key) {
            if self.content.as_ref().is_some_and(|content| content.key() != key) {
                self.content = None;
            }
            if looks_back && self.content.is_none() {
                let key = key.to_vec();
                match load(sink, transaction, base, key, id).await? {
                    Ok(content) => self.content = Some(content),
                    Err(error) => {
                        self.fail(sink, transaction, error);
                        return Ok(());
                    }
                }
            }
        } else {
            self.content = None;
        }
        let Some(out) = transaction.rows(id, bytes) else { return Ok(()) };
        let changed = match &mut self.binding {
            Some(binding) => binding.change(message, self.content.as_mut(), out),
            None => Ok(()),
        };
        if let Err(error) = changed {
            self.fail(sink, transaction, error);
        }
        Ok(())
    }

    pub(crate) fn bind(&mut self, form: Option<&Form>) -> Result<(), SqlError> {
        if self.binding.is_some() {
            return Ok(());
        }
        let form =
            form.ok_or_else(|| SqlError::internal("a change of a table that was not introduced"))?;
        self.binding = Some(TableBinding::new(&self.config, &form.relation, &form.attributes)?);
        Ok(())
    }

    fn fail(&mut self, sink: &Arc<dyn IngestSink>, transaction: &mut Transaction, error: SqlError) {
        self.content = None;
        let error = if error.code == SqlState::DATA_CORRUPTED {
            table_error(&self.config, &error.message)
        } else {
            error
        };
        transaction.fail(sink, self.config.id, error);
    }

    /// Takes away all that the table holds. What the transaction did before does not count.
    async fn truncate(
        &mut self,
        sink: &Arc<dyn IngestSink>,
        transaction: &mut Transaction,
        base: &mut Base<'_>,
    ) -> Result<(), SqlError> {
        let id = self.config.id;
        transaction.forget(sink, id);
        if let Some(content) = &mut self.content {
            content.clear();
        }
        if let Base::Parts(parts) = base {
            sink.discard_parts(std::mem::take(*parts));
            return Ok(());
        }
        difference(sink, transaction, (id, &self.types()), &Target::default()).await
    }
}

type Loaded = Result<KeyedContent, SqlError>;

/// Puts a table's content together by key, with what the transaction did so far.
async fn load(
    sink: &Arc<dyn IngestSink>,
    transaction: &mut Transaction,
    base: &Base<'_>,
    key: Vec<usize>,
    id: tidemill_repr::ObjectId,
) -> Result<Loaded, SqlError> {
    let mut content = KeyedContent::new(key);
    let (parts, rows) = transaction.so_far(id).await?;
    let before = match base {
        Base::Ledger => sink.content(id).await?,
        Base::Parts(parts) => sink.read_parts(parts.to_vec()),
    };
    for mut from in [before, sink.read_parts(parts)] {
        while let Some(batch) = from.recv().await {
            content.load(&*batch?)?;
        }
    }
    content.load(&rows)?;
    Ok(content.loaded().map(|()| content))
}
