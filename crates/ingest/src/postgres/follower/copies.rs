//! Tables whose first content is that of another table here, in another form; and what is told of
//! how far each is.

use std::sync::Arc;

use tidemill_repr::{ObjectId, SqlError};

use super::{Followed, Follower, State};
use crate::postgres::adopted::{Copying, values};
use crate::postgres::catching::Catching;
use crate::postgres::connection::SourceError;
use crate::postgres::source::TableConfig;
use crate::sink::SourceStatus;

impl Follower {
    /// Begins with the tables whose first content may come from others here: those for which that
    /// is exact. The rest is read upstream.
    pub(crate) async fn begin_copies(&mut self) -> Result<Vec<Copying>, SourceError> {
        if self.in_transaction() {
            return Ok(Vec::new());
        }
        let waits = |table: &Followed| {
            let waits = table.catching.as_ref().is_some_and(|catching| !catching.reading);
            waits && table.state == State::Waiting
        };
        let tables = self.tables.iter().filter(|(_, table)| waits(table));
        let wanted: Vec<TableConfig> = tables
            .map(|(_, table)| table.work.config.clone())
            .filter(|config| config.from.is_some())
            .collect();
        let mut begun = Vec::new();
        for config in wanted {
            let copying = self.copying(&config).await?;
            let Some(table) = self.tables.get_mut(&config.id) else { continue };
            table.work.config.from = None;
            if let Some(copying) = copying {
                table.catching = Some(Catching::of_copy(self.position));
                self.sink.status(config.id, SourceStatus::Snapshotting);
                begun.push(copying);
            }
        }
        Ok(begun)
    }

    /// How a table's first content comes from another one that follows, if that is exact.
    async fn copying(&mut self, config: &TableConfig) -> Result<Option<Copying>, SourceError> {
        let Some((from, columns)) = &config.from else { return Ok(None) };
        let live = |table: &&Followed| table.state == State::Live && table.catching.is_none();
        let beside = self.tables.get(from).filter(live).map(|table| table.beside.clone());
        let Some(beside) = beside else { return Ok(None) };
        let Ok(Some(values)) = values(&mut self.watch, config, columns, beside.as_ref()).await
        else {
            return Ok(None);
        };
        let rows = self.sink.content(*from).await?;
        let sink = Arc::clone(&self.sink);
        Ok(Some(Copying::new(sink, config, rows, values)))
    }

    /// A table was copied from another one, or could not be.
    pub(crate) fn copied(
        &mut self,
        id: ObjectId,
        copied: Result<(Vec<String>, u64, u64), SqlError>,
    ) {
        let found = self.catching(id).filter(|catching| catching.copying);
        match (found, copied) {
            (Some(catching), Ok((parts, rows, bytes))) => {
                catching.bytes = bytes;
                self.snapshot_done(id, parts, rows);
            }
            (None, Ok((parts, ..))) => self.sink.discard_parts(parts),
            (Some(catching), Err(error)) => {
                tracing::warn!(%error, "a table could not be copied");
                *catching = Catching::default();
            }
            (None, Err(_)) => {}
        }
    }

    /// Reports the counts that changed.
    pub(crate) fn tell_statistics(&mut self) {
        if self.statistics != self.told {
            self.told = self.statistics;
            self.sink.source_statistics(self.source, self.statistics);
        }
        for (id, table) in &mut self.tables {
            let open = self.transaction.as_ref().map_or(0, |(open, _)| open.updates(*id));
            let reads = table.catching.is_some() && !table.statistics.snapshot_committed;
            let read = if reads { table.statistics.snapshot_records_staged } else { 0 };
            table.statistics.updates_staged = table.statistics.updates_committed + open + read;
            if table.statistics != table.told {
                table.told = table.statistics;
                self.sink.table_statistics(*id, table.statistics);
            }
        }
    }
}
