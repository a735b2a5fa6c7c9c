//! How messages name objects: without what they are in, where the session finds them so.

use tidemill_catalog::snapshot::TEMPORARY_SCHEMA;
use tidemill_catalog::{Definition, Item, ItemKind};

use crate::session::Planner;

/// Names objects as one session sees them.
#[derive(Clone, Copy)]
pub(in crate::statements) struct Shown<'a>(pub Planner<'a>);

impl Shown<'_> {
    /// The name of an object; of a function, with its arguments.
    pub(in crate::statements) fn name(&self, item: &Item) -> String {
        let Shown(Planner { catalog, session }) = self;
        let (database, path) = (session.database, session.search_path);
        let plain = [item.name.item.clone()];
        let found = match item.kind() {
            ItemKind::Function => {
                let found = catalog.find_functions(database, path, &plain);
                found.iter().any(|found| found.id == item.id)
            }
            _ => catalog.find_item(database, path, &plain).is_some_and(|it| it.id == item.id),
        };
        let name = &item.name;
        if found || name.schema == TEMPORARY_SCHEMA {
            return item.described_name();
        }
        match name.database.as_deref().filter(|other| *other != database) {
            Some(other) => format!("{other}.{}.{}", name.schema, item.described_name()),
            None => format!("{}.{}", name.schema, item.described_name()),
        }
    }
}

/// Whether an object goes with what it belongs to, without being told of.
pub(super) fn belongs_to_another(item: &Item) -> bool {
    match &item.definition {
        Definition::Index(_) => true,
        Definition::Sequence(sequence) => sequence.owned_by.is_some(),
        _ => false,
    }
}
