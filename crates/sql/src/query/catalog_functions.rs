//! Functions that ask the catalog: they become subqueries over built-in relations, so that a
//! query sees one catalog, that of its tick.
//!
//! `pg_get_viewdef(x)` is `(SELECT min(definition) FROM mz_internal.mz_definitions WHERE oid = x
//! AND position = 0)`. A query that is maintained must not use them.

use sqlparser::ast::Expr;
use tidemill_catalog::name::quote_identifier;
use tidemill_expr::aggregate::AggregateKind;
use tidemill_plan::query::{ColumnRef, QueryAggregate};
use tidemill_plan::{Id, QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::cast::{coerce_explicit, coerce_implicit, not_maintainable, resolve_unknown};
use super::expr::{ExprContext, binary, call_by_name};
use super::{QueryContext, Relation, TypedScalar, literal, walk};

/// Functions that say NULL of everything: what they tell of does not exist here.
const NOTHING: &[&str] = &[
    "pg_database_size",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_relation_filepath",
    "pg_tablespace_location",
];

/// Functions that give a size nobody knows.
const SIZES: &[&str] = &[
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_filenode",
    "pg_relation_size",
    "pg_stat_get_numscans",
    "pg_stat_get_tuples_fetched",
    "pg_stat_get_tuples_returned",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
];

/// Functions that say yes to everything: all may use functions and types, and there is one
/// schema for them.
const YES: &[&str] = &[
    "has_foreign_data_wrapper_privilege",
    "has_function_privilege",
    "has_language_privilege",
    "has_server_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_relation_is_publishable",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
];

/// Functions that say no to everything.
const NO: &[&str] = &["pg_is_other_temp_schema", "row_security_active"];

/// A relation that holds rows of all databases, as a session sees it: only what is in its
/// database or in all of them, without the column that tells which.
pub(super) fn of_database(
    ctx: &QueryContext<'_>,
    mut relation: Relation,
) -> Result<(QueryExpr, Relation), SqlError> {
    if ctx.maintained && tidemill_catalog::builtin::live::is_of_session(relation.id) {
        let name = &relation.name;
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("relation \"{name}\" tells of the session and cannot be maintained"),
        )
        .with_hint("Read it with SELECT."));
    }
    let get = get(&relation);
    if ctx.all_databases || !relation.of_all_databases {
        return Ok((get, relation));
    }
    let last = relation.desc.columns.len() - 1;
    let database = column(&relation, last);
    let current = literal::literal(Datum::Text(&ctx.database), ScalarType::Name);
    let same = binary(ctx, "=", database.clone(), current.clone())?;
    let anywhere = QueryScalar::IsNull(Box::new(database.expr));
    let filtered = QueryExpr::Filter {
        input: Box::new(get),
        predicates: vec![QueryScalar::Or(vec![anywhere, same.expr])],
    };
    let mut outputs: Vec<usize> = (0..last).collect();
    let first = relation.desc.columns.first().map(|column| column.name.as_str());
    let input = if matches!(first, Some("table_catalog" | "catalog_name")) {
        // What is in all databases is in this one.
        let known = QueryScalar::Coalesce(vec![column(&relation, 0).expr, current.expr]);
        outputs[0] = last + 1;
        QueryExpr::Map { input: Box::new(filtered), scalars: vec![known] }
    } else {
        filtered
    };
    relation.desc.columns.truncate(last);
    Ok((QueryExpr::Project { input: Box::new(input), outputs }, relation))
}

fn get(relation: &Relation) -> QueryExpr {
    let typ = RelationType { columns: relation.desc.types(), keys: relation.desc.keys.clone() };
    QueryExpr::Get { id: Id::Global(relation.id), typ }
}

/// A column of a relation whose row is the nearest scope.
fn column(relation: &Relation, at: usize) -> TypedScalar {
    TypedScalar {
        expr: QueryScalar::Column(ColumnRef { level: 0, column: at }),
        typ: relation.desc.columns[at].typ.clone(),
    }
}

