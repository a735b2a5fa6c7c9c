//! What a ledger entry holds beside rows: changes of the catalog and of the state of tables.

use serde::{Deserialize, Serialize};
use tidemill_catalog::CatalogChange;
use tidemill_expr::EvalError;
use tidemill_repr::{Lsn, ObjectId};

/// One opaque record of an entry, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DurableChange {
    /// The catalog changed.
    Catalog(CatalogChange),
    /// A table that follows a source has its first content.
    SnapshotDone(ObjectId),
    /// A table cannot be followed any further.
    TableError(ObjectId, EvalError),
}

/// A source's position as the ledger keeps it.
pub fn encode_position(position: Lsn) -> Vec<u8> {
    position.0.to_be_bytes().to_vec()
}

/// What [`encode_position`] made; None if it is something else.
pub fn decode_position(bytes: &[u8]) -> Option<Lsn> {
    Some(Lsn(u64::from_be_bytes(bytes.try_into().ok()?)))
}
