//! `has_table_privilege` and its like, `pg_has_role`: the catalog is asked when the query is
//! planned, where all is constant; else a relation of privileges is, row by row.

use sqlparser::ast::Expr;
use tidemill_catalog::Catalog;
use tidemill_catalog::role::{PUBLIC, Privilege, Securable, SecurableKind};
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, Oid, ScalarType, SqlError, SqlState};

use super::cast::coerce_explicit;
use super::expr::{ExprContext, binary};
use super::user_function::oid_by_text;
use super::{TypedScalar, literal};

/// What an argument is when the query is planned.
enum Argument {
    Text(String),
    Number(u32),
    Null,
    Unknown(TypedScalar),
}

fn boolean(value: bool) -> TypedScalar {
    literal::literal(Datum::Bool(value), ScalarType::Bool)
}

fn kind_of(name: &str) -> Option<SecurableKind> {
    Some(match name {
        "has_table_privilege"
        | "has_any_column_privilege"
        | "has_column_privilege"
        | "has_sequence_privilege" => SecurableKind::Table,
        "has_schema_privilege" => SecurableKind::Schema,
        "has_database_privilege" => SecurableKind::Database,
        "has_cluster_privilege" => SecurableKind::Cluster,
        "has_connection_privilege" => SecurableKind::Connection,
        "has_secret_privilege" => SecurableKind::Secret,
        "has_system_privilege" => SecurableKind::System,
        "has_function_privilege" => SecurableKind::Function,
        _ => return None,
    })
}

/// Each with whether it must be the owner's: what PostgreSQL knows and Tidemill has not.
fn privileges(text: &str) -> Result<Vec<Option<Privilege>>, SqlError> {
    text.split(',')
        .map(|word| {
            let word = word.trim();
            let grants = word.to_ascii_uppercase().ends_with(" WITH GRANT OPTION");
            let plain = word.split_whitespace().next().unwrap_or_default();
            Ok(match plain.to_ascii_uppercase().as_str() {
                _ if grants => None,
                "TRUNCATE" => Some(Privilege::Delete),
                "CONNECT" | "TEMP" | "TEMPORARY" => Some(Privilege::Usage),
                "REFERENCES" | "TRIGGER" => None,
                _ => Some(Privilege::of_word(plain).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("unrecognized privilege type: \"{word}\""),
                    )
                })?),
            })
        })
        .collect()
}

