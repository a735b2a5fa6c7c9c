//! CREATE TYPE, CREATE DOMAIN.

mod alter;
mod change;

use std::sync::Arc;

use sqlparser::ast::{DataType, Expr, Ident};
use tidemill_catalog::name::{quote_identifier, quote_literal};
use tidemill_catalog::{Definition, DomainRules, Item, ItemKind, QualifiedName, UserType};
use tidemill_repr::{
    ColumnType, CompositeType, DomainType, EnumType, ObjectId, Oid, ScalarType, SqlError, SqlState,
    TypeName,
};

use super::drop::Shown;
use super::table::duplicate_column;
use super::{Planning, command};
use crate::ast::{CreateDomain, CreateType, DomainDemand, TypeBody, TypeOption};
use crate::names;
use crate::plan::{NewItem, Plan, Planned};
use crate::query::{self, Scope};
use crate::types::data_type_sql;

/// Bytes that a label may have.
const LABEL_BYTES: usize = 63;

impl Planning<'_> {
    pub(super) fn create_type(&self, statement: &CreateType) -> Result<Planned, SqlError> {
        let name = self.new_name(&statement.name)?;
        self.check_type_free(&name)?;
        let name_of_type = placeholder(&name);
        let typ = match &statement.body {
            TypeBody::Enum(labels) => {
                let labels = numbered(labels)?;
                ScalarType::Enum(Arc::new(EnumType { name: name_of_type, labels }))
            }
            TypeBody::Composite(fields) => {
                let fields = self.fields(fields)?;
                ScalarType::Composite(Arc::new(CompositeType { name: name_of_type, fields }))
            }
            TypeBody::List(options) => {
                let [element] = self.type_options(options, ["ELEMENT TYPE"])?;
                ScalarType::List(Box::new(element))
            }
            TypeBody::Map(options) => {
                let [key, value] = self.type_options(options, ["KEY TYPE", "VALUE TYPE"])?;
                if key != ScalarType::Text {
                    return Err(SqlError::unsupported("a map whose keys are no text"));
                }
                ScalarType::Map(Box::new(value))
            }
        };
        self.new_type(name, typ, DomainRules::default(), Vec::new(), "CREATE TYPE")
    }

    fn new_type(
        &self,
        name: QualifiedName,
        typ: ScalarType,
        rules: DomainRules,
        mut depends_on: Vec<ObjectId>,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let created = UserType { typ, rules };
        for part in parts(&created.typ) {
            depends_on.extend(self.planner.catalog.named_types(&part));
        }
        depends_on.sort_unstable();
        depends_on.dedup();
        let create_sql = create_sql(&name, &created);
        let definition = Definition::Type(created);
        let item = NewItem { name, create_sql, depends_on, definition, replaces: None };
        Ok(command(Plan::CreateType { item, tag }))
    }

    /// The error for a name that a type has.
    pub(super) fn taken_by_type(&self, name: &QualifiedName) -> Option<SqlError> {
        let found = self.planner.catalog.item_by_name(name)?;
        if found.kind() != ItemKind::Type {
            return None;
        }
        let hint = "A relation has an associated type of the same name, so you must use a name \
                    that doesn't conflict with any existing type.";
        Some(type_exists(&name.item).with_hint(hint))
    }

    fn check_type_free(&self, name: &QualifiedName) -> Result<(), SqlError> {
        match self.planner.catalog.item_by_name(name) {
            None => Ok(()),
            Some(found) if found.kind() == ItemKind::Type || found.desc().is_some() => {
                Err(type_exists(&name.item))
            }
            Some(_) => Err(tidemill_catalog::snapshot::already_exists(&name.item)),
        }
    }

    fn fields(&self, fields: &[(Ident, DataType)]) -> Result<Vec<(String, ColumnType)>, SqlError> {
        let mut found: Vec<(String, ColumnType)> = Vec::with_capacity(fields.len());
        for (name, data_type) in fields {
            let name = name.value.clone();
            if found.iter().any(|(known, _)| *known == name) {
                return Err(duplicate_column(&name));
            }
            found.push((name, self.planner.data_type(data_type)?));
        }
        Ok(found)
    }

    fn type_options<const N: usize>(
        &self,
        options: &[TypeOption],
        wanted: [&str; N],
    ) -> Result<[ScalarType; N], SqlError> {
        if let Some(other) = options.iter().find(|option| !wanted.contains(&option.name.as_str())) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("unknown option {} of CREATE TYPE", other.name),
            ));
        }
        let mut found = Vec::with_capacity(N);
        for name in wanted {
            let mut given = options.iter().filter(|option| option.name == name);
            let (Some(option), None) = (given.next(), given.next()) else {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("CREATE TYPE needs the option {name} once"),
                ));
            };
            let typ = self.planner.data_type(&option.data_type)?;
            if typ.typmod >= 0 {
                return Err(SqlError::unsupported("a modifier of the type of elements"));
            }
            found.push(typ.scalar_type);
        }
        found.try_into().map_err(|_| SqlError::internal("options of a type"))
    }

    pub(super) fn create_domain(&self, statement: &CreateDomain) -> Result<Planned, SqlError> {
        let name = self.new_name(&statement.name)?;
        self.check_type_free(&name)?;
        let base = self.planner.data_type(&statement.data_type)?;
        if let Some(collation) = &statement.collation {
            check_collation(&collation.to_string(), &base)?;
        }
        let typ = ScalarType::Domain(Arc::new(DomainType { name: placeholder(&name), base }));
        let mut rules = DomainRules::default();
        let mut depends_on = Vec::new();
        if let Some(default) = &statement.default {
            rules.default = Some(self.domain_default(&typ, default, &mut depends_on)?);
        }
        let mut null = None;
        for constraint in &statement.constraints {
            match &constraint.demand {
                DomainDemand::NotNull | DomainDemand::Null => {
                    let refused = constraint.demand == DomainDemand::NotNull;
                    if null.is_some_and(|known| known != refused) {
                        let message = "conflicting NULL/NOT NULL constraints";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                    }
                    null = Some(refused);
                    rules.not_null = refused;
                }
                DomainDemand::Check(condition) => {
                    let given = constraint.name.as_ref();
                    self.add_check(&typ, &mut rules, given, condition, &mut depends_on)?;
                }
            }
        }
        self.new_type(name, typ, rules, depends_on, "CREATE DOMAIN")
    }

    /// The default of a domain as it is kept.
    fn domain_default(
        &self,
        typ: &ScalarType,
        default: &Expr,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<String, SqlError> {
        let ScalarType::Domain(domain) = typ else {
            return Err(SqlError::internal("a domain that is none"));
        };
        let context = self.context();
        let planned = query::plan_scalar(&context, &Scope::default(), default)?;
        let planned = query::coerce_assignment(&context, planned, &domain.base, &domain.name.name)?;
        super::constant::without_columns(planned.expr)?;
        let mut default = default.clone();
        depends_on.extend(names::qualify_expr(&self.planner, &mut default)?);
        Ok(default.to_string())
    }

    /// Adds a condition to the rules of a domain. Gives its name.
    fn add_check(
        &self,
        typ: &ScalarType,
        rules: &mut DomainRules,
        name: Option<&Ident>,
        condition: &Expr,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<String, SqlError> {
        let ScalarType::Domain(domain) = typ else {
            return Err(SqlError::internal("a domain that is none"));
        };
        let domain_name = &domain.name.name;
        let taken = |name: &str| rules.checks.iter().any(|(known, _)| known == name);
        let name = match name {
            Some(name) if taken(&name.value) => {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_OBJECT,
                    format!(
                        "constraint \"{}\" for domain \"{domain_name}\" already exists",
                        name.value
                    ),
                ));
            }
            Some(name) => name.value.clone(),
            None => {
                let base = format!("{domain_name}_check");
                let mut name = base.clone();
                let mut number = 1;
                while taken(&name) {
                    name = format!("{base}{number}");
                    number += 1;
                }
                name
            }
        };
        let context = self.planner.maintained_context(self.text);
        query::domain_condition(&context, &domain.base, condition)?;
        let mut condition = condition.clone();
        depends_on.extend(names::qualify_expr(&self.planner, &mut condition)?);
        let at = rules.checks.partition_point(|(known, _)| *known < name);
        rules.checks.insert(at, (name.clone(), condition.to_string()));
        Ok(name)
    }
}

