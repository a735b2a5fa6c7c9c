//! ALTER TYPE, ALTER DOMAIN.

use std::sync::Arc;

use sqlparser::ast::Expr;
use tidemill_catalog::{Definition, Item, ItemKind, QualifiedName, UserType};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, EnumType, ObjectId, ScalarType, SqlError, SqlState};

use super::{check_label, create_sql, require_domain, type_exists};
use crate::ast::{AlterType, DomainDemand, TypeChange};
use crate::plan::{AlterTypePlan, Plan, Planned};
use crate::query;
use crate::statements::select::get;
use crate::statements::{Planning, command, nothing};

impl Planning<'_> {
    pub(in crate::statements) fn alter_type(
        &self,
        statement: &AlterType,
    ) -> Result<Planned, SqlError> {
        let item = self.item(&statement.name, &[ItemKind::Type]);
        let item = item.map_err(|error| self.of_relation(statement, error))?;
        let Definition::Type(created) = &item.definition else {
            return Err(SqlError::internal("a type that is none"));
        };
        if statement.domain {
            require_domain(item)?;
        }
        match &statement.change {
            TypeChange::AddValue { if_not_exists, value, place } => {
                let definition = enum_of(item, created)?;
                check_label(value)?;
                if definition.order_of(value).is_some() {
                    let message = format!("enum label \"{value}\" already exists");
                    let code = SqlState::DUPLICATE_OBJECT;
                    if *if_not_exists {
                        return Ok(nothing("ALTER TYPE", code, format!("{message}, skipping")));
                    }
                    return Err(SqlError::new(code, message));
                }
                let labels = with_label(definition, value, place.as_ref())?;
                self.refuse_stale_casts(item)?;
                self.alter_enum(item, created, definition, labels)
            }
            TypeChange::RenameValue(old, new) => {
                let definition = enum_of(item, created)?;
                check_label(new)?;
                if definition.order_of(old).is_none() {
                    return Err(no_label(old));
                }
                if definition.order_of(new).is_some() {
                    let message = format!("enum label \"{new}\" already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
                }
                self.refuse_stored_labels(item)?;
                let mut labels = definition.labels.clone();
                for (_, label) in labels.iter_mut().filter(|(_, label)| label == old) {
                    label.clone_from(new);
                }
                self.alter_enum(item, created, definition, labels)
            }
            change => self.alter_domain(item, created, change),
        }
    }

    /// A relation's rows have a type that is neither.
    fn of_relation(&self, statement: &AlterType, error: SqlError) -> SqlError {
        let session = self.planner.session;
        let parts = crate::names::parts(&statement.name).unwrap_or_default();
        let found = self.planner.catalog.find_type(session.database, session.search_path, &parts);
        match found {
            Some(found) => {
                let what = if statement.domain { "a domain" } else { "an enum" };
                let message = format!("{} is not {what}", found.name.item);
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
            }
            None => error,
        }
    }

    fn alter_enum(
        &self,
        item: &Item,
        created: &UserType,
        definition: &EnumType,
        labels: Vec<(u32, String)>,
    ) -> Result<Planned, SqlError> {
        let name = definition.name.clone();
        let typ = ScalarType::Enum(Arc::new(EnumType { name, labels }));
        let created = UserType { typ, rules: created.rules.clone() };
        let items = self.redefined(item, &item.name, created)?;
        let plan = AlterTypePlan { items, refused: Vec::new(), tag: "ALTER TYPE" };
        Ok(command(Plan::AlterType(plan)))
    }

    /// Values in tables hold the label.
    fn refuse_stored_labels(&self, item: &Item) -> Result<(), SqlError> {
        let catalog = self.planner.catalog;
        let holds = catalog.dependants(item.id).into_iter().find_map(|id| {
            let found = catalog.item(id)?;
            let kinds = [ItemKind::Table, ItemKind::MaterializedView, ItemKind::Index];
            kinds.contains(&found.kind()).then_some(found)
        });
        match holds {
            None => Ok(()),
            Some(found) => Err(SqlError::unsupported("RENAME VALUE of a type that is stored")
                .with_detail(format!(
                    "{} {} holds values of type {}.",
                    found.kind(),
                    found.name.item,
                    item.name.item
                ))),
        }
    }

    /// A dataflow that reads labels from text knows those of its beginning.
    fn refuse_stale_casts(&self, item: &Item) -> Result<(), SqlError> {
        let catalog = self.planner.catalog;
        for id in catalog.dependants(item.id) {
            let Some(view) = catalog.item(id) else { continue };
            let Some(query) = view.view().and_then(|view| view.query.as_ref()) else { continue };
            if !super::change::reads_from_text(query, item.oid) {
                continue;
            }
            let maintained = catalog.dependants(id).into_iter().chain([id]).find_map(|id| {
                let found = catalog.item(id)?;
                let kinds = [ItemKind::MaterializedView, ItemKind::Index];
                kinds.contains(&found.kind()).then_some(found)
            });
            if let Some(maintained) = maintained {
                let what = "ALTER TYPE .. ADD VALUE while a maintained view casts text to the type";
                return Err(SqlError::unsupported(what)
                    .with_detail(format!(
                        "{} {} is maintained with the labels of now.",
                        maintained.kind(),
                        maintained.name.item
                    ))
                    .with_hint("Drop it, and make it again after the change."));
            }
        }
        Ok(())
    }

    fn alter_domain(
        &self,
        item: &Item,
        created: &UserType,
        change: &TypeChange,
    ) -> Result<Planned, SqlError> {
        const TAG: &str = "ALTER DOMAIN";
        let mut new = created.clone();
        let mut depends_on = item.depends_on.clone();
        let mut refused = Vec::new();
        match change {
            TypeChange::NotNull(true) => {
                new.rules.not_null = true;
                refused = self.null_values(item)?;
            }
            TypeChange::NotNull(false) => new.rules.not_null = false,
            TypeChange::Default(None) => new.rules.default = None,
            TypeChange::Default(Some(default)) => {
                let kept = self.domain_default(&created.typ, default, &mut depends_on)?;
                new.rules.default = Some(kept);
            }
            TypeChange::AddConstraint(constraint) => match &constraint.demand {
                DomainDemand::Check(condition) => {
                    let name = constraint.name.as_ref();
                    self.add_check(&created.typ, &mut new.rules, name, condition, &mut depends_on)?;
                    refused = self.wrong_values(item, condition)?;
                }
                DomainDemand::NotNull => {
                    new.rules.not_null = true;
                    refused = self.null_values(item)?;
                }
                DomainDemand::Null => {
                    return Err(SqlError::unsupported("ALTER DOMAIN .. ADD NULL"));
                }
            },
            TypeChange::DropConstraint { if_exists, name } => {
                let Some(at) = new.rules.checks.iter().position(|(known, _)| *known == name.value)
                else {
                    let message = format!(
                        "constraint \"{}\" of domain \"{}\" does not exist",
                        name.value, item.name.item
                    );
                    let code = SqlState::UNDEFINED_OBJECT;
                    if *if_exists {
                        return Ok(nothing(TAG, code, format!("{message}, skipping")));
                    }
                    return Err(SqlError::new(code, message));
                };
                new.rules.checks.remove(at);
            }
            TypeChange::RenameConstraint(old, name) => {
                let Some(at) = new.rules.checks.iter().position(|(known, _)| *known == old.value)
                else {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!(
                            "constraint \"{}\" for domain {} does not exist",
                            old.value, item.name.item
                        ),
                    ));
                };
                if new.rules.checks.iter().any(|(known, _)| *known == name.value) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!(
                            "constraint \"{}\" for domain {} already exists",
                            name.value, item.name.item
                        ),
                    ));
                }
                let (_, condition) = new.rules.checks.remove(at);
                let at = new.rules.checks.partition_point(|(known, _)| *known < name.value);
                new.rules.checks.insert(at, (name.value.clone(), condition));
            }
            TypeChange::AddValue { .. } | TypeChange::RenameValue(..) => {
                return Err(SqlError::internal("a domain without labels"));
            }
        }
        depends_on.sort_unstable();
        depends_on.dedup();
        let item = Item { depends_on, ..item.clone() };
        let items = self.redefined(&item, &item.name, new)?;
        Ok(command(Plan::AlterType(AlterTypePlan { items, refused, tag: TAG })))
    }

    /// The columns of tables that are of a domain: table, position, name, type.
    fn columns_of(&self, domain: &Item) -> Result<Vec<(&Item, usize)>, SqlError> {
        let catalog = self.planner.catalog;
        let mut found = Vec::new();
        for id in catalog.dependants(domain.id) {
            let Some(item) = catalog.item(id) else { continue };
            let Some(table) = item.table() else { continue };
            for (position, column) in table.desc.columns.iter().enumerate() {
                if is_of(&column.typ.scalar_type, domain) {
                    found.push((&**item, position));
                }
            }
        }
        Ok(found)
    }

    fn null_values(&self, domain: &Item) -> Result<Vec<(QueryExpr, SqlError)>, SqlError> {
        let refused = self.columns_of(domain)?.into_iter().map(|(table, at)| {
            let predicate = QueryScalar::IsNull(Box::new(column(at)));
            let name = column_name(table, at);
            let message =
                format!("column \"{name}\" of table \"{}\" contains null values", table.name.item);
            (rows_where(table, predicate), SqlError::new(SqlState::NOT_NULL_VIOLATION, message))
        });
        Ok(refused.collect())
    }

    fn wrong_values(
        &self,
        domain: &Item,
        condition: &Expr,
    ) -> Result<Vec<(QueryExpr, SqlError)>, SqlError> {
        let context = self.context();
        let mut refused = Vec::new();
        for (table, at) in self.columns_of(domain)? {
            let desc = table.desc().cloned().unwrap_or_default();
            let Some(known) = desc.columns.get(at) else { continue };
            let base = ColumnType::new(known.typ.scalar_type.base().clone());
            let named = tidemill_repr::RelationDesc::new(desc.columns.iter().enumerate().map(
                |(position, column)| {
                    let value = position == at;
                    let name = if value { "value".to_owned() } else { String::new() };
                    let typ = if value { base.clone() } else { column.typ.clone() };
                    (name, typ)
                },
            ));
            let scope = query::table_scope(&named, "");
            let holds = query::plan_condition(&context, &scope, condition, "CHECK")?;
            let yes = QueryScalar::Literal(
                Ok(tidemill_repr::Row::pack([Datum::Bool(true)])),
                ColumnType::new(ScalarType::Bool).nullable(false),
            );
            let fulfilled = QueryScalar::Coalesce(vec![holds, yes]);
            let predicate = QueryScalar::Not(Box::new(fulfilled));
            let message = format!(
                "column \"{}\" of table \"{}\" contains values that violate the new constraint",
                known.name, table.name.item
            );
            let error = SqlError::new(SqlState::CHECK_VIOLATION, message);
            refused.push((rows_where(table, predicate), error));
        }
        Ok(refused)
    }

    pub(in crate::statements) fn rename_type(
        &self,
        item: &Item,
        name: &str,
        domain: bool,
    ) -> Result<Planned, SqlError> {
        if domain {
            require_domain(item)?;
        }
        let Definition::Type(created) = &item.definition else {
            return Err(SqlError::internal("a type that is none"));
        };
        let name = QualifiedName { item: name.to_owned(), ..item.name.clone() };
        if self.planner.catalog.item_by_name(&name).is_some() {
            return Err(type_exists(&name.item));
        }
        let tag = if domain { "ALTER DOMAIN" } else { "ALTER TYPE" };
        let items = self.redefined(item, &name, created.clone())?;
        let plan = AlterTypePlan { items, refused: Vec::new(), tag };
        Ok(command(Plan::AlterType(plan)))
    }

    /// A type with another definition or name, and all that holds its definition, as they will be.
    fn redefined(
        &self,
        item: &Item,
        name: &QualifiedName,
        created: UserType,
    ) -> Result<Vec<Item>, SqlError> {
        let new = Item {
            name: name.clone(),
            create_sql: create_sql(name, &created),
            definition: Definition::Type(created),
            ..item.clone()
        }
        .with_type_name();
        super::change::redefined(&self.planner, item, new)
    }
}

