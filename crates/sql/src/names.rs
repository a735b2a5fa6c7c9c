//! Names: from the parser's to the catalog's, and full names in the text of definitions.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Ident, ObjectName, ObjectNamePart, Query, TableFactor,
    VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Span;
use tidemill_catalog::QualifiedName;
use tidemill_catalog::name::quote_identifier;
use tidemill_repr::{ObjectId, SqlError, SqlState};

use crate::session::Planner;

/// The parts of a name.
///
/// # Errors
/// A part is no identifier.
pub fn parts(name: &ObjectName) -> Result<Vec<String>, SqlError> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident.value.clone()),
            ObjectNamePart::Function(_) => {
                Err(SqlError::new(SqlState::INVALID_NAME, format!("invalid name: \"{name}\"")))
            }
        })
        .collect()
}

/// Gives an error the place of a part of the statement, unless it has one. All that is parsed lies
/// on one line, whose columns are the places.
pub fn locate(error: SqlError, span: Span) -> SqlError {
    match u32::try_from(span.start.column) {
        Ok(column) if error.position.is_none() && span.start.line == 1 && column > 0 => {
            error.at(column)
        }
        _ => error,
    }
}

/// Refuses a name that is longer than names may be.
///
/// # Errors
/// It is (`42602`).
pub fn check_length(name: &str) -> Result<(), SqlError> {
    if name.len() <= 255 {
        return Ok(());
    }
    let start = &name[..name.floor_char_boundary(40)];
    Err(SqlError::new(
        SqlState::INVALID_NAME,
        format!("the name \"{start}..\" is longer than 255 bytes"),
    ))
}

/// An identifier that is written so that it is read as this name.
pub fn ident(name: &str) -> Ident {
    if quote_identifier(name).starts_with('"') {
        Ident::with_quote('"', name)
    } else {
        Ident::new(name)
    }
}

/// A catalog name in the parser's form.
pub fn object_name(name: &QualifiedName) -> ObjectName {
    let database = name.database.iter().map(String::as_str);
    let parts = database.chain([name.schema.as_str(), name.item.as_str()]);
    ObjectName::from(parts.map(ident).collect::<Vec<_>>())
}

/// Writes the full names of all relations into a query, and gives their identities.
///
/// # Errors
/// A relation does not exist.
pub fn qualify(planner: &Planner<'_>, query: &mut Query) -> Result<Vec<ObjectId>, SqlError> {
    let mut qualifier = Qualifier::new(planner, false);
    match query.visit(&mut qualifier) {
        ControlFlow::Continue(()) => {
            let mut found = qualifier.found;
            found.sort();
            found.dedup();
            Ok(found)
        }
        ControlFlow::Break(error) => Err(error),
    }
}