/// A name that gets its oids when the type gets its identity.
fn placeholder(name: &QualifiedName) -> TypeName {
    tidemill_catalog::item::type_name(name, Oid(0))
}

fn type_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
}

fn check_label(label: &str) -> Result<(), SqlError> {
    if label.len() <= LABEL_BYTES && !label.is_empty() {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_NAME, format!("invalid enum label \"{label}\""))
        .with_detail("Labels must be 63 bytes or less."))
}

/// Labels with their places in the order.
fn numbered(labels: &[String]) -> Result<Vec<(u32, String)>, SqlError> {
    let mut found: Vec<(u32, String)> = Vec::with_capacity(labels.len());
    let mut place: f32 = 0.0;
    for label in labels {
        check_label(label)?;
        if found.iter().any(|(_, known)| known == label) {
            return Err(SqlError::new(
                SqlState::UNIQUE_VIOLATION,
                "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"",
            )
            .with_detail(format!("The label \"{label}\" is given twice.")));
        }
        place += 1.0;
        found.push((place.to_bits(), label.clone()));
    }
    Ok(found)
}

fn check_collation(name: &str, base: &ColumnType) -> Result<(), SqlError> {
    let texts = [ScalarType::Text, ScalarType::Varchar, ScalarType::Bpchar, ScalarType::Name];
    if !texts.contains(base.scalar_type.base()) {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("collations are not supported by type {}", base.scalar_type),
        ));
    }
    let plain = name.replace('"', "");
    match plain.rsplit('.').next() {
        Some("C" | "POSIX" | "default" | "ucs_basic") => Ok(()),
        _ => Err(SqlError::unsupported(format_args!("the collation {name}"))),
    }
}

