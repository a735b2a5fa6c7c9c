//! Names of what oids stand for: `regclass`, `regproc`, `regtype` and their kin, both ways.
//!
//! A name is shown as it must be written to be found: without its schema where the search path
//! leads to it, in quotes where it needs them.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_repr::{Oid, ScalarType, SqlError, SqlState};

use crate::builtin::pg_catalog::functions::{Signature, function_signatures, operator_signatures};
use crate::name::quote_identifier;
use crate::snapshot::Catalog;

/// The collations there are.
const COLLATIONS: [(u32, &str); 3] = [(100, "default"), (950, "C"), (951, "POSIX")];

/// Functions or operators, by name and by oid.
struct Table {
    by_name: HashMap<&'static str, Vec<Signature>>,
    by_oid: HashMap<u32, (&'static str, usize)>,
}

impl Table {
    fn of(signatures: Vec<Signature>) -> Table {
        let mut table = Table { by_name: HashMap::new(), by_oid: HashMap::new() };
        for signature in signatures {
            let same = table.by_name.entry(signature.name).or_default();
            table.by_oid.insert(signature.oid, (signature.name, same.len()));
            same.push(signature);
        }
        table
    }

    fn named(&self, name: &str) -> &[Signature] {
        self.by_name.get(name).map_or(&[][..], Vec::as_slice)
    }

    /// What has an oid, and whether nothing else has its name.
    fn of_oid(&self, oid: u32) -> Option<(&Signature, bool)> {
        let (name, at) = self.by_oid.get(&oid)?;
        let same = self.named(name);
        Some((same.get(*at)?, same.len() == 1))
    }
}

static FUNCTIONS: LazyLock<Table> = LazyLock::new(|| Table::of(function_signatures()));
static OPERATORS: LazyLock<Table> = LazyLock::new(|| Table::of(operator_signatures()));

/// Where names are looked up.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The session's database.
    pub database: &'a str,
    /// Its search path.
    pub search_path: &'a [String],
}

impl Names<'_> {
    /// The name of what an oid stands for in a type; None if it stands for nothing.
    pub fn shown(&self, typ: &ScalarType, oid: u32) -> Option<String> {
        match typ {
            ScalarType::Regclass => self.relation(oid),
            ScalarType::Regtype => self.type_name(oid),
            ScalarType::Regnamespace => {
                let found = self.catalog.schemas().find(|(_, schema)| schema.oid.0 == oid);
                found.map(|((_, name), _)| quote_identifier(name))
            }
            ScalarType::Regrole => {
                let role = self.catalog.roles().find(|role| role.oid().0 == oid);
                role.map(|role| quote_identifier(&role.name))
            }
            _ => built_in_name(typ, oid).or_else(|| self.function(typ, oid)),
        }
    }

    /// A function that a user made.
    fn function(&self, typ: &ScalarType, oid: u32) -> Option<String> {
        let item = self.catalog.item_by_oid(Oid(oid))?;
        let function = item.function()?;
        let mut path = self.catalog.lookup_path(self.search_path);
        let name = self.qualified(
            &item.name.schema,
            &item.name.item,
            path.any(|schema| schema == item.name.schema),
        );
        match typ {
            ScalarType::Regproc => Some(name),
            ScalarType::Regprocedure => Some(format!("{name}({})", function.argument_types())),
            _ => None,
        }
    }

    fn qualified(&self, schema: &str, item: &str, found: bool) -> String {
        let item = quote_identifier(item);
        if found { item } else { format!("{}.{item}", quote_identifier(schema)) }
    }

    fn relation(&self, oid: u32) -> Option<String> {
        let item = self.catalog.item_by_oid(Oid(oid))?;
        let name = [item.name.item.clone()];
        let found = self.catalog.resolve_item(self.database, self.search_path, &name);
        let visible = found.is_ok_and(|found| found.id == item.id);
        Some(self.qualified(&item.name.schema, &item.name.item, visible))
    }

    fn type_name(&self, oid: u32) -> Option<String> {
        if let Some(built_in) = ScalarType::from_oid(Oid(oid)) {
            return Some(built_in.to_string());
        }
        if let Some(name) = crate::builtin::pg_catalog::pseudo_type_name(oid) {
            return Some(if name == "any" { "\"any\"".to_owned() } else { name.to_owned() });
        }
        self.catalog.items().filter(|item| !item.is_system()).find_map(|item| {
            let typ = item.type_of()?;
            let (own, array) = match typ.created() {
                Some(created) => (created.oid.0, created.array_oid.0),
                None => (item.oid.0, 0),
            };
            let brackets = match oid {
                _ if oid == own => "",
                _ if oid == array => "[]",
                _ => return None,
            };
            let name = [item.name.item.clone()];
            let found = self.catalog.find_type(self.database, self.search_path, &name);
            let visible = found.is_some_and(|found| found.id == item.id);
            Some(self.qualified(&item.name.schema, &item.name.item, visible) + brackets)
        })
    }

    /// The oid of a schema or role of a name, in quotes where it needs them.
    ///
    /// # Errors
    /// There is none.
    pub fn schema_or_role(&self, typ: &ScalarType, name: &str) -> Result<u32, SqlError> {
        if *typ == ScalarType::Regrole {
            return self.catalog.require_role(name).map(|role| role.oid().0);
        }
        let schema = self.catalog.schema(self.database, name);
        schema.map(|schema| schema.oid.0).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{name}\" does not exist"),
            )
        })
    }
}

