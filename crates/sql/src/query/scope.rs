//! Names and visibility: which columns a name may mean at a place, in which scope.
//!
//! A [`Scope`] describes the row an expression sees at level 0, and leads to the scopes around
//! it. Its entries stand in the order of `*`; each knows at which position of the row its value
//! is. A column that was merged by USING stays as an entry that only a qualified name finds.

use std::rc::Rc;

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Span;
use tidemill_plan::QueryScalar;
use tidemill_plan::query::ColumnRef;
use tidemill_repr::{ColumnType, ObjectId, RelationDesc, SqlError, SqlState};

use super::aggregate::Collector;
use super::cte::CteList;
use super::error::{name_of, nowhere};
use super::{QueryContext, TypedScalar};

/// Stands for the table of a function's arguments by number.
pub(super) const ARGUMENTS: &str = "\u{2}arguments";

/// The columns that can be named at a place. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub(super) entries: Vec<Entry>,
    pub(super) tables: Vec<TableName>,
    /// How many columns the row has.
    pub(super) arity: usize,
    /// The scope around; every one is a level.
    pub(super) outer: Option<Rc<Scope>>,
    /// A level that counts but whose names cannot be used here.
    pub(super) invisible: bool,
    /// What stands to the left in the same FROM, not a query around.
    pub(super) sibling: bool,
    /// Whether these are names of a FROM that a query inside of it sees.
    pub(super) from: bool,
    /// The WITH queries that can be named.
    pub(super) ctes: CteList,
    /// Of a scope around a subquery: what its place is.
    pub(super) place: Place,
}

/// Where in a query a subquery stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Where aggregates over the query's own columns are collected, if they may be.
    pub collector: Option<Rc<Collector>>,
    /// Whether it is in the argument of an aggregate.
    pub inside_aggregate: bool,
    /// The clause, as errors name it.
    pub clause: &'static str,
}

/// A column that can be named.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Position in [`Scope::tables`]; None for a merged column of USING.
    pub table: Option<usize>,
    pub name: String,
    /// Position in the row.
    pub column: usize,
    pub typ: ColumnType,
    /// Only found by its qualified name.
    pub hidden: bool,
    /// Not meant by `*`.
    pub unlisted: bool,
}

/// A table that can be named.
#[derive(Clone, Debug)]
pub(super) struct TableName {
    pub schema: Option<String>,
    pub name: String,
    /// The object, where the name is not an alias.
    pub object: Option<ObjectId>,
    /// The object, also under an alias.
    pub relation: Option<ObjectId>,
    /// The name of the object, where it is hidden by an alias.
    pub original: Option<String>,
    /// Covered by the alias of a join around it.
    pub covered: bool,
    /// A function's result, whose name may stand for its one column.
    pub function: bool,
    /// The recursive query in its own recursive term.
    pub recursive: bool,
    /// Whether a join may have left its rows out.
    pub missing: Missing,
    /// Which of its columns are the primary key; empty if there is none.
    pub primary_key: Vec<usize>,
}

/// Whether rows of a table may be missing in those of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Never,
    /// Where this column is NULL, which it never is in a row that is there.
    Where(usize),
    /// Where all columns are NULL.
    WhereAllNull,
}

/// The scope of the rows of one relation, under a name.
pub fn table_scope(desc: &RelationDesc, alias: &str) -> Scope {
    scope_in(desc, None, alias)
}

/// The scope of the rows of a table that is written to, under its own name: also with its schema.
pub fn target_scope(desc: &RelationDesc, schema: &str, name: &str) -> Scope {
    scope_in(desc, Some(schema.to_owned()), name)
}

fn scope_in(desc: &RelationDesc, schema: Option<String>, alias: &str) -> Scope {
    let columns = desc.columns.iter().map(|column| (column.name.clone(), column.typ.clone()));
    let table = TableName {
        schema,
        name: alias.to_owned(),
        object: None,
        relation: None,
        original: None,
        covered: false,
        function: false,
        recursive: false,
        missing: Missing::Never,
        primary_key: Vec::new(),
    };
    Scope::of_table(table, columns)
}

/// What a name was found to be.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub level: usize,
    pub column: usize,
    pub typ: ColumnType,
}

impl Found {
    pub fn into_scalar(self) -> TypedScalar {
        let reference = ColumnRef { level: self.level, column: self.column };
        TypedScalar { expr: QueryScalar::Column(reference), typ: self.typ }
    }
}

