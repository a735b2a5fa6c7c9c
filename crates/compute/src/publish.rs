//! What is published of an index: immutable lists of batches, one a worker.

use tidemill_repr::ObjectId;

/// What the workers and the readers of an index share.
pub(crate) struct IndexShared {
    id: ObjectId,
}

impl IndexShared {
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }
}
