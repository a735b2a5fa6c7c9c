//! Enums of an upstream: each is an enum here, too, in the schema of the table that has it first.

use std::sync::Arc;

use tidemill_catalog::{
    Catalog, Definition, DomainRules, QualifiedName, UpstreamEnum, UserType, item,
};
use tidemill_repr::{EnumType, ObjectId, Oid, ScalarType, SqlError, SqlState};

use crate::plan::NewItem;
use crate::statements::created;

/// The type here of a column with an upstream's enum: one that is there with the same labels, or
/// one that is to be made ([`new_types`]).
///
/// # Errors
/// Something else has the name.
pub(super) fn enum_type(
    catalog: &Catalog,
    table: &QualifiedName,
    column: &str,
    upstream: &UpstreamEnum,
    depends_on: &mut Vec<ObjectId>,
) -> Result<ScalarType, SqlError> {
    let name = QualifiedName { item: upstream.name.clone(), ..table.clone() };
    let Some(found) = catalog.item_by_name(&name) else {
        let labels = upstream.labels.iter().zip(1u16..);
        let labels =
            labels.map(|(label, order)| (f32::from(order).to_bits(), label.clone())).collect();
        let name = item::type_name(&name, Oid(0));
        return Ok(ScalarType::Enum(Arc::new(EnumType { name, labels })));
    };
    if let Definition::Type(UserType { typ: ScalarType::Enum(known), .. }) = &found.definition
        && known.labels.iter().map(|(_, label)| label).eq(&upstream.labels)
    {
        depends_on.push(found.id);
        return Ok(ScalarType::Enum(Arc::clone(known)));
    }
    Err(SqlError::new(
        SqlState::DUPLICATE_OBJECT,
        format!("column {column} has the enum type \"{}\", a name that is taken here", name.item),
    )
    .with_detail(format!("{} {} is something else, or has other labels.", found.kind(), found.name))
    .with_hint(format!(
        "Make the table in another schema, or use TEXT COLUMNS ({column}) to carry the labels as text."
    )))
}

/// The types that these tables need and that are not there yet.
pub fn new_types(tables: &[NewItem]) -> Vec<NewItem> {
    let mut types: Vec<NewItem> = Vec::new();
    for table in tables {
        let Definition::Table(definition) = &table.definition else { continue };
        for column in &definition.desc.columns {
            let Some(wanted) = placeholder(&column.typ.scalar_type) else { continue };
            let name = QualifiedName { item: wanted.name.name.clone(), ..table.name.clone() };
            if types.iter().any(|known| known.name == name) {
                continue;
            }
            let typ = ScalarType::Enum(Arc::clone(wanted));
            let created = UserType { typ, rules: DomainRules::default() };
            types.push(NewItem {
                create_sql: created::create_sql(&name, &created),
                name,
                depends_on: Vec::new(),
                definition: Definition::Type(created),
                replaces: None,
            });
        }
    }
    types
}

fn placeholder(typ: &ScalarType) -> Option<&Arc<EnumType>> {
    match typ {
        ScalarType::Enum(found) if found.name.oid == Oid(0) => Some(found),
        ScalarType::Array(element) => placeholder(element),
        _ => None,
    }
}

/// Puts the types that were made in the place of those that were to be made.
///
/// # Errors
/// Two upstream enums of one name have other labels.
pub fn with_types(table: &mut NewItem, made: &[(ObjectId, ScalarType)]) -> Result<(), SqlError> {
    let NewItem { name, depends_on, definition, .. } = table;
    let Definition::Table(definition) = definition else { return Ok(()) };
    for column in &mut definition.desc.columns {
        let Some(wanted) = placeholder(&column.typ.scalar_type) else { continue };
        let found = made.iter().find_map(|(id, typ)| match typ {
            ScalarType::Enum(typ) if typ.name.name == wanted.name.name => {
                Some((*id, typ)).filter(|(_, typ)| typ.name.schema == wanted.name.schema)
            }
            _ => None,
        });
        let Some((id, typ)) = found.filter(|(_, typ)| typ.labels == wanted.labels) else {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!(
                    "column \"{}\" of table \"{}\" has the enum type \"{}\", and so has another \
                     with other labels",
                    column.name, name.item, wanted.name.name
                ),
            )
            .with_hint("Use TEXT COLUMNS for one of them, or make the tables in other schemas."));
        };
        let typ = ScalarType::Enum(Arc::clone(typ));
        column.typ.scalar_type = match column.typ.scalar_type {
            ScalarType::Array(_) => ScalarType::Array(Box::new(typ)),
            _ => typ,
        };
        if !depends_on.contains(&id) {
            depends_on.push(id);
        }
    }
    Ok(())
}

/// The first of an upstream's labels that an enum here does not have, and the label before which
/// or after which it stands: `(label, before, neighbour)`.
pub fn missing_label(
    here: &EnumType,
    labels: &[String],
) -> Option<(String, Option<(bool, String)>)> {
    let known = |label: &String| here.order_of(label).is_some();
    let at = labels.iter().position(|label| !known(label))?;
    let label = labels.get(at)?.clone();
    // All before it are known.
    if let Some(neighbour) = at.checked_sub(1).and_then(|before| labels.get(before)) {
        return Some((label, Some((false, neighbour.clone()))));
    }
    let after = labels.iter().skip(at + 1).find(|label| known(label));
    Some((label, after.map(|neighbour| (true, neighbour.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_added_beside_their_neighbours() {
        let name = QualifiedName {
            database: Some("d".to_owned()),
            schema: "s".to_owned(),
            item: "mood".to_owned(),
        };
        let labels = vec![(1f32.to_bits(), "sad".to_owned()), (2f32.to_bits(), "ok".to_owned())];
        let here = EnumType { name: item::type_name(&name, Oid(7)), labels };
        let missing = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            missing_label(&here, &labels)
        };
        assert_eq!(missing(&["sad", "ok"]), None);
        let found = missing(&["sad", "ok", "happy"]);
        assert_eq!(found, Some(("happy".to_owned(), Some((false, "ok".to_owned())))));
        let found = missing(&["worst", "bad", "sad", "ok"]);
        assert_eq!(found, Some(("worst".to_owned(), Some((true, "sad".to_owned())))));
    }
}