impl Scope {
    /// The columns of two scopes side by side: those of `other` follow in the row too. This is
    /// for rows of two relations, such as an UPDATE's target and its FROM.
    ///
    /// # Errors
    /// A name stands for tables on both sides (`42712`).
    pub fn join(mut self, other: Scope) -> Result<Scope, SqlError> {
        self.check_distinct_tables(&other)?;
        let (table_base, column_base) = (self.tables.len(), self.arity);
        self.tables.extend(other.tables.into_iter().map(|table| {
            let missing = match table.missing {
                Missing::Where(column) => Missing::Where(column + column_base),
                other => other,
            };
            TableName { missing, ..table }
        }));
        self.entries.extend(other.entries.into_iter().map(|entry| Entry {
            table: entry.table.map(|table| table + table_base),
            column: entry.column + column_base,
            ..entry
        }));
        self.arity += other.arity;
        Ok(self)
    }

    /// The same rows with more columns that have no name.
    #[must_use]
    pub fn with_unnamed(mut self, columns: usize) -> Scope {
        self.arity += columns;
        self
    }

    /// The same rows, with columns that cannot be named here.
    #[must_use]
    pub fn without_names(mut self) -> Scope {
        self.entries.clear();
        self.tables.clear();
        self
    }

    /// The types of the columns from a position on; one without name is `bigint`.
    pub fn types_from(&self, first: usize) -> Vec<ColumnType> {
        let typ = |column: usize| {
            let entry = self.entries.iter().find(|entry| entry.column == column);
            entry.map(|entry| entry.typ.clone())
        };
        let unnamed = || ColumnType::new(tidemill_repr::ScalarType::Int8);
        (first..self.arity).map(|column| typ(column).unwrap_or_else(unnamed)).collect()
    }

    /// How many columns the rows have.
    pub fn width(&self) -> usize {
        self.arity
    }

    pub(super) fn of_table(
        table: TableName,
        columns: impl IntoIterator<Item = (String, ColumnType)>,
    ) -> Scope {
        let entries: Vec<Entry> = columns
            .into_iter()
            .enumerate()
            .map(|(column, (name, typ))| Entry {
                table: Some(0),
                name,
                column,
                typ,
                hidden: false,
                unlisted: false,
            })
            .collect();
        Scope { arity: entries.len(), entries, tables: vec![table], ..Scope::default() }
    }

    /// An empty row in the same surroundings.
    pub(super) fn empty_beside(&self) -> Scope {
        Scope { outer: self.outer.clone(), ctes: self.ctes.clone(), ..Scope::default() }
    }

    /// The surroundings of a subquery in an expression over this scope.
    pub(super) fn inside(self: &Rc<Scope>, place: Place) -> Rc<Scope> {
        let ctes = self.ctes.clone();
        let here = Scope { place, ..(**self).clone() };
        Rc::new(Scope { outer: Some(Rc::new(here)), ctes, ..Scope::default() })
    }

    /// The scope so many levels out.
    pub(super) fn at_level(&self, level: usize) -> Option<&Scope> {
        let mut scope = self;
        for _ in 0..level {
            scope = scope.outer.as_deref()?;
        }
        Some(scope)
    }

    /// How many scopes there are around this one.
    pub(super) fn depth(&self) -> usize {
        let mut depth = 0;
        let mut scope = self;
        while let Some(outer) = &scope.outer {
            depth += 1;
            scope = outer;
        }
        depth
    }

    /// Rows of a join may be without those of this scope.
    pub(super) fn nullable(&mut self) {
        for (index, table) in self.tables.iter_mut().enumerate() {
            if table.missing == Missing::Never {
                let own = |entry: &&Entry| entry.table == Some(index) && !entry.typ.nullable;
                table.missing = match self.entries.iter().find(own) {
                    Some(entry) => Missing::Where(entry.column),
                    None => Missing::WhereAllNull,
                };
            }
        }
        for entry in &mut self.entries {
            entry.typ.nullable = true;
        }
    }

    /// The surroundings without the names that stand to the left in the same FROM.
    pub(super) fn without_siblings(self: &Rc<Scope>) -> Rc<Scope> {
        fn hide(scope: &Rc<Scope>) -> Rc<Scope> {
            if !scope.sibling {
                return Rc::clone(scope);
            }
            let mut hidden = (**scope).clone();
            hidden.invisible = true;
            hidden.outer = hidden.outer.as_ref().map(hide);
            Rc::new(hidden)
        }
        match &self.outer {
            Some(outer) if outer.sibling => {
                Rc::new(Scope { outer: Some(hide(outer)), ..(**self).clone() })
            }
            _ => Rc::clone(self),
        }
    }

