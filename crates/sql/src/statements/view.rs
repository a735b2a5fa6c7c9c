//! CREATE VIEW, CREATE MATERIALIZED VIEW.

use std::sync::Arc;

use tidemill_catalog::{Definition, ItemKind, MaterializedView, QualifiedName, View};
use tidemill_repr::{ObjectId, RelationDesc, SqlError, SqlState};

use super::options::Options;
use super::table::duplicate_column;
use super::{Planning, command};
use crate::ast::{CreateView, NamedOption};
use crate::names;
use crate::plan::{NewItem, Notice, Plan, Planned};
use crate::query;

impl Planning<'_> {
    pub(super) fn create_view(&self, statement: &CreateView) -> Result<Planned, SqlError> {
        let (tag, kind) = if statement.materialized {
            ("CREATE MATERIALIZED VIEW", ItemKind::MaterializedView)
        } else {
            ("CREATE VIEW", ItemKind::View)
        };
        if statement.temporary && statement.materialized {
            return Err(SqlError::unsupported("CREATE TEMPORARY MATERIALIZED VIEW"));
        }
        if statement.cluster.is_some() && !statement.materialized {
            return Err(SqlError::unsupported("IN CLUSTER of CREATE VIEW"));
        }
        let (assertions, others): (Vec<_>, Vec<_>) =
            statement.with.iter().cloned().partition(super::assert::is_assertion);
        if !assertions.is_empty() && !statement.materialized {
            return Err(SqlError::unsupported("ASSERT NOT NULL of CREATE VIEW"));
        }
        let (refreshes, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(super::refresh::is_refresh);
        if !refreshes.is_empty() && !statement.materialized {
            return Err(SqlError::unsupported("REFRESH of CREATE VIEW"));
        }
        let (refresh, refreshes) = self.refresh(&refreshes)?.unzip();
        if refresh.is_some() && statement.replacement_for.is_some() {
            return Err(SqlError::unsupported("REFRESH of a replacement"));
        }
        let mut with = Options::new(tag, &others)?;
        let retain_history = if statement.materialized {
            with.history()?
        } else {
            with.refuse("RETAIN HISTORY")?;
            None
        };
        with.finish()?;
        // A view over objects of the session is one, too.
        let over = names::qualify(&self.planner, &mut statement.query.clone())?;
        let over_temporary = over.iter().any(|id| matches!(id, ObjectId::Transient(_)));
        if over_temporary && statement.materialized {
            return Err(SqlError::unsupported(
                "a materialized view over temporary tables or views",
            ));
        }
        let said = statement.temporary || Self::is_temporary_name(&statement.name);
        let name = if said || over_temporary {
            self.temporary_name(&statement.name)?
        } else {
            self.new_name(&statement.name)?
        };
        let replaces = self.replaced(statement, &name, kind)?;
        if replaces.is_none()
            && let Some(planned) = self.check_free(&name, statement.if_not_exists, tag)?
        {
            return Ok(planned);
        }
        let context = self.planner.maintained_context(self.text);
        let (query, mut desc) = query::plan_view_query(&context, &statement.query)?;
        if !context.parameter_types()?.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1")
                .with_detail("A view cannot have parameters."));
        }
        name_columns(statement, &mut desc)?;
        let query = super::assert::asserted(statement, query, &mut desc)?;
        let mut canonical = statement.query.clone();
        let mut depends_on = names::qualify(&self.planner, &mut canonical)?;
        depends_on.extend(context.used_functions.take());
        let replaced = self.replaced_later(statement, &desc, &depends_on)?;
        depends_on.extend(replaced.map(|item| item.id));
        if let Some(old) = replaces
            && depends_on.contains(&old)
        {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("infinite recursion detected in the definition of \"{}\"", name.item),
            ));
        }
        let query_sql = crate::ast::query_text(&canonical);
        let time_zone = Some(self.planner.session.time_zone.to_owned());
        let view = View { desc, query_sql, query: Some(Arc::new(query)), time_zone };
        let cluster = if statement.materialized {
            self.cluster(statement.cluster.as_ref())?
        } else {
            String::new()
        };
        let idle = statement.materialized.then(|| self.idle_cluster(&cluster)).flatten();
        let create_sql = CreateView {
            or_replace: false,
            if_not_exists: false,
            name: names::object_name(&name),
            cluster: statement.materialized.then(|| names::ident(&cluster)),
            replacement_for: replaced.map(|item| names::object_name(&item.name)),
            query: canonical,
            with: assertions
                .into_iter()
                .chain(refreshes.into_iter().flatten())
                .chain(kept_options(&others))
                .collect(),
            ..statement.clone()
        }
        .to_string();
        let definition = if statement.materialized {
            Definition::MaterializedView(MaterializedView {
                view,
                cluster,
                replacement_for: replaced.map(|item| item.id),
                retain_history,
                refresh,
            })
        } else {
            Definition::View(view)
        };
        let notice = (over_temporary && !said).then(|| {
            let message = format!("view \"{}\" will be a temporary view", name.item);
            Notice::new(SqlState("00000"), message)
        });
        let item = NewItem { name, create_sql, depends_on, definition, replaces };
        let mut planned = command(if statement.materialized {
            Plan::CreateMaterializedView(item)
        } else {
            Plan::CreateView(item)
        });
        planned.notices.extend(notice);
        planned.notices.extend(idle);
        Ok(planned)
    }

    /// The materialized view whose query a replacement is to become. It must have the same
    /// columns, because others read them.
    fn replaced_later(
        &self,
        statement: &CreateView,
        desc: &RelationDesc,
        depends_on: &[ObjectId],
    ) -> Result<Option<&tidemill_catalog::Item>, SqlError> {
        let Some(name) = &statement.replacement_for else { return Ok(None) };
        let item = self.item(name, &[ItemKind::MaterializedView])?;
        if let Definition::MaterializedView(view) = &item.definition
            && view.replacement_for.is_some()
        {
            let message = format!("\"{}\" is a replacement itself", item.name.item);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if item.refresh().is_some() {
            return Err(SqlError::unsupported(
                "a replacement for a materialized view with REFRESH",
            ));
        }
        let catalog = self.planner.catalog;
        let mut reads: Vec<ObjectId> = depends_on.to_vec();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(id) = reads.pop() {
            if id == item.id {
                return Err(SqlError::new(
                    SqlState::INVALID_OBJECT_DEFINITION,
                    format!(
                        "infinite recursion detected in the definition of \"{}\"",
                        item.name.item
                    ),
                ));
            }
            if seen.insert(id) {
                reads.extend(catalog.item(id).iter().flat_map(|item| item.depends_on.clone()));
            }
        }
        let columns = |desc: &RelationDesc| -> Vec<_> {
            let columns = desc.columns.iter();
            columns.map(|column| (column.name.clone(), column.typ.scalar_type.clone())).collect()
        };
        if item.desc().map(columns) != Some(columns(desc)) {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("the columns of a replacement must be those of \"{}\"", item.name.item),
            )
            .with_hint("Names, types and order must be the same."));
        }
        Ok(Some(item))
    }

    /// The view that `OR REPLACE` takes away; nothing may depend on it.
    fn replaced(
        &self,
        statement: &CreateView,
        name: &QualifiedName,
        kind: ItemKind,
    ) -> Result<Option<ObjectId>, SqlError> {
        if !statement.or_replace {
            return Ok(None);
        }
        let catalog = self.planner.catalog;
        let Some(old) = catalog.item_by_name(name) else { return Ok(None) };
        if old.kind() != kind {
            return Err(super::wrong_kind(old, kind));
        }
        match catalog.direct_dependants(old.id).next().and_then(|id| catalog.item(id)) {
            None => Ok(Some(old.id)),
            Some(dependant) => Err(super::drop::dependants_exist(
                format!("cannot replace {kind} {}", name.item),
                &[format!(
                    "{} {} depends on {kind} {}",
                    dependant.kind(),
                    dependant.described_name(),
                    name.item
                )],
            )
            .with_hint("Drop the dependent objects first.")),
        }
    }
}

/// The options that are kept in the text of a definition.
fn kept_options(options: &[NamedOption]) -> impl Iterator<Item = NamedOption> + '_ {
    options.iter().filter(|option| option.name == "RETAIN HISTORY").cloned()
}

/// Gives the first columns the names of the list, and checks that all names differ.
fn name_columns(statement: &CreateView, desc: &mut RelationDesc) -> Result<(), SqlError> {
    if statement.columns.len() > desc.arity() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    for (column, name) in desc.columns.iter_mut().zip(&statement.columns) {
        column.name = name.value.clone();
    }
    for (index, column) in desc.columns.iter().enumerate() {
        if desc.columns.iter().take(index).any(|other| other.name == column.name) {
            return Err(duplicate_column(&column.name));
        }
    }
    Ok(())
}
