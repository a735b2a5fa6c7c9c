//! to_char.

use crate::functions::Definitions;

pub(super) fn define(_d: &mut Definitions) {}
