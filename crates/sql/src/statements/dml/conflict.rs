//! ON CONFLICT.

use sqlparser::ast::{ConflictTarget, OnConflictAction, OnInsert};
use tidemill_catalog::Constraint;
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::no_column;
use super::target::Target;
use crate::names;
use crate::plan::{ConflictPlan, RowProgram};
use crate::query::{self, QueryContext};
use crate::statements::Planning;

impl Planning<'_> {
    pub(super) fn conflict(
        &self,
        context: &QueryContext<'_>,
        on: Option<&OnInsert>,
        target: &Target<'_>,
    ) -> Result<Option<ConflictPlan>, SqlError> {
        let on = match on {
            None => return Ok(None),
            Some(OnInsert::OnConflict(on)) => on,
            Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY UPDATE")),
        };
        let arbiters = match &on.conflict_target {
            None => Vec::new(),
            Some(given) => arbiters(given, target)?,
        };
        let action = match &on.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(update) => Some(update),
        };
        let Some(update) = action else {
            return Ok(Some(ConflictPlan { arbiters, update: None }));
        };
        if on.conflict_target.is_none() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            )
            .with_hint("For example, ON CONFLICT (column_name)."));
        }
        let desc = &target.table.desc;
        let scope = target.scope().join(query::table_scope(desc, "excluded"))?;
        let values = self.assignments(context, &scope, &update.assignments, target)?;
        let filter = match &update.selection {
            None => None,
            Some(selection) => Some(query::plan_condition(context, &scope, selection, "WHERE")?),
        };
        let mut input = desc.types();
        input.extend(desc.types());
        let width = input.len();
        let (scalars, new) = target.program_values(self, width, values)?;
        let outputs = (0..width).chain(new).collect();
        let mut program = RowProgram { input, filter, scalars, outputs };
        for scalar in program.scalars.iter_mut().chain(&mut program.filter) {
            query::settle_scalar_parameters(context, scalar);
        }
        Ok(Some(ConflictPlan { arbiters, update: Some(program) }))
    }
}

/// The indexes of the keys that ON CONFLICT names.
fn arbiters(given: &ConflictTarget, target: &Target<'_>) -> Result<Vec<ObjectId>, SqlError> {
    let table = &target.item.name.item;
    let keys = || target.table.constraints.iter().filter_map(Constraint::key);
    match given {
        ConflictTarget::Columns(idents) => {
            let mut columns = Vec::new();
            for ident in idents {
                let column = target.table.desc.position(&ident.value);
                columns.push(column.ok_or_else(|| no_column_here(&ident.value))?);
            }
            columns.sort_unstable();
            columns.dedup();
            let fits = |known: &[usize]| {
                let mut known = known.to_vec();
                known.sort_unstable();
                known == columns
            };
            let found: Vec<ObjectId> =
                keys().filter(|(key, _)| fits(&key.columns)).map(|(_, index)| index).collect();
            if found.is_empty() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "there is no unique or exclusion constraint matching the ON CONFLICT \
                     specification",
                ));
            }
            Ok(found)
        }
        ConflictTarget::OnConstraint(name) => {
            let name = names::parts(name)?.pop().unwrap_or_default();
            let found = target.table.constraints.iter().find(|known| known.name == name);
            let missing = || {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("constraint \"{name}\" for table \"{table}\" does not exist"),
                )
            };
            let (_, index) = match found {
                None => return Err(missing()),
                Some(found) => found.key().ok_or_else(|| {
                    SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        "constraint in ON CONFLICT clause has no associated index",
                    )
                })?,
            };
            Ok(vec![index])
        }
    }
}

fn no_column_here(name: &str) -> SqlError {
    let error = no_column(name, "");
    SqlError { message: format!("column \"{name}\" does not exist"), ..error }
}
