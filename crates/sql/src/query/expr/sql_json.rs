//! `JSON_VALUE`, `JSON_QUERY`, `JSON_EXISTS`, `JSON`, `JSON_SCALAR`, `JSON_SERIALIZE`: the
//! clauses, as [`crate::parse`] leaves them in the tree, and what they mean.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned,
};
use tidemill_expr::FunctionRef;
use tidemill_expr::functions::jsonpath::{Returning, Wrapper};
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::{ExprContext, call_by_name};
use crate::query::cast::{call, coerce_explicit};
use crate::query::error::name_of;
use crate::query::{QueryContext, TypedScalar, literal};
use crate::types::parse_data_type_text;

/// The words that are clauses.
const CLAUSES: [&str; 16] = [
    "FORMAT",
    "AS",
    "PASSING",
    ",",
    "RETURNING",
    "WITH",
    "WITHOUT",
    "KEEP",
    "OMIT",
    "NULL",
    "ERROR",
    "TRUE",
    "FALSE",
    "UNKNOWN",
    "EMPTY",
    "DEFAULT",
];

/// What happens instead of a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::query) enum Behavior<'e> {
    Null,
    Error,
    True,
    False,
    Unknown,
    EmptyArray,
    EmptyObject,
    Default(&'e Expr),
}

/// The clauses after the path.
#[derive(Debug, Default)]
pub(in crate::query) struct Clauses<'e> {
    /// `AS name`, of the path of a JSON_TABLE.
    pub named: bool,
    pub passing: Vec<(String, &'e Expr)>,
    pub returning: Option<&'e str>,
    pub format: bool,
    pub wrapper: Option<Wrapper>,
    pub omit_quotes: Option<bool>,
    pub unique: bool,
    pub on_empty: Option<Behavior<'e>>,
    pub on_error: Option<Behavior<'e>>,
    /// `COLUMNS (..)`
    pub columns: Option<&'e [Expr]>,
    /// The path of a column.
    pub path: Option<&'e Expr>,
    /// `EXISTS`, of a column.
    pub exists: bool,
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// The words of a clause's right side.
fn words(expr: &Expr) -> &str {
    match expr {
        Expr::Identifier(ident) => &ident.value,
        _ => "",
    }
}

/// What stands before the clauses, and the clauses.
pub(in crate::query) fn clauses(expr: &Expr) -> Result<(&Expr, Clauses<'_>), SqlError> {
    let mut written: Vec<(&str, &Expr)> = Vec::new();
    let mut base = expr;
    while let Expr::BinaryOp { left, op: BinaryOperator::Custom(op), right } = base
        && (CLAUSES.contains(&op.as_str()) || ["COLUMNS", "PATH", "EXISTS"].contains(&op.as_str()))
    {
        written.push((op, right));
        base = left;
    }
    let mut found = Clauses::default();
    for (op, right) in written.into_iter().rev() {
        match op {
            "AS" => found.named = true,
            "FORMAT" => found.format = true,
            "PASSING" | "," => {
                let Expr::BinaryOp { left, right: name, .. } = right else { continue };
                if let Expr::Identifier(name) = &**name {
                    found.passing.push((name_of(name), left));
                }
            }
            "RETURNING" => found.returning = Some(words(right)),
            "WITH" | "WITHOUT" => match (op, words(right)) {
                (_, "UNIQUE KEYS") => found.unique = op == "WITH",
                ("WITHOUT", _) => found.wrapper = Some(Wrapper::Without),
                (_, "CONDITIONAL WRAPPER") => found.wrapper = Some(Wrapper::Conditional),
                _ => found.wrapper = Some(Wrapper::Unconditional),
            },
            "KEEP" | "OMIT" => found.omit_quotes = Some(op == "OMIT"),
            "COLUMNS" => {
                if let Expr::Tuple(columns) = right {
                    found.columns = Some(columns);
                }
            }
            "PATH" | "EXISTS" => {
                found.path = Some(right);
                found.exists = op == "EXISTS";
            }
            _ => behavior(&mut found, op, right)?,
        }
    }
    Ok((base, found))
}

fn behavior<'e>(found: &mut Clauses<'e>, op: &str, right: &'e Expr) -> Result<(), SqlError> {
    let (behavior, place) = match (op, right) {
        ("DEFAULT", Expr::BinaryOp { left, right, .. }) => (Behavior::Default(left), words(right)),
        ("NULL", place) => (Behavior::Null, words(place)),
        ("ERROR", place) => (Behavior::Error, words(place)),
        ("TRUE", place) => (Behavior::True, words(place)),
        ("FALSE", place) => (Behavior::False, words(place)),
        ("UNKNOWN", place) => (Behavior::Unknown, words(place)),
        ("EMPTY", place) if words(place).starts_with("OBJECT") => {
            (Behavior::EmptyObject, words(place))
        }
        ("EMPTY", place) => (Behavior::EmptyArray, words(place)),
        _ => return Err(syntax(format!("syntax error at or near \"{op}\""))),
    };
    let empty = place.ends_with("EMPTY");
    let late = empty && found.on_error.is_some();
    let slot = if empty { &mut found.on_empty } else { &mut found.on_error };
    if slot.is_some() || late {
        return Err(syntax("syntax error at or near \"ON\""));
    }
    *slot = Some(behavior);
    Ok(())
}

