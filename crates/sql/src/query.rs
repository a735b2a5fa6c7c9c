//! Queries: from sqlparser's tree to the planner's form, by PostgreSQL's rules.
//!
//! [`plan_top_query`] plans the SELECT of a session, whose last ordering is left to the session
//! ([`Finishing`]); [`plan_view_query`] the definition of a view; [`plan_insert_source`] the rows
//! of an INSERT; [`plan_scalar`] one expression over a known row. All of them need a
//! [`QueryContext`]: how names are found, and what the session knows.
//!
//! One file a subject. [`scope`]: which names are visible where. [`from`]: table expressions and
//! joins. [`select`]: one SELECT, from its FROM to its output columns. [`aggregate`]: aggregate
//! calls and the check of grouping. [`set_operation`], [`values`], [`cte`], [`order`],
//! [`subquery`], [`window`]: what their names say. [`expr`]: expressions, one small function a construct.
//! [`cast`]: coercion. [`session_functions`]: what the session's state answers at planning.
//! [`walk`]: visiting a plan with its scopes.
//!
//! What is not supported is refused with `0A000`, never ignored. No I/O happens here.

mod aggregate;
mod cast;
mod catalog_functions;
mod comparable;
mod created;
mod cte;
mod error;
mod expr;
mod from;
mod literal;
mod order;
mod privilege_functions;
mod scope;
mod select;
mod session_functions;
mod set_operation;
mod subquery;
mod user_function;
mod values;
mod walk;
mod window;

#[cfg(test)]
mod tests;

pub use cast::coerce_assignment;
pub use created::{domain_condition, domain_program, with_field};
pub use cte::{WithList, put_rows, refuse_duplicates};
pub use error::position;
pub(crate) use error::settle_position;
pub(crate) use order::direction;
pub use scope::{Scope, table_scope, target_scope};
pub use user_function::{check_body, has_builtin};
pub use values::InsertTarget;
pub use walk::{bind_parameters, bind_scalar_parameters, relations_read};

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use sqlparser::ast::{DataType, Expr, Query, SelectItem, TableWithJoins};
use tidemill_catalog::registered::Names;
use tidemill_catalog::{DomainRules, Item};
use tidemill_plan::{Finishing, QueryExpr, QueryScalar};
use tidemill_repr::text::TextSettings;
use tidemill_repr::{
    ColumnType, DomainType, ObjectId, Oid, RelationDesc, ScalarType, SqlError, SqlState,
};

/// How deep expressions and queries may be nested.
const DEPTH_LIMIT: usize = 1000;

/// A relation of the catalog as a query sees it.
#[derive(Clone, Debug)]
pub struct Relation {
    /// What a Get reads.
    pub id: ObjectId,
    /// Its oid, for `regclass`.
    pub oid: Oid,
    /// Its schema, for qualified references.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub desc: RelationDesc,
    /// Which columns are its primary key; empty if there is none.
    pub primary_key: Vec<usize>,
    /// Whether it holds rows of all databases, with the database in the last column.
    pub of_all_databases: bool,
}

/// What a session finds under names without schema.
#[derive(Clone, Debug, Default)]
pub struct Visibility {
    /// The oids of the schemas that are looked through and listed.
    pub schemas: Vec<u32>,
    /// The oids of relations in them that another of the same name hides.
    pub hidden: Vec<u32>,
}

/// Where a query finds relations: the catalog, as one session sees it.
pub trait Relations {
    /// The relation of a name of one to three parts.
    ///
    /// # Errors
    /// There is none (`42P01`, `3F000`), or what has the name is no relation (`42809`).
    fn relation(&self, parts: &[String]) -> Result<Relation, SqlError>;

    /// Whether there is a schema of this name in the session's database.
    fn has_schema(&self, name: &str) -> bool;

    /// The oid of the relation or index of a name, for `regclass`.
    ///
    /// # Errors
    /// There is none.
    fn oid(&self, parts: &[String]) -> Result<Oid, SqlError> {
        Ok(self.relation(parts)?.oid)
    }

    /// What is found under names without schema.
    fn visibility(&self) -> Visibility {
        Visibility::default()
    }

