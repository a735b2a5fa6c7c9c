//! TRUNCATE.

use sqlparser::ast::{Truncate, TruncateIdentityOption};
use tidemill_repr::{ObjectId, SqlError};

use super::select::get;
use super::{Planning, command};
use crate::plan::{Plan, Planned, TruncatePlan};

impl Planning<'_> {
    pub(super) fn truncate(&self, statement: &Truncate) -> Result<Planned, SqlError> {
        let Truncate { table_names, partitions, table: _, if_exists, identity, cascade: _, .. } =
            statement;
        if partitions.is_some() || *if_exists || statement.on_cluster.is_some() {
            return Err(SqlError::unsupported("this form of TRUNCATE"));
        }
        // No table refers to another, so CASCADE and RESTRICT are the same.
        let restarts = matches!(identity, Some(TruncateIdentityOption::Restart));
        let mut tables: Vec<(ObjectId, _)> = Vec::new();
        for named in table_names {
            let target = self.target(&named.name, "truncate", None)?;
            let id = target.item.id;
            if tables.iter().all(|(known, _)| *known != id) {
                tables.push((id, get(id, &target.table.desc)));
            }
        }
        let restart = tables.iter().filter(|_| restarts);
        let restart = restart.flat_map(|(table, _)| self.owned_sequences(*table)).collect();
        Ok(command(Plan::Truncate(TruncatePlan { tables, restart })))
    }

    /// The sequences that go with columns of a table.
    fn owned_sequences(&self, table: ObjectId) -> Vec<ObjectId> {
        let catalog = self.planner.catalog;
        let items = catalog.direct_dependants(table).filter_map(|id| catalog.item(id));
        items
            .filter(|item| {
                let owner = item.sequence().and_then(|sequence| sequence.owned_by);
                owner.is_some_and(|(owner, _)| owner == table)
            })
            .map(|item| item.id)
            .collect()
    }
}
