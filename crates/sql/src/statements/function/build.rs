//! What CREATE FUNCTION says, checked: parameters, result, options, body.

use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr};
use tidemill_catalog::{Function, Parameter, ParameterMode, ParameterType, QualifiedName, Returns};
use tidemill_repr::{ColumnType, ObjectId, SqlError, SqlState};

use crate::ast::{
    CreateFunction, FunctionBody, FunctionParameter, FunctionReturns, Statement, query_text,
};
use crate::names;
use crate::parse::parse;
use crate::query::{self, Scope};
use crate::statements::Planning;

/// Languages of PostgreSQL and its usual extensions.
const OTHER_LANGUAGES: &[&str] = &[
    "c",
    "internal",
    "plpgsql",
    "plperl",
    "plperlu",
    "pltcl",
    "pltclu",
    "plpython3u",
    "plpythonu",
    "plv8",
    "plrust",
    "javascript",
    "python",
];

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message.into())
}

impl Planning<'_> {
    /// The function without its body.
    pub(super) fn function_of(&self, statement: &CreateFunction) -> Result<Function, SqlError> {
        check_language(statement)?;
        check_names(&statement.parameters)?;
        let mut parameters = Vec::with_capacity(statement.parameters.len());
        for parameter in &statement.parameters {
            let typ = self.parameter_type(&parameter.data_type)?;
            let default = match &parameter.default {
                None => {
                    let after_default =
                        parameters.iter().any(|known: &Parameter| known.default.is_some());
                    if after_default && parameter.mode.is_input() {
                        let message = "input parameters after one with a default value must also have defaults";
                        return Err(invalid(message));
                    }
                    None
                }
                Some(_) if !parameter.mode.is_input() => {
                    return Err(invalid("only input parameters can have default values"));
                }
                Some(default) => Some(self.parameter_default(default, &typ)?),
            };
            let name = parameter.name.as_ref().map(|name| name.value.clone());
            parameters.push(Parameter { mode: parameter.mode, name, typ, default });
        }
        let returns = self.function_returns(statement, &parameters)?;
        check_polymorphic(&parameters, &returns)?;
        if statement.rows.is_some() && !returns.set {
            let message = "ROWS is not applicable when function does not return a set";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        Ok(Function {
            parameters,
            returns,
            strict: statement.strict == Some(true),
            volatility: statement.volatility.unwrap_or('v'),
            parallel: statement.parallel.unwrap_or('u'),
            leakproof: statement.leakproof == Some(true),
            cost: statement.cost.unwrap_or(100.0),
            rows: statement.rows.unwrap_or(1000.0),
            body: String::new(),
            source: None,
        })
    }

    fn parameter_default(&self, default: &Expr, typ: &ParameterType) -> Result<String, SqlError> {
        let context = self.context();
        let planned = query::plan_scalar(&context, &Scope::default(), default).map_err(
            |error| match error.code {
                SqlState::UNDEFINED_COLUMN => SqlError {
                    message: "cannot use column references in parameter default".to_owned(),
                    code: SqlState::INVALID_COLUMN_REFERENCE,
                    hint: None,
                    ..error
                },
                _ => error,
            },
        )?;
        if let ParameterType::Is(typ) = typ {
            let from = planned.typ.scalar_type.clone();
            let target = ColumnType::new(typ.clone());
            query::coerce_assignment(&context, planned, &target, "").map_err(|error| {
                if error.code != SqlState::DATATYPE_MISMATCH {
                    return error;
                }
                let message = format!("argument of DEFAULT must be type {typ}, not type {from}");
                SqlError::new(SqlState::DATATYPE_MISMATCH, message)
            })?;
        }
        let mut default = default.clone();
        names::qualify_expr(&self.planner, &mut default)?;
        Ok(default.to_string())
    }

    fn function_returns(
        &self,
        statement: &CreateFunction,
        parameters: &[Parameter],
    ) -> Result<Returns, SqlError> {
        let outputs: Vec<&Parameter> =
            parameters.iter().filter(|parameter| parameter.mode.is_output()).collect();
        let of_outputs = match outputs.as_slice() {
            [] => None,
            [one] => Some(Some(one.typ.clone())),
            _ => Some(None),
        };
        let named = |typ: &Option<ParameterType>| match typ {
            Some(typ) => typ.name(),
            None => "record".to_owned(),
        };
        match &statement.returns {
            Some(FunctionReturns::Table) => {
                let other = |parameter: &&&Parameter| parameter.mode != ParameterMode::Table;
                if outputs.iter().any(|parameter| other(&parameter)) {
                    let message = "OUT and INOUT arguments aren't allowed in TABLE functions";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                Ok(Returns { typ: of_outputs.flatten(), set: true })
            }
            None => match of_outputs {
                Some(typ) => Ok(Returns { typ, set: false }),
                None => Err(invalid("function result type must be specified")),
            },
            Some(FunctionReturns::Type { set, data_type }) => {
                let record = data_type.to_string().eq_ignore_ascii_case("record");
                let typ = match (&of_outputs, record) {
                    (Some(None), true) => None,
                    _ => Some(self.parameter_type(data_type)?),
                };
                match of_outputs {
                    Some(wanted) if wanted != typ => Err(invalid(format!(
                        "function result type must be {} because of OUT parameters",
                        named(&wanted)
                    ))),
                    _ => Ok(Returns { typ, set: *set }),
                }
            }
        }
    }

    /// Puts the body into a function. Gives what it depends on.
    pub(super) fn function_body(
        &self,
        statement: &CreateFunction,
        name: &QualifiedName,
        function: &mut Function,
    ) -> Result<Vec<ObjectId>, SqlError> {
        let (mut query, text) = match &statement.body {
            None => return Err(invalid("no function body specified")),
            Some(FunctionBody::Text(text)) => {
                function.source = Some(text.clone());
                (query_of(text, function)?, text.replace('\n', " "))
            }
            Some(FunctionBody::Return(expr)) => {
                (select_of((**expr).clone())?, self.text.to_owned())
            }
            Some(FunctionBody::Atomic(query)) => ((**query).clone(), self.text.to_owned()),
        };
        let in_text = matches!(statement.body, Some(FunctionBody::Text(_)));
        let context = self.planner.query_context(&text, &[]);
        query::check_body(&context, &name.item, function, &query).map_err(|mut error| {
            // Positions in the text say nothing of the statement.
            if in_text {
                error.position = None;
            }
            error
        })?;
        let mut depends_on = names::qualify(&self.planner, &mut query)?;
        depends_on.extend(names::functions_named(&self.planner, &mut query)?);
        for default in function.inputs().filter_map(|input| input.default.as_deref()) {
            let mut expr = crate::parse::expression(default)?;
            depends_on.extend(names::qualify_expr(&self.planner, &mut expr)?);
        }
        depends_on.extend(self.types_of(function));
        depends_on.sort_unstable();
        depends_on.dedup();
        if depends_on.iter().any(|id| matches!(id, ObjectId::Transient(_))) {
            return Err(SqlError::unsupported("a function over temporary tables or views"));
        }
        function.body = query_text(&query);
        Ok(depends_on)
    }
}

fn check_language(statement: &CreateFunction) -> Result<(), SqlError> {
    let Some(language) = &statement.language else {
        return match statement.body {
            Some(FunctionBody::Text(_)) | None => Err(invalid("no language specified")),
            // The standard's bodies are SQL.
            Some(_) => Ok(()),
        };
    };
    let language = language.to_lowercase();
    if language == "sql" {
        return Ok(());
    }
    if OTHER_LANGUAGES.contains(&language.as_str()) {
        return Err(SqlError::unsupported(format_args!("a function in the language {language}"))
            .with_hint("Write it in SQL: LANGUAGE SQL."));
    }
    Err(SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("language \"{language}\" does not exist"),
    ))
}