    /// The type that a user created under a name of one to three parts, or that of the rows of
    /// a relation.
    fn created_type(&self, parts: &[String]) -> Option<ScalarType> {
        let _ = parts;
        None
    }

    /// What the values of a domain must fulfil.
    fn domain_rules(&self, domain: &DomainType) -> Option<&DomainRules> {
        let _ = domain;
        None
    }

    /// The functions that users wrote and a name of one to three parts may mean.
    fn functions(&self, parts: &[String]) -> Vec<Arc<Item>> {
        let _ = parts;
        Vec::new()
    }

    /// The catalog itself, for questions about roles.
    fn catalog(&self) -> Option<&tidemill_catalog::Catalog> {
        None
    }

    /// The value of a setting.
    fn setting(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// How the names of objects are shown and found.
    fn names(&self) -> Option<Names<'_>> {
        None
    }

    /// The oid of a schema.
    fn schema(&self, name: &str) -> Option<Oid> {
        let _ = name;
        None
    }
}

/// A setting that a query sets.
#[derive(Clone, Debug)]
pub struct SetConfig {
    /// Its name: a constant or a parameter.
    pub name: QueryScalar,
    /// The new value, likewise.
    pub value: QueryScalar,
    /// Whether it ends with the transaction.
    pub local: QueryScalar,
}

/// What planning a query may know.
pub struct QueryContext<'a> {
    /// Where relations are found.
    pub relations: &'a dyn Relations,
    /// The text that the spans of the tree refer to; for positions of errors.
    pub text: &'a str,
    /// `current_database()`
    pub database: String,
    /// The schemas of the search path that exist, in order, implicit ones left out.
    pub search_path: Vec<String>,
    /// `current_user`
    pub user: String,
    /// `session_user`
    pub session_user: String,
    /// `timezone`
    pub time_zone: String,
    /// The settings that values are read and shown by, the time zone among them.
    pub settings: TextSettings,
    /// `now()`: microseconds since 2000-01-01 00:00 UTC.
    pub now: i64,
    /// `pg_backend_pid()`
    pub backend_pid: i32,
    /// Whether the query is maintained (the definition of a view or index): functions that
    /// differ by session, time or call are refused.
    pub maintained: bool,
    /// Whether relations that hold rows of all databases show all of them: in built-in views.
    pub all_databases: bool,
    /// What `set_config` is to set.
    pub set_config: RefCell<Vec<SetConfig>>,
    /// Types of the parameters, as far as they are known; planning fills in what it infers.
    pub parameters: RefCell<Vec<Option<ScalarType>>>,
    /// The functions that may be called, where a text was bound to them already.
    pub only_functions: Option<Vec<ObjectId>>,
    /// Whether the text was allowed when it came into the catalog: functions may be called.
    pub trusted: bool,
    /// The functions that were called, but for those that only others call.
    pub used_functions: RefCell<BTreeSet<ObjectId>>,
    /// Whether a query asks for locks on rows.
    pub locks: Cell<bool>,
    /// The queries of a WITH around the statement.
    root_ctes: cte::CteList,
    /// Whether parameters may stay without type: another part of the statement tells it.
    part: bool,
    depth: Cell<usize>,
    next_local: Cell<u64>,
}

