//! CREATE FUNCTION .. LANGUAGE SQL, and DROP, ALTER and COMMENT ON of functions.

mod build;

use sqlparser::ast::DataType;
use tidemill_catalog::role::Securable;
use tidemill_catalog::{
    CatalogChange, Commented, Definition, Function, Item, ParameterType, QualifiedName,
};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::{Planning, command};
use crate::ast::{CreateFunction, FunctionChange, FunctionName, FunctionStatement};
use crate::names;
use crate::plan::{ChangeCatalogPlan, NewItem, Notice, Plan, Planned};

impl<'a> Planning<'a> {
    pub(super) fn function_statement(
        &self,
        statement: &FunctionStatement,
    ) -> Result<Planned, SqlError> {
        match statement {
            FunctionStatement::Create(create) => self.create_function(create),
            FunctionStatement::Drop { if_exists, functions, cascade } => {
                self.drop_functions(*if_exists, functions, *cascade)
            }
            FunctionStatement::Alter(function, change) => self.alter_function(function, change),
            FunctionStatement::Comment(function, text) => {
                let item = self.owned_function(function)?;
                let on = Commented::Item(item.id);
                let changes = vec![CatalogChange::Comment { on, text: text.clone() }];
                Ok(command(Plan::ChangeCatalog(ChangeCatalogPlan {
                    changes,
                    tag: "COMMENT",
                    wait: None,
                })))
            }
        }
    }

