//! Statements about types that users create.

use std::fmt::{self, Display, Formatter};

use sqlparser::ast::{DataType, Expr, Ident, ObjectName};
use tidemill_catalog::name::quote_literal;

use super::display::list;

/// `CREATE TYPE name AS ..`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateType {
    /// The name.
    pub name: ObjectName,
    /// What it is.
    pub body: TypeBody,
}

/// What a new type is.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeBody {
    /// `ENUM ('a', ..)`
    Enum(Vec<String>),
    /// `(field type, ..)`
    Composite(Vec<(Ident, DataType)>),
    /// `LIST (ELEMENT TYPE = t)`
    List(Vec<TypeOption>),
    /// `MAP (KEY TYPE = text, VALUE TYPE = t)`
    Map(Vec<TypeOption>),
}

/// `ELEMENT TYPE = t`
#[derive(Clone, Debug, PartialEq)]
pub struct TypeOption {
    /// The name, in capitals.
    pub name: String,
    /// The type.
    pub data_type: DataType,
}

/// `CREATE DOMAIN name [AS] type ..`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDomain {
    /// The name.
    pub name: ObjectName,
    /// The type under it.
    pub data_type: DataType,
    /// `COLLATE`
    pub collation: Option<ObjectName>,
    /// `DEFAULT`
    pub default: Option<Expr>,
    /// `NOT NULL`, `NULL`, `CHECK`, in order.
    pub constraints: Vec<DomainConstraint>,
}

/// `[CONSTRAINT name] {NOT NULL | NULL | CHECK (..)}`
#[derive(Clone, Debug, PartialEq)]
pub struct DomainConstraint {
    /// The name.
    pub name: Option<Ident>,
    /// What it demands.
    pub demand: DomainDemand,
}

/// What a constraint of a domain demands.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainDemand {
    /// `NOT NULL`
    NotNull,
    /// `NULL`: nothing.
    Null,
    /// `CHECK (..)`
    Check(Expr),
}

/// `ALTER {TYPE | DOMAIN} name change`
#[derive(Clone, Debug, PartialEq)]
pub struct AlterType {
    /// Whether DOMAIN was said.
    pub domain: bool,
    /// The name.
    pub name: ObjectName,
    /// The change.
    pub change: TypeChange,
}

/// How a type changes.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeChange {
    /// `ADD VALUE [IF NOT EXISTS] 'x' [{BEFORE | AFTER} 'y']`
    AddValue {
        /// Whether one that exists is passed over.
        if_not_exists: bool,
        /// The label.
        value: String,
        /// Where: before (true) or after another.
        place: Option<(bool, String)>,
    },
    /// `RENAME VALUE 'x' TO 'y'`
    RenameValue(String, String),
    /// `ADD constraint [NOT VALID]`
    AddConstraint(DomainConstraint),
    /// `DROP CONSTRAINT [IF EXISTS] name [CASCADE | RESTRICT]`
    DropConstraint {
        /// Whether an absent one is passed over.
        if_exists: bool,
        /// Its name.
        name: Ident,
    },
    /// `RENAME CONSTRAINT a TO b`
    RenameConstraint(Ident, Ident),
    /// `SET NOT NULL` (true), `DROP NOT NULL`
    NotNull(bool),
    /// `SET DEFAULT x`, `DROP DEFAULT`
    Default(Option<Expr>),
}

impl Display for CreateType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE TYPE {} AS ", self.name)?;
        match &self.body {
            TypeBody::Enum(labels) => {
                let labels: Vec<String> = labels.iter().map(|label| quote_literal(label)).collect();
                write!(f, "ENUM ({})", labels.join(", "))
            }
            TypeBody::Composite(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, typ)| format!("{name} {typ}")).collect();
                write!(f, "({})", fields.join(", "))
            }
            TypeBody::List(options) => write!(f, "LIST ({})", list(options)),
            TypeBody::Map(options) => write!(f, "MAP ({})", list(options)),
        }
    }
}

impl Display for TypeOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.data_type)
    }
}

impl Display for DomainConstraint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "CONSTRAINT {name} ")?;
        }
        match &self.demand {
            DomainDemand::NotNull => f.write_str("NOT NULL"),
            DomainDemand::Null => f.write_str("NULL"),
            DomainDemand::Check(condition) => write!(f, "CHECK ({condition})"),
        }
    }
}

impl Display for CreateDomain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE DOMAIN {} AS {}", self.name, self.data_type)?;
        if let Some(collation) = &self.collation {
            write!(f, " COLLATE {collation}")?;
        }
        if let Some(default) = &self.default {
            write!(f, " DEFAULT {default}")?;
        }
        self.constraints.iter().try_for_each(|constraint| write!(f, " {constraint}"))
    }
}

impl Display for AlterType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = if self.domain { "DOMAIN" } else { "TYPE" };
        write!(f, "ALTER {kind} {} ", self.name)?;
        match &self.change {
            TypeChange::AddValue { if_not_exists, value, place } => {
                let exists = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(f, "ADD VALUE {exists}{}", quote_literal(value))?;
                match place {
                    Some((true, other)) => write!(f, " BEFORE {}", quote_literal(other)),
                    Some((false, other)) => write!(f, " AFTER {}", quote_literal(other)),
                    None => Ok(()),
                }
            }
            TypeChange::RenameValue(old, new) => {
                write!(f, "RENAME VALUE {} TO {}", quote_literal(old), quote_literal(new))
            }
            TypeChange::AddConstraint(constraint) => write!(f, "ADD {constraint}"),
            TypeChange::DropConstraint { if_exists, name } => {
                let exists = if *if_exists { "IF EXISTS " } else { "" };
                write!(f, "DROP CONSTRAINT {exists}{name}")
            }
            TypeChange::RenameConstraint(old, new) => {
                write!(f, "RENAME CONSTRAINT {old} TO {new}")
            }
            TypeChange::NotNull(true) => f.write_str("SET NOT NULL"),
            TypeChange::NotNull(false) => f.write_str("DROP NOT NULL"),
            TypeChange::Default(Some(default)) => write!(f, "SET DEFAULT {default}"),
            TypeChange::Default(None) => f.write_str("DROP DEFAULT"),
        }
    }
}