impl<'a> QueryContext<'a> {
    /// A context with a default session; set the fields that are known.
    pub fn new(relations: &'a dyn Relations, text: &'a str) -> QueryContext<'a> {
        QueryContext {
            relations,
            text,
            database: "materialize".to_owned(),
            search_path: vec!["public".to_owned()],
            user: "materialize".to_owned(),
            session_user: "materialize".to_owned(),
            time_zone: "UTC".to_owned(),
            settings: TextSettings::default(),
            now: 0,
            backend_pid: 0,
            maintained: false,
            all_databases: false,
            set_config: RefCell::new(Vec::new()),
            parameters: RefCell::new(Vec::new()),
            only_functions: None,
            trusted: false,
            used_functions: RefCell::new(BTreeSet::new()),
            locks: Cell::new(false),
            root_ctes: None,
            part: false,
            depth: Cell::new(0),
            next_local: Cell::new(0),
        }
    }

    /// The types of all parameters, once everything is planned.
    ///
    /// # Errors
    /// Nothing says what type one of them has (`42P18`).
    pub fn parameter_types(&self) -> Result<Vec<ScalarType>, SqlError> {
        if self.part {
            return Ok(self.known_parameters());
        }
        let known = self.parameters.borrow();
        known
            .iter()
            .enumerate()
            .map(|(index, typ)| match typ {
                Some(ScalarType::Unknown) | None => Err(SqlError::new(
                    SqlState::INDETERMINATE_DATATYPE,
                    format!("could not determine data type of parameter ${}", index + 1),
                )),
                Some(typ) => Ok(typ.clone()),
            })
            .collect()
    }

    /// The types of all parameters, as far as they are known.
    pub fn known_parameters(&self) -> Vec<ScalarType> {
        let known = self.parameters.borrow();
        known.iter().map(|typ| typ.clone().unwrap_or(ScalarType::Unknown)).collect()
    }

    /// Makes the context one of a part of a statement with these queries of WITH around it.
    pub fn enter(&mut self, list: &WithList) {
        list.enter(&mut self.root_ctes, &self.next_local);
        self.part = true;
    }

    /// The type that a name means.
    ///
    /// # Errors
    /// There is none, or its modifier is wrong.
    pub fn data_type(&self, data_type: &DataType) -> Result<ColumnType, SqlError> {
        crate::types::resolve_data_type(&|parts| self.relations.created_type(parts), data_type)
    }

    /// Runs one level of a recursion, on a larger stack where needed.
    fn deeper<T>(&self, run: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
        let depth = self.depth.get();
        if depth >= DEPTH_LIMIT {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            )
            .with_hint("Write the statement with less nesting."));
        }
        self.depth.set(depth + 1);
        let result = stacker::maybe_grow(256 * 1024, 4 * 1024 * 1024, run);
        self.depth.set(depth);
        result
    }

    fn fresh_local(&self) -> tidemill_plan::LocalId {
        let id = self.next_local.get();
        self.next_local.set(id + 1);
        tidemill_plan::LocalId(id)
    }
}

/// A query that is planned: its relation, what it gives, and what the session does last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedQuery {
    /// The relation before the finishing.
    pub query: QueryExpr,
    /// The columns after the finishing.
    pub desc: RelationDesc,
    /// Order, limit and projection.
    pub finishing: Finishing,
}

/// A scalar expression with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedScalar {
    /// The expression.
    pub expr: QueryScalar,
    /// What it gives.
    pub typ: ColumnType,
}

/// Plans the query of a session: the outermost ORDER BY, LIMIT and OFFSET become the finishing.
///
/// # Errors
/// Whatever PostgreSQL finds wrong with the query, in its words; `0A000` for what Tidemill lacks.
pub fn plan_top_query(ctx: &QueryContext<'_>, query: &Query) -> Result<PlannedQuery, SqlError> {
    let parts = order::plan_query(ctx, query, &Rc::new(Scope::default()))?;
    let mut planned = order::into_top(ctx, parts)?;
    walk::settle_parameters(&mut planned.query, &ctx.parameters.borrow());
    Ok(planned)
}

/// Plans the definition of a view: its order counts only where there is a LIMIT or OFFSET.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_view_query(
    ctx: &QueryContext<'_>,
    query: &Query,
) -> Result<(QueryExpr, RelationDesc), SqlError> {
    let parts = order::plan_query(ctx, query, &Rc::new(Scope::default()))?;
    let parts = order::resolve_unknown_outputs(ctx, parts)?;
    let columns = parts.columns();
    let mut planned = order::into_relation(ctx, parts)?;
    walk::settle_parameters(&mut planned, &ctx.parameters.borrow());
    Ok((planned, RelationDesc::new(columns.into_iter().map(|column| (column.name, column.typ)))))
}

