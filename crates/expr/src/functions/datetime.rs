//! Dates and times.

use crate::functions::Definitions;
use crate::functions::table::Tables;

pub(super) fn define(_d: &mut Definitions) {}

pub(super) fn define_tables(_t: &mut Tables) {}