/// Writes the full names of all types and relations into an expression, and gives the identities
/// of what it names.
///
/// # Errors
/// A relation does not exist.
pub fn qualify_expr(planner: &Planner<'_>, expr: &mut Expr) -> Result<Vec<ObjectId>, SqlError> {
    let mut qualifier = Qualifier::new(planner, true);
    match expr.visit(&mut qualifier) {
        ControlFlow::Continue(()) => Ok(qualifier.found),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The functions that a query may call, by their names alone.
///
/// # Errors
/// A relation does not exist.
pub fn functions_named(
    planner: &Planner<'_>,
    query: &mut Query,
) -> Result<Vec<ObjectId>, SqlError> {
    let mut qualifier = Qualifier::new(planner, true);
    match query.visit(&mut qualifier) {
        ControlFlow::Continue(()) => {
            let mut found = qualifier.found;
            let is_function = |id: &ObjectId| {
                planner.catalog.item(*id).is_some_and(|item| item.function().is_some())
            };
            found.retain(is_function);
            Ok(found)
        }
        ControlFlow::Break(error) => Err(error),
    }
}

/// The CTEs of a query that is being visited. Those of its own definitions that were visited
/// are in sight; a recursive WITH shows all at once.
struct Frame {
    names: Vec<String>,
    visible: usize,
}

struct Qualifier<'a> {
    planner: &'a Planner<'a>,
    frames: Vec<Frame>,
    found: Vec<ObjectId>,
    /// Whether all functions count as found that a name may mean: where it is not known which
    /// it does.
    functions: bool,
}

impl<'a> Qualifier<'a> {
    fn new(planner: &'a Planner<'a>, functions: bool) -> Qualifier<'a> {
        Qualifier { planner, frames: Vec::new(), found: Vec::new(), functions }
    }

    /// Writes the full name of a function that a user wrote.
    fn function(&mut self, name: &mut ObjectName) {
        let Ok(parts) = parts(name) else { return };
        let session = self.planner.session;
        let catalog = self.planner.catalog;
        let found = catalog.find_functions(session.database, session.search_path, &parts);
        let Some(first) = found.first() else { return };
        if self.functions {
            self.found.extend(found.iter().map(|item| item.id));
        }
        let one_schema = found.iter().all(|item| item.name == first.name);
        let own = parts.len() == 1 && crate::query::has_builtin(&first.name.item);
        if one_schema && !own {
            *name = object_name(&first.name);
        }
    }

    /// Writes the full name of a created type.
    fn data_type(&mut self, data_type: &mut DataType) {
        match data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::Qualified(element, _),
            ) => self.data_type(element),
            DataType::Custom(name, modifiers) => {
                let plain = DataType::Custom(name.clone(), modifiers.clone());
                let built_in = crate::types::resolve_data_type(&|_| None, &plain).is_ok();
                if built_in {
                    return;
                }
                let Ok(mut parts) = parts(name) else { return };
                let session = self.planner.session;
                let catalog = self.planner.catalog;
                let find = |parts: &[String]| {
                    catalog.find_type(session.database, session.search_path, parts)
                };
                if let Some(item) = find(&parts) {
                    self.found.push(item.id);
                    *name = object_name(&item.name);
                    return;
                }
                // `_name`, the array type.
                let Some(element) = parts.last_mut() else { return };
                let Some(stripped) = element.strip_prefix('_').map(str::to_owned) else { return };
                *element = stripped;
                if let Some(item) = find(&parts) {
                    self.found.push(item.id);
                    let element = DataType::Custom(object_name(&item.name), Vec::new());
                    *data_type =
                        DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None));
                }
            }
            _ => {}
        }
    }

    fn is_cte(&self, name: &str) -> bool {
        self.frames
            .iter()
            .any(|frame| frame.names.iter().take(frame.visible).any(|known| known == name))
    }
}

impl VisitorMut for Qualifier<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let mut frame = Frame { names: Vec::new(), visible: 0 };
        if let Some(with) = &query.with {
            frame.names = with.cte_tables.iter().map(|cte| cte.alias.name.value.clone()).collect();
            if with.recursive {
                frame.visible = frame.names.len();
            }
        }
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.frames.pop();
        // The definitions of a WITH are visited before all other queries inside.
        if let Some(parent) = self.frames.last_mut() {
            parent.visible = (parent.visible + 1).min(parent.names.len());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match expr {
            Expr::Cast { data_type, .. } => self.data_type(data_type),
            Expr::TypedString(typed) => self.data_type(&mut typed.data_type),
            Expr::Function(function) => self.function(&mut function.name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } =
            factor
        {
            self.function(name);
        }
        let TableFactor::Table { name, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let parts = match parts(name) {
            Ok(parts) => parts,
            Err(error) => return ControlFlow::Break(error),
        };
        if let [single] = parts.as_slice()
            && self.is_cte(single)
        {
            return ControlFlow::Continue(());
        }
        let session = self.planner.session;
        let catalog = self.planner.catalog;
        match catalog.resolve_relation(session.database, session.search_path, &parts) {
            Ok(item) => {
                self.found.push(item.id);
                *name = object_name(&item.name);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
