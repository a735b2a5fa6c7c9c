//! ALTER TABLE.
//!
//! A table whose rows change form becomes another collection under the old name and oid: its
//! rows are written anew, and what is maintained over it is built again, all with one commit.

use std::collections::BTreeMap;

use tidemill_catalog::{ConstraintKind, Definition, Generation, Sequence};
use tidemill_plan::QueryExpr;
use tidemill_repr::ObjectId;

use super::{NewItem, RowCheck};

/// ALTER TABLE, ALTER VIEW.
#[derive(Clone, Debug)]
pub struct AlterTablePlan {
    /// The first of the numbers by which new objects name each other.
    pub number: u64,
    /// Objects that go, or come back under another identity; dependants first.
    pub drops: Vec<ObjectId>,
    /// Objects that come, or are otherwise; each after those it depends on.
    pub items: Vec<AlteredItem>,
    /// The content.
    pub content: Option<AlteredContent>,
    /// The command tag.
    pub tag: &'static str,
}

/// ALTER TABLE of a table that follows a source.
#[derive(Clone, Debug)]
pub struct AlterFollowedPlan {
    /// The table.
    pub table: ObjectId,
    /// The columns here that stay, in order.
    pub kept: Vec<usize>,
    /// Those that go, and whether what depends on them goes, too.
    pub drop: Vec<(usize, bool)>,
    /// Columns of the upstream's that come.
    pub add: Vec<String>,
    /// Those of them that are carried as text.
    pub text: Vec<String>,
    /// The table that was made to succeed this one, if there is one already, and how it takes
    /// its place: under the first of the plan's numbers.
    pub succession: Option<(ObjectId, AlterTablePlan)>,
}

/// An object as it will be. Plans in it are missing.
#[derive(Clone, Debug)]
pub struct AlteredItem {
    /// Its identity: the one it has, or a number of the plan.
    pub id: ObjectId,
    /// The object whose oid and owner it has.
    pub old: Option<ObjectId>,
    /// What it is.
    pub item: NewItem,
}

/// The content of a table that is altered.
#[derive(Clone, Debug)]
pub struct AlteredContent {
    /// The table as it was.
    pub table: ObjectId,
    /// The table to which the rows are written; None: they are there, and only checked.
    pub into: Option<ObjectId>,
    /// The rows as they will be.
    pub query: QueryExpr,
    /// Each must pass.
    pub check: RowCheck,
    /// The columns that get numbers of new sequences.
    pub numbered: Vec<NumberedColumn>,
}

/// A column that gets numbers of a sequence that is made with it.
#[derive(Clone, Debug)]
pub struct NumberedColumn {
    /// Its position in the new rows.
    pub column: usize,
    /// The sequence, by the plan's number for it.
    pub sequence: ObjectId,
    /// What it is.
    pub definition: Sequence,
}

/// Puts other identities in the places of those that a definition names.
pub fn renumber(
    depends_on: &mut [ObjectId],
    definition: &mut Definition,
    ids: &BTreeMap<ObjectId, ObjectId>,
) {
    let change = |id: &mut ObjectId| {
        if let Some(new) = ids.get(id) {
            *id = *new;
        }
    };
    depends_on.iter_mut().for_each(change);
    match definition {
        Definition::Table(table) => {
            for constraint in &mut table.constraints {
                if let ConstraintKind::Key { index, .. } = &mut constraint.kind {
                    change(index);
                }
            }
            for generation in table.generation.iter_mut().flatten() {
                match generation {
                    Generation::Serial(sequence) | Generation::Identity { sequence, .. } => {
                        change(sequence);
                    }
                    Generation::Stored(_) => {}
                }
            }
        }
        Definition::Index(index) => change(&mut index.on),
        Definition::Sequence(sequence) => {
            if let Some((table, _)) = &mut sequence.owned_by {
                change(table);
            }
        }
        _ => {}
    }
}