fn is_of(typ: &ScalarType, domain: &Item) -> bool {
    let mut typ = typ;
    while let ScalarType::Domain(definition) = typ {
        if definition.name.oid == domain.oid {
            return true;
        }
        typ = &definition.base.scalar_type;
    }
    false
}

fn column(column: usize) -> QueryScalar {
    QueryScalar::Column(ColumnRef { level: 0, column })
}

fn column_name(table: &Item, at: usize) -> String {
    let found = table.desc().and_then(|desc| desc.columns.get(at));
    found.map(|column| column.name.clone()).unwrap_or_default()
}

fn rows_where(table: &Item, predicate: QueryScalar) -> QueryExpr {
    let id: ObjectId = table.id;
    let desc = table.desc().cloned().unwrap_or_default();
    QueryExpr::Filter { input: Box::new(get(id, &desc)), predicates: vec![predicate] }
}

fn enum_of<'a>(item: &Item, created: &'a UserType) -> Result<&'a EnumType, SqlError> {
    match &created.typ {
        ScalarType::Enum(definition) => Ok(definition),
        _ => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("{} is not an enum", item.name.item),
        )),
    }
}

fn no_label(label: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("\"{label}\" is not an existing enum label"),
    )
}

/// The labels with a new one in its place.
fn with_label(
    definition: &EnumType,
    label: &str,
    place: Option<&(bool, String)>,
) -> Result<Vec<(u32, String)>, SqlError> {
    let mut labels = definition.labels.clone();
    let at = match place {
        None => labels.len(),
        Some((before, neighbour)) => {
            let found = labels.iter().position(|(_, known)| known == neighbour);
            found.ok_or_else(|| no_label(neighbour))? + usize::from(!before)
        }
    };
    let order = |at: usize| labels.get(at).map(|(bits, _)| f32::from_bits(*bits));
    let below = at.checked_sub(1).and_then(order).unwrap_or(0.0);
    let new = match order(at) {
        Some(above) => below + (above - below) / 2.0,
        None => below + 1.0,
    };
    let fits = new > below && order(at).is_none_or(|above| new < above) && new.is_finite();
    if !fits {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "there is no room for another label between these two",
        ));
    }
    labels.insert(at, (new.to_bits(), label.to_owned()));
    Ok(labels)
}
