//! Other objects' texts when an object gets another name.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Query, TableAlias, TableFactor, VisitMut, VisitorMut};
use tidemill_catalog::{Catalog, CatalogChange, Definition, Item, QualifiedName};
use tidemill_repr::SqlError;

use crate::ast::{OptionValue, SourceConnection, Statement, query_text};
use crate::names;
use crate::parse::parse;
use crate::rebuild::rebuild;
use crate::session::Planner;
use crate::statements::function::with_body;

/// Replaces a relation's name where it is read from; other parts of the text know it by its old
/// name still.
struct Renamer {
    old: ObjectName,
    new: ObjectName,
    alias: String,
    /// Whether it is a function, whose names are apart from those of relations.
    function: bool,
}

impl Renamer {
    fn called(&self, name: &mut ObjectName) {
        if self.function && names::parts(name).ok() == names::parts(&self.old).ok() {
            *name = self.new.clone();
        }
    }
}

impl VisitorMut for Renamer {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.called(&mut function.name);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } =
            factor
        {
            self.called(name);
        }
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && !self.function
            && names::parts(name).ok() == names::parts(&self.old).ok()
        {
            *name = self.new.clone();
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: names::ident(&self.alias),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}

/// The objects whose texts hold the name of one that is renamed, as they will be; None if there
/// is one whose text cannot be changed.
pub(super) fn dependants(
    planner: &Planner<'_>,
    item: &Item,
    renamed: &Item,
) -> Result<Option<Vec<Item>>, SqlError> {
    let catalog: &Catalog = planner.catalog;
    let mut changed = Vec::new();
    let put = |item: &Item| CatalogChange::PutItem(Box::new(item.clone()));
    let mut next = catalog.apply(&[put(renamed)])?;
    for id in catalog.direct_dependants(item.id) {
        let Some(dependant) = catalog.item(id) else { continue };
        let function = item.function().is_some();
        let Some(new) = retold(dependant, &item.name, &renamed.name, function)? else {
            return Ok(None);
        };
        next = next.apply(&[put(&new)])?;
        changed.push(new);
    }
    // What cannot be planned from its new text must keep the old one.
    let after = Planner { catalog: &next, session: planner.session };
    let planned = changed.iter().all(|new| rebuild(after.catalog, after.session, new).is_ok());
    Ok(planned.then_some(changed))
}

fn retold(
    dependant: &Item,
    old: &QualifiedName,
    new: &QualifiedName,
    function: bool,
) -> Result<Option<Item>, SqlError> {
    let mut renamer = Renamer {
        old: names::object_name(old),
        new: names::object_name(new),
        alias: old.item.clone(),
        function,
    };
    if let Definition::Function(function) = &dependant.definition {
        let Statement::Query(mut body) = single(&function.body)? else { return Ok(None) };
        let _ = body.query.visit(&mut renamer);
        return Ok(with_body(dependant, query_text(&body.query)));
    }
    let mut statement = single(&dependant.create_sql)?;
    let mut result = dependant.clone();
    let mut visit = |query: &mut Query| {
        let _ = query.visit(&mut renamer);
        query.to_string()
    };
    match (&mut statement, &mut result.definition) {
        (Statement::CreateView(create), Definition::View(view)) => {
            view.query_sql = visit(&mut create.query);
        }
        (Statement::CreateView(create), Definition::MaterializedView(materialized)) => {
            materialized.view.query_sql = visit(&mut create.query);
        }
        (Statement::CreateIndex(create), Definition::Index(_)) => create.on = renamer.new,
        (statement, Definition::Table(_) | Definition::Source(_) | Definition::Connection(_)) => {
            let from = names::parts(&renamer.old)?;
            let put = |name: &mut ObjectName| {
                if names::parts(name).is_ok_and(|parts| parts == from) {
                    *name = renamer.new.clone();
                }
            };
            if !each_used_name(statement, put) {
                return Ok(None);
            }
        }
        _ => return Ok(None),
    }
    result.create_sql = statement.to_string();
    Ok(Some(result))
}

/// Visits the names of objects that a connection, a source or a table of a source uses; false for
/// other statements.
pub(super) fn each_used_name(
    statement: &mut Statement,
    mut put: impl FnMut(&mut ObjectName),
) -> bool {
    match statement {
        Statement::CreateTableFromSource(create) => put(&mut create.source),
        Statement::CreateSource(create) => match &mut create.connection {
            SourceConnection::Name(name) => put(name),
            SourceConnection::Text(_) => return false,
        },
        Statement::CreateConnection(create) => {
            for option in &mut create.options {
                match &mut option.value {
                    OptionValue::Secret(name) | OptionValue::Name(name) => put(name),
                    _ => {}
                }
            }
        }
        _ => return false,
    }
    true
}

/// The one statement of a definition.
pub(in crate::statements) fn single(text: &str) -> Result<Statement, SqlError> {
    let mut parsed = parse(text)?;
    match (parsed.pop(), parsed.pop()) {
        (Some(only), None) => Ok(only.statement),
        _ => Err(SqlError::internal("a definition that is not one statement")),
    }
}
