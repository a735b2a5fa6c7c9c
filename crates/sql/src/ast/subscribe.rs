//! SUBSCRIBE.

use sqlparser::ast::{Expr, Ident, ObjectName, OrderByExpr, Query};

use super::{AsOf, NamedOption};

/// What a SUBSCRIBE follows.
#[derive(Clone, Debug, PartialEq)]
pub enum SubscribeTarget {
    /// A relation.
    Object(ObjectName),
    /// A query.
    Query(Box<Query>),
}

/// How the changes of one moment are put out.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SubscribeOutput {
    /// Rows with diffs.
    #[default]
    Diffs,
    /// `WITHIN TIMESTAMP ORDER BY ..`: rows with diffs, in order.
    Ordered(Vec<OrderByExpr>),
    /// `ENVELOPE UPSERT (KEY (..))`
    Upsert(Vec<Ident>),
    /// `ENVELOPE DEBEZIUM (KEY (..))`
    Debezium(Vec<Ident>),
}

/// `SUBSCRIBE [TO] {object | (query)} [output] [WITH (..)] [AS OF ..] [UP TO ..]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// What is followed.
    pub target: SubscribeTarget,
    /// How changes are put out.
    pub output: SubscribeOutput,
    /// `SNAPSHOT`, `PROGRESS`
    pub options: Vec<NamedOption>,
    /// From when.
    pub as_of: Option<AsOf>,
    /// Until when, that tick left out.
    pub up_to: Option<Expr>,
}
