//! TRUNCATE: all rows of tables, taken away at one tick.

use tidemill_repr::{RowBatch, SqlError};
use tidemill_sql::plan::TruncatePlan;

use super::Execution;
use super::dml::sequence::restart;
use super::dml::{apply_all, compute};
use crate::response::Response;
use crate::session::Session;

/// Executes TRUNCATE.
pub(crate) async fn truncate(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &TruncatePlan,
) -> Result<Response, SqlError> {
    let mut changes = Vec::new();
    for (table, query) in &plan.tables {
        let computed = compute(session, execution, query).await?;
        let mut batch = RowBatch::new();
        for (row, diff) in &computed.rows {
            batch.push(row.as_ref(), -diff);
        }
        changes.push((*table, batch, computed.read));
    }
    apply_all(session, changes).await?;
    let catalog = session.catalog(&execution.snapshot);
    for item in plan.restart.iter().filter_map(|id| catalog.item(*id)) {
        if let Some(sequence) = item.sequence() {
            restart(session, item.oid, sequence.start).await?;
        }
    }
    Ok(Response::Tag("TRUNCATE TABLE".to_owned()))
}
