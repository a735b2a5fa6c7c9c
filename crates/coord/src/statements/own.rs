//! What a transaction sees of its own: rows that it wrote and that are not committed yet.
//!
//! For the optimiser a table that the transaction has written is a view: the committed table, by
//! another identity ([`hidden`]), and the rows that came and went since. So all that reads the
//! table, views over it too, reads both, and the committed part still uses its indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_catalog::{Catalog, Definition, builtin};
use tidemill_plan::relation::RelationType;
use tidemill_plan::{Id, QueryExpr, RelationExpr};
use tidemill_repr::{Diff, ObjectId, Row, RowBatch};

/// Rows that were written and are not committed, by table, in order.
pub(crate) type OwnRows = BTreeMap<ObjectId, Vec<Arc<RowBatch>>>;

/// What a transaction wrote, for planning its reads.
pub(crate) struct OwnWrites {
    rows: OwnRows,
    /// Tables that are nowhere but here: those of the session.
    private: BTreeSet<ObjectId>,
    /// The committed catalog, where the transaction has another.
    committed: Option<Arc<Catalog>>,
    /// Rows of relations that are computed when they are read.
    live: BTreeMap<ObjectId, Vec<Row>>,
    views: Mutex<BTreeMap<ObjectId, Option<Arc<QueryExpr>>>>,
}

/// The first number of identities that stand for committed tables.
const HIDDEN: u64 = 1 << 62;

/// The identity under which the committed part of a table is read.
fn hidden(table: ObjectId) -> ObjectId {
    ObjectId::Transient(match table {
        ObjectId::User(number) => HIDDEN + 2 * number,
        ObjectId::System(number) => HIDDEN + 2 * number + 1,
        ObjectId::Transient(number) => number,
    })
}

/// The table that such an identity stands for; others stand for themselves.
pub(crate) fn revealed(id: ObjectId) -> ObjectId {
    match id {
        ObjectId::Transient(number) if number >= HIDDEN => {
            let number = number - HIDDEN;
            if number.is_multiple_of(2) {
                ObjectId::User(number / 2)
            } else {
                ObjectId::System(number / 2)
            }
        }
        other => other,
    }
}

/// Puts the tables back into a relation that was planned with [`OwnWrites`].
pub(crate) fn reveal(relation: &mut RelationExpr) {
    relation.visit_mut(&mut |relation| {
        if let RelationExpr::Get { id: Id::Global(id), .. } = relation {
            *id = revealed(*id);
        }
    });
}

impl OwnWrites {
    /// These rows; `private` tables have no others. With `committed` the built-in relations tell
    /// of the reader's catalog, not of that one.
    pub(crate) fn new(
        rows: OwnRows,
        private: BTreeSet<ObjectId>,
        committed: Option<Arc<Catalog>>,
    ) -> OwnWrites {
        OwnWrites { rows, private, committed, live: BTreeMap::new(), views: Mutex::default() }
    }

    /// The same, with the rows of relations that are computed when they are read.
    pub(crate) fn with_live(self, live: BTreeMap<ObjectId, Vec<Row>>) -> OwnWrites {
        OwnWrites { live, ..self }
    }

    /// Whether there are rows that were computed for this read alone.
    pub(crate) fn has_live(&self) -> bool {
        !self.live.is_empty()
    }

    /// Whether a table is read otherwise than by itself.
    fn changes(&self, catalog: &Catalog, table: ObjectId) -> bool {
        match table {
            ObjectId::System(_) => self.view(catalog, table).is_some(),
            _ => self.rows.contains_key(&table) || self.private.contains(&table),
        }
    }

    /// How a built-in relation differs from the committed one.
    fn builtin(&self, catalog: &Catalog, id: ObjectId) -> Option<RowBatch> {
        let relation = builtin::all().find(|relation| relation.id() == id)?;
        let (gone, come) = relation.change(self.committed.as_deref()?, catalog)?;
        Some(crate::volatile::difference(&gone, &come)).filter(|batch| !batch.is_empty())
    }

    /// Whether a relation has rows that only the transaction sees.
    pub(crate) fn touches(&self, catalog: &Catalog, id: ObjectId) -> bool {
        let mut bases = catalog.base_collections(id).into_iter();
        self.changes(catalog, id) || bases.any(|base| self.changes(catalog, base))
    }

    /// The table with the rows that the transaction sees.
    pub(crate) fn view(&self, catalog: &Catalog, table: ObjectId) -> Option<Arc<QueryExpr>> {
        let live = self.live.contains_key(&table);
        if matches!(table, ObjectId::System(_)) && self.committed.is_none() && !live
            || !matches!(table, ObjectId::System(_)) && !self.changes(catalog, table)
        {
            return None;
        }
        if let Some(view) = self.views.lock().get(&table) {
            return view.clone();
        }
        let view = self.new_view(catalog, table);
        self.views.lock().insert(table, view.clone());
        view
    }

    fn new_view(&self, catalog: &Catalog, table: ObjectId) -> Option<Arc<QueryExpr>> {
        if let Some(rows) = self.live.get(&table) {
            let desc = catalog.item(table)?.desc()?;
            let columns = desc.columns.iter().map(|column| column.typ.clone()).collect();
            let rows = rows.iter().map(|row| (row.clone(), 1)).collect();
            return Some(Arc::new(QueryExpr::Constant { rows, typ: RelationType::new(columns) }));
        }
        let builtin = match table {
            ObjectId::System(_) => Some(Arc::new(self.builtin(catalog, table)?)),
            _ => None,
        };
        let desc = catalog.item(table)?.desc()?;
        let typ = RelationType::new(desc.columns.iter().map(|column| column.typ.clone()).collect());
        let mut counts: BTreeMap<Row, Diff> = BTreeMap::new();
        for batch in self.rows.get(&table).into_iter().flatten().chain(&builtin) {
            for (row, diff) in batch.iter() {
                *counts.entry(row.to_owned()).or_default() += diff;
            }
        }
        let rows = counts.into_iter().filter(|(_, diff)| *diff != 0).collect();
        let own = QueryExpr::Constant { rows, typ: typ.clone() };
        let query = if self.private.contains(&table) {
            own
        } else {
            let committed = QueryExpr::Get { id: Id::Global(hidden(table)), typ };
            QueryExpr::Union { inputs: vec![committed, own] }
        };
        Some(Arc::new(query))
    }

    /// Whether the relation's own arrangements must not be used.
    pub(crate) fn hides_indexes(&self, catalog: &Catalog, id: ObjectId) -> bool {
        match catalog.item(id).map(|item| &item.definition) {
            Some(Definition::Table(_)) => self.changes(catalog, id),
            _ => self.touches(catalog, id),
        }
    }
}
