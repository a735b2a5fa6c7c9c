//! Enums of upstreams that get more labels: the types here get them, too.

use std::sync::Arc;

use tidemill_catalog::{Catalog, Definition, UserType, name};
use tidemill_repr::{ColumnType, EnumType, ObjectId, ScalarType, SqlError, SqlState};
use tidemill_sql::sources::missing_label;

use crate::session::{Session, SessionOptions};
use crate::shared::Shared;

/// Gives the enum of a table's column the labels that it lacks, each by an ALTER TYPE of the
/// system's. Gives the column's type as it is then.
///
/// # Errors
/// The type cannot be changed now: something maintained reads its labels from text.
pub async fn add(
    shared: &Arc<Shared>,
    table: ObjectId,
    column: usize,
    labels: &[String],
) -> Result<ColumnType, SqlError> {
    loop {
        let snapshot = shared.snapshot();
        let catalog = &snapshot.catalog;
        let found = catalog.item(table).and_then(|item| item.desc()?.columns.get(column));
        let typ =
            found.ok_or_else(|| SqlError::internal("a column of a source table"))?.typ.clone();
        let element = match &typ.scalar_type {
            ScalarType::Array(element) => element,
            other => other,
        };
        let ScalarType::Enum(here) = element else {
            return Err(SqlError::internal("an enum that is none here"));
        };
        let Some((label, neighbour)) = missing_label(here, labels) else { return Ok(typ) };
        let (database, type_name) = name_of(catalog, here)?;
        let label = name::quote_literal(&label);
        let place = neighbour.map_or(String::new(), |(before, neighbour)| {
            let word = if before { "BEFORE" } else { "AFTER" };
            format!(" {word} {}", name::quote_literal(&neighbour))
        });
        let text = format!("ALTER TYPE {type_name} ADD VALUE IF NOT EXISTS {label}{place}");
        match run(shared, database, &text).await {
            // Another changed the catalog meanwhile.
            Err(error) if error.code == SqlState::SERIALIZATION_FAILURE => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
}

/// The database, and the name with its schema, of a type.
fn name_of(catalog: &Catalog, wanted: &EnumType) -> Result<(String, String), SqlError> {
    let is_wanted = |definition: &Definition| match definition {
        Definition::Type(UserType { typ: ScalarType::Enum(found), .. }) => {
            found.name.oid == wanted.name.oid
        }
        _ => false,
    };
    let item = catalog.items().find(|item| is_wanted(&item.definition));
    let item = item.ok_or_else(|| SqlError::internal("an enum without its type"))?;
    let quote = name::quote_identifier;
    let full = format!("{}.{}", quote(&item.name.schema), quote(&item.name.item));
    Ok((item.name.database.clone().unwrap_or_default(), full))
}

async fn run(shared: &Arc<Shared>, database: String, text: &str) -> Result<(), SqlError> {
    let options =
        SessionOptions { user: "mz_system".to_owned(), database, ..SessionOptions::default() };
    let mut session = Session::new(Arc::clone(shared), 0, options);
    for statement in session.parse(text)? {
        let prepared = session.prepare(Some(statement), &[])?;
        session.execute(&prepared, &[]).await?;
    }
    Ok(())
}
