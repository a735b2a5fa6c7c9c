//! From statements to plans: one file a statement.
//!
//! [`plan`] dispatches. Everything has its names resolved against one catalog snapshot, its
//! options checked ([`options`]), and, for what goes into the catalog, a `create_sql` with full
//! names that can be run again.

mod alter;
mod assert;
mod authorize;
mod cluster;
mod comment;
mod connection;
mod constant;
mod copy;
pub(crate) mod created;
mod cursor;
mod dml;
mod drop;
mod explain;
mod function;
mod index;
mod options;
mod refresh;
mod role;
mod secret;
mod select;
mod setting;
mod show;
mod source;
mod table;
mod transaction;
mod truncate;
mod view;

pub(crate) use assert::asserted_again;
pub(crate) use authorize::denied::privilege as privilege_denied;
pub use constant::over_columns;
pub use dml::put_rows;

use sqlparser::ast::Statement as Standard;
use tidemill_catalog::snapshot::TEMPORARY_SCHEMA;
use tidemill_catalog::{Catalog, Item, ItemKind, QualifiedName};
use tidemill_repr::{RelationDesc, ScalarType, SqlError, SqlState};

use crate::ast::Statement;
use crate::names;
use crate::parse::ParsedStatement;
use crate::plan::{Notice, Plan, Planned};
use crate::query::QueryContext;
use crate::session::{Planner, SessionView};

/// Plans a statement. `parameter_types` are those that the client gave, `$1` first.
///
/// # Errors
/// Whatever is wrong with it, in PostgreSQL's words; `0A000` for what Tidemill lacks.
pub fn plan(
    catalog: &Catalog,
    session: &SessionView<'_>,
    statement: &ParsedStatement,
    parameter_types: &[Option<ScalarType>],
) -> Result<Planned, SqlError> {
    let planner = Planner { catalog, session };
    let planning = Planning {
        planner,
        text: &statement.whole,
        statement,
        parameters: parameter_types,
        around: None,
    };
    planning.authorize_named(&statement.statement)?;
    let planned = planning.plan(&statement.statement);
    let mut planned = planned.map_err(crate::query::settle_position)?;
    planning.authorize(&statement.statement, &mut planned)?;
    Ok(planned)
}

/// One statement on its way to a plan.
#[derive(Clone, Copy)]
struct Planning<'a> {
    planner: Planner<'a>,
    /// The text that spans refer to.
    text: &'a str,
    statement: &'a ParsedStatement,
    parameters: &'a [Option<ScalarType>],
    /// The queries of a WITH around it.
    around: Option<&'a crate::query::WithList>,
}

impl<'a> Planning<'a> {
    fn plan(&self, statement: &Statement) -> Result<Planned, SqlError> {
        match statement {
            Statement::Query(statement) => self.select(statement),
            Statement::Standard(statement) => self.standard(statement),
            Statement::Overriding { system, insert } => self.insert(insert, Some(*system)),
            Statement::CreateNamespace(statement) => self.create_namespace(statement),
            Statement::CreateSecret(statement) => self.create_secret(statement),
            Statement::CreateConnection(statement) => self.create_connection(statement),
            Statement::CreateSource(statement) => self.create_source(statement),
            Statement::CreateViewsFromSource(statement) => self.create_views_from_source(statement),
            Statement::CreateTable(statement) => self.create_table(statement),
            Statement::CreateTableFromSource(statement) => self.create_table_from_source(statement),
            Statement::CreateView(statement) => self.create_view(statement),
            Statement::Sequence(statement) => self.sequence(statement),
            Statement::CreateType(statement) => self.create_type(statement),
            Statement::CreateDomain(statement) => self.create_domain(statement),
            Statement::AlterType(statement) => self.alter_type(statement),
            Statement::Function(statement) => self.function_statement(statement),
            Statement::CreateIndex(statement) => self.create_index(statement),
            Statement::Drop(statement) => self.drop(statement),
            Statement::Alter(statement) => self.alter(statement),
            Statement::MoveObject(statement) => self.move_object(statement),
            Statement::Cluster(statement) => self.cluster_statement(statement),
            Statement::Comment(statement) => self.comment(statement),
            Statement::ValidateConnection(name) => self.validate_connection(name),
            Statement::Role(statement) => self.role(statement),
            Statement::Subscribe(statement) => self.subscribe(statement),
            Statement::Copy(statement) => self.copy(statement),
            Statement::Declare(statement) => self.declare(statement),
            Statement::Fetch(statement) => self.fetch(statement),
            Statement::Close(name) => Ok(command(Plan::Close(folded(name.as_ref())))),
            Statement::Prepare(statement) => self.prepare(statement),
            Statement::Execute(statement) => self.execute(statement),
            Statement::Deallocate(name) => Ok(command(Plan::Deallocate(folded(name.as_ref())))),
            Statement::Explain(statement) => self.explain(statement),
            Statement::Show(statement) => self.show(statement),
            Statement::Set(statement) => setting::set(statement),
            Statement::SetTransaction(statement) => transaction::set_transaction(statement),
            Statement::Reset(name) => Ok(command(Plan::ResetVariable(folded(name.as_ref())))),
        }
    }

