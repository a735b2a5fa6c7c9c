//! The queries of a WITH around a statement of several parts, each of which is planned alone.

use std::cell::Cell;
use std::rc::Rc;

use sqlparser::ast::{Cte as CteTree, With};
use tidemill_plan::{LocalId, QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{RelationDesc, Row, SqlError, SqlState};

use super::{Binding, Cte, CteList, bind, find, plain, plan_cte, plan_with, refuse_clauses};
use crate::query::error::name_of;
use crate::query::order::OutputColumn;
use crate::query::scope::Scope;
use crate::query::{QueryContext, walk};

/// How many bindings a part may have of its own.
const PART: u64 = 1 << 32;

/// The queries of a WITH that can be named.
#[derive(Clone, Debug, Default)]
pub struct WithList {
    ctes: CteList,
    bindings: Vec<Binding>,
    part: u64,
}

impl WithList {
    /// Puts the list into a context.
    pub(in crate::query) fn enter(&self, root: &mut CteList, next_local: &Cell<u64>) {
        root.clone_from(&self.ctes);
        next_local.set(self.part * PART);
    }

    /// What is planned next is another part.
    pub fn next_part(&mut self) {
        self.part += 1;
    }

    /// Plans a WITH, and adds its queries.
    ///
    /// # Errors
    /// As [`crate::query::plan_top_query`].
    pub fn add_all(&mut self, ctx: &QueryContext<'_>, with: &With) -> Result<(), SqlError> {
        let (scope, bindings) = plan_with(ctx, with, &Rc::new(Scope::default()))?;
        self.ctes.clone_from(&scope.ctes);
        self.bindings.extend(bindings);
        self.next_part();
        Ok(())
    }

    /// Plans one query, and adds it.
    ///
    /// # Errors
    /// As [`crate::query::plan_top_query`].
    pub fn add(&mut self, ctx: &QueryContext<'_>, cte: &CteTree) -> Result<(), SqlError> {
        refuse_clauses(ctx, cte, false)?;
        let scope = Rc::new(Scope { ctes: self.ctes.clone(), ..Scope::default() });
        let (value, columns) = plan_cte(ctx, cte, &scope)?;
        let cte = plain(ctx, &scope, name_of(&cte.alias.name), value, columns);
        self.push(cte);
        Ok(())
    }

    /// Adds what a statement returns, which is not known yet.
    ///
    /// # Errors
    /// Its alias names more columns than it returns.
    pub fn add_written(
        &mut self,
        ctx: &QueryContext<'_>,
        cte: &CteTree,
        desc: Option<&RelationDesc>,
    ) -> Result<LocalId, SqlError> {
        refuse_clauses(ctx, cte, false)?;
        let name = name_of(&cte.alias.name);
        let columns = desc.map(|desc| desc.columns.as_slice()).unwrap_or_default();
        let columns: Vec<OutputColumn> = columns
            .iter()
            .map(|column| OutputColumn {
                name: column.name.clone(),
                typ: column.typ.clone().nullable(true),
                raw: None,
            })
            .collect();
        let what = format!("WITH query \"{name}\"");
        let columns = crate::query::from::rename_columns(ctx, columns, &cte.alias, &what)?;
        let types = columns.iter().map(|column| column.typ.clone()).collect();
        let value = QueryExpr::Constant { rows: Vec::new(), typ: RelationType::new(types) };
        let id = ctx.fresh_local();
        let next = self.ctes.clone();
        let in_place = None;
        let silent = desc.is_none();
        self.push(Rc::new(Cte {
            name,
            id,
            value,
            columns,
            in_place,
            recursive: false,
            unlisted: 0,
            silent,
            next,
        }));
        Ok(id)
    }

    fn push(&mut self, cte: Rc<Cte>) {
        self.bindings.push(Binding::Plain(Rc::clone(&cte)));
        self.ctes = Some(cte);
        self.next_part();
    }

    /// A query with those around it that it reads.
    #[must_use]
    pub fn bind(&self, body: QueryExpr) -> QueryExpr {
        bind(self.bindings.clone(), body)
    }

    /// Whether an expression reads one of the queries.
    pub fn is_read_by(&self, scalar: &QueryScalar) -> bool {
        let ids = self.bindings.iter().flat_map(|binding| match binding {
            Binding::Plain(cte) => vec![cte.id],
            Binding::Recursive(bindings, _) => bindings.iter().map(|one| one.id).collect(),
        });
        let unit = crate::query::values::unit();
        let mapped = QueryExpr::Map { input: Box::new(unit), scalars: vec![scalar.clone()] };
        ids.into_iter().any(|id| walk::reads_local(&mapped, id))
    }
}

impl QueryContext<'_> {
    /// The query of this name in the WITH around the statement.
    pub(in crate::query) fn root_cte(&self, name: &str) -> Option<&Cte> {
        find(&self.root_ctes, name)
    }
}

impl Cte {
    /// Refuses a statement that returns nothing.
    pub(in crate::query) fn check_read(&self) -> Result<(), SqlError> {
        if !self.silent {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("WITH query \"{}\" does not have a RETURNING clause", self.name),
        ))
    }
}

/// Puts rows in the place of those of a binding that is a constant.
pub fn put_rows(query: &mut QueryExpr, wanted: LocalId, rows: &[Row]) {
    walk::each_relation(query, &mut |relation| {
        if let QueryExpr::Let { id, value, .. } = relation
            && *id == wanted
            && let QueryExpr::Constant { rows: known, .. } = &mut **value
        {
            *known = rows.iter().map(|row| (row.clone(), 1)).collect();
        }
    });
}
