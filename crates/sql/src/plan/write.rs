//! Statements that write to tables.
//!
//! Each has a query for the rows concerned; the session computes it, checks the rows, and
//! commits them. What is done row by row after that, for ON CONFLICT and RETURNING, is a
//! [`RowProgram`].

use bumpalo::Bump;
use tidemill_expr::functions::created::DomainProgram;
use tidemill_expr::{EvalContext, ScalarExpr};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{
    ColumnType, Datum, ErrorObject, ObjectId, RelationDesc, RowRef, SqlError, SqlState,
};

/// How much of a value an error shows, in bytes, as PostgreSQL.
const SHOWN_BYTES: usize = 64;

/// Checks of a row before it goes into a table.
#[derive(Clone, Debug)]
pub struct RowCheck {
    /// The table's schema, for messages.
    pub schema: String,
    /// The table's name, for messages.
    pub table: String,
    /// Its columns.
    pub desc: RelationDesc,
    /// CHECK constraints, by name.
    pub checks: Vec<(String, ScalarExpr)>,
    /// What must be unique.
    pub keys: Vec<KeyCheck>,
    /// The columns that are of a domain, and what it demands.
    pub domains: Vec<(usize, DomainProgram)>,
}

/// Columns whose values together are unique.
#[derive(Clone, Debug)]
pub struct KeyCheck {
    /// The constraint.
    pub name: String,
    /// The index that knows the keys.
    pub index: ObjectId,
    /// Positions of the columns.
    pub columns: Vec<usize>,
    /// The key of the index over the table's columns.
    pub key: Vec<ScalarExpr>,
    /// Whether NULL equals NULL.
    pub nulls_not_distinct: bool,
}

/// Row-wise work with known rows: they are filtered, then values are added to their end.
#[derive(Clone, Debug)]
pub struct RowProgram {
    /// The columns of the rows.
    pub input: Vec<ColumnType>,
    /// What must be true of a row.
    pub filter: Option<QueryScalar>,
    /// What is added; each may use those before it.
    pub scalars: Vec<QueryScalar>,
    /// The columns that remain.
    pub outputs: Vec<usize>,
}

