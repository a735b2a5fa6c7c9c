//! Statements about functions that users write.

use std::fmt::{self, Display, Formatter};

use sqlparser::ast::{DataType, Expr, Ident, ObjectName, Query};
use tidemill_catalog::ParameterMode;
use tidemill_catalog::name::quote_literal;

use super::display::{flag, list};
use super::query_text;

/// A statement about functions.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionStatement {
    /// `CREATE [OR REPLACE] FUNCTION ..`
    Create(CreateFunction),
    /// `DROP FUNCTION [IF EXISTS] f(types), .. [CASCADE | RESTRICT]`
    Drop {
        /// Whether absent ones are passed over.
        if_exists: bool,
        /// Which.
        functions: Vec<FunctionName>,
        /// `CASCADE`
        cascade: bool,
    },
    /// `ALTER FUNCTION f(types) ..`
    Alter(FunctionName, FunctionChange),
    /// `COMMENT ON FUNCTION f(types) IS ..`
    Comment(FunctionName, Option<String>),
}

/// A function by its name and, where that is not enough, the types of its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionName {
    /// The name.
    pub name: ObjectName,
    /// The types of what callers give.
    pub arguments: Option<Vec<DataType>>,
}

/// What ALTER FUNCTION does.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionChange {
    /// `RENAME TO name`
    Rename(Ident),
    /// `OWNER TO role`
    Owner(super::role::RoleName),
    /// `SET SCHEMA name`
    Schema(ObjectName),
}

/// `CREATE [OR REPLACE] FUNCTION name(..) RETURNS .. LANGUAGE SQL ..`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    /// Whether it takes the place of one of the same name and arguments.
    pub or_replace: bool,
    /// The name.
    pub name: ObjectName,
    /// What it takes and gives by name.
    pub parameters: Vec<FunctionParameter>,
    /// `RETURNS`
    pub returns: Option<FunctionReturns>,
    /// `LANGUAGE`, in small letters.
    pub language: Option<String>,
    /// `IMMUTABLE`, `STABLE`, `VOLATILE`: the first letter.
    pub volatility: Option<char>,
    /// `STRICT`, `CALLED ON NULL INPUT`
    pub strict: Option<bool>,
    /// `LEAKPROOF`
    pub leakproof: Option<bool>,
    /// `PARALLEL`: the first letter.
    pub parallel: Option<char>,
    /// `COST`
    pub cost: Option<f32>,
    /// `ROWS`
    pub rows: Option<f32>,
    /// What it does.
    pub body: Option<FunctionBody>,
}

/// A parameter as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionParameter {
    /// What it is for.
    pub mode: ParameterMode,
    /// Its name.
    pub name: Option<Ident>,
    /// Its type.
    pub data_type: DataType,
    /// `DEFAULT`
    pub default: Option<Expr>,
}

/// What a function says that it gives.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionReturns {
    /// `RETURNS [SETOF] type`
    Type {
        /// `SETOF`
        set: bool,
        /// The type.
        data_type: DataType,
    },
    /// `RETURNS TABLE (..)`: the columns are among the parameters.
    Table,
}

/// What a function does.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionBody {
    /// `AS 'text'`
    Text(String),
    /// `RETURN expression`
    Return(Box<Expr>),
    /// `BEGIN ATOMIC query; END`
    Atomic(Box<Query>),
}

impl Display for FunctionName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match &self.arguments {
            Some(arguments) => write!(f, "({})", list(arguments)),
            None => Ok(()),
        }
    }
}

impl Display for FunctionParameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            ParameterMode::In | ParameterMode::Table => "",
            ParameterMode::Out => "OUT ",
            ParameterMode::InOut => "INOUT ",
        })?;
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        write!(f, "{}", self.data_type)?;
        match &self.default {
            Some(default) => write!(f, " DEFAULT {default}"),
            None => Ok(()),
        }
    }
}

impl Display for CreateFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let table = |parameter: &&FunctionParameter| parameter.mode == ParameterMode::Table;
        let (columns, arguments): (Vec<_>, Vec<_>) = self.parameters.iter().partition(table);
        let or_replace = flag(self.or_replace, "OR REPLACE ");
        write!(f, "CREATE {or_replace}FUNCTION {}({})", self.name, list(&arguments))?;
        match &self.returns {
            None => {}
            Some(FunctionReturns::Table) => write!(f, " RETURNS TABLE ({})", list(&columns))?,
            Some(FunctionReturns::Type { set, data_type }) => {
                write!(f, " RETURNS {}{data_type}", flag(*set, "SETOF "))?;
            }
        }
        if let Some(language) = &self.language {
            write!(f, " LANGUAGE {language}")?;
        }
        f.write_str(match self.volatility {
            Some('i') => " IMMUTABLE",
            Some('s') => " STABLE",
            Some(_) => " VOLATILE",
            None => "",
        })?;
        f.write_str(match self.strict {
            Some(true) => " STRICT",
            Some(false) => " CALLED ON NULL INPUT",
            None => "",
        })?;
        f.write_str(match self.leakproof {
            Some(true) => " LEAKPROOF",
            Some(false) => " NOT LEAKPROOF",
            None => "",
        })?;
        f.write_str(match self.parallel {
            Some('s') => " PARALLEL SAFE",
            Some('r') => " PARALLEL RESTRICTED",
            Some(_) => " PARALLEL UNSAFE",
            None => "",
        })?;
        if let Some(cost) = self.cost {
            write!(f, " COST {cost}")?;
        }
        if let Some(rows) = self.rows {
            write!(f, " ROWS {rows}")?;
        }
        match &self.body {
            None => Ok(()),
            Some(FunctionBody::Text(text)) => write!(f, " AS {}", quote_literal(text)),
            Some(FunctionBody::Return(expr)) => write!(f, " RETURN {expr}"),
            Some(FunctionBody::Atomic(query)) => {
                write!(f, " BEGIN ATOMIC {}; END", query_text(query))
            }
        }
    }
}

impl Display for FunctionStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FunctionStatement::Create(create) => create.fmt(f),
            FunctionStatement::Drop { if_exists, functions, cascade } => write!(
                f,
                "DROP FUNCTION {}{}{}",
                flag(*if_exists, "IF EXISTS "),
                list(functions),
                flag(*cascade, " CASCADE")
            ),
            FunctionStatement::Alter(function, change) => {
                write!(f, "ALTER FUNCTION {function} ")?;
                match change {
                    FunctionChange::Rename(name) => write!(f, "RENAME TO {name}"),
                    FunctionChange::Owner(role) => write!(f, "OWNER TO {role}"),
                    FunctionChange::Schema(name) => write!(f, "SET SCHEMA {name}"),
                }
            }
            FunctionStatement::Comment(function, text) => match text {
                Some(text) => {
                    write!(f, "COMMENT ON FUNCTION {function} IS {}", quote_literal(text))
                }
                None => write!(f, "COMMENT ON FUNCTION {function} IS NULL"),
            },
        }
    }
}
