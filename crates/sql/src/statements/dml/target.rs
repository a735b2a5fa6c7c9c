//! The table that a statement writes to, and what holds of its columns.

use std::borrow::Cow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SetExpr, Spanned, TableFactor, TableWithJoins,
};
use tidemill_catalog::{ConstraintKind, Generation, Item, ItemKind, Table};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ScalarType, SqlError, SqlState};

use super::{NewValues, column, is_default, refuse};
use crate::names;
use crate::plan::{KeyCheck, RowCheck};
use crate::query;
use crate::statements::table::expr_of;
use crate::statements::{Planning, over_columns};

/// A table that is written to.
pub(in crate::statements) struct Target<'a> {
    pub(in crate::statements) item: &'a Item,
    pub(in crate::statements) table: &'a Table,
    pub(in crate::statements) alias: String,
}

impl Target<'_> {
    /// The scope of its rows: an alias hides the name, and the schema with it.
    pub(in crate::statements) fn scope(&self) -> query::Scope {
        let name = &self.item.name;
        match self.alias == name.item {
            true => query::target_scope(&self.table.desc, &name.schema, &name.item),
            false => query::table_scope(&self.table.desc, &self.alias),
        }
    }
}

impl<'a> Planning<'a> {
    pub(super) fn table_target(
        &self,
        table: &TableWithJoins,
        verb: &str,
    ) -> Result<Target<'a>, SqlError> {
        refuse("a join as the target of a statement that writes", !table.joins.is_empty())?;
        let target = self.factor_target(&table.relation, verb);
        target.map_err(|error| names::locate(error, table.relation.span()))
    }

    pub(super) fn factor_target(
        &self,
        relation: &TableFactor,
        verb: &str,
    ) -> Result<Target<'a>, SqlError> {
        let TableFactor::Table { name, alias, args: None, .. } = relation else {
            return Err(SqlError::unsupported("writing to anything but a table"));
        };
        let plain = TableFactor::Table {
            name: name.clone(),
            alias: alias.clone(),
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        refuse("an option of the target of a statement that writes", plain != *relation)?;
        if let Some(alias) = alias {
            refuse("names of columns in the alias of a target", !alias.columns.is_empty())?;
        }
        self.target(name, verb, alias.as_ref().map(|alias| &alias.name))
    }

    pub(in crate::statements) fn target(
        &self,
        name: &ObjectName,
        verb: &str,
        alias: Option<&Ident>,
    ) -> Result<Target<'a>, SqlError> {
        let session = self.planner.session;
        let parts = names::parts(name)?;
        let catalog = self.planner.catalog;
        let item: &'a Item = catalog.resolve_item(session.database, session.search_path, &parts)?;
        let shown = &item.name.item;
        let refused = |code, detail: &str| {
            let kind = item.kind();
            SqlError::new(code, format!("cannot {verb} {kind} \"{shown}\"")).with_detail(detail)
        };
        match (item.table(), item.kind()) {
            (Some(table), ItemKind::Table) => {
                if item.is_system() {
                    return Err(refused(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        "System relations cannot be changed.",
                    ));
                }
                if table.source.is_some() {
                    return Err(refused(
                        SqlState::WRONG_OBJECT_TYPE,
                        "The table follows a source and can only be read.",
                    ));
                }
                let alias = alias.map_or_else(|| item.name.item.clone(), |name| name.value.clone());
                Ok(Target { item, table, alias })
            }
            (_, ItemKind::MaterializedView) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change materialized view \"{shown}\""),
            )),
            (_, ItemKind::Sequence) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change sequence \"{shown}\""),
            )),
            (_, ItemKind::Index) => {
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{shown}\" is an index")))
            }
            _ => Err(refused(SqlState::WRONG_OBJECT_TYPE, "Only tables can be written to.")),
        }
    }

    /// What each row of a table must satisfy.
    pub(in crate::statements) fn row_check(
        &self,
        target: &Target<'_>,
    ) -> Result<RowCheck, SqlError> {
        self.checks_of(target.item, target.table)
    }

    /// What each row of a table must satisfy.
    pub(in crate::statements) fn checks_of(
        &self,
        item: &Item,
        table: &Table,
    ) -> Result<RowCheck, SqlError> {
        let context = self.context();
        let scope = query::table_scope(&table.desc, &item.name.item);
        let mut checks = Vec::new();
        let mut keys = Vec::new();
        for constraint in &table.constraints {
            let name = constraint.name.clone();
            match &constraint.kind {
                ConstraintKind::Check { expr } => {
                    let expr = expr_of(expr)?;
                    let planned = query::plan_condition(&context, &scope, &expr, "CHECK")?;
                    checks.push((name, over_columns(planned)?));
                }
                ConstraintKind::Key { key, index } => keys.push(KeyCheck {
                    name,
                    index: *index,
                    columns: key.columns.clone(),
                    key: crate::rebuild::unique_key(&table.desc, &key.columns),
                    nulls_not_distinct: key.nulls_not_distinct,
                }),
            }
        }
        let mut domains = Vec::new();
        for (position, column) in table.desc.columns.iter().enumerate() {
            if let ScalarType::Domain(domain) = &column.typ.scalar_type {
                let program = query::domain_program(&context, domain)?;
                domains.extend(program.map(|program| (position, program)));
            }
        }
        checks.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(RowCheck {
            schema: item.name.schema.clone(),
            table: item.name.item.clone(),
            desc: table.desc.clone(),
            checks,
            keys,
            domains,
        })
    }
}