    fn create_function(&self, statement: &CreateFunction) -> Result<Planned, SqlError> {
        let name = self.new_name(&statement.name)?;
        let mut function = self.function_of(statement)?;
        let old = self
            .planner
            .catalog
            .functions_named(&name)
            .find(|old| old.function().is_some_and(|old| old.takes_same(&function)));
        let replaces = match old {
            None => None,
            Some(_) if !statement.or_replace => {
                let message =
                    format!("function \"{}\" already exists with same argument types", name.item);
                return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, message));
            }
            Some(old) => {
                self.check_replaceable(old, &function)?;
                Some(old.id)
            }
        };
        let depends_on = self.function_body(statement, &name, &mut function)?;
        let create_sql = function.definition_sql(&name.to_string(), false);
        let definition = Definition::Function(function);
        let item = NewItem { name, create_sql, depends_on, definition, replaces };
        Ok(command(Plan::CreateFunction(item)))
    }

    /// What CREATE OR REPLACE may put in the place of a function.
    fn check_replaceable(&self, old: &Item, new: &Function) -> Result<(), SqlError> {
        let Some(before) = old.function() else { return Ok(()) };
        let shown = old.described_name();
        let refuse = |message: String| {
            SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message)
                .with_hint(format!("Use DROP FUNCTION {shown} first."))
        };
        let columns = |function: &Function| {
            function.outputs().map(|one| (one.name.clone(), one.typ.clone())).collect::<Vec<_>>()
        };
        if before.returns != new.returns {
            return Err(refuse("cannot change return type of existing function".to_owned()));
        }
        if columns(before) != columns(new) {
            let error = refuse("cannot change return type of existing function".to_owned());
            return Err(error.with_detail("Row type defined by OUT parameters is different."));
        }
        for (one, two) in before.inputs().zip(new.inputs()) {
            if let Some(name) = &one.name
                && two.name.as_ref() != Some(name)
            {
                return Err(refuse(format!("cannot change name of input parameter \"{name}\"")));
            }
            if one.default.is_some() && two.default.is_none() {
                let message = "cannot remove parameter defaults from existing function";
                return Err(refuse(message.to_owned()));
            }
        }
        let catalog = self.planner.catalog;
        let lines: Vec<String> = catalog
            .direct_dependants(old.id)
            .filter_map(|id| catalog.item(id))
            .map(|item| {
                format!("{} {} depends on function {shown}", item.kind(), item.described_name())
            })
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let what = format!("cannot replace function {shown}");
        Err(super::drop::dependants_exist(what, &lines)
            .with_hint("What uses a function is made of its body: drop it first."))
    }

    fn drop_functions(
        &self,
        if_exists: bool,
        functions: &[FunctionName],
        cascade: bool,
    ) -> Result<Planned, SqlError> {
        let mut named = Vec::new();
        let mut notices = Vec::new();
        for function in functions {
            match self.owned_function(function) {
                Ok(item) => named.push(item.id),
                Err(error) if if_exists && is_missing(&error) => {
                    let message = match error.code {
                        SqlState::UNDEFINED_FUNCTION => {
                            let shown = self.shown_function(function);
                            format!("function {shown} does not exist, skipping")
                        }
                        _ => format!("{}, skipping", error.message),
                    };
                    notices.push(Notice::new(SqlState("00000"), message));
                }
                Err(error) => return Err(error),
            }
        }
        self.dropped(&named, cascade, "DROP FUNCTION", notices)
    }

    fn alter_function(
        &self,
        function: &FunctionName,
        change: &FunctionChange,
    ) -> Result<Planned, SqlError> {
        let item = self.owned_function(function)?;
        let to = match change {
            FunctionChange::Owner(role) => {
                return self.give_away(&Securable::Item(item.id), role, "ALTER FUNCTION");
            }
            FunctionChange::Rename(name) => {
                names::check_length(&name.value)?;
                QualifiedName { item: name.value.clone(), ..item.name.clone() }
            }
            FunctionChange::Schema(schema) => {
                let (database, schema) = self.named_schema(&names::parts(schema)?)?;
                if item.name.database.as_deref() != Some(&database) {
                    return Err(SqlError::unsupported("SET SCHEMA to another database"));
                }
                QualifiedName { schema, ..item.name.clone() }
            }
        };
        if to == item.name {
            return Ok(command(Plan::Nothing { tag: "ALTER FUNCTION" }));
        }
        let taken = self.planner.catalog.functions_named(&to).any(|other| {
            let both = other.function().zip(item.function());
            both.is_some_and(|(one, two)| one.takes_same(two))
        });
        if taken {
            let shown = Item { name: to.clone(), ..item.clone() }.described_name();
            return Err(SqlError::new(
                SqlState::DUPLICATE_FUNCTION,
                format!("function {shown} already exists in schema \"{}\"", to.schema),
            ));
        }
        self.rename_item(item, to, "ALTER FUNCTION")
    }

    /// A function of this name that the user may change.
    fn owned_function(&self, function: &FunctionName) -> Result<&'a Item, SqlError> {
        let item = self.named_function(function)?;
        let catalog = self.planner.catalog;
        let on = Securable::Item(item.id);
        if catalog.is_owner(self.planner.session.user, &on) {
            return Ok(item);
        }
        Err(super::authorize::denied::not_owner(catalog, &on))
    }

    /// The function of this name, and of these arguments if they are given.
    pub(super) fn named_function(&self, function: &FunctionName) -> Result<&'a Item, SqlError> {
        let parts = names::parts(&function.name)?;
        let session = self.planner.session;
        if let [schema, _] | [_, schema, _] = parts.as_slice()
            && self.planner.catalog.schema(session.database, schema).is_none()
        {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        let catalog = self.planner.catalog;
        let found = catalog.find_functions(session.database, session.search_path, &parts);
        let shown = parts.join(".");
        let Some(arguments) = &function.arguments else {
            return match found.as_slice() {
                [] => Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("could not find a function named \"{shown}\""),
                )),
                [one] => Ok(one),
                _ => Err(SqlError::new(
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("function name \"{shown}\" is not unique"),
                )
                .with_hint("Specify the argument list to select the function unambiguously.")),
            };
        };
        let types =
            arguments.iter().map(|typ| self.parameter_type(typ)).collect::<Result<Vec<_>, _>>()?;
        let takes = |item: &&&std::sync::Arc<Item>| {
            item.function()
                .is_some_and(|function| function.inputs().map(|input| &input.typ).eq(&types))
        };
        match found.iter().find(takes) {
            Some(item) => Ok(item),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {} does not exist", self.shown_function(function)),
            )),
        }
    }

    /// A name with types as messages write it.
    fn shown_function(&self, function: &FunctionName) -> String {
        let name = names::parts(&function.name).unwrap_or_default().join(".");
        let Some(arguments) = &function.arguments else { return format!("{name}()") };
        let types: Vec<String> = arguments
            .iter()
            .map(|typ| match self.parameter_type(typ) {
                Ok(typ) => typ.name(),
                Err(_) => typ.to_string(),
            })
            .collect();
        format!("{name}({})", types.join(","))
    }

    /// A type of an argument or result.
    fn parameter_type(&self, data_type: &DataType) -> Result<ParameterType, SqlError> {
        if let DataType::Custom(name, modifiers) = data_type
            && modifiers.is_empty()
        {
            let parts = names::parts(name)?;
            if let [name] | [_, name] = parts.as_slice() {
                if let Some(polymorphic) = ParameterType::polymorphic(name) {
                    return Ok(polymorphic);
                }
                if name.starts_with("anycompatible") || *name == "record" {
                    let what = format!("{name} as a type of a function");
                    return Err(SqlError::unsupported(what));
                }
            }
        }
        Ok(ParameterType::Is(self.planner.data_type(data_type)?.scalar_type))
    }

    /// The created types that a function names.
    fn types_of(&self, function: &Function) -> Vec<ObjectId> {
        let parameters = function.parameters.iter().map(|parameter| &parameter.typ);
        let types = parameters.chain(&function.returns.typ).filter_map(|typ| match typ {
            ParameterType::Is(typ) => Some(typ),
            ParameterType::Any(_) => None,
        });
        types.flat_map(|typ| self.planner.catalog.named_types(typ)).collect()
    }
}

fn is_missing(error: &SqlError) -> bool {
    [SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_OBJECT]
        .contains(&error.code)
}

/// A function whose text is otherwise, with the statement that goes with it.
pub(super) fn with_body(item: &Item, body: String) -> Option<Item> {
    let mut function = item.function()?.clone();
    if function.source.is_some() {
        function.source = Some(body.clone());
    }
    function.body = body;
    let create_sql = function.definition_sql(&item.name.to_string(), false);
    Some(Item { create_sql, definition: Definition::Function(function), ..item.clone() })
}
