//! `jsonb`.

use tidemill_repr::Datum;
use tidemill_repr::jsonb::JsonbRef;

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::table::Tables;
use crate::scalar::EvalContext;

pub(super) fn canonical<'a>(value: JsonbRef<'a>, _context: EvalContext<'a>) -> Datum<'a> {
    Datum::Jsonb(value)
}

pub(crate) fn array_of<'a>(
    _items: impl Iterator<Item = Datum<'a>>,
    _context: EvalContext<'_>,
) -> Result<Datum<'a>, EvalError> {
    Ok(Datum::Null)
}

pub(crate) fn object_of<'a>(
    _items: impl Iterator<Item = (Datum<'a>, Datum<'a>)>,
    _context: EvalContext<'_>,
) -> Result<Datum<'a>, EvalError> {
    Ok(Datum::Null)
}

pub(super) fn define(_d: &mut Definitions) {}

pub(super) fn define_tables(_t: &mut Tables) {}