/// The types that a type is made of.
fn parts(typ: &ScalarType) -> Vec<ScalarType> {
    match typ {
        ScalarType::Domain(domain) => vec![domain.base.scalar_type.clone()],
        ScalarType::Composite(composite) => composite.field_types(),
        ScalarType::List(element) | ScalarType::Map(element) => vec![(**element).clone()],
        _ => Vec::new(),
    }
}

/// The statement that makes a type.
pub(crate) fn create_sql(name: &QualifiedName, created: &UserType) -> String {
    let inner = |typ: &ScalarType| data_type_sql(&ColumnType::new(typ.clone()));
    match &created.typ {
        ScalarType::Enum(definition) => {
            let labels: Vec<String> =
                definition.labels.iter().map(|(_, label)| quote_literal(label)).collect();
            format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", "))
        }
        ScalarType::Composite(definition) => {
            let fields: Vec<String> = definition
                .fields
                .iter()
                .map(|(name, typ)| format!("{} {}", quote_identifier(name), data_type_sql(typ)))
                .collect();
            format!("CREATE TYPE {name} AS ({})", fields.join(", "))
        }
        ScalarType::Domain(definition) => {
            let mut text = format!("CREATE DOMAIN {name} AS {}", data_type_sql(&definition.base));
            if let Some(default) = &created.rules.default {
                text.push_str(&format!(" DEFAULT {default}"));
            }
            if created.rules.not_null {
                text.push_str(" NOT NULL");
            }
            for (name, condition) in &created.rules.checks {
                let name = quote_identifier(name);
                text.push_str(&format!(" CONSTRAINT {name} CHECK ({condition})"));
            }
            text
        }
        ScalarType::List(element) => {
            format!("CREATE TYPE {name} AS LIST (ELEMENT TYPE = {})", inner(element))
        }
        ScalarType::Map(value) => {
            format!("CREATE TYPE {name} AS MAP (KEY TYPE = text, VALUE TYPE = {})", inner(value))
        }
        other => format!("CREATE DOMAIN {name} AS {other}"),
    }
}

/// What DROP DOMAIN is for.
///
/// # Errors
/// It is a type that is no domain.
pub(super) fn require_domain(item: &Item) -> Result<(), SqlError> {
    match &item.definition {
        Definition::Type(created) if matches!(created.typ, ScalarType::Domain(_)) => Ok(()),
        _ => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a domain", item.name.item),
        )),
    }
}

/// How an object needs another, for the DETAIL of an error: of a type each column that is of it.
pub(super) fn uses(shown: Shown<'_>, item: &Item, needed: &Item) -> Vec<String> {
    let needs =
        |what: String| format!("{what} depends on {} {}", needed.kind(), shown.name(needed));
    let columns: Vec<String> = match (&needed.definition, &item.definition) {
        (Definition::Type(_), Definition::Type(created)) => match &created.typ {
            ScalarType::Composite(definition) => definition
                .fields
                .iter()
                .filter(|(_, typ)| names_oid(&typ.scalar_type, needed.oid))
                .map(|(name, _)| format!("column {name} of composite type {}", shown.name(item)))
                .collect(),
            _ => Vec::new(),
        },
        (Definition::Type(_), Definition::Table(table)) => table
            .desc
            .columns
            .iter()
            .filter(|column| names_oid(&column.typ.scalar_type, needed.oid))
            .map(|column| format!("column {} of table {}", column.name, shown.name(item)))
            .collect(),
        _ => Vec::new(),
    };
    if columns.is_empty() {
        return vec![needs(format!("{} {}", item.kind(), shown.name(item)))];
    }
    columns.into_iter().map(needs).collect()
}

fn names_oid(typ: &ScalarType, oid: Oid) -> bool {
    let mut named = Vec::new();
    typ.names(&mut named);
    named.contains(&oid)
}