impl ExprContext<'_> {
    fn argument(&self, expr: &Expr) -> Result<Argument, SqlError> {
        let value = self.plan(expr)?;
        let QueryScalar::Literal(Ok(row), _) = &value.expr else {
            return Ok(Argument::Unknown(value));
        };
        Ok(match row.iter().next() {
            None | Some(Datum::Null) => Argument::Null,
            Some(Datum::Int(number)) => Argument::Number(u32::try_from(number).unwrap_or(0)),
            _ => match literal::constant_text(row).flatten() {
                Some(text) => Argument::Text(text.to_string()),
                None => Argument::Unknown(value),
            },
        })
    }

    /// The name of the role that an argument is. None: NULL.
    fn role_argument(&self, catalog: &Catalog, expr: &Expr) -> Result<Option<String>, SqlError> {
        match self.argument(expr)? {
            Argument::Null => Ok(None),
            Argument::Text(name) if name == "public" => Ok(Some(PUBLIC.to_owned())),
            Argument::Text(name) => Ok(Some(catalog.require_role(&name)?.name.clone())),
            Argument::Number(oid) => {
                let role = catalog.roles().find(|role| role.oid() == Oid(oid));
                Ok(Some(role.map(|role| role.name.clone()).unwrap_or_default()))
            }
            Argument::Unknown(_) => Err(SqlError::unsupported(
                "asking for the privileges of a role that is no constant",
            )),
        }
    }

    /// A call that asks who may do what; None if the name is that of no such function.
    pub(super) fn privilege_function(
        &self,
        name: &str,
        arguments: &[&Expr],
    ) -> Result<Option<TypedScalar>, SqlError> {
        let Some(catalog) = self.ctx.relations.catalog() else { return Ok(None) };
        if name == "pg_has_role" {
            return self.has_role(catalog, arguments).map(Some);
        }
        let Some(kind) = kind_of(name) else { return Ok(None) };
        let (objects, rest) = match (kind, name) {
            (SecurableKind::System, _) => (0, 1),
            (_, "has_column_privilege") => (2, 1),
            _ => (1, 1),
        };
        let given = arguments.len();
        let user = match given.checked_sub(objects + rest) {
            Some(0) => Some(self.ctx.user.clone()),
            Some(1) => self.role_argument(catalog, arguments[0])?,
            _ => return Ok(None),
        };
        let asked = match self.argument(arguments[given - 1])? {
            Argument::Text(text) => privileges(&text)?,
            Argument::Null => return Ok(Some(literal::null(ScalarType::Bool))),
            _ => return Err(SqlError::unsupported("a privilege that is no constant")),
        };
        let Some(user) = user else { return Ok(Some(literal::null(ScalarType::Bool))) };
        let object = arguments.get(given - rest - objects).filter(|_| objects > 0);
        let on = match object {
            None => Some(Securable::System),
            Some(object) => match self.argument(object)? {
                Argument::Null => return Ok(Some(literal::null(ScalarType::Bool))),
                Argument::Text(name) if kind == SecurableKind::Function => {
                    match oid_by_text(self.ctx, &name, &ScalarType::Regprocedure) {
                        Ok(oid) => by_oid(catalog, kind, oid),
                        // All may call what is built in: that is answered elsewhere.
                        Err(error) if error.code == SqlState::FEATURE_NOT_SUPPORTED => {
                            return Ok(None);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Argument::Number(oid)
                    if kind == SecurableKind::Function
                        && catalog.item_by_oid(Oid(oid)).is_none() =>
                {
                    return Ok(None);
                }
                Argument::Text(name) => Some(self.named(catalog, kind, &name)?),
                Argument::Number(oid) => by_oid(catalog, kind, Oid(oid)),
                Argument::Unknown(value) => {
                    return self.asked_by_row(catalog, &user, kind, value, &asked).map(Some);
                }
            },
        };
        let Some(on) = on else { return Ok(Some(literal::null(ScalarType::Bool))) };
        let has = asked.iter().any(|privilege| match privilege {
            Some(privilege) => catalog.has_privilege(&user, &on, *privilege),
            None => catalog.is_owner(&user, &on),
        });
        Ok(Some(boolean(has)))
    }

    fn named(
        &self,
        catalog: &Catalog,
        kind: SecurableKind,
        name: &str,
    ) -> Result<Securable, SqlError> {
        let parts: Vec<String> =
            name.split('.').map(|part| part.trim().trim_matches('"').to_owned()).collect();
        let missing =
            |code, what: &str| SqlError::new(code, format!("{what} \"{name}\" does not exist"));
        match (kind, parts.as_slice()) {
            (SecurableKind::Schema, [schema]) => {
                let database = Some(self.ctx.database.clone());
                let key = [database, None].into_iter().find(|database| {
                    catalog.schemas().any(|((d, s), _)| d == database && s == schema)
                });
                key.map(|database| Securable::Schema(database, schema.clone()))
                    .ok_or_else(|| missing(SqlState::INVALID_SCHEMA_NAME, "schema"))
            }
            (SecurableKind::Database, [database]) if catalog.database(database).is_some() => {
                Ok(Securable::Database(database.clone()))
            }
            (SecurableKind::Database, _) => {
                Err(missing(SqlState::INVALID_CATALOG_NAME, "database"))
            }
            (SecurableKind::Cluster, [cluster]) => Ok(Securable::Cluster(cluster.clone())),
            _ => {
                let path = &self.ctx.search_path;
                let item = catalog.resolve_item(&self.ctx.database, path, &parts)?;
                Ok(Securable::Item(item.id))
            }
        }
    }

    /// Whether there is a row that grants it.
    fn asked_by_row(
        &self,
        catalog: &Catalog,
        user: &str,
        kind: SecurableKind,
        object: TypedScalar,
        asked: &[Option<Privilege>],
    ) -> Result<TypedScalar, SqlError> {
        self.require_session("has_table_privilege")?;
        if catalog.is_superuser(user) {
            return Ok(boolean(true));
        }
        let named = [ScalarType::Text, ScalarType::Name, ScalarType::Varchar];
        let key = if named.contains(&object.typ.scalar_type) {
            ("name", coerce_explicit(self.ctx, object, &ColumnType::new(ScalarType::Text))?)
        } else {
            ("oid", coerce_explicit(self.ctx, object, &ColumnType::new(ScalarType::Oid))?)
        };
        let built_in = (key.0 == "oid").then(|| key.1.clone());
        let mut roles = catalog.effective_roles(user);
        roles.insert(PUBLIC);
        let words: Vec<&str> = asked.iter().flatten().map(|privilege| privilege.word()).collect();
        let keys = [
            ("grantee", roles.into_iter().collect()),
            ("privilege_type", words),
            ("object_type", vec![kind.word()]),
        ];
        let relation = ["mz_internal", "mz_show_all_privileges"];
        let found = self.exists_row(relation, key, &keys)?;
        let expr = QueryScalar::Coalesce(vec![found.expr, literal::boolean(false)]);
        let found = TypedScalar { expr, typ: ColumnType::new(ScalarType::Bool) };
        let Some(oid) = built_in.filter(|_| kind == SecurableKind::Function) else {
            return Ok(found);
        };
        let first = Datum::Int(i64::from(Catalog::oid_for(0).0));
        let first = literal::literal(first, ScalarType::Oid);
        let built_in = binary(self.ctx, "<", oid, first)?;
        let expr = QueryScalar::Or(vec![built_in.expr, found.expr]);
        Ok(TypedScalar { expr, typ: found.typ })
    }

    fn has_role(&self, catalog: &Catalog, arguments: &[&Expr]) -> Result<TypedScalar, SqlError> {
        let (user, role) = match arguments {
            [role, _] => (Some(self.ctx.user.clone()), *role),
            [user, role, _] => (self.role_argument(catalog, user)?, *role),
            _ => return Err(SqlError::unsupported("pg_has_role with these arguments")),
        };
        let asked = arguments.last().map(|asked| self.argument(asked)).transpose()?;
        let asked_as = |word: &str| {
            ["usage", "member", "set"].into_iter().find(|known| word.eq_ignore_ascii_case(known))
        };
        let how = match asked {
            Some(Argument::Text(word)) if asked_as(&word).is_some() => asked_as(&word),
            Some(Argument::Text(word)) => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unrecognized privilege type: \"{word}\""),
                ));
            }
            _ => return Err(SqlError::unsupported("a privilege that is no constant")),
        };
        let Some(user) = user else { return Ok(literal::null(ScalarType::Bool)) };
        let has = |role: &str| match how {
            Some("member") => catalog.is_member(&user, role),
            Some("set") => catalog.may_become(&user, role),
            _ => catalog.is_superuser(&user) || catalog.effective_roles(&user).contains(role),
        };
        match self.argument(role)? {
            Argument::Null => Ok(literal::null(ScalarType::Bool)),
            Argument::Text(name) => Ok(boolean(has(&catalog.require_role(&name)?.name))),
            Argument::Number(oid) => {
                Ok(boolean(catalog.roles().any(|role| role.oid() == Oid(oid) && has(&role.name))))
            }
            Argument::Unknown(value) => {
                let oid = coerce_explicit(self.ctx, value, &ColumnType::new(ScalarType::Oid))?;
                let mut parts = vec![literal::boolean(false)];
                for role in catalog.roles().filter(|role| has(&role.name)) {
                    let known = Datum::Int(i64::from(role.oid().0));
                    let known = literal::literal(known, ScalarType::Oid);
                    parts.push(binary(self.ctx, "=", oid.clone(), known)?.expr);
                }
                let typ = ColumnType::new(ScalarType::Bool);
                Ok(TypedScalar { expr: QueryScalar::Or(parts), typ })
            }
        }
    }
}

fn by_oid(catalog: &Catalog, kind: SecurableKind, oid: Oid) -> Option<Securable> {
    match kind {
        SecurableKind::Schema => {
            let found = catalog.schemas().find(|(_, schema)| schema.oid == oid);
            found.map(|((database, name), _)| Securable::Schema(database.clone(), name.clone()))
        }
        SecurableKind::Database => {
            let found = catalog.databases().find(|(_, database)| database.oid == oid);
            found.map(|(name, _)| Securable::Database(name.clone()))
        }
        _ => catalog.item_by_oid(oid).map(|item| Securable::Item(item.id)),
    }
}
