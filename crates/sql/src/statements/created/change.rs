//! What else changes when a type changes: all that holds its definition or its name.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr, ObjectName, VisitMut, VisitorMut};
use tidemill_catalog::{CatalogChange, Definition, Index, Item};
use tidemill_plan::QueryExpr;
use tidemill_repr::{Oid, SqlError};

use super::create_sql;
use crate::ast::Statement;
use crate::names;
use crate::parse::{expression, parse};
use crate::rebuild::{Rebuilt, rebuild};
use crate::session::{Planner, SessionView};
use crate::statements::function::with_body;

/// Replaces the name of a type in texts.
struct Renamer {
    old: Vec<String>,
    /// As columns name it: without database.
    short: Vec<String>,
    new: ObjectName,
}

impl Renamer {
    fn data_type(&self, data_type: &mut DataType) {
        match data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::Qualified(element, _),
            ) => self.data_type(element),
            DataType::Custom(name, _) => {
                let parts = names::parts(name).unwrap_or_default();
                if parts == self.old || parts == self.short {
                    *name = self.new.clone();
                }
            }
            _ => {}
        }
    }

    /// A text that is one expression, with the new name.
    fn expression(&mut self, text: &mut String) -> Result<(), SqlError> {
        let mut expr = expression(text)?;
        let _ = expr.visit(self);
        *text = expr.to_string();
        Ok(())
    }
}

impl VisitorMut for Renamer {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => self.data_type(data_type),
            Expr::TypedString(typed) => self.data_type(&mut typed.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A type as it will be and, after it, all that holds its definition or its name, each after what
/// it depends on.
///
/// # Errors
/// A text cannot be changed, or an object cannot be planned with the new definition.
pub(super) fn redefined(
    planner: &Planner<'_>,
    old: &Item,
    new: Item,
) -> Result<Vec<Item>, SqlError> {
    let catalog = planner.catalog;
    let typ = new.type_of().ok_or_else(|| SqlError::internal("a type that is none"))?;
    let put = |item: &Item| CatalogChange::PutItem(Box::new(item.clone()));
    let mut renamer = (old.name != new.name).then(|| Renamer {
        old: parts_of(old),
        short: parts_of(old).split_off(1),
        new: names::object_name(&new.name),
    });
    let mut next = catalog.apply(&[put(&new)])?;
    let mut changed = vec![new];
    for id in catalog.dependants(old.id).into_iter().rev() {
        let Some(item) = catalog.item(id) else { continue };
        let mut item = Item::clone(item);
        item.redefine(&typ);
        if let Some(renamer) = &mut renamer {
            rename(&mut item, renamer)?;
        }
        if let Definition::Function(function) = &item.definition {
            item.create_sql = function.definition_sql(&item.name.to_string(), false);
        }
        if let Definition::Type(created) = &item.definition {
            item.create_sql = create_sql(&item.name, created);
        }
        let path = [item.name.schema.clone()];
        let session = SessionView {
            database: item.name.database.as_deref().unwrap_or(planner.session.database),
            search_path: &path,
            time_zone: "UTC",
            ..*planner.session
        };
        match rebuild(&next, &session, &item)? {
            Rebuilt::Query(query, ..) => put_query(&mut item, query),
            Rebuilt::Key(key) => {
                if let Definition::Index(index) = &mut item.definition {
                    index.key = key;
                }
            }
            _ => {}
        }
        next = next.apply(&[put(&item)])?;
        changed.push(item);
    }
    Ok(changed)
}

fn parts_of(item: &Item) -> Vec<String> {
    names::parts(&names::object_name(&item.name)).unwrap_or_default()
}

fn put_query(item: &mut Item, query: QueryExpr) {
    match &mut item.definition {
        Definition::View(view) => view.query = Some(Arc::new(query)),
        Definition::MaterializedView(materialized) => {
            materialized.view.query = Some(Arc::new(query));
        }
        _ => {}
    }
}

/// Puts the new name into the texts of an object.
fn rename(item: &mut Item, renamer: &mut Renamer) -> Result<(), SqlError> {
    let broken = || SqlError::internal("a definition that is not one statement");
    match &mut item.definition {
        Definition::Type(created) => {
            for (_, condition) in &mut created.rules.checks {
                renamer.expression(condition)?;
            }
            if let Some(default) = &mut created.rules.default {
                renamer.expression(default)?;
            }
            return Ok(());
        }
        Definition::Index(Index { key_sql, .. }) => {
            key_sql.iter_mut().try_for_each(|key| renamer.expression(key))?;
        }
        Definition::Table(table) => {
            table.defaults.iter_mut().flatten().try_for_each(|text| renamer.expression(text))?;
        }
        _ => {}
    }
    if let Definition::Function(function) = &mut item.definition {
        let mut parsed = parse(&function.body)?;
        let Some(Statement::Query(mut body)) = parsed.pop().map(|one| one.statement) else {
            return Err(broken());
        };
        let _ = body.query.visit(renamer);
        if let Some(new) = with_body(item, crate::ast::query_text(&body.query)) {
            *item = new;
        }
        return Ok(());
    }
    let mut parsed = parse(&item.create_sql)?;
    let (Some(one), None) = (parsed.pop(), parsed.pop()) else { return Err(broken()) };
    let mut statement = one.statement;
    match &mut statement {
        Statement::CreateTable(create) => {
            for column in &mut create.columns {
                renamer.data_type(&mut column.data_type);
                let _ = column.options.visit(renamer);
            }
        }
        Statement::CreateView(create) => {
            let _ = create.query.visit(renamer);
            let text = crate::ast::query_text(&create.query);
            match &mut item.definition {
                Definition::View(view) => view.query_sql = text,
                Definition::MaterializedView(materialized) => materialized.view.query_sql = text,
                _ => {}
            }
        }
        Statement::CreateIndex(create) => {
            for part in create.key.iter_mut().flatten() {
                let _ = part.visit(renamer);
            }
        }
        // Others do not name types.
        _ => return Ok(()),
    }
    item.create_sql = statement.to_string();
    Ok(())
}

/// Whether a query reads values of a type from texts while it runs.
pub(super) fn reads_from_text(query: &QueryExpr, oid: Oid) -> bool {
    let Ok(text) = serde_json::to_string(query) else { return false };
    text.contains(tidemill_expr::resolve::TEXT_TO_TYPED)
        && text.contains(&format!("\\\"oid\\\":{}", oid.0))
}