/// The name of a function, operator or collation; None for other types, and if there is none.
pub fn built_in_name(typ: &ScalarType, oid: u32) -> Option<String> {
    match typ {
        ScalarType::Regproc => {
            let (signature, alone) = FUNCTIONS.of_oid(oid)?;
            let name = quote_identifier(signature.name);
            Some(if alone { name } else { format!("pg_catalog.{name}") })
        }
        ScalarType::Regprocedure => {
            let (signature, _) = FUNCTIONS.of_oid(oid)?;
            let name = quote_identifier(signature.name);
            Some(format!("{name}({})", signature.arguments.join(",")))
        }
        ScalarType::Regoper => {
            let (signature, alone) = OPERATORS.of_oid(oid)?;
            let name = signature.name.to_owned();
            Some(if alone { name } else { format!("pg_catalog.{name}") })
        }
        ScalarType::Regoperator => {
            let (signature, _) = OPERATORS.of_oid(oid)?;
            Some(format!("{}({})", signature.name, signature.arguments.join(",")))
        }
        ScalarType::Regcollation => {
            let found = COLLATIONS.iter().find(|(number, _)| *number == oid);
            found.map(|(_, name)| quote_identifier(name))
        }
        _ => None,
    }
}

/// The oid of the function, operator or collation that a text names; `type_named` gives the name
/// of a type as it is shown, from its name as it is written.
///
/// # Errors
/// There is none, or there are several.
pub fn built_in_oid(
    typ: &ScalarType,
    text: &str,
    type_named: &dyn Fn(&str) -> Result<String, SqlError>,
) -> Result<u32, SqlError> {
    let (name, arguments) = match typ {
        ScalarType::Regprocedure | ScalarType::Regoperator => {
            let (name, arguments) = signature(typ, text)?;
            (name, Some(arguments))
        }
        _ => (text.trim(), None),
    };
    let name = ["pg_catalog.", "mz_catalog."]
        .iter()
        .find_map(|schema| name.strip_prefix(schema))
        .unwrap_or(name);
    let operator = matches!(typ, ScalarType::Regoper | ScalarType::Regoperator);
    if *typ == ScalarType::Regcollation {
        let name = folded(name);
        let found = COLLATIONS.iter().find(|(_, known)| *known == name);
        return found.map(|(oid, _)| *oid).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
            )
        });
    }
    let table: &Table = if operator { &OPERATORS } else { &FUNCTIONS };
    let name = if operator { name.to_owned() } else { folded(name) };
    let candidates = table.named(&name);
    let missing = || {
        SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            match operator {
                true => format!("operator does not exist: {text}"),
                false => format!("function \"{text}\" does not exist"),
            },
        )
    };
    match arguments {
        Some(arguments) => {
            let arguments = arguments
                .into_iter()
                .map(|argument| match argument.eq_ignore_ascii_case("none") && operator {
                    true => Ok("NONE".to_owned()),
                    false => type_named(argument),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let found = candidates.iter().find(|signature| signature.arguments == arguments);
            found.map(|signature| signature.oid).ok_or_else(missing)
        }
        None => match candidates {
            [] => Err(missing()),
            [only] => Ok(only.oid),
            _ => Err(SqlError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                match operator {
                    true => format!("more than one operator named {text}"),
                    false => format!("more than one function named \"{text}\""),
                },
            )),
        },
    }
}

/// Without quotes, or in lower case.
fn folded(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// `name(type, ..)`
fn signature<'t>(typ: &ScalarType, text: &'t str) -> Result<(&'t str, Vec<&'t str>), SqlError> {
    let error = |message: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    let (name, rest) =
        text.trim().split_once('(').ok_or_else(|| error("expected a left parenthesis"))?;
    let inside = rest.strip_suffix(')').ok_or_else(|| error("expected a right parenthesis"))?;
    let arguments: Vec<&str> = match inside.trim() {
        "" => Vec::new(),
        inside => inside.split(',').map(str::trim).collect(),
    };
    if *typ == ScalarType::Regoperator && arguments.len() != 2 {
        let message = if arguments.len() < 2 { "missing argument" } else { "too many arguments" };
        let hint = match arguments.len() {
            0 | 1 => "Use NONE to denote the missing argument of a unary operator.",
            _ => "Provide two argument types for operator.",
        };
        let code = match arguments.len() {
            0 | 1 => SqlState::UNDEFINED_PARAMETER,
            _ => SqlState::TOO_MANY_ARGUMENTS,
        };
        return Err(SqlError::new(code, message).with_hint(hint));
    }
    Ok((name.trim(), arguments))
}
