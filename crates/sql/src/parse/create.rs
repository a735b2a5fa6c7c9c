//! CREATE, DROP, ALTER and VALIDATE.

use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    Alter, AlterAction, AlterType, ConnectionKind, CreateConnection, CreateIndex, CreateNamespace,
    CreateSecret, CreateTable, CreateTableFromSource, CreateView, DropObjects, NamedOption,
    ObjectKind, OnCommit, OptionValue, Statement,
};

impl StatementParser<'_> {
    pub(super) fn create(&mut self) -> Result<Statement, Failure> {
        self.expect_word("create")?;
        let or_replace = self.words(&["or", "replace"]);
        let temporary = self.word("temporary") || self.word("temp");
        if self.word("view") {
            return self.create_view(or_replace, temporary, false);
        }
        if self.words(&["materialized", "views"]) {
            return self.create_views();
        }
        if self.words(&["materialized", "view"]) {
            return self.create_view(or_replace, temporary, true);
        }
        if !or_replace && !temporary && self.words(&["replacement", "materialized", "view"]) {
            let statement = self.create_view(false, false, true)?;
            return match &statement {
                Statement::CreateView(view) if view.replacement_for.is_some() => Ok(statement),
                _ => Err(self.unexpected()),
            };
        }
        if !temporary && self.word("function") {
            return self.create_function(or_replace);
        }
        if or_replace {
            return Err(self.unexpected());
        }
        if self.word("table") {
            return self.create_table(temporary);
        }
        if self.word("sequence") {
            return self.sequence(false, temporary);
        }
        if temporary {
            return Err(self.unexpected());
        }
        let Some(kind) = self.peek_word_at(0).map(str::to_owned) else {
            return Err(self.unexpected());
        };
        self.parser.advance_token();
        match kind.as_str() {
            "database" => self.create_namespace(true),
            "schema" => self.create_namespace(false),
            "secret" => self.create_secret(),
            "connection" => self.create_connection(),
            "source" => self.create_source(),
            "index" => self.create_index(false, false),
            "cluster" => self.create_cluster(),
            "default" => {
                self.expect_word("index")?;
                self.create_index(true, false)
            }
            "unique" => {
                self.expect_word("index")?;
                self.create_index(false, true)
            }
            "type" => self.create_type(),
            "domain" => self.create_domain(),
            "views" => self.create_views(),
            "unlogged" | "role" | "user" | "group" | "procedure" | "trigger" | "extension"
            | "sink" | "rule" | "policy" | "aggregate" | "operator" | "cast" | "collation"
            | "server" | "foreign" | "publication" | "subscription" | "statistics" | "event"
            | "text" | "language" | "tablespace" | "access" | "conversion" | "transform"
            | "network" => self.unsupported(format_args!("CREATE {}", kind.to_uppercase())),
            _ => {
                self.parser.prev_token();
                Err(self.unexpected())
            }
        }
    }

    fn create_namespace(&mut self, database: bool) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        if !database && self.peek_word("authorization") {
            return self.unsupported("CREATE SCHEMA AUTHORIZATION");
        }
        let name = self.object_name()?;
        if self.peek_word("authorization") || self.peek_word("with") {
            let kind = if database { "DATABASE" } else { "SCHEMA" };
            return self.unsupported(format_args!("CREATE {kind} with options"));
        }
        Ok(Statement::CreateNamespace(CreateNamespace { database, if_not_exists, name }))
    }

    fn create_secret(&mut self) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        self.expect_word("as")?;
        let value = self.parser.parse_expr()?;
        Ok(Statement::CreateSecret(CreateSecret { if_not_exists, name, value }))
    }

    fn create_connection(&mut self) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        // `FOR`, and options without parentheses, are the form of 2022.
        if !self.word("to") {
            self.expect_word("for")?;
        }
        let kind = self.connection_kind()?;
        let options = if self.peek_token(&Token::LParen) {
            self.option_list()?
        } else {
            self.comma_separated(Self::named_option)?
        };
        let with = self.with_options()?;
        Ok(Statement::CreateConnection(CreateConnection {
            if_not_exists,
            name,
            kind,
            options,
            with,
        }))
    }

    fn connection_kind(&mut self) -> Result<ConnectionKind, Failure> {
        if self.words(&["ssh", "tunnel"]) {
            return Ok(ConnectionKind::SshTunnel);
        }
        if self.words(&["aws", "privatelink"]) {
            return Ok(ConnectionKind::AwsPrivatelink);
        }
        if self.word("postgres") {
            return Ok(ConnectionKind::Postgres);
        }
        let words = self.identifier()?;
        Ok(ConnectionKind::Other(words.value.to_uppercase()))
    }

    pub(super) fn in_cluster(&mut self) -> Result<Option<sqlparser::ast::Ident>, Failure> {
        if self.words(&["in", "cluster"]) { Ok(Some(self.identifier()?)) } else { Ok(None) }
    }

    fn create_table(&mut self, temporary: bool) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        if self.words(&["from", "source"]) {
            return self.create_table_from_source(if_not_exists, name);
        }
        for (word, what) in [("of", "CREATE TABLE OF"), ("partition", "PARTITION OF")] {
            if self.peek_word(word) {
                return self.unsupported(what);
            }
        }
        let mut created = CreateTable {
            temporary,
            if_not_exists,
            name,
            columns: Vec::new(),
            constraints: Vec::new(),
            on_commit: None,
            likes: Vec::new(),
            query: None,
            with: Vec::new(),
        };
        if self.table_as(&mut created)? {
            return Ok(Statement::CreateTable(created));
        }
        self.table_elements(&mut created)?;
        created.on_commit = self.on_commit()?;
        // PostgreSQL's storage parameters are none of ours: an option of another name is refused.
        created.with = self.with_options()?;
        if created.on_commit.is_none() {
            created.on_commit = self.on_commit()?;
        }
        if let Some(word) = self.peek_word_at(0) {
            let what = format!("{} of CREATE TABLE", word.to_uppercase());
            if ["as", "without", "inherits", "partition", "on", "using", "tablespace"]
                .contains(&word)
            {
                return self.unsupported(what);
            }
        }
        Ok(Statement::CreateTable(created))
    }

    /// `[ON COMMIT {PRESERVE ROWS | DELETE ROWS | DROP}]`
    fn on_commit(&mut self) -> Result<Option<OnCommit>, Failure> {
        if !self.words(&["on", "commit"]) {
            return Ok(None);
        }
        if self.word("drop") {
            return Ok(Some(OnCommit::Drop));
        }
        let preserve = self.word("preserve");
        if !preserve {
            self.expect_word("delete")?;
        }
        self.expect_word("rows")?;
        Ok(Some(if preserve { OnCommit::PreserveRows } else { OnCommit::DeleteRows }))
    }

    fn create_table_from_source(
        &mut self,
        if_not_exists: bool,
        name: sqlparser::ast::ObjectName,
    ) -> Result<Statement, Failure> {
        let source = self.object_name()?;
        let reference = self.parenthesized(|parser| {
            parser.expect_word("reference")?;
            let _ = parser.token(&Token::Eq);
            parser.object_name()
        })?;
        let with = self.with_options()?;
        Ok(Statement::CreateTableFromSource(CreateTableFromSource {
            if_not_exists,
            name,
            source,
            reference,
            with,
        }))
    }

    fn create_view(
        &mut self,
        or_replace: bool,
        temporary: bool,
        materialized: bool,
    ) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let columns = if self.peek_token(&Token::LParen) {
            self.parenthesized(|parser| parser.comma_separated(Self::identifier))?
        } else {
            Vec::new()
        };
        let replacement_for =
            if materialized && self.word("for") { Some(self.object_name()?) } else { None };
        let cluster = self.in_cluster()?;
        let with = self.with_options()?;
        self.expect_word("as")?;
        let query = self.query()?;
        if self.peek_word("with") {
            return self.unsupported("WITH after the query of a view");
        }
        Ok(Statement::CreateView(CreateView {
            or_replace,
            temporary,
            materialized,
            if_not_exists,
            name,
            columns,
            cluster,
            replacement_for,
            with,
            query,
        }))
    }

    fn create_index(&mut self, default: bool, unique: bool) -> Result<Statement, Failure> {
        // No index is in the way of writers while it is made.
        self.word("concurrently");
        let if_not_exists = self.if_not_exists();
        let unnamed = self.peek_word("on") || self.peek_words(&["in", "cluster"]);
        let name = if unnamed { None } else { Some(self.identifier()?) };
        let cluster = self.in_cluster()?;
        self.expect_word("on")?;
        let on = self.object_name()?;
        let method = if self.word("using") { Some(self.identifier()?) } else { None };
        let key = if default {
            None
        } else {
            let key = self
                .parenthesized(|parser| parser.comma_separated(StatementParser::index_key_part))?;
            Some(key)
        };
        let not_distinct = self.words(&["nulls", "not", "distinct"]);
        if !not_distinct {
            self.words(&["nulls", "distinct"]);
        }
        for word in ["include", "where", "nulls", "tablespace"] {
            if self.peek_word(word) {
                let what = format!("{} of CREATE INDEX", word.to_uppercase());
                return self.unsupported(what);
            }
        }
        let with = self.with_options()?;
        Ok(Statement::CreateIndex(CreateIndex {
            unique: unique.then_some(not_distinct),
            if_not_exists,
            name,
            cluster,
            on,
            method,
            key,
            with,
        }))
    }

    /// One expression of an index's key. PostgreSQL lets each have a direction; an arrangement is
    /// read both ways, so the direction says nothing here.
    fn index_key_part(&mut self) -> Result<Expr, Failure> {
        let expr = self.parser.parse_expr()?;
        if !self.word("asc") {
            self.word("desc");
        }
        if self.word("nulls") && !self.word("first") {
            self.expect_word("last")?;
        }
        Ok(expr)
    }

    /// The kind of object that a statement is about.
    pub(super) fn object_kind(&mut self) -> Result<ObjectKind, Failure> {
        let kinds = [
            ("table", ObjectKind::Table),
            ("view", ObjectKind::View),
            ("index", ObjectKind::Index),
            ("source", ObjectKind::Source),
            ("connection", ObjectKind::Connection),
            ("secret", ObjectKind::Secret),
            ("sequence", ObjectKind::Sequence),
            ("type", ObjectKind::Type),
            ("domain", ObjectKind::Domain),
            ("schema", ObjectKind::Schema),
            ("database", ObjectKind::Database),
            ("cluster", ObjectKind::Cluster),
        ];
        if self.words(&["materialized", "view"]) {
            return Ok(ObjectKind::MaterializedView);
        }
        for (word, kind) in kinds {
            if self.word(word) {
                return Ok(kind);
            }
        }
        Err(self.unexpected())
    }

    fn refuse_other_kinds(&mut self, verb: &str) -> Result<(), Failure> {
        let other = self.peek_word_at(0).map(str::to_uppercase).unwrap_or_default();
        let known = [
            "ROLE",
            "USER",
            "FUNCTION",
            "PROCEDURE",
            "TRIGGER",
            "EXTENSION",
            "SINK",
            "OWNED",
            "SYSTEM",
            "DEFAULT",
            "POLICY",
            "PUBLICATION",
            "SUBSCRIPTION",
            "RULE",
            "AGGREGATE",
            "OPERATOR",
            "GROUP",
        ];
        if known.contains(&other.as_str()) {
            return self.unsupported(format_args!("{verb} {other}"));
        }
        Ok(())
    }

    pub(super) fn drop(&mut self) -> Result<Statement, Failure> {
        self.expect_word("drop")?;
        self.refuse_other_kinds("DROP")?;
        if self.words(&["cluster", "replica"]) {
            return self.drop_replicas();
        }
        let kind = self.object_kind()?;
        if self.peek_word("concurrently") {
            return self.unsupported("DROP INDEX CONCURRENTLY");
        }
        let if_exists = self.words(&["if", "exists"]);
        let names = self.comma_separated(Self::object_name)?;
        let cascade = if self.word("cascade") {
            Some(true)
        } else if self.word("restrict") {
            Some(false)
        } else {
            None
        };
        Ok(Statement::Drop(DropObjects { kind, if_exists, names, cascade }))
    }

    pub(super) fn alter(&mut self) -> Result<Statement, Failure> {
        self.expect_word("alter")?;
        self.refuse_other_kinds("ALTER")?;
        if self.peek_word("sequence") && !self.renames() {
            self.parser.advance_token();
            return self.sequence(true, false);
        }
        if self.words(&["cluster", "replica"]) {
            return self.alter_replica();
        }
        let kind = self.object_kind()?;
        let if_exists = self.words(&["if", "exists"]);
        let name = self.object_name()?;
        if matches!(kind, ObjectKind::Type | ObjectKind::Domain)
            && let Some(change) = self.type_change(kind == ObjectKind::Domain)?
        {
            let domain = kind == ObjectKind::Domain;
            return Ok(Statement::AlterType(AlterType { domain, name, change }));
        }
        if let Some(statement) = self.move_object(kind, if_exists, &name)? {
            return Ok(statement);
        }
        let action = if self.words(&["rename", "to"]) {
            AlterAction::Rename(self.identifier()?)
        } else if kind == ObjectKind::Secret && self.word("as") {
            AlterAction::SecretValue(self.parser.parse_expr()?)
        } else if matches!(kind, ObjectKind::Table | ObjectKind::Source) && self.word("resync") {
            AlterAction::Resync
        } else if let Some(action) = self.maintenance_action(kind)? {
            action
        } else if let Some(action) = self.relation_action(kind)? {
            action
        } else if let Some(action) = self.source_action(kind)? {
            action
        } else {
            self.other_action()?
        };
        Ok(Statement::Alter(Alter { kind, if_exists, name, action }))
    }

    /// Where and how long something is kept.
    fn maintenance_action(&mut self, kind: ObjectKind) -> Result<Option<AlterAction>, Failure> {
        if kind == ObjectKind::MaterializedView && self.words(&["apply", "replacement"]) {
            return Ok(Some(AlterAction::ApplyReplacement(self.object_name()?)));
        }
        if self.words(&["set", "cluster"]) {
            return Ok(Some(AlterAction::Cluster(self.identifier()?)));
        }
        let in_parentheses = self.parser.peek_nth_token_ref(1).token == Token::LParen;
        if !in_parentheses || self.peek_word_at(2) != Some("retain") {
            return Ok(None);
        }
        let sets = self.peek_word("set");
        if !sets && !self.peek_word("reset") {
            return Ok(None);
        }
        self.parser.advance_token();
        let mut options = self.option_list()?;
        match options.pop() {
            Some(option) if options.is_empty() && option.name == "RETAIN HISTORY" => {
                Ok(Some(AlterAction::RetainHistory(sets.then_some(option))))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Whether `ALTER SEQUENCE` goes on with `RENAME`, `OWNER` or `SET`.
    fn renames(&self) -> bool {
        let words = (1..8).filter_map(|n| self.peek_word_at(n));
        let mut words = words.skip_while(|word| matches!(*word, "if" | "exists"));
        words.any(|word| matches!(word, "rename" | "owner" | "set"))
    }

    /// An action that is refused when planned: its first words name it, the rest is passed over.
    fn other_action(&mut self) -> Result<AlterAction, Failure> {
        let mut words = Vec::new();
        while let Some(word) = self.peek_word_at(0) {
            if words.len() < 2 {
                words.push(word.to_uppercase());
            }
            self.parser.advance_token();
        }
        if words.is_empty() {
            return Err(self.unexpected());
        }
        while !self.at_end() {
            self.parser.advance_token();
        }
        Ok(AlterAction::Other(words.join(" ")))
    }

    pub(super) fn validate(&mut self) -> Result<Statement, Failure> {
        self.expect_words(&["validate", "connection"])?;
        Ok(Statement::ValidateConnection(self.object_name()?))
    }

    /// An option without value, such as `ANALYZE` in front of an EXPLAIN.
    pub(super) fn bare_option(name: &str) -> NamedOption {
        NamedOption { name: name.to_owned(), value: OptionValue::None }
    }
}