/// A value computed from the one row of a relation, NULL without a row. As an aggregate it needs
/// no check that there are not several.
fn single(row: QueryExpr, value: QueryScalar, typ: ColumnType) -> TypedScalar {
    let kind = match typ.scalar_type {
        ScalarType::Bool => AggregateKind::Any,
        _ => AggregateKind::Min,
    };
    let typ = typ.nullable(true);
    let aggregate = QueryAggregate {
        kind,
        argument: value,
        distinct: false,
        order: Vec::new(),
        typ: typ.clone(),
    };
    let reduced = QueryExpr::Reduce {
        input: Box::new(row),
        group_key: Vec::new(),
        aggregates: vec![aggregate],
    };
    TypedScalar { expr: QueryScalar::Subquery(Box::new(reduced)), typ }
}

impl ExprContext<'_> {
    /// A call that the catalog answers; None if the name is that of no such function.
    pub(super) fn catalog_function(
        &self,
        name: &str,
        arguments: &[&Expr],
    ) -> Result<Option<TypedScalar>, SqlError> {
        if let Some(known) = self.privilege_function(name, arguments)? {
            self.require_session(name)?;
            return Ok(Some(known));
        }
        let constant = if SIZES.contains(&name) {
            literal::null(ScalarType::Int8)
        } else if NOTHING.contains(&name) {
            literal::null(ScalarType::Text)
        } else if YES.contains(&name) {
            literal::literal(Datum::Bool(true), ScalarType::Bool)
        } else if NO.contains(&name) {
            literal::literal(Datum::Bool(false), ScalarType::Bool)
        } else {
            return self.asking_function(name, arguments);
        };
        self.require_session(name)?;
        let asked = match name {
            "has_function_privilege" => Some(ScalarType::Regprocedure),
            "has_type_privilege" => Some(ScalarType::Regtype),
            _ => None,
        };
        for (at, argument) in arguments.iter().enumerate() {
            let value = self.plan(argument)?;
            // What is asked about must be there.
            if let Some(typ) = asked.clone().filter(|_| at + 2 == arguments.len())
                && matches!(value.expr, QueryScalar::Literal(Ok(_), _))
            {
                coerce_explicit(self.ctx, value, &ColumnType::new(typ))?;
            }
        }
        Ok(Some(constant))
    }

    fn asking_function(
        &self,
        name: &str,
        arguments: &[&Expr],
    ) -> Result<Option<TypedScalar>, SqlError> {
        let signatures = ["mz_internal", "mz_function_signatures"];
        let definitions = ["mz_internal", "mz_definitions"];
        let whole = literal::literal(Datum::Int(0), ScalarType::Int4);
        let found = match (name, arguments) {
            ("pg_get_userbyid", [role]) => {
                let role = self.oid_of(role)?;
                let found =
                    self.lookup(["pg_catalog", "pg_roles"], &[("oid", role.clone())], "rolname")?;
                let number = coerce_explicit(self.ctx, role, &ColumnType::new(ScalarType::Text))?;
                let unknown = binary(self.ctx, "||", literal::text("unknown (OID="), number)?;
                let unknown = binary(self.ctx, "||", unknown, literal::text(")"))?;
                let unknown = coerce_explicit(self.ctx, unknown, &found.typ)?;
                let expr = QueryScalar::Coalesce(vec![found.expr, unknown.expr]);
                TypedScalar { expr, typ: found.typ }
            }
            ("pg_get_viewdef", [view] | [view, _]) => {
                let view = self.oid_of(view)?;
                self.lookup(definitions, &[("oid", view), ("position", whole)], "definition")?
            }
            ("pg_get_constraintdef", [constraint] | [constraint, _]) => {
                let constraint = self.oid_of(constraint)?;
                let keys = [("oid", constraint), ("position", whole)];
                self.lookup(definitions, &keys, "definition")?
            }
            ("pg_get_indexdef", [index]) => {
                let index = self.oid_of(index)?;
                self.lookup(definitions, &[("oid", index), ("position", whole)], "definition")?
            }
            ("pg_get_indexdef", [index, position, _pretty]) => {
                let index = self.oid_of(index)?;
                let position = self.plan(position)?;
                self.lookup(definitions, &[("oid", index), ("position", position)], "definition")?
            }
            ("pg_get_function_result", [function]) => {
                let function = self.oid_of(function)?;
                self.lookup(signatures, &[("oid", function)], "result")?
            }
            ("pg_get_function_arguments", [function]) => {
                let function = self.oid_of(function)?;
                self.lookup(signatures, &[("oid", function)], "arguments")?
            }
            ("pg_get_function_identity_arguments", [function]) => {
                let function = self.oid_of(function)?;
                self.lookup(signatures, &[("oid", function)], "identity_arguments")?
            }
            ("pg_get_functiondef", [function]) => {
                let function = self.oid_of(function)?;
                self.lookup(signatures, &[("oid", function)], "definition")?
            }
            ("pg_get_function_sqlbody", [function]) => {
                let function = self.oid_of(function)?;
                self.lookup(signatures, &[("oid", function)], "body")?
            }
            // Expressions are kept as text.
            ("pg_get_expr", [text, _] | [text, _, _]) => {
                let text = self.plan(text)?;
                resolve_unknown(self.ctx, text)?
            }
            ("pg_table_is_visible", [relation]) => {
                let relation = self.oid_of(relation)?;
                self.is_visible(relation)?
            }
            ("pg_type_is_visible", [typ]) => {
                self.is_in_path(["pg_catalog", "pg_type"], "typnamespace", typ)?
            }
            ("pg_function_is_visible", [function]) => {
                self.is_in_path(["pg_catalog", "pg_proc"], "pronamespace", function)?
            }
            ("format_type", [oid, typmod]) => return self.format_type(oid, typmod).map(Some),
            ("obj_description", [object]) => {
                let keys = [("objoid", self.oid_of(object)?), ("objsubid", whole)];
                self.lookup(["pg_catalog", "pg_description"], &keys, "description")?
            }
            ("obj_description", [object, class]) => {
                let object = self.oid_of(object)?;
                let keys =
                    [("objoid", object), ("objsubid", whole), ("classoid", self.class(class)?)];
                self.lookup(["pg_catalog", "pg_description"], &keys, "description")?
            }
            ("col_description", [table, column]) => {
                let class = self.class_named("pg_class")?;
                let (table, column) = (self.oid_of(table)?, self.plan(column)?);
                let keys = [("objoid", table), ("objsubid", column), ("classoid", class)];
                self.lookup(["pg_catalog", "pg_description"], &keys, "description")?
            }
            ("shobj_description", [object, class]) => {
                let keys = [("objoid", self.oid_of(object)?), ("classoid", self.class(class)?)];
                self.lookup(["pg_catalog", "pg_shdescription"], &keys, "description")?
            }
            ("mz_is_superuser", []) => {
                let catalog = self.ctx.relations.catalog();
                let is = catalog.is_some_and(|catalog| catalog.is_superuser(&self.ctx.user));
                literal::literal(Datum::Bool(is), ScalarType::Bool)
            }
            ("pg_get_function_arg_default", [_, _]) => literal::null(ScalarType::Text),
            ("pg_my_temp_schema", []) => literal::literal(Datum::Int(0), ScalarType::Oid),
            ("pg_relation_is_updatable", [_, _]) => {
                literal::literal(Datum::Int(0), ScalarType::Int4)
            }
            (name, [text]) => match registered_function(name) {
                Some(typ) => self.to_registered(text, typ)?,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.require_session(name)?;
        Ok(Some(found))
    }

    /// The name of a type; that of a created one is looked up, unless the query is maintained.
    fn format_type(&self, oid: &Expr, typmod: &Expr) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        let oid = coerce_explicit(ctx, self.plan(oid)?, &ColumnType::new(ScalarType::Oid))?;
        let typmod = self.plan(typmod)?;
        let built_in = call_by_name(ctx, "format_type", vec![oid.clone(), typmod])?;
        self.created_type_name(oid, built_in)
    }

    /// The name of a created type, where the other name says that the type is not built in.
    fn created_type_name(
        &self,
        oid: TypedScalar,
        built_in: TypedScalar,
    ) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        if ctx.maintained && !ctx.all_databases {
            return Ok(built_in);
        }
        let names = ["mz_internal", "mz_created_type_names"];
        let (relation, row) = self.row_of(names, &[("oid", oid)])?;
        let short = column(&relation, position(&relation, "name")?).expr;
        let name = if ctx.maintained {
            short
        } else {
            let full = column(&relation, position(&relation, "full_name")?).expr;
            let visible = self.visible(&relation)?;
            QueryScalar::If(Box::new(visible), Box::new(short), Box::new(full))
        };
        let found = single(row, name, ColumnType::new(ScalarType::Text));
        let unknown = binary(ctx, "=", built_in.clone(), literal::text("???"))?.expr;
        let name = QueryScalar::Coalesce(vec![found.expr, built_in.expr.clone()]);
        let expr = QueryScalar::If(Box::new(unknown), Box::new(name), Box::new(built_in.expr));
        Ok(TypedScalar { expr, typ: built_in.typ.nullable(true) })
    }

    /// The class of objects that a comment is of: the oid of a catalog of PostgreSQL, by name.
    fn class(&self, name: &Expr) -> Result<TypedScalar, SqlError> {
        let name = self.plan(name)?;
        let text = match &name.expr {
            QueryScalar::Literal(Ok(row), _) => literal::constant_text(row).flatten(),
            _ => None,
        };
        self.class_named(&text.unwrap_or_default())
    }

    fn class_named(&self, name: &str) -> Result<TypedScalar, SqlError> {
        let class = match name {
            "pg_class" => 1259,
            "pg_type" => 1247,
            "pg_constraint" => 2606,
            "pg_authid" => 1260,
            "pg_namespace" => 2615,
            "pg_database" => 1262,
            // Nothing of the others can have a comment.
            _ => 0,
        };
        Ok(literal::literal(Datum::Int(class), ScalarType::Oid))
    }

    pub(super) fn require_session(&self, name: &str) -> Result<(), SqlError> {
        if self.ctx.maintained { Err(not_maintainable(name)) } else { Ok(()) }
    }

    /// The oid that an argument is; a constant text is the name of a relation, or a number.
    fn oid_of(&self, argument: &Expr) -> Result<TypedScalar, SqlError> {
        let mut value = self.plan(argument)?;
        let oid = ColumnType::new(ScalarType::Oid);
        let named = [ScalarType::Unknown, ScalarType::Text];
        if named.contains(&value.typ.scalar_type)
            && matches!(value.expr, QueryScalar::Literal(Ok(_), _))
        {
            let relation = ColumnType::new(ScalarType::Regclass);
            value = coerce_explicit(self.ctx, value, &relation)?;
        }
        coerce_explicit(self.ctx, value, &oid)
    }

    /// The value of a column in the row of a built-in relation that has these keys.
    pub(super) fn lookup(
        &self,
        name: [&str; 2],
        keys: &[(&str, TypedScalar)],
        value: &str,
    ) -> Result<TypedScalar, SqlError> {
        let (relation, filtered) = self.row_of(name, keys)?;
        let at = position(&relation, value)?;
        let typ = relation.desc.columns[at].typ.clone().nullable(true);
        Ok(single(filtered, column(&relation, at).expr, typ))
    }

    /// True where a row of a built-in relation has this key, and in each of these columns one of
    /// the texts; else NULL.
    pub(super) fn exists_row(
        &self,
        name: [&str; 2],
        key: (&str, TypedScalar),
        one_of: &[(&str, Vec<&str>)],
    ) -> Result<TypedScalar, SqlError> {
        let (relation, mut rows) = self.row_of(name, &[key])?;
        for (name, texts) in one_of {
            let known = column(&relation, position(&relation, name)?);
            let mut parts = vec![literal::boolean(false)];
            for text in texts {
                parts.push(binary(self.ctx, "=", known.clone(), literal::text(text))?.expr);
            }
            if let QueryExpr::Filter { predicates, .. } = &mut rows {
                predicates.push(QueryScalar::Or(parts));
            }
        }
        Ok(single(rows, literal::boolean(true), ColumnType::new(ScalarType::Bool)))
    }

    fn row_of(
        &self,
        name: [&str; 2],
        keys: &[(&str, TypedScalar)],
    ) -> Result<(Relation, QueryExpr), SqlError> {
        let ctx = self.ctx;
        let relation = ctx.relations.relation(&name.map(str::to_owned))?;
        let mut predicates = Vec::with_capacity(keys.len());
        for (key, wanted) in keys {
            let key = column(&relation, position(&relation, key)?);
            let mut wanted = coerce_implicit(ctx, wanted.clone(), &key.typ.scalar_type)?;
            walk::shift_scalar(&mut wanted.expr, 0, 1);
            predicates.push(binary(ctx, "=", key, wanted)?.expr);
        }
        let filtered = QueryExpr::Filter { input: Box::new(get(&relation)), predicates };
        Ok((relation, filtered))
    }

    /// Whether a relation is found without naming its schema; NULL if there is none.
    fn is_visible(&self, oid: TypedScalar) -> Result<TypedScalar, SqlError> {
        let names = ["mz_internal", "mz_relation_names"];
        let (relation, row) = self.row_of(names, &[("oid", oid)])?;
        let visible = self.visible(&relation)?;
        Ok(single(row, visible, ColumnType::new(ScalarType::Bool)))
    }

    /// Whether the schema of a type or function is in the search path; NULL if there is none.
    fn is_in_path(
        &self,
        names: [&str; 2],
        schema: &str,
        object: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let (relation, row) = self.row_of(names, &[("oid", self.oid_of(object)?)])?;
        let schema = column(&relation, position(&relation, schema)?);
        let found = self.one_of(&schema, &self.ctx.relations.visibility().schemas)?;
        Ok(single(row, found, ColumnType::new(ScalarType::Bool)))
    }

    /// Whether the relation that a row of `mz_relation_names` names is found without schema.
    fn visible(&self, relation: &Relation) -> Result<QueryScalar, SqlError> {
        let visibility = self.ctx.relations.visibility();
        let oid = column(relation, position(relation, "oid")?);
        let schema = column(relation, position(relation, "namespace")?);
        let found = self.one_of(&schema, &visibility.schemas)?;
        let hidden = self.one_of(&oid, &visibility.hidden)?;
        Ok(QueryScalar::And(vec![found, QueryScalar::Not(Box::new(hidden))]))
    }

    fn one_of(&self, column: &TypedScalar, oids: &[u32]) -> Result<QueryScalar, SqlError> {
        let equal = oids.iter().map(|oid| {
            let oid = literal::literal(Datum::Int(i64::from(*oid)), ScalarType::Oid);
            Ok(binary(self.ctx, "=", column.clone(), oid)?.expr)
        });
        Ok(match equal.collect::<Result<Vec<_>, SqlError>>()?.as_slice() {
            [] => literal::boolean(false),
            [only] => only.clone(),
            several => QueryScalar::Or(several.to_vec()),
        })
    }

    /// `to_regclass('x')`: NULL where the cast would be an error. What is no constant is compared
    /// with names as they are shown.
    fn to_registered(&self, name: &Expr, typ: ScalarType) -> Result<TypedScalar, SqlError> {
        let value = self.plan(name)?;
        let target = ColumnType::new(typ.clone());
        if matches!(value.expr, QueryScalar::Literal(Ok(_), _)) {
            return match coerce_explicit(self.ctx, value, &target) {
                Err(error) if error.code == SqlState::FEATURE_NOT_SUPPORTED => Err(error),
                Err(_) => Ok(literal::null(typ)),
                Ok(found) => Ok(found),
            };
        }
        self.found_by_name(value, typ)
    }

    /// The oid of a type, or that of a user's type of this name in the search path.
    fn or_created_type(
        &self,
        found: TypedScalar,
        name: TypedScalar,
    ) -> Result<TypedScalar, SqlError> {
        let names = ["mz_internal", "mz_created_type_names"];
        let (relation, mut rows) = self.row_of(names, &[("name", name)])?;
        let schema = column(&relation, position(&relation, "namespace")?);
        let visible = self.one_of(&schema, &self.ctx.relations.visibility().schemas)?;
        if let QueryExpr::Filter { predicates, .. } = &mut rows {
            predicates.push(visible);
        }
        let oid = column(&relation, position(&relation, "oid")?);
        let created = single(rows, oid.expr, oid.typ);
        let expr = QueryScalar::Coalesce(vec![found.expr, created.expr]);
        Ok(TypedScalar { expr, typ: found.typ.nullable(true) })
    }

    /// What a text that is no constant names, as names are shown; NULL if it names nothing.
    pub(super) fn found_by_name(
        &self,
        value: TypedScalar,
        typ: ScalarType,
    ) -> Result<TypedScalar, SqlError> {
        let target = ColumnType::new(typ.clone());
        let name = coerce_implicit(self.ctx, value, &ScalarType::Text)?;
        let oid = if let Some((relation, key)) = named_by(&typ) {
            let found = self.lookup(relation, &[(key, name.clone())], "oid")?;
            match typ {
                ScalarType::Regtype => self.or_created_type(found, name)?,
                _ => found,
            }
        } else if typ != ScalarType::Regclass {
            let kind = literal::text(&typ.pg_name());
            let keys = [("kind", kind), ("name", name)];
            self.lookup(["mz_internal", "mz_registered_names"], &keys, "oid")?
        } else {
            let names = ["mz_internal", "mz_relation_names"];
            let (relation, mut rows) = self.row_of(names, &[])?;
            let mut wanted = name;
            walk::shift_scalar(&mut wanted.expr, 0, 1);
            let is = |key: &str| {
                let key = column(&relation, position(&relation, key)?);
                Ok::<_, SqlError>(binary(self.ctx, "=", key, wanted.clone())?.expr)
            };
            let short = QueryScalar::And(vec![self.visible(&relation)?, is("name")?]);
            let full = column(&relation, position(&relation, "full_name")?);
            let database = format!("{}.", quote_identifier(&self.ctx.database));
            let whole = binary(self.ctx, "||", literal::text(&database), full)?;
            let whole = binary(self.ctx, "=", whole, wanted.clone())?.expr;
            let either = QueryScalar::Or(vec![short, is("full_name")?, whole]);
            if let QueryExpr::Filter { predicates, .. } = &mut rows {
                predicates.push(either);
            }
            let oid = column(&relation, position(&relation, "oid")?);
            single(rows, oid.expr, oid.typ)
        };
        coerce_explicit(self.ctx, oid, &target)
    }

    /// Names become oids, and oids names, where a cast needs the catalog for it.
    pub(super) fn registered(
        &self,
        value: TypedScalar,
        target: &ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        let texts = [ScalarType::Text, ScalarType::Varchar, ScalarType::Name];
        let constant = matches!(value.expr, QueryScalar::Literal(..));
        if !target.scalar_type.is_reg() || constant || !texts.contains(&value.typ.scalar_type) {
            return self.registered_text(value, target);
        }
        self.require_session(&target.scalar_type.pg_name())?;
        let name = coerce_implicit(self.ctx, value, &ScalarType::Text)?;
        let found = self.found_by_name(name.clone(), target.scalar_type.clone())?;
        let kind = literal::text(&target.scalar_type.pg_name());
        let missing = call_by_name(self.ctx, "no_such_object", vec![kind, name])?;
        let missing = coerce_explicit(self.ctx, missing, &found.typ)?;
        let expr = QueryScalar::Coalesce(vec![found.expr, missing.expr]);
        Ok(TypedScalar { expr, typ: found.typ })
    }

    /// The name of what an oid stands for, where `regclass`, `regproc` or `regtype` becomes text.
    pub(super) fn registered_text(
        &self,
        value: TypedScalar,
        target: &ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        if !matches!(target.scalar_type, ScalarType::Text | ScalarType::Varchar | ScalarType::Name)
        {
            return Ok(value);
        }
        let from = value.typ.scalar_type.clone();
        let ctx = self.ctx;
        if !from.is_reg() {
            return Ok(value);
        }
        if let QueryScalar::Literal(Ok(row), _) = &value.expr {
            let Some(Datum::Int(oid)) = row.iter().next() else {
                return Ok(literal::null(ScalarType::Text));
            };
            let number = u32::try_from(oid).unwrap_or(0);
            let shown = ctx.relations.names().and_then(|names| names.shown(&from, number));
            return Ok(literal::text(&match shown {
                Some(name) => name,
                None if number == 0 => "-".to_owned(),
                None => number.to_string(),
            }));
        }
        match from {
            ScalarType::Regtype => {
                let oid = coerce_explicit(ctx, value, &ColumnType::new(ScalarType::Oid))?;
                let none = literal::null(ScalarType::Int4);
                let built_in = call_by_name(ctx, "format_type", vec![oid.clone(), none])?;
                self.created_type_name(oid, built_in)
            }
            ScalarType::Regclass if !ctx.maintained => {
                let oid = coerce_explicit(ctx, value, &ColumnType::new(ScalarType::Oid))?;
                let number = coerce_explicit(ctx, oid.clone(), &ColumnType::new(ScalarType::Text))?;
                let names = ["mz_internal", "mz_relation_names"];
                let (relation, row) = self.row_of(names, &[("oid", oid)])?;
                let short = column(&relation, position(&relation, "name")?).expr;
                let full = column(&relation, position(&relation, "full_name")?).expr;
                let visible = self.visible(&relation)?;
                let name = QueryScalar::If(Box::new(visible), Box::new(short), Box::new(full));
                let found = single(row, name, ColumnType::new(ScalarType::Text));
                let expr = QueryScalar::Coalesce(vec![found.expr, number.expr]);
                Ok(TypedScalar { expr, typ: found.typ })
            }
            typ if !ctx.maintained => {
                let oid = coerce_explicit(ctx, value, &ColumnType::new(ScalarType::Oid))?;
                let number = coerce_explicit(ctx, oid.clone(), &ColumnType::new(ScalarType::Text))?;
                let found = match named_by(&typ) {
                    Some((relation, name)) => self.lookup(relation, &[("oid", oid)], name)?,
                    None => {
                        let kind = literal::text(&typ.pg_name());
                        let keys = [("kind", kind), ("oid", oid)];
                        self.lookup(["mz_internal", "mz_registered_names"], &keys, "name")?
                    }
                };
                let found = coerce_explicit(ctx, found, &ColumnType::new(ScalarType::Text))?;
                let expr = QueryScalar::Coalesce(vec![found.expr, number.expr]);
                Ok(TypedScalar { expr, typ: found.typ })
            }
            _ => Ok(value),
        }
    }
}

/// The relation and the column that have the names of what a type stands for.
fn named_by(typ: &ScalarType) -> Option<([&'static str; 2], &'static str)> {
    Some(match typ {
        ScalarType::Regtype => (["mz_internal", "mz_type_names"], "name"),
        ScalarType::Regnamespace => (["pg_catalog", "pg_namespace"], "nspname"),
        ScalarType::Regrole => (["pg_catalog", "pg_roles"], "rolname"),
        _ => return None,
    })
}

/// The type that `to_regclass` and its kin give.
fn registered_function(name: &str) -> Option<ScalarType> {
    let name = name.strip_prefix("to_")?;
    ScalarType::ALL.iter().find(|typ| typ.is_reg() && typ.pg_name() == name).cloned()
}

fn position(relation: &Relation, name: &str) -> Result<usize, SqlError> {
    let found = relation.desc.columns.iter().position(|column| column.name == name);
    found.ok_or_else(|| SqlError::internal(format!("{} has no {name}", relation.name)))
}
