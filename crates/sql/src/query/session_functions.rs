//! Functions that the session answers while it plans: who, where and when.
//!
//! They become constants, so that a query sees one time and a dataflow none. A query that is
//! maintained must not use them.

use sqlparser::ast::Expr;
use sqlparser::tokenizer::Span;
use tidemill_expr::FunctionRef;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, RowBuilder, ScalarType, SqlError, SqlState};

use super::cast::{coerce_explicit, not_maintainable};
use super::expr::{ExprContext, call_by_name};
use super::{TypedScalar, literal};

/// Names that stand without parentheses.
const KEYWORDS: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "current_role",
    "session_user",
    "user",
    "current_catalog",
    "current_schema",
];

/// Whether a name without quotes is such a function.
pub(super) fn is_session_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

impl ExprContext<'_> {
    /// A name without quotes that is a function without parentheses.
    pub(super) fn session_keyword(
        &self,
        name: &str,
        span: Span,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let name = name.to_lowercase();
        if !KEYWORDS.contains(&name.as_str()) {
            return Ok(None);
        }
        self.session_function(&name, &[], span)
    }

    /// A call that the session answers; None if the name is that of no such function.
    pub(super) fn session_function(
        &self,
        name: &str,
        arguments: &[&Expr],
        span: Span,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let value = match (name, arguments) {
            ("pg_typeof", [argument]) => {
                let planned = resolve_unknown_name(self.plan(argument)?);
                return Ok(Some(planned));
            }
            ("mz_now", []) => {
                // The tick of the query, or of each change: it is put in later.
                return now_tick()
                    .map(Some)
                    .ok_or_else(|| self.ctx.unsupported("function mz_now()", span));
            }
            ("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", []) => {
                self.now(ColumnType::new(ScalarType::TimestampTz))
            }
            ("timeofday", []) => {
                self.now(ColumnType::new(ScalarType::TimestampTz)).and_then(|now| {
                    let form = literal::text("Dy Mon DD HH24:MI:SS.US YYYY TZ");
                    call_by_name(self.ctx, "to_char", vec![now, form])
                })
            }
            ("current_timestamp", _) => self.now_with(ScalarType::TimestampTz, arguments, span),
            ("localtimestamp", _) => self.now_with(ScalarType::Timestamp, arguments, span),
            ("localtime", _) => self.now_with(ScalarType::Time, arguments, span),
            ("current_time", _) => self.now_with(ScalarType::TimeTz, arguments, span),
            ("current_date", []) => self.now(ColumnType::new(ScalarType::Date)),
            ("pg_client_encoding", []) => {
                Ok(literal::literal(Datum::Text("UTF8"), ScalarType::Name))
            }
            ("current_query", []) => Ok(literal::text(self.ctx.text)),
            ("mz_version", []) => {
                let version = self.ctx.relations.setting("mz_version").unwrap_or_default();
                Ok(literal::text(&version))
            }
            ("pg_trigger_depth", []) => Ok(literal::literal(Datum::Int(0), ScalarType::Int4)),
            ("pg_collation_for", [value]) => return self.collation_for(value).map(Some),
            ("current_user" | "current_role" | "user" | "getpgusername", []) => {
                Ok(literal::literal(Datum::Text(&self.ctx.user), ScalarType::Name))
            }
            ("session_user", []) => {
                Ok(literal::literal(Datum::Text(&self.ctx.session_user), ScalarType::Name))
            }
            ("current_database" | "current_catalog", []) => {
                Ok(literal::literal(Datum::Text(&self.ctx.database), ScalarType::Name))
            }
            // To midnight of the current day.
            ("age", [until]) => {
                let until = self.plan(until)?;
                let zoned = until.typ.scalar_type == ScalarType::TimestampTz;
                let typ = if zoned { ScalarType::TimestampTz } else { ScalarType::Timestamp };
                self.now(ColumnType::new(ScalarType::Date))
                    .and_then(|today| coerce_explicit(self.ctx, today, &ColumnType::new(typ)))
                    .and_then(|today| call_by_name(self.ctx, "age", vec![today, until]))
            }
            ("current_schema", []) => Ok(match self.ctx.search_path.first() {
                Some(schema) => literal::literal(Datum::Text(schema), ScalarType::Name),
                None => literal::null(ScalarType::Name),
            }),
            ("current_schemas", [implicit]) => self.current_schemas(implicit),
            ("version", []) => Ok(literal::text(&format!(
                "PostgreSQL 17.0 on x86_64-pc-linux-gnu (Tidemill {})",
                env!("CARGO_PKG_VERSION")
            ))),
            ("pg_backend_pid", []) => {
                let pid = Datum::Int(i64::from(self.ctx.backend_pid));
                Ok(literal::literal(pid, ScalarType::Int4))
            }
            ("current_setting", [name]) => self.current_setting(name, None),
            ("current_setting", [name, missing]) => self.current_setting(name, Some(missing)),
            ("set_config", [name, value, local]) => self.set_config(name, value, local),
            ("inet_client_addr", []) => self.of_own_session("client_addr"),
            ("inet_client_port", []) => self.of_own_session("client_port"),
            ("inet_server_addr", []) => self.own_address(true),
            ("inet_server_port", []) => self.own_address(false),
            ("pg_postmaster_start_time" | "pg_conf_load_time", []) => Ok(self.started_at()),
            ("mz_uptime", []) => self
                .now(ColumnType::new(ScalarType::TimestampTz))
                .and_then(|now| super::expr::binary(self.ctx, "-", now, self.started_at())),
            ("mz_version_num", []) => {
                let version = self.ctx.relations.setting("mz_version").unwrap_or_default();
                let mut parts = version
                    .trim_start_matches('v')
                    .split(|c: char| !c.is_ascii_digit())
                    .map(|part| part.parse::<i64>().unwrap_or(0));
                let mut next = || parts.next().unwrap_or(0);
                let number = next() * 1_000_000 + next() * 1_000 + next();
                Ok(literal::literal(Datum::Int(number), ScalarType::Int4))
            }
            ("pg_jit_available", []) => Ok(literal::literal(Datum::Bool(false), ScalarType::Bool)),
            ("pg_is_in_recovery", []) => Ok(literal::literal(Datum::Bool(false), ScalarType::Bool)),
            _ => return Ok(None),
        };
        if self.ctx.maintained {
            return Err(self.ctx.locate(not_maintainable(name), span));
        }
        value.map(Some).map_err(|error| self.ctx.locate(error, span))
    }

    /// The collation of a text, in quotes.
    fn collation_for(&self, value: &Expr) -> Result<TypedScalar, SqlError> {
        let collated = match super::expr::bare(value) {
            Expr::Collate { collation, .. } => {
                collation.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone())
            }
            _ => None,
        };
        let planned = self.plan(value)?;
        let explicit = collated.is_some();
        let named = collated.unwrap_or_else(|| "default".to_owned());
        match planned.typ.scalar_type.base() {
            ScalarType::Name => Ok(literal::text("\"C\"")),
            ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar => {
                Ok(literal::text(&format!("\"{named}\"")))
            }
            ScalarType::Unknown if !explicit => Ok(literal::null(ScalarType::Text)),
            ScalarType::Unknown => Ok(literal::text(&format!("\"{named}\""))),
            typ => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("collations are not supported by type {typ}"),
            )),
        }
    }

    /// What `pg_stat_activity` says of this session.
    fn of_own_session(&self, column: &str) -> Result<TypedScalar, SqlError> {
        let pid = Datum::Int(i64::from(self.ctx.backend_pid));
        let pid = literal::literal(pid, ScalarType::Int4);
        self.lookup(["pg_catalog", "pg_stat_activity"], &[("pid", pid)], column)
    }

    fn started_at(&self) -> TypedScalar {
        let started = self.ctx.relations.setting(crate::session::STARTED_AT);
        match started.and_then(|started| started.parse().ok()) {
            Some(started) => literal::literal(Datum::TimestampTz(started), ScalarType::TimestampTz),
            None => literal::null(ScalarType::TimestampTz),
        }
    }

    /// The server's end of the connection: its address or its port.
    fn own_address(&self, address: bool) -> Result<TypedScalar, SqlError> {
        let typ = if address { ScalarType::Inet } else { ScalarType::Int4 };
        let known = self.ctx.relations.setting(crate::session::SERVER_ADDRESS);
        let Some(known) = known.and_then(|known| known.parse::<std::net::SocketAddr>().ok()) else {
            return Ok(literal::null(typ));
        };
        if !address {
            return Ok(literal::literal(Datum::Int(i64::from(known.port())), typ));
        }
        let text = literal::text(&known.ip().to_canonical().to_string());
        coerce_explicit(self.ctx, text, &ColumnType::new(typ))
    }

    fn now(&self, typ: ColumnType) -> Result<TypedScalar, SqlError> {
        let now = literal::literal(Datum::TimestampTz(self.ctx.now), ScalarType::TimestampTz);
        coerce_explicit(self.ctx, now, &typ)
    }

    /// With a precision, the seconds are rounded to that many digits.
    fn now_with(
        &self,
        scalar_type: ScalarType,
        arguments: &[&Expr],
        span: Span,
    ) -> Result<TypedScalar, SqlError> {
        let typ = ColumnType::new(scalar_type);
        let typ = match arguments {
            [] => typ,
            [Expr::Value(value)] => match value.value.to_string().parse::<i32>() {
                Ok(digits) => typ.with_typmod(digits.min(6)),
                Err(_) => return Err(self.ctx.unsupported("this precision", span)),
            },
            _ => return Err(self.ctx.unsupported("this precision", span)),
        };
        self.now(typ)
    }

    /// A constant argument, or a parameter.
    fn fixed(&self, expr: &Expr, typ: ScalarType, function: &str) -> Result<QueryScalar, SqlError> {
        let planned = coerce_explicit(self.ctx, self.plan(expr)?, &ColumnType::new(typ))?;
        match planned.expr {
            fixed @ (QueryScalar::Literal(Ok(_), _) | QueryScalar::Parameter(..)) => Ok(fixed),
            _ => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{function}() with an argument that is no constant"),
            )),
        }
    }

    fn current_setting(
        &self,
        name: &Expr,
        missing: Option<&&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        let constant = |expr, typ| match self.fixed(expr, typ, "current_setting")? {
            QueryScalar::Literal(Ok(row), _) => Ok(row),
            _ => Err(SqlError::unsupported("current_setting() of a parameter")),
        };
        let text = ColumnType::new(ScalarType::Text);
        let planned = coerce_explicit(self.ctx, self.plan(name)?, &text)?;
        if !matches!(planned.expr, QueryScalar::Literal(Ok(_), _)) {
            let missing = match missing {
                Some(missing) => {
                    let row = constant(missing, ScalarType::Bool)?;
                    matches!(row.iter().next(), Some(Datum::Bool(true)))
                }
                None => false,
            };
            return self.setting_by_name(planned, missing);
        }
        let name = constant(name, ScalarType::Text)?;
        let Some(Datum::Text(name)) = name.iter().next() else {
            return Ok(literal::null(ScalarType::Text));
        };
        if let Some(value) = self.ctx.relations.setting(name) {
            return Ok(literal::text(&value));
        }
        let missing = match missing {
            Some(missing) => {
                let row = constant(missing, ScalarType::Bool)?;
                matches!(row.iter().next(), Some(Datum::Bool(true)))
            }
            None => false,
        };
        if missing {
            return Ok(literal::null(ScalarType::Text));
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        ))
    }

    /// A setting whose name is known when the statement runs: the session's settings are asked.
    fn setting_by_name(&self, name: TypedScalar, missing: bool) -> Result<TypedScalar, SqlError> {
        let lower = call_by_name(self.ctx, "lower", vec![name.clone()])?;
        let settings = ["mz_internal", "mz_session_settings"];
        let found = self.lookup(settings, &[("name", lower)], "value")?;
        if missing {
            return Ok(found);
        }
        let error = call_by_name(self.ctx, "setting_by_name", vec![name])?;
        let expr = QueryScalar::Coalesce(vec![found.expr, error.expr]);
        Ok(TypedScalar { expr, typ: found.typ })
    }

    fn set_config(&self, name: &Expr, value: &Expr, local: &Expr) -> Result<TypedScalar, SqlError> {
        let fixed = |expr, typ| self.fixed(expr, typ, "set_config");
        let value = fixed(value, ScalarType::Text)?;
        self.ctx.set_config.borrow_mut().push(super::SetConfig {
            name: fixed(name, ScalarType::Text)?,
            value: value.clone(),
            local: fixed(local, ScalarType::Bool)?,
        });
        Ok(TypedScalar { expr: value, typ: ColumnType::new(ScalarType::Text) })
    }

    fn current_schemas(&self, implicit: &Expr) -> Result<TypedScalar, SqlError> {
        let planned = self.plan(implicit)?;
        let target = ColumnType::new(ScalarType::Bool);
        let implicit = coerce_explicit(self.ctx, planned, &target)?;
        let implicit = match &implicit.expr {
            QueryScalar::Literal(Ok(row), _) => match row.iter().next() {
                Some(Datum::Bool(value)) => value,
                _ => false,
            },
            _ => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "current_schemas() needs a constant argument",
                ));
            }
        };
        let path = &self.ctx.search_path;
        let hidden = implicit && !path.iter().any(|schema| schema == "pg_catalog");
        let schemas: Vec<&str> = hidden
            .then_some("pg_catalog")
            .into_iter()
            .chain(path.iter().map(String::as_str))
            .collect();
        let mut row = RowBuilder::new();
        let length = i32::try_from(schemas.len()).unwrap_or(i32::MAX);
        let dimensions = if schemas.is_empty() { Vec::new() } else { vec![(length, 1)] };
        row.push_array(&dimensions, schemas.into_iter().map(Datum::Text));
        let typ = ColumnType::new(ScalarType::Array(Box::new(ScalarType::Name))).nullable(false);
        Ok(TypedScalar { expr: QueryScalar::Literal(Ok(row.finish()), typ.clone()), typ })
    }
}

fn now_tick() -> Option<TypedScalar> {
    let function = FunctionRef::by_id("mz_now")?;
    let typ = ColumnType::new(ScalarType::MzTimestamp).nullable(false);
    let expr = QueryScalar::Call { function, arguments: Vec::new(), typ: typ.clone() };
    Some(TypedScalar { expr, typ })
}

/// The type of a value, as `pg_typeof` tells it.
fn resolve_unknown_name(value: TypedScalar) -> TypedScalar {
    let oid = value.typ.scalar_type.oid().0;
    literal::literal(Datum::Int(i64::from(oid)), ScalarType::Regtype)
}