/// RETURNING: over rows of the table's columns and what else the statement says.
#[derive(Clone, Debug)]
pub struct ReturningPlan {
    /// From a row to what is returned.
    pub program: RowProgram,
    /// What is returned.
    pub desc: RelationDesc,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct ConflictPlan {
    /// The indexes whose keys may be there; empty: all.
    pub arbiters: Vec<ObjectId>,
    /// From the row that is there, followed by the one that was to be inserted, to both and the
    /// row that is put in its place; None: nothing is done.
    pub update: Option<RowProgram>,
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct InsertPlan {
    /// The table.
    pub table: ObjectId,
    /// The rows, with all columns of the table.
    pub query: QueryExpr,
    /// Each row must pass.
    pub check: RowCheck,
    /// What happens to rows whose key is there.
    pub conflict: Option<ConflictPlan>,
    /// What is returned of the rows.
    pub returning: Option<ReturningPlan>,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct UpdatePlan {
    /// The table.
    pub table: ObjectId,
    /// The rows concerned: all columns of the table as they are, what FROM adds, then all columns
    /// as they will be.
    pub query: QueryExpr,
    /// How many columns there are between; the first is the number of rows like this one. None:
    /// there is no FROM, and each row comes as often as it is there.
    pub beside: Option<usize>,
    /// Each new row must pass.
    pub check: RowCheck,
    /// What is returned of the new rows, and what FROM adds.
    pub returning: Option<ReturningPlan>,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct DeletePlan {
    /// The table.
    pub table: ObjectId,
    /// The rows concerned, and what USING adds.
    pub query: QueryExpr,
    /// As in [`UpdatePlan::beside`].
    pub beside: Option<usize>,
    /// The table's columns and keys.
    pub check: RowCheck,
    /// What is returned of the rows, and what USING adds.
    pub returning: Option<ReturningPlan>,
}

/// MERGE.
#[derive(Clone, Debug)]
pub struct MergePlan {
    /// The table.
    pub table: ObjectId,
    /// Rows: the table's columns as they are, the number of rows like this one, the source's
    /// columns, the number of the action from 1, the table's columns as they will be.
    pub query: QueryExpr,
    /// How many columns the source has.
    pub source: usize,
    /// The actions.
    pub actions: Vec<MergeAction>,
    /// Each new row must pass.
    pub check: RowCheck,
    /// What is returned of the source's row and the table's.
    pub returning: Option<ReturningPlan>,
}

/// What MERGE does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeAction {
    /// Adds the new row.
    Insert,
    /// Puts the new row in the place of the old one.
    Update,
    /// Takes the old row away.
    Delete,
    /// Leaves all as it is.
    Nothing,
}

impl RowCheck {
    /// Checks a row against the table's constraints, those over several rows left out.
    ///
    /// # Errors
    /// A column that must not is NULL (`23502`), or a CHECK is false (`23514`), in PostgreSQL's
    /// words.
    pub fn check(&self, row: RowRef<'_>) -> Result<(), SqlError> {
        let missing = self
            .desc
            .columns
            .iter()
            .zip(row.iter())
            .find(|(column, datum)| !column.typ.nullable && datum.is_null());
        if let Some((column, _)) = missing {
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, self.table
            );
            let about = ErrorObject { column: Some(column.name.clone()), ..self.about() };
            return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
                .with_detail(self.failing(row))
                .about(about));
        }
        if self.checks.is_empty() && self.domains.is_empty() {
            return Ok(());
        }
        let arena = Bump::new();
        let datums: Vec<Datum<'_>> = row.iter().collect();
        for (column, domain) in &self.domains {
            if let Some(value) = datums.get(*column) {
                domain.check(*value)?;
            }
        }
        for (name, check) in &self.checks {
            let value = check.eval(&datums, EvalContext { arena: &arena })?;
            if matches!(value, Datum::Bool(false)) {
                let message = format!(
                    "new row for relation \"{}\" violates check constraint \"{name}\"",
                    self.table
                );
                let about = ErrorObject { constraint: Some(name.clone()), ..self.about() };
                return Err(SqlError::new(SqlState::CHECK_VIOLATION, message)
                    .with_detail(self.failing(row))
                    .about(about));
            }
        }
        Ok(())
    }

    /// The table, for programs that read errors.
    pub fn about(&self) -> ErrorObject {
        ErrorObject {
            schema: Some(self.schema.clone()),
            table: Some(self.table.clone()),
            ..ErrorObject::default()
        }
    }

    fn failing(&self, row: RowRef<'_>) -> String {
        let values: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, datum)| self.shown(column, &datum, true))
            .collect();
        format!("Failing row contains ({}).", values.join(", "))
    }

    fn shown(&self, column: usize, datum: &Datum<'_>, cut: bool) -> String {
        let Some(column) = self.desc.columns.get(column).filter(|_| !datum.is_null()) else {
            return "null".to_owned();
        };
        let settings = tidemill_repr::text::TextSettings::default();
        let mut shown = String::new();
        let typ = &column.typ.scalar_type;
        tidemill_repr::text::format_into(datum, typ, &settings, &mut shown);
        if cut && shown.len() > SHOWN_BYTES {
            let mut end = SHOWN_BYTES;
            while !shown.is_char_boundary(end) {
                end -= 1;
            }
            shown.truncate(end);
            shown.push_str("...");
        }
        shown
    }

    /// The error of a row whose key is there already.
    pub fn duplicate(&self, key: &KeyCheck, row: RowRef<'_>) -> SqlError {
        let datums: Vec<Datum<'_>> = row.iter().collect();
        let names: Vec<&str> = key
            .columns
            .iter()
            .filter_map(|column| self.desc.columns.get(*column))
            .map(|column| column.name.as_str())
            .collect();
        let values: Vec<String> = key
            .columns
            .iter()
            .map(|column| self.shown(*column, datums.get(*column).unwrap_or(&Datum::Null), false))
            .collect();
        let message = format!("duplicate key value violates unique constraint \"{}\"", key.name);
        let about = ErrorObject { constraint: Some(key.name.clone()), ..self.about() };
        SqlError::new(SqlState::UNIQUE_VIOLATION, message)
            .with_detail(format!(
                "Key ({})=({}) already exists.",
                names.join(", "),
                values.join(", ")
            ))
            .about(about)
    }
}