impl Target<'_> {
    pub(super) fn is_identity(&self, column: usize) -> bool {
        matches!(self.table.generation(column), Some(Generation::Identity { .. }))
    }

    /// The rows of an INSERT, without values that are passed over.
    pub(super) fn given_values<'q>(
        &self,
        source: &'q Query,
        columns: &[usize],
        overriding: Option<bool>,
    ) -> Result<Cow<'q, Query>, SqlError> {
        if self.table.generation.is_empty() {
            return Ok(Cow::Borrowed(source));
        }
        let values = match source.body.as_ref() {
            SetExpr::Values(values) => values,
            body => {
                let width = select_width(body).unwrap_or(columns.len());
                for column in columns.iter().take(width) {
                    self.check_given(*column, overriding)?;
                }
                return Ok(Cow::Borrowed(source));
            }
        };
        let mut changed = values.clone();
        for row in &mut changed.rows {
            for (value, column) in row.content.iter_mut().zip(columns) {
                if is_default(value) {
                    continue;
                }
                self.check_given(*column, overriding)?;
                if overriding == Some(false) && self.is_identity(*column) {
                    *value = Expr::Identifier(Ident::new("default"));
                }
            }
        }
        let body = Box::new(SetExpr::Values(changed));
        Ok(Cow::Owned(Query { body, ..source.clone() }))
    }

    /// Whether a value may be given for a column by INSERT.
    pub(super) fn check_given(
        &self,
        column: usize,
        overriding: Option<bool>,
    ) -> Result<(), SqlError> {
        let name = &self.table.desc.columns[column].name;
        let refused = || {
            SqlError::new(
                SqlState::GENERATED_ALWAYS,
                format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            )
        };
        match self.table.generation(column) {
            Some(Generation::Stored(_)) => {
                Err(refused().with_detail(format!("Column \"{name}\" is a generated column.")))
            }
            Some(Generation::Identity { always: true, .. }) if overriding.is_none() => {
                Err(refused()
                    .with_detail(identity_detail(name))
                    .with_hint("Use OVERRIDING SYSTEM VALUE to override."))
            }
            _ => Ok(()),
        }
    }

    /// Whether a column may be set by UPDATE.
    pub(super) fn check_assigned(&self, column: usize, given: bool) -> Result<(), SqlError> {
        let name = &self.table.desc.columns[column].name;
        let refused = || {
            SqlError::new(
                SqlState::GENERATED_ALWAYS,
                format!("column \"{name}\" can only be updated to DEFAULT"),
            )
        };
        match self.table.generation(column) {
            _ if !given => Ok(()),
            Some(Generation::Stored(_)) => {
                Err(refused().with_detail(format!("Column \"{name}\" is a generated column.")))
            }
            Some(Generation::Identity { always: true, .. }) => {
                Err(refused().with_detail(identity_detail(name)))
            }
            _ => Ok(()),
        }
    }

    /// The generated columns: their values over the table's row at `base` of a longer row.
    fn stored(&self, planning: &Planning<'_>, base: usize) -> Result<NewValues, SqlError> {
        let mut stored = Vec::new();
        let context = planning.context();
        let scope = query::table_scope(&self.table.desc, &self.item.name.item);
        for (position, generation) in self.table.generation.iter().enumerate() {
            let Some(Generation::Stored(text)) = generation else { continue };
            let known = &self.table.desc.columns[position];
            let planned = query::plan_scalar(&context, &scope, &expr_of(text)?)?;
            let typ = known.typ.clone().nullable(true);
            let mut scalar = query::coerce_assignment(&context, planned, &typ, &known.name)?.expr;
            query::remap_columns(&mut scalar, |column| base + column);
            stored.push((position, scalar));
        }
        Ok(stored)
    }

    /// Puts the generated columns into rows whose last columns, from `base` on, are the table's.
    pub(in crate::statements) fn with_stored(
        &self,
        planning: &Planning<'_>,
        query: QueryExpr,
        base: usize,
    ) -> Result<QueryExpr, SqlError> {
        let stored = self.stored(planning, base)?;
        if stored.is_empty() {
            return Ok(query);
        }
        let width = base + self.table.desc.arity();
        let mut outputs: Vec<usize> = (0..width).collect();
        for (added, (column, _)) in stored.iter().enumerate() {
            outputs[base + column] = width + added;
        }
        let scalars = stored.into_iter().map(|(_, scalar)| scalar).collect();
        let input = Box::new(QueryExpr::Map { input: Box::new(query), scalars });
        Ok(QueryExpr::Project { input, outputs })
    }

    /// The new values of all columns, over rows that begin with the table's columns.
    pub(super) fn all_values(&self, values: NewValues) -> Vec<QueryScalar> {
        let mut scalars: Vec<QueryScalar> = (0..self.table.desc.arity()).map(column).collect();
        for (index, scalar) in values {
            scalars[index] = scalar;
        }
        scalars
    }

    /// Adds all columns as they will be to rows of `width` columns, the table's first.
    pub(super) fn with_new_values(
        &self,
        planning: &Planning<'_>,
        query: QueryExpr,
        width: usize,
        values: NewValues,
    ) -> Result<QueryExpr, SqlError> {
        let scalars = self.all_values(values);
        let query = QueryExpr::Map { input: Box::new(query), scalars };
        self.with_stored(planning, query, width)
    }

    /// The same for a program over known rows: what is added, and where the new row's columns
    /// are.
    pub(super) fn program_values(
        &self,
        planning: &Planning<'_>,
        width: usize,
        values: NewValues,
    ) -> Result<(Vec<QueryScalar>, Vec<usize>), SqlError> {
        let mut scalars = self.all_values(values);
        let mut outputs: Vec<usize> = (width..width + scalars.len()).collect();
        for (position, scalar) in self.stored(planning, width)? {
            outputs[position] = width + scalars.len();
            scalars.push(scalar);
        }
        Ok((scalars, outputs))
    }
}

fn identity_detail(name: &str) -> String {
    format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.")
}

/// How many columns a SELECT gives, where its text says so.
fn select_width(body: &SetExpr) -> Option<usize> {
    use sqlparser::ast::SelectItem;
    let select = body.as_select()?;
    let plain = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    select.projection.iter().all(plain).then_some(select.projection.len())
}
