//! The types of a call's arguments, as one more argument that the planner adds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tidemill_repr::text::TextSettings;
use tidemill_repr::{Datum, ScalarType, SqlError};

use crate::error::EvalError;
use crate::functions::arguments::text;

/// Different calls a thread remembers at most.
const CACHE_SIZE: usize = 500;

/// What a call's last two arguments say.
pub(crate) struct Known {
    /// The types of the other arguments.
    pub(crate) types: Vec<ScalarType>,
    /// With the session's time zone.
    pub(crate) settings: TextSettings,
}

impl Known {
    /// The type of an argument.
    pub(crate) fn typ(&self, at: usize) -> &ScalarType {
        self.types.get(at).unwrap_or(&ScalarType::Text)
    }
}

thread_local! {
    static CACHE: RefCell<HashMap<String, HashMap<String, Rc<Known>>>> = RefCell::default();
}

/// The types of arguments, as an argument.
pub fn argument_types(types: &[ScalarType]) -> String {
    serde_json::to_string(types).unwrap_or_default()
}

/// The arguments proper, and what is known of them.
pub(crate) fn typed<'t, 'a>(a: &'t [Datum<'a>]) -> Result<(&'t [Datum<'a>], Rc<Known>), EvalError> {
    let count = a.len().saturating_sub(2);
    let (written, zone) = (text(a, count)?, text(a, count + 1)?);
    let found = CACHE.with_borrow(|cache| cache.get(written)?.get(zone).cloned());
    let known = match found {
        Some(known) => known,
        None => {
            let types = serde_json::from_str(written).map_err(SqlError::internal)?;
            let settings = TextSettings::from_argument(zone);
            let known = Rc::new(Known { types, settings });
            CACHE.with_borrow_mut(|cache| {
                if cache.len() >= CACHE_SIZE {
                    cache.clear();
                }
                let zones = cache.entry(written.to_owned()).or_default();
                zones.insert(zone.to_owned(), Rc::clone(&known));
            });
            known
        }
    };
    Ok((&a[..count], known))
}