    /// The surroundings as a query sees them that stands there: what was to its left is now simply
    /// around it, also for what is joined within.
    pub(super) fn entered(self: &Rc<Scope>) -> Rc<Scope> {
        fn settle(scope: &Rc<Scope>) -> Rc<Scope> {
            if !scope.sibling {
                return Rc::clone(scope);
            }
            let mut settled = (**scope).clone();
            settled.sibling = false;
            settled.outer = settled.outer.as_ref().map(settle);
            Rc::new(settled)
        }
        match &self.outer {
            Some(outer) if outer.sibling => {
                Rc::new(Scope { outer: Some(settle(outer)), ..(**self).clone() })
            }
            _ => Rc::clone(self),
        }
    }

    fn check_distinct_tables(&self, other: &Scope) -> Result<(), SqlError> {
        for table in other.tables.iter().filter(|table| !table.covered) {
            let clash = self.tables.iter().filter(|mine| !mine.covered).any(|mine| {
                mine.name == table.name
                    && match (mine.object, table.object) {
                        (Some(one), Some(two)) => one == two,
                        _ => true,
                    }
            });
            if clash {
                return Err(nowhere(SqlError::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("table name \"{}\" specified more than once", table.name),
                )));
            }
        }
        Ok(())
    }

    /// Entries that can be named alone.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.hidden)
    }

    /// An unqualified column of this scope alone.
    pub(super) fn own_column(&self, name: &str) -> Result<Option<&Entry>, SqlError> {
        let mut found = self.visible().filter(|entry| entry.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            ));
        }
        Ok(first)
    }

    fn own_table(&self, schema: Option<&str>, name: &str) -> Result<Option<usize>, SqlError> {
        let mut found = self.tables.iter().enumerate().filter(|(_, table)| {
            !table.covered
                && table.name == name
                && schema.is_none_or(|schema| table.schema.as_deref() == Some(schema))
        });
        let first = found.next();
        if found.next().is_some() {
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_ALIAS,
                format!("table reference \"{name}\" is ambiguous"),
            ));
        }
        Ok(first.map(|(index, _)| index))
    }

    /// The scopes whose names can be used, with their levels.
    fn levels(&self) -> impl Iterator<Item = (usize, &Scope)> {
        let mut next = Some(self);
        let mut level = 0;
        std::iter::from_fn(move || {
            let scope = next?;
            next = scope.outer.as_deref();
            level += 1;
            Some((level - 1, scope))
        })
        .filter(|(_, scope)| !scope.invisible)
    }

    /// Finds an unqualified name, innermost scope first; None if nothing has it.
    pub(super) fn find_column(&self, name: &str) -> Result<Option<Found>, SqlError> {
        for (level, scope) in self.levels() {
            if let Some(entry) = scope.own_column(name)? {
                return Ok(Some(Found { level, column: entry.column, typ: entry.typ.clone() }));
            }
        }
        Ok(None)
    }

    /// Finds a table, innermost scope first.
    pub(super) fn find_table(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<(usize, &Scope, usize)>, SqlError> {
        for (level, scope) in self.levels() {
            if let Some(table) = scope.own_table(schema, name)? {
                return Ok(Some((level, scope, table)));
            }
        }
        Ok(None)
    }

    /// The one table of the catalog, or that of a name, innermost scope first.
    pub(super) fn real_table(
        &self,
        name: Option<String>,
    ) -> Result<Option<(usize, &Scope, usize)>, SqlError> {
        if let Some(name) = name {
            return self.find_table(None, &name);
        }
        for (level, scope) in self.levels() {
            let real = |(_, table): &(usize, &TableName)| table.relation.is_some();
            let mut found = scope.tables.iter().enumerate().filter(real);
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some((index, _)), None) => return Ok(Some((level, scope, index))),
                (Some(_), Some(_)) => {
                    return Err(SqlError::new(
                        SqlState::AMBIGUOUS_COLUMN,
                        "column reference \"tableoid\" is ambiguous",
                    ));
                }
            }
        }
        Ok(None)
    }

    /// The entries of a table, in order.
    pub(super) fn entries_of(&self, table: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.table == Some(table))
    }

    /// `column "x" does not exist`, with a hint where a name is near.
    pub(super) fn no_column(&self, ctx: &QueryContext<'_>, name: &str, span: Span) -> SqlError {
        let error = ctx.error(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" does not exist"),
            span,
        );
        match self.nearest(name, None) {
            Some(near) => {
                error.with_hint(format!("Perhaps you meant to reference the column \"{near}\"."))
            }
            None => error,
        }
    }

    /// `missing FROM-clause entry for table "t"`, or what is in its place.
    pub(super) fn no_table(&self, ctx: &QueryContext<'_>, name: &str, span: Span) -> SqlError {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if here.tables.iter().any(|table| table.name == name) {
                return ctx
                    .error(
                        SqlState::UNDEFINED_TABLE,
                        format!("invalid reference to FROM-clause entry for table \"{name}\""),
                        span,
                    )
                    .with_hint(format!(
                        "There is an entry for table \"{name}\", but it cannot be referenced \
                         from this part of the query."
                    ));
            }
            if let Some(table) =
                here.tables.iter().find(|table| table.original.as_deref() == Some(name))
            {
                let alias = &table.name;
                return ctx
                    .error(
                        SqlState::UNDEFINED_TABLE,
                        format!("invalid reference to FROM-clause entry for table \"{name}\""),
                        span,
                    )
                    .with_hint(format!(
                        "Perhaps you meant to reference the table alias \"{alias}\"."
                    ));
            }
            scope = here.outer.as_deref();
        }
        ctx.error(
            SqlState::UNDEFINED_TABLE,
            format!("missing FROM-clause entry for table \"{name}\""),
            span,
        )
    }

    fn nearest(&self, name: &str, only: Option<usize>) -> Option<String> {
        let limit = name.chars().count() / 2;
        let mut best: Option<(usize, String)> = None;
        for (_, scope) in self.levels() {
            for entry in &scope.entries {
                let Some(table) = entry.table else { continue };
                let named = &scope.tables[table];
                if only.is_some_and(|only| only != table)
                    || named.covered
                    || named.name == ARGUMENTS
                {
                    continue;
                }
                let distance = edit_distance(name, &entry.name);
                if distance <= limit && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                    best = Some((distance, format!("{}.{}", scope.tables[table].name, entry.name)));
                }
            }
        }
        best.map(|(_, near)| near)
    }

    /// A column by a name of one part.
    pub(super) fn resolve_identifier(
        &self,
        ctx: &QueryContext<'_>,
        ident: &Ident,
    ) -> Result<Found, SqlError> {
        let name = name_of(ident);
        let found = self.find_column(&name).map_err(|error| ctx.locate(error, ident.span))?;
        if let Some(found) = found {
            return Ok(found);
        }
        // The name of a function in FROM may stand for its only column.
        if let Ok(Some((level, scope, table))) = self.find_table(None, &name) {
            let mut entries = scope.entries_of(table);
            if let (Some(entry), None) = (entries.next(), entries.next())
                && scope.tables[table].function
            {
                return Ok(Found { level, column: entry.column, typ: entry.typ.clone() });
            }
        }
        Err(self.no_column(ctx, &name, ident.span))
    }

    /// A column by a name of several parts.
    pub(super) fn resolve_qualified(
        &self,
        ctx: &QueryContext<'_>,
        parts: &[Ident],
    ) -> Result<Found, SqlError> {
        let span = parts.first().map_or_else(Span::empty, |ident| ident.span);
        let names: Vec<String> = parts.iter().map(name_of).collect();
        let (schema, table, column) = match names.as_slice() {
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            [database, schema, table, column] if *database == ctx.database => {
                (Some(schema.as_str()), table, column)
            }
            names if names.len() > 4 => {
                return Err(ctx.error(
                    SqlState::SYNTAX_ERROR,
                    format!("improper qualified name (too many dotted names): {}", names.join(".")),
                    span,
                ));
            }
            _ => {
                return Err(ctx.error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("cross-database references are not implemented: {}", names.join(".")),
                    span,
                ));
            }
        };
        let located = |error| ctx.locate(error, span);
        let Some((level, scope, index)) = self.find_table(schema, table).map_err(located)? else {
            return Err(self.no_table(ctx, table, span));
        };
        let mut found = scope.entries_of(index).filter(|entry| entry.name == *column);
        let Some(entry) = found.next() else {
            let error = ctx.error(
                SqlState::UNDEFINED_COLUMN,
                format!("column {table}.{column} does not exist"),
                span,
            );
            return Err(match scope.nearest(column, Some(index)) {
                Some(near) => error
                    .with_hint(format!("Perhaps you meant to reference the column \"{near}\".")),
                None => error,
            });
        };
        if found.next().is_some() {
            return Err(ctx.error(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{column}\" is ambiguous"),
                span,
            ));
        }
        Ok(Found { level, column: entry.column, typ: entry.typ.clone() })
    }

    /// How an error names the column at a position of the row: `t.a`.
    pub(super) fn describe(&self, column: usize) -> String {
        let mut entries = self.entries.iter().filter(|entry| entry.column == column);
        match entries.next() {
            Some(entry) => match entry.table {
                Some(table) => format!("{}.{}", self.tables[table].name, entry.name),
                None => entry.name.clone(),
            },
            None => "?column?".to_owned(),
        }
    }
}

/// How many single-character changes lead from one text to the other.
fn edit_distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}
