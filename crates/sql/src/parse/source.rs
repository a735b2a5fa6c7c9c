//! CREATE SOURCE and CREATE VIEWS FROM SOURCE, and what ALTER does to sources, connections and
//! schemas alone.

use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    AlterAction, AlterConnection, AlterSource, ConnectionString, CreateSource,
    CreateViewsFromSource, ObjectKind, SourceConnection, SourceTableName, SourceTables, Statement,
};

impl StatementParser<'_> {
    pub(super) fn create_source(&mut self) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let cluster = self.in_cluster()?;
        self.expect_word("from")?;
        if !self.word("postgres") {
            let kind = self.identifier()?.value.to_uppercase();
            return self.unsupported(format_args!("CREATE SOURCE .. FROM {kind}"));
        }
        self.expect_word("connection")?;
        // The form of 2021 has a connection string.
        let connection = match self.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                self.parser.advance_token();
                SourceConnection::Text(ConnectionString(text))
            }
            _ => SourceConnection::Name(self.object_name()?),
        };
        let options = if self.peek_token(&Token::LParen) {
            self.option_list()?
        } else if self.peek_word("publication") {
            vec![self.named_option()?]
        } else {
            Vec::new()
        };
        let tables = self.source_tables()?;
        let progress = if self.words(&["expose", "progress", "as"]) {
            Some(self.object_name()?)
        } else {
            None
        };
        let with = self.with_options()?;
        Ok(Statement::CreateSource(CreateSource {
            if_not_exists,
            name,
            cluster,
            connection,
            options,
            tables,
            progress,
            with,
        }))
    }

    /// What follows `CREATE [MATERIALIZED] VIEWS`.
    pub(super) fn create_views(&mut self) -> Result<Statement, Failure> {
        let if_not_exists = self.if_not_exists();
        self.expect_words(&["from", "source"])?;
        let source = self.object_name()?;
        let tables = if self.peek_token(&Token::LParen) {
            Some(self.parenthesized(|parser| parser.comma_separated(Self::source_table_name))?)
        } else {
            None
        };
        Ok(Statement::CreateViewsFromSource(CreateViewsFromSource {
            if_not_exists,
            source,
            tables,
        }))
    }

    fn source_tables(&mut self) -> Result<Option<SourceTables>, Failure> {
        if !self.word("for") {
            return Ok(None);
        }
        if self.words(&["all", "tables"]) {
            return Ok(Some(SourceTables::All));
        }
        if self.word("schemas") {
            let schemas = self.parenthesized(|parser| parser.comma_separated(Self::identifier))?;
            return Ok(Some(SourceTables::Schemas(schemas)));
        }
        if !self.word("tables") {
            self.expect_word("table")?;
        }
        let tables =
            self.parenthesized(|parser| parser.comma_separated(Self::source_table_name))?;
        Ok(Some(SourceTables::Tables(tables)))
    }

    fn source_table_name(&mut self) -> Result<SourceTableName, Failure> {
        let reference = self.object_name()?;
        let alias =
            if self.word("as") || self.word("into") { Some(self.object_name()?) } else { None };
        Ok(SourceTableName { reference, alias })
    }

    /// What ALTER does to a source, a connection or a schema; None if something else follows.
    pub(super) fn source_action(
        &mut self,
        kind: ObjectKind,
    ) -> Result<Option<AlterAction>, Failure> {
        match kind {
            ObjectKind::Source => self.alter_source(),
            ObjectKind::Connection => self.alter_connection(),
            ObjectKind::Schema if self.words(&["swap", "with"]) => {
                Ok(Some(AlterAction::Swap(self.identifier()?)))
            }
            _ => Ok(None),
        }
    }

    fn alter_source(&mut self) -> Result<Option<AlterAction>, Failure> {
        let subsource = |parser: &mut Self, verb: &str| {
            ["subsource", "subsources", "table", "tables"]
                .iter()
                .any(|noun| parser.words(&[verb, noun]))
        };
        let action = if subsource(self, "add") {
            let if_not_exists = self.if_not_exists();
            let tables = self.comma_separated(Self::source_table_name)?;
            let with = self.with_options()?;
            AlterSource::AddSubsources { if_not_exists, tables, with }
        } else if subsource(self, "drop") {
            let if_exists = self.words(&["if", "exists"]);
            let names = self.comma_separated(Self::object_name)?;
            let cascade = if self.word("cascade") {
                Some(true)
            } else if self.word("restrict") {
                Some(false)
            } else {
                None
            };
            AlterSource::DropSubsources { if_exists, names, cascade }
        } else if self.words(&["refresh", "references"]) {
            AlterSource::RefreshReferences
        } else if self.peek_word("set") && self.opens_list() {
            self.parser.advance_token();
            AlterSource::Set(self.option_list()?)
        } else if self.peek_word("reset") && self.opens_list() {
            self.parser.advance_token();
            AlterSource::Reset(self.option_names()?)
        } else {
            return Ok(None);
        };
        Ok(Some(AlterAction::Source(action)))
    }

    fn alter_connection(&mut self) -> Result<Option<AlterAction>, Failure> {
        if self.words(&["rotate", "keys"]) {
            return Ok(Some(AlterAction::Connection(AlterConnection::RotateKeys)));
        }
        let starts = ["set", "drop", "reset"].iter().any(|word| self.peek_word(word));
        if !starts || !self.opens_list() {
            return Ok(None);
        }
        let (mut set, mut drop) = (Vec::new(), Vec::new());
        loop {
            if self.word("set") {
                set.extend(self.option_list()?);
            } else if self.word("drop") || self.word("reset") {
                drop.extend(self.option_names()?);
            } else {
                return Err(self.unexpected());
            }
            if !self.token(&Token::Comma) {
                break;
            }
        }
        let with = self.with_options()?;
        let options = AlterConnection::Options { set, drop, with };
        Ok(Some(AlterAction::Connection(options)))
    }

    fn opens_list(&self) -> bool {
        self.parser.peek_nth_token_ref(1).token == Token::LParen
    }

    /// `(NAME, ..)`
    fn option_names(&mut self) -> Result<Vec<String>, Failure> {
        self.parenthesized(|parser| parser.comma_separated(Self::option_name))
    }
}