    fn standard(&self, statement: &Standard) -> Result<Planned, SqlError> {
        match statement {
            Standard::Insert(insert) => self.insert(insert, None),
            Standard::Update(update) => self.update(update),
            Standard::Delete(delete) => self.delete(delete),
            Standard::Truncate(truncate) => self.truncate(truncate),
            Standard::Merge(merge) => self.merge(merge),
            Standard::StartTransaction { .. }
            | Standard::Commit { .. }
            | Standard::Rollback { .. }
            | Standard::Savepoint { .. }
            | Standard::ReleaseSavepoint { .. } => transaction::plan(statement),
            // Nothing is ever listened to (LISTEN is refused), so there is nothing to end.
            Standard::UNLISTEN { .. } => Ok(command(Plan::Nothing { tag: "UNLISTEN" })),
            Standard::Discard { object_type } => {
                Ok(command(Plan::Discard(setting::discard(object_type)?)))
            }
            other => Err(unsupported_statement(other)),
        }
    }

    fn context(&self) -> QueryContext<'_> {
        let mut context = self.planner.query_context(self.text, self.parameters);
        if let Some(list) = self.around {
            context.enter(list);
        }
        context
    }

    /// The full name of an object to be made, as written.
    fn new_name(&self, name: &sqlparser::ast::ObjectName) -> Result<QualifiedName, SqlError> {
        let session = self.planner.session;
        let parts = names::parts(name)?;
        self.planner.catalog.resolve_new_name(session.database, session.search_path, &parts)
    }

    /// The full name of an object of the session, as written.
    fn temporary_name(&self, name: &sqlparser::ast::ObjectName) -> Result<QualifiedName, SqlError> {
        let parts = names::parts(name)?;
        let item = match parts.as_slice() {
            [item] => item,
            [schema, item] if is_temporary_schema(schema) => item,
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    "cannot create temporary relation in non-temporary schema",
                ));
            }
        };
        Ok(QualifiedName {
            database: Some(self.planner.session.database.to_owned()),
            schema: TEMPORARY_SCHEMA.to_owned(),
            item: item.clone(),
        })
    }

    /// Whether a name says by its schema that the object is one of the session.
    fn is_temporary_name(name: &sqlparser::ast::ObjectName) -> bool {
        matches!(names::parts(name).as_deref(), Ok([schema, _]) if is_temporary_schema(schema))
    }

    /// The object of this name and one of these kinds.
    fn item(
        &self,
        name: &sqlparser::ast::ObjectName,
        kinds: &[ItemKind],
    ) -> Result<&'a Item, SqlError> {
        let session = self.planner.session;
        let parts = names::parts(name)?;
        let catalog = self.planner.catalog;
        let kind = kinds.first().copied().unwrap_or(ItemKind::Table);
        let found = catalog
            .resolve_item(session.database, session.search_path, &parts)
            .map_err(|error| not_found(error, kind, &parts))?;
        // The type of a relation's rows is no object of its own.
        if kind == ItemKind::Type && found.kind() != kind {
            let missing = SqlError::new(SqlState::UNDEFINED_TABLE, String::new());
            return Err(not_found(missing, kind, &parts));
        }
        if kinds.contains(&found.kind()) {
            return Ok(found);
        }
        Err(wrong_kind(found, kind))
    }

    /// What stands in the way of a new object: with `if_not_exists`, a plan that does nothing.
    fn check_free(
        &self,
        name: &QualifiedName,
        if_not_exists: bool,
        tag: &'static str,
    ) -> Result<Option<Planned>, SqlError> {
        if self.planner.catalog.item_by_name(name).is_none() {
            return Ok(None);
        }
        if let Some(error) = self.taken_by_type(name) {
            return Err(error);
        }
        if !if_not_exists {
            return Err(tidemill_catalog::snapshot::already_exists(&name.item));
        }
        let message = format!("relation \"{}\" already exists, skipping", name.item);
        Ok(Some(nothing(tag, SqlState::DUPLICATE_TABLE, message)))
    }

    /// The cluster that an object is made on: the one that is named, or the session's.
    fn cluster(&self, cluster: Option<&sqlparser::ast::Ident>) -> Result<String, SqlError> {
        let name = cluster.map_or(self.planner.session.cluster, |cluster| &cluster.value);
        Ok(self.changeable_cluster(name)?.name.clone())
    }
}

