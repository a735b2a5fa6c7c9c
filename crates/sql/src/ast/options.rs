//! Options as statements have them.

use sqlparser::ast::{Expr, ObjectName};

/// `NAME [=] value` in a list of options. The name is in capitals, its words one space apart.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedOption {
    /// The name.
    pub name: String,
    /// What follows it.
    pub value: OptionValue,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// The name stands alone.
    None,
    /// `'text'`
    Text(String),
    /// `5432`
    Number(String),
    /// `word`, `a.b`
    Name(ObjectName),
    /// `SECRET name`
    Secret(ObjectName),
    /// `(a.b, c)`
    List(Vec<ObjectName>),
    /// When a materialized view is computed.
    Refresh(RefreshOption),
    /// `ON REFRESH [(..)]`: when a cluster runs.
    OnRefresh(Vec<NamedOption>),
}

/// When a materialized view is computed: the value of an option `REFRESH`.
#[derive(Clone, Debug, PartialEq)]
pub enum RefreshOption {
    /// `ON COMMIT`
    OnCommit,
    /// `AT CREATION`
    AtCreation,
    /// `AT time`
    At(Box<Expr>),
    /// `EVERY 'interval' [ALIGNED TO time]`
    Every {
        /// The time span between two of them.
        interval: String,
        /// One time at which it is.
        aligned_to: Option<Box<Expr>>,
    },
}
