//! Says why the creation of a slot takes long: it waits for the transactions that are open.

use std::future::Future;
use std::time::Duration;

use tidemill_repr::{SqlError, SqlState};

use super::connection::PostgresConnection;
use super::describe::query;

/// When to look, and look again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at what the process that creates a slot waits for.
pub(crate) struct SlotWait<'a> {
    connection: &'a PostgresConnection,
    process: Option<i32>,
}

impl<'a> SlotWait<'a> {
    /// `process` is the server's process of the session that creates the slot.
    pub(crate) fn new(connection: &'a PostgresConnection, process: Option<i32>) -> SlotWait<'a> {
        SlotWait { connection, process }
    }

    /// Waits for a slot; tells what stands in the way, each time that is something else.
    pub(crate) async fn during<T>(
        &self,
        creation: impl Future<Output = T>,
        tell: impl Fn(SqlError),
    ) -> T {
        let mut creation = std::pin::pin!(creation);
        let mut told = None;
        loop {
            if let Ok(created) = tokio::time::timeout(PATIENCE, &mut creation).await {
                return created;
            }
            let looked = tokio::select! {
                created = &mut creation => return created,
                looked = self.look() => looked,
            };
            if let Ok(Some(error)) = looked
                && told.as_ref() != Some(&error)
            {
                told = Some(error.clone());
                tell(error);
            }
        }
    }

    async fn look(&self) -> Result<Option<SqlError>, SqlError> {
        let Some(process) = self.process else { return Ok(None) };
        let client = self.connection.connect().await?;
        let sql = "SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unknown'), a.state, \
                          a.xact_start::text \
                   FROM unnest(pg_blocking_pids($1)) b JOIN pg_stat_activity a ON a.pid = b \
                   ORDER BY a.xact_start LIMIT 1";
        let rows = query(&client, sql, &[&process]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let blocking: i32 = row.get(0);
        let text = |column: usize| row.get::<_, Option<String>>(column).unwrap_or_default();
        let message = format!(
            "the replication slot waits for an old transaction of process {blocking} upstream"
        );
        let detail = format!("It is {}, of application {}, since {}.", text(2), text(1), text(3));
        Ok(Some(SqlError::new(SqlState::OBJECT_IN_USE, message).with_detail(detail).with_hint(
            format!(
                "It goes on when that transaction ends; SELECT pg_terminate_backend({blocking}) \
                 ends it."
            ),
        )))
    }
}