/// Names of inputs differ, and so do names of outputs.
fn check_names(parameters: &[FunctionParameter]) -> Result<(), SqlError> {
    for (at, parameter) in parameters.iter().enumerate() {
        let Some(name) = &parameter.name else { continue };
        let clash = parameters.iter().take(at).any(|other| {
            let apart = |one: ParameterMode, two: ParameterMode| {
                one == ParameterMode::In && matches!(two, ParameterMode::Out | ParameterMode::Table)
            };
            other.name.as_ref().is_some_and(|other| other.value == name.value)
                && !apart(parameter.mode, other.mode)
                && !apart(other.mode, parameter.mode)
        });
        if clash {
            return Err(invalid(format!("parameter name \"{}\" used more than once", name.value)));
        }
    }
    Ok(())
}

fn check_polymorphic(parameters: &[Parameter], returns: &Returns) -> Result<(), SqlError> {
    let any = |typ: &ParameterType| match typ {
        ParameterType::Any(name) => Some(name.clone()),
        ParameterType::Is(_) => None,
    };
    let known = parameters
        .iter()
        .any(|parameter| parameter.mode.is_input() && any(&parameter.typ).is_some());
    if known {
        return Ok(());
    }
    let outputs = parameters
        .iter()
        .filter(|parameter| parameter.mode.is_output())
        .map(|parameter| &parameter.typ);
    match outputs.chain(&returns.typ).find_map(any) {
        None => Ok(()),
        Some(name) => Err(invalid("cannot determine result data type").with_detail(format!(
            "A result of type {name} requires at least one input of type anyelement, \
                 anyarray, anynonarray, anyenum, anyrange, or anymultirange."
        ))),
    }
}

/// The one query of a body.
fn query_of(text: &str, function: &Function) -> Result<Query, SqlError> {
    let mut statements = parse(text).map_err(|mut error| {
        error.position = None;
        error
    })?;
    let Some(last) = statements.pop() else {
        let declared = match &function.returns.typ {
            Some(typ) => typ.name(),
            None => "record".to_owned(),
        };
        return Err(invalid(format!(
            "return type mismatch in function declared to return {declared}"
        ))
        .with_detail(
            "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.",
        ));
    };
    if !statements.is_empty() {
        return Err(SqlError::unsupported("a function of more than one statement"));
    }
    match last.statement {
        Statement::Query(statement) if statement.as_of.is_none() => Ok(*statement.query),
        Statement::Query(_) => Err(SqlError::unsupported("AS OF in a function")),
        _ => Err(SqlError::unsupported("a function of anything but one query")),
    }
}

/// `SELECT expr`
fn select_of(expr: Expr) -> Result<Query, SqlError> {
    let select = SelectItem::UnnamedExpr(expr);
    let mut query = crate::parse::empty_select()?;
    if let SetExpr::Select(body) = &mut *query.body {
        let body: &mut Select = body;
        body.projection = vec![select];
    }
    Ok(query)
}