fn invalid(place: &str, call: &str, allowed: &str) -> SqlError {
    syntax(format!("invalid ON {place} behavior"))
        .with_detail(format!("Only {allowed} is allowed in ON {place} for {call}()."))
}

/// The arguments that the functions that evaluate a path share.
struct Found {
    json: TypedScalar,
    path: TypedScalar,
    variables: TypedScalar,
}

impl ExprContext<'_> {
    /// A call of one of the functions; None if it is another one.
    pub(super) fn sql_json(
        &self,
        name: &str,
        function: &Function,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        let mut arguments = Vec::new();
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                _ => return Ok(None),
            }
        }
        let span = function.name.span();
        let made = match (name, arguments.as_slice()) {
            ("json_value" | "json_query" | "json_exists", [json, path]) => {
                self.path_call(name, json, path)
            }
            ("json_value" | "json_query" | "json_exists", _) => {
                Err(syntax(format!("{name} takes a value and a path")))
            }
            ("json", [value]) => self.json_of(value),
            ("json_scalar", [value]) => self.json_scalar(value),
            ("json_serialize", [value]) if list.clauses.is_empty() => self.json_text(value),
            _ => return Ok(None),
        };
        made.map(Some).map_err(|error| self.ctx.locate(error, span))
    }

    fn path_call(&self, name: &str, json: &Expr, path: &Expr) -> Result<TypedScalar, SqlError> {
        let (json, _) = clauses(json)?;
        let (path, clauses) = clauses(path)?;
        let call = name.to_uppercase();
        let found = self.found(name, json, path, &clauses)?;
        if name == "json_exists" {
            return self.path_exists(found, &clauses);
        }
        let scalar = name == "json_value";
        if scalar && clauses.format {
            let message = "cannot specify FORMAT JSON in RETURNING clause of JSON_VALUE()";
            return Err(syntax(message));
        }
        let wrapped = !matches!(clauses.wrapper, None | Some(Wrapper::Without));
        if wrapped && clauses.omit_quotes.is_some() {
            let message =
                "SQL/JSON QUOTES behavior must not be specified when WITH WRAPPER is used";
            return Err(syntax(message));
        }
        if scalar && (clauses.wrapper.is_some() || clauses.omit_quotes.is_some()) {
            return Err(syntax("syntax error at or near \"WITH\""));
        }
        let allowed = match scalar {
            true => "ERROR, NULL, or DEFAULT expression",
            false => "ERROR, NULL, EMPTY ARRAY, EMPTY OBJECT, or DEFAULT expression",
        };
        let places = [("EMPTY", clauses.on_empty), ("ERROR", clauses.on_error)];
        for (place, behavior) in places {
            let fits = match behavior {
                None | Some(Behavior::Null | Behavior::Error | Behavior::Default(_)) => true,
                Some(Behavior::EmptyArray | Behavior::EmptyObject) => !scalar,
                Some(Behavior::True | Behavior::False | Behavior::Unknown) => false,
            };
            if !fits {
                return Err(invalid(place, &call, allowed));
            }
        }
        let typ = match clauses.returning {
            Some(text) => self.ctx.data_type(&parse_data_type_text(text)?)?,
            None if scalar => ColumnType::new(ScalarType::Text),
            None => ColumnType::new(ScalarType::Jsonb),
        };
        self.value(found, &clauses, typ, scalar)
    }

    /// The value, or what the clauses say.
    fn value(
        &self,
        found: Found,
        clauses: &Clauses<'_>,
        typ: ColumnType,
        scalar: bool,
    ) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        let mut base = typ.clone();
        while let ScalarType::Domain(domain) = &base.scalar_type {
            base = domain.base.clone().nullable(true);
        }
        let returning = Returning {
            scalar,
            wrapper: clauses.wrapper.unwrap_or(Wrapper::Without),
            omit_quotes: clauses.omit_quotes.unwrap_or(false),
            typ: base.clone(),
        };
        let returning = literal::text(&returning.to_argument());
        let arguments = vec![found.json, found.path, found.variables, returning];
        let get = FunctionRef::by_id("sql_json_get")
            .ok_or_else(|| SqlError::internal("there is no sql_json_get"))?;
        let value = call(ctx, get, arguments.clone(), base)?;
        let value = coerce_explicit(ctx, value, &typ)?;
        let instead = |behavior: Option<Behavior<'_>>| {
            let planned = match behavior {
                None | Some(Behavior::Null) => literal::null(typ.scalar_type.clone()),
                Some(Behavior::Error) => return Ok(value.clone()),
                Some(Behavior::EmptyArray) => literal::text("[]"),
                Some(Behavior::EmptyObject) => literal::text("{}"),
                Some(Behavior::Default(expr)) => self.plan(expr)?,
                Some(_) => literal::null(typ.scalar_type.clone()),
            };
            coerce_explicit(ctx, planned, &typ)
        };
        let state = call_by_name(ctx, "sql_json_state", arguments)?;
        let is = |number: i64| {
            let number = literal::literal(Datum::Int(number), ScalarType::Int4);
            super::binary(ctx, "=", state.clone(), number)
        };
        let (on_empty, on_error) = (instead(clauses.on_empty)?, instead(clauses.on_error)?);
        let otherwise =
            QueryScalar::If(Box::new(is(2)?.expr), Box::new(on_error.expr), Box::new(value.expr));
        let expr =
            QueryScalar::If(Box::new(is(1)?.expr), Box::new(on_empty.expr), Box::new(otherwise));
        Ok(TypedScalar { expr, typ: typ.nullable(true) })
    }

    fn path_exists(&self, found: Found, clauses: &Clauses<'_>) -> Result<TypedScalar, SqlError> {
        let unfit = clauses.returning.is_some()
            || clauses.wrapper.is_some()
            || clauses.omit_quotes.is_some()
            || clauses.on_empty.is_some();
        if unfit {
            return Err(syntax(
                "syntax error in JSON_EXISTS: only PASSING and ON ERROR may follow",
            ));
        }
        let on_error = match clauses.on_error {
            None | Some(Behavior::False) => Some(Datum::Bool(false)),
            Some(Behavior::True) => Some(Datum::Bool(true)),
            Some(Behavior::Unknown) => Some(Datum::Null),
            Some(Behavior::Error) => None,
            Some(_) => {
                let allowed = "ERROR, TRUE, FALSE, or UNKNOWN";
                return Err(invalid("ERROR", "JSON_EXISTS", allowed));
            }
        };
        let silent = literal::literal(Datum::Bool(on_error.is_some()), ScalarType::Bool);
        let json = found.json.clone();
        let arguments = vec![found.json, found.path, found.variables, silent];
        let value = call_by_name(self.ctx, "jsonb_path_exists_tz", arguments)?;
        let Some(on_error) = on_error else { return Ok(value) };
        let on_error = literal::literal(on_error, ScalarType::Bool).expr;
        let known = QueryScalar::Coalesce(vec![value.expr, on_error]);
        let null = literal::null(ScalarType::Bool).expr;
        let missing = QueryScalar::IsNull(Box::new(json.expr));
        let expr = QueryScalar::If(Box::new(missing), Box::new(null), Box::new(known));
        Ok(TypedScalar { expr, typ: ColumnType::new(ScalarType::Bool) })
    }

    fn found(
        &self,
        name: &str,
        json: &Expr,
        path: &Expr,
        clauses: &Clauses<'_>,
    ) -> Result<Found, SqlError> {
        let ctx = self.ctx;
        let json =
            as_jsonb(ctx, self.plan(json)?).map_err(|error| ctx.locate(error, json.span()))?;
        let planned = self.plan(path)?;
        let from = planned.typ.scalar_type.clone();
        let path = coerce_explicit(ctx, planned, &ColumnType::new(ScalarType::Jsonpath))
            .map_err(|error| match error.code {
                SqlState::CANNOT_COERCE => SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("JSON path expression must be of type jsonpath, not of type {from}"),
                ),
                _ => error,
            })
            .map_err(|error| ctx.locate(error, path.span()))?;
        let variables = self.variables(&clauses.passing)?;
        if clauses.columns.is_some() || clauses.named {
            return Err(syntax(format!("syntax error in {name}: this clause is for JSON_TABLE")));
        }
        Ok(Found { json, path, variables })
    }

    fn variables(&self, passing: &[(String, &Expr)]) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        if passing.is_empty() {
            let jsonb = ColumnType::new(ScalarType::Jsonb);
            return coerce_explicit(ctx, literal::text("{}"), &jsonb);
        }
        let mut arguments = Vec::new();
        for (name, value) in passing {
            let (value, format) = clauses(value)?;
            let planned = self.plan(value)?;
            arguments.push(literal::text(name));
            arguments.push(match format.format {
                true => coerce_explicit(ctx, planned, &ColumnType::new(ScalarType::Jsonb))?,
                false => planned,
            });
        }
        call_by_name(ctx, "jsonb_build_object", arguments)
    }

    /// `JSON(x [WITH UNIQUE KEYS])`
    fn json_of(&self, value: &Expr) -> Result<TypedScalar, SqlError> {
        let (value, clauses) = clauses(value)?;
        let planned = self.plan(value)?;
        let json = ColumnType::new(ScalarType::Json);
        let text = ColumnType::new(ScalarType::Text);
        let planned = match planned.typ.scalar_type.base() {
            ScalarType::Bytea => {
                call_by_name(self.ctx, "convert_from", vec![planned, literal::text("UTF8")])?
            }
            ScalarType::Unknown | ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar => {
                planned
            }
            ScalarType::Json | ScalarType::Jsonb if !clauses.unique => planned,
            typ => {
                let message = match clauses.unique {
                    true => "cannot use non-string types with WITH UNIQUE KEYS clause".to_owned(),
                    false => format!("cannot cast type {typ} to json"),
                };
                let code = match clauses.unique {
                    true => SqlState::DATATYPE_MISMATCH,
                    false => SqlState::CANNOT_COERCE,
                };
                return Err(SqlError::new(code, message));
            }
        };
        let made = coerce_explicit(self.ctx, planned.clone(), &json)?;
        if !clauses.unique {
            return Ok(made);
        }
        let checked = coerce_explicit(self.ctx, planned, &text)?;
        let checked = call_by_name(self.ctx, "json_unique_keys", vec![checked])?;
        coerce_explicit(self.ctx, checked, &json)
    }

    fn json_scalar(&self, value: &Expr) -> Result<TypedScalar, SqlError> {
        let planned = self.plan(value)?;
        let json = ColumnType::new(ScalarType::Json);
        match planned.typ.scalar_type.base() {
            ScalarType::Json => Ok(planned),
            ScalarType::Jsonb => coerce_explicit(self.ctx, planned, &json),
            _ => {
                let missing = QueryScalar::IsNull(Box::new(planned.expr.clone()));
                let made = call_by_name(self.ctx, "to_json", vec![planned])?;
                let null = Box::new(literal::null(ScalarType::Json).expr);
                let expr = QueryScalar::If(Box::new(missing), null, Box::new(made.expr));
                Ok(TypedScalar { expr, typ: json })
            }
        }
    }

    /// `JSON_SERIALIZE(x [RETURNING type])`
    fn json_text(&self, value: &Expr) -> Result<TypedScalar, SqlError> {
        let (value, clauses) = clauses(value)?;
        let planned = self.plan(value)?;
        let typ = match clauses.returning {
            Some(text) => self.ctx.data_type(&parse_data_type_text(text)?)?,
            None => ColumnType::new(ScalarType::Text),
        };
        let texts = [ScalarType::Text, ScalarType::Varchar, ScalarType::Bpchar, ScalarType::Bytea];
        if !texts.contains(typ.scalar_type.base()) {
            let message = format!(
                "cannot use type {} in RETURNING clause of JSON_SERIALIZE()",
                typ.scalar_type
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("Try returning a string type or bytea."));
        }
        let planned = match planned.typ.scalar_type.base() {
            ScalarType::Jsonb => planned,
            _ => coerce_explicit(self.ctx, planned, &ColumnType::new(ScalarType::Json))?,
        };
        let text = coerce_explicit(self.ctx, planned, &ColumnType::new(ScalarType::Text))?;
        if typ.scalar_type == ScalarType::Bytea {
            return call_by_name(self.ctx, "convert_to", vec![text, literal::text("UTF8")]);
        }
        coerce_explicit(self.ctx, text, &typ)
    }
}

/// What a path is applied to.
fn as_jsonb(ctx: &QueryContext<'_>, json: TypedScalar) -> Result<TypedScalar, SqlError> {
    let json = match json.typ.scalar_type.base() {
        ScalarType::Bytea => call_by_name(ctx, "convert_from", vec![json, literal::text("UTF8")])?,
        _ => json,
    };
    coerce_explicit(ctx, json, &ColumnType::new(ScalarType::Jsonb))
}
