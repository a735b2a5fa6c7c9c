//! What the optimiser asks of the catalog.

use std::sync::Arc;

use tidemill_expr::ScalarExpr;
use tidemill_plan::QueryExpr;
use tidemill_repr::ObjectId;

/// An arrangement that is there to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// The index, or the materialized view (whose arrangement is by all its columns).
    pub index: ObjectId,
    /// Its key.
    pub key: Vec<ScalarExpr>,
}

/// The catalog, as far as plans need it.
pub trait Definitions {
    /// The query of a view (materialized or not).
    fn view(&self, id: ObjectId) -> Option<Arc<QueryExpr>>;
    /// The arrangements on a relation that may be used; a materialized view's own one too.
    fn indexes_on(&self, id: ObjectId) -> Vec<IndexInfo>;
    /// Whether it is a base collection: a table, or the output of a materialized view that is
    /// read as a collection.
    fn is_base(&self, id: ObjectId) -> bool;
    /// How many columns it has.
    fn arity(&self, id: ObjectId) -> usize;
    /// Sets of columns that are unique.
    fn keys(&self, id: ObjectId) -> Vec<Vec<usize>>;
}

/// No objects at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDefinitions;

impl Definitions for NoDefinitions {
    fn view(&self, _id: ObjectId) -> Option<Arc<QueryExpr>> {
        None
    }

    fn indexes_on(&self, _id: ObjectId) -> Vec<IndexInfo> {
        Vec::new()
    }

    fn is_base(&self, _id: ObjectId) -> bool {
        true
    }

    fn arity(&self, _id: ObjectId) -> usize {
        0
    }

    fn keys(&self, _id: ObjectId) -> Vec<Vec<usize>> {
        Vec::new()
    }
}
