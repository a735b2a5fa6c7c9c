//! UUIDs.

use tidemill_repr::Datum;

use crate::functions::Definitions;

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "gen_random_uuid",
        "gen_random_uuid() -> uuid",
        |_, _| Ok(Datum::Uuid(*uuid::Uuid::new_v4().as_bytes())),
        "A random UUID (version 4).",
    )
    .safe()
    .volatile();
}
