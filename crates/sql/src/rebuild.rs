//! Plans of objects that are in the catalog already, from their texts: when the server starts,
//! and for built-in views.

use tidemill_catalog::{Catalog, Definition, Item};
use tidemill_expr::{FunctionRef, ScalarExpr};
use tidemill_plan::QueryExpr;
use tidemill_repr::{ObjectId, RelationDesc, SqlError};

use crate::ast::Statement;
use crate::names;
use crate::parse::{ParsedStatement, parse};
use crate::query;
use crate::session::{Planner, SessionView};
use crate::statements::over_columns;

/// What is put back into the catalog.
#[derive(Clone, Debug)]
pub enum Rebuilt {
    /// The query of a view or materialized view, what it reads, and the columns it gives.
    Query(QueryExpr, Vec<ObjectId>, RelationDesc),
    /// The key of an index.
    Key(Vec<ScalarExpr>),
    /// The object has no plan.
    Nothing,
}

/// Plans an object again. What it depends on must be in the catalog.
///
/// # Errors
/// Its text no longer fits the catalog.
pub fn rebuild(
    catalog: &Catalog,
    session: &SessionView<'_>,
    item: &Item,
) -> Result<Rebuilt, SqlError> {
    // A text means what it meant where it was written.
    let time_zone = item.time_zone().unwrap_or(session.time_zone);
    let session = &SessionView { time_zone, ..*session };
    let planner = Planner { catalog, session };
    match &item.definition {
        Definition::View(_) | Definition::MaterializedView(_) => {
            let sql = item.view().map(|view| view.query_sql.as_str()).unwrap_or_default();
            let parsed = single(sql)?;
            let Statement::Query(mut statement) = parsed.statement else {
                return Err(SqlError::internal("a view whose text is no query"));
            };
            let mut context = planner.maintained_context(&parsed.whole);
            context.all_databases = item.is_system();
            context.only_functions = Some(item.depends_on.clone());
            context.trusted = true;
            let (mut query, mut desc) = query::plan_view_query(&context, &statement.query)?;
            if let Definition::MaterializedView(materialized) = &item.definition {
                let named = &materialized.view.desc;
                let sql = &item.create_sql;
                query = crate::statements::asserted_again(sql, query, &mut desc, named)?;
            }
            let depends_on = names::qualify(&planner, &mut statement.query)?;
            Ok(Rebuilt::Query(query, depends_on, desc))
        }
        Definition::Index(index) => {
            let on = catalog.item(index.on).and_then(|on| Some((on, on.desc()?)));
            let Some((on, desc)) = on else {
                return Err(SqlError::internal("an index without relation"));
            };
            if let Some(unique) = &index.unique {
                return Ok(Rebuilt::Key(unique_key(desc, &unique.columns)));
            }
            let parsed = single(&item.create_sql)?;
            let Statement::CreateIndex(create) = parsed.statement else {
                return Err(SqlError::internal("an index whose text is no CREATE INDEX"));
            };
            let mut context = planner.maintained_context(&parsed.whole);
            context.only_functions = Some(item.depends_on.clone());
            context.trusted = true;
            let scope = query::table_scope(desc, &on.name.item);
            let key = create
                .key
                .unwrap_or_default()
                .iter()
                .map(|expr| over_columns(query::plan_scalar(&context, &scope, expr)?.expr))
                .collect::<Result<_, _>>()?;
            Ok(Rebuilt::Key(key))
        }
        _ => Ok(Rebuilt::Nothing),
    }
}

/// The key of the index behind a constraint: columns, in the one form that equal values share.
pub fn unique_key(desc: &RelationDesc, columns: &[usize]) -> Vec<ScalarExpr> {
    let canonical = FunctionRef::by_id("canonical");
    columns
        .iter()
        .map(|column| {
            let plain = ScalarExpr::Column(*column);
            let typ = desc.columns.get(*column).map(|column| column.typ.clone());
            match (typ, canonical) {
                (Some(typ), Some(function)) if typ.scalar_type.has_equal_representations() => {
                    ScalarExpr::Call { function, arguments: vec![plain], typ }
                }
                _ => plain,
            }
        })
        .collect()
}

fn single(text: &str) -> Result<ParsedStatement, SqlError> {
    let mut parsed = parse(text)?;
    match (parsed.pop(), parsed.pop()) {
        (Some(only), None) => Ok(only),
        _ => Err(SqlError::internal("a definition that is not one statement")),
    }
}