/// Plans the rows of an INSERT, coerced to its target columns as an assignment. With `fill`,
/// columns beyond those that the query gives take their defaults; that is for an INSERT without
/// a column list.
///
/// # Errors
/// As [`plan_top_query`]; and a row has more or fewer values than there are targets, or a value
/// cannot be assigned.
pub fn plan_insert_source(
    ctx: &QueryContext<'_>,
    query: &Query,
    targets: &[InsertTarget],
    fill: bool,
) -> Result<QueryExpr, SqlError> {
    let mut planned = values::plan_insert_source(ctx, query, targets, fill)?;
    walk::settle_parameters(&mut planned, &ctx.parameters.borrow());
    Ok(planned)
}

/// Plans one expression over the rows of a scope, without aggregates. Call
/// [`settle_scalar_parameters`] when all of the statement is planned, if it may have parameters.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_scalar(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    expr: &Expr,
) -> Result<TypedScalar, SqlError> {
    let scope = Rc::new(scope.clone());
    let planned = expr::ExprContext::new(ctx, &scope, "this expression").plan(expr)?;
    Ok(planned)
}

/// [`plan_scalar`] in a clause that errors name.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_scalar_in(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    expr: &Expr,
    clause: &'static str,
) -> Result<TypedScalar, SqlError> {
    let scope = Rc::new(scope.clone());
    expr::ExprContext::new(ctx, &scope, clause).plan(expr)
}

/// Plans a condition: an expression that must be boolean, of which only truth counts.
///
/// # Errors
/// As [`plan_top_query`]; the expression is not boolean (`42804`), naming `clause`.
pub fn plan_condition(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    expr: &Expr,
    clause: &'static str,
) -> Result<QueryScalar, SqlError> {
    let scope = Rc::new(scope.clone());
    expr::ExprContext::new(ctx, &scope, clause).plan_condition(expr)
}

/// Plans the items of a FROM: their rows, and their names.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_from_items(
    ctx: &QueryContext<'_>,
    tables: &[TableWithJoins],
) -> Result<(QueryExpr, Scope), SqlError> {
    from::plan_from(ctx, tables, &Rc::new(Scope::default()))
}

/// Plans the output columns of RETURNING over the rows of a scope.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_returning(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    items: &[SelectItem],
) -> Result<(Vec<QueryScalar>, RelationDesc), SqlError> {
    select::plan_returning(ctx, &Rc::new(scope.clone()), items)
}

/// Plans a subquery over the rows of a scope that gives several columns: each as a value.
///
/// # Errors
/// As [`plan_top_query`].
pub fn plan_row_subquery(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    query: &Query,
) -> Result<Vec<TypedScalar>, SqlError> {
    let scope = Rc::new(scope.clone());
    let parts =
        order::plan_query(ctx, query, &expr::ExprContext::new(ctx, &scope, "UPDATE").inside())?;
    let (relation, columns) = order::into_subquery(ctx, parts)?;
    let single = |column: usize| QueryExpr::Project {
        input: Box::new(walk::copy(ctx, &relation)),
        outputs: vec![column],
    };
    let values = columns.into_iter().enumerate().map(|(column, output)| TypedScalar {
        expr: QueryScalar::Subquery(Box::new(single(column))),
        typ: output.typ.nullable(true),
    });
    Ok(values.collect())
}

/// Puts other columns in the place of those of the input row.
pub fn remap_columns(scalar: &mut QueryScalar, to: impl Fn(usize) -> usize) {
    walk::walk_scalar(scalar, 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
        {
            reference.column = to(reference.column);
        }
        true
    });
}

/// Gives the parameters of a query, whose types were inferred after their first use, these types.
pub fn settle_query_parameters(ctx: &QueryContext<'_>, query: &mut QueryExpr) {
    walk::settle_parameters(query, &ctx.parameters.borrow());
}

/// Whether a scalar expression holds a subquery.
pub fn scalar_has_subquery(scalar: &QueryScalar) -> bool {
    walk::has_subquery(scalar)
}

/// Gives parameters whose types were inferred after their first use these types.
pub fn settle_scalar_parameters(ctx: &QueryContext<'_>, scalar: &mut QueryScalar) {
    walk::settle_scalar_parameters(scalar, &ctx.parameters.borrow());
}
