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
    /// A table's content is right again, by its RESYNC of this number.
    Resynced(ObjectId, u32),
}

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The position in the upstream's log.
    pub position: Lsn,
    /// The upstream's timeline; 0 if it is not known.
    pub timeline: u32,
    /// The slot that the position belongs to; None if it is not known.
    pub slot: Option<String>,
}

/// A source's position as the ledger keeps it: eight bytes of position, four of timeline, and the
/// name of the slot.
pub fn encode_position(position: &SourcePosition) -> Vec<u8> {
    let mut bytes = position.position.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&position.timeline.to_be_bytes());
    bytes.extend_from_slice(position.slot.as_deref().unwrap_or_default().as_bytes());
    bytes
}

/// What [`encode_position`] made; None if it is something else.
pub fn decode_position(bytes: &[u8]) -> Option<SourcePosition> {
    let (position, rest) = bytes.split_first_chunk::<8>()?;
    let position = Lsn(u64::from_be_bytes(*position));
    let Some((timeline, slot)) = rest.split_first_chunk::<4>() else {
        return rest.is_empty().then_some(SourcePosition { position, timeline: 0, slot: None });
    };
    let slot = std::str::from_utf8(slot).ok()?;
    let slot = (!slot.is_empty()).then(|| slot.to_owned());
    Some(SourcePosition { position, timeline: u32::from_be_bytes(*timeline), slot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back() {
        for slot in [None, Some("materialize_u7_0123".to_owned())] {
            let position = SourcePosition { position: Lsn(77), timeline: 3, slot };
            assert_eq!(decode_position(&encode_position(&position)), Some(position));
        }
        // As it was written once.
        let old = SourcePosition { position: Lsn(5), timeline: 0, slot: None };
        assert_eq!(decode_position(&5u64.to_be_bytes()), Some(old));
        assert_eq!(decode_position(&[1, 2, 3]), None);
    }
}