/// "relation does not exist", for the other kinds of objects.
fn not_found(error: SqlError, kind: ItemKind, parts: &[String]) -> SqlError {
    if error.code != SqlState::UNDEFINED_TABLE {
        return error;
    }
    let code = match kind {
        ItemKind::Index | ItemKind::Type => SqlState::UNDEFINED_OBJECT,
        _ => error.code,
    };
    let message = format!("{kind} \"{}\" does not exist", parts.join("."));
    SqlError { code, message, ..error }
}

fn wrong_kind(item: &Item, wanted: ItemKind) -> SqlError {
    let article = if wanted == ItemKind::Index { "an" } else { "a" };
    let error = SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{}\" is not {article} {wanted}", item.name.item),
    );
    let kind = item.kind();
    let article = if kind == ItemKind::Index { "an" } else { "a" };
    error.with_detail(format!("It is {article} {kind}."))
}

fn is_temporary_schema(schema: &str) -> bool {
    schema == TEMPORARY_SCHEMA || schema == "mz_temp"
}

fn folded(name: Option<&sqlparser::ast::Ident>) -> Option<String> {
    name.map(|name| name.value.clone())
}

/// A plan without parameters and rows.
fn command(plan: Plan) -> Planned {
    Planned { plan, parameters: Vec::new(), desc: None, notices: Vec::new() }
}

/// A plan that does nothing and says why.
fn nothing(tag: &'static str, code: SqlState, message: String) -> Planned {
    let mut planned = command(Plan::Nothing { tag });
    planned.notices.push(Notice::new(code, message));
    planned
}

/// A plan that gives rows.
fn rows(plan: Plan, parameters: Vec<ScalarType>, desc: RelationDesc) -> Planned {
    Planned { plan, parameters, desc: Some(desc), notices: Vec::new() }
}

/// Names the statement by its first words.
fn unsupported_statement(statement: &Standard) -> SqlError {
    let text = statement.to_string();
    let words: Vec<&str> = text
        .split_whitespace()
        .take_while(|word| word.chars().all(|c| c.is_ascii_uppercase()))
        .take(2)
        .collect();
    SqlError::unsupported(words.join(" "))
}

#[cfg(test)]
mod tests;
