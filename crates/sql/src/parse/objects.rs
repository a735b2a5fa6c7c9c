//! Clusters, COMMENT ON, and what ALTER does with objects of any kind.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    ClusterStatement, Comment, CommentKind, MoveObject, MoveTo, NamedOption, ObjectKind,
    OptionValue, ReplicaDefinition, Statement,
};

impl StatementParser<'_> {
    /// After `CREATE CLUSTER`.
    pub(super) fn create_cluster(&mut self) -> Result<Statement, Failure> {
        if self.word("replica") {
            let (cluster, name) = self.replica_name()?;
            let options = self.cluster_options()?;
            let replica = ReplicaDefinition { name, options };
            return Ok(Statement::Cluster(ClusterStatement::CreateReplica { cluster, replica }));
        }
        if self.peek_words(&["if", "not", "exists"]) {
            return self.unsupported("CREATE CLUSTER IF NOT EXISTS");
        }
        let name = self.identifier()?;
        if self.word("replicas") {
            let replicas = self.parenthesized(|parser| {
                if parser.peek_token(&Token::RParen) {
                    return Ok(Vec::new());
                }
                parser.comma_separated(Self::replica_definition)
            })?;
            let (options, replicas) = (Vec::new(), Some(replicas));
            return Ok(Statement::Cluster(ClusterStatement::Create { name, options, replicas }));
        }
        let options = self.cluster_options()?;
        Ok(Statement::Cluster(ClusterStatement::Create { name, options, replicas: None }))
    }

    fn cluster_options(&mut self) -> Result<Vec<NamedOption>, Failure> {
        if self.peek_token(&Token::LParen) {
            return self.option_list();
        }
        if self.at_end() {
            return Ok(Vec::new());
        }
        self.comma_separated(Self::named_option)
    }

    fn replica_definition(&mut self) -> Result<ReplicaDefinition, Failure> {
        let name = self.identifier()?;
        let options = self.option_list()?;
        Ok(ReplicaDefinition { name, options })
    }

    fn replica_name(&mut self) -> Result<(Ident, Ident), Failure> {
        let cluster = self.identifier()?;
        self.expect_token(&Token::Period)?;
        Ok((cluster, self.identifier()?))
    }

    /// After `DROP CLUSTER REPLICA`.
    pub(super) fn drop_replicas(&mut self) -> Result<Statement, Failure> {
        let if_exists = self.words(&["if", "exists"]);
        let names = self.comma_separated(Self::replica_name)?;
        Ok(Statement::Cluster(ClusterStatement::DropReplicas { if_exists, names }))
    }

    /// After `ALTER CLUSTER REPLICA`.
    pub(super) fn alter_replica(&mut self) -> Result<Statement, Failure> {
        let if_exists = self.words(&["if", "exists"]);
        let (cluster, name) = self.replica_name()?;
        if self.peek_word("owner") {
            return self.unsupported("ALTER CLUSTER REPLICA .. OWNER TO");
        }
        self.expect_words(&["rename", "to"])?;
        let to = self.identifier()?;
        let statement = ClusterStatement::RenameReplica { if_exists, cluster, name, to };
        Ok(Statement::Cluster(statement))
    }

    /// What ALTER does with objects of any kind, after the name; None if it is something else.
    pub(super) fn move_object(
        &mut self,
        kind: ObjectKind,
        if_exists: bool,
        name: &ObjectName,
    ) -> Result<Option<Statement>, Failure> {
        if self.words(&["set", "schema"]) {
            let to = MoveTo::Schema(self.object_name()?);
            let name = name.clone();
            return Ok(Some(Statement::MoveObject(MoveObject { kind, if_exists, name, to })));
        }
        if kind != ObjectKind::Schema && self.words(&["swap", "with"]) {
            let to = MoveTo::Swap(self.identifier()?);
            let name = name.clone();
            return Ok(Some(Statement::MoveObject(MoveObject { kind, if_exists, name, to })));
        }
        if kind != ObjectKind::Cluster {
            return Ok(None);
        }
        let [part] = name.0.as_slice() else { return Err(self.unexpected()) };
        let Some(name) = part.as_ident().cloned() else { return Err(self.unexpected()) };
        if self.word("set") {
            let options = self.option_list()?;
            let wait = match self.word("with") {
                true => Some(self.parenthesized(Self::wait_options)?),
                false => None,
            };
            let statement = ClusterStatement::Set { if_exists, name, options, wait };
            return Ok(Some(Statement::Cluster(statement)));
        }
        if self.word("reset") {
            let options = self.option_list()?;
            let statement = ClusterStatement::Reset { if_exists, name, options };
            return Ok(Some(Statement::Cluster(statement)));
        }
        Ok(None)
    }

    /// `WAIT [=] UNTIL READY (TIMEOUT '..', ON TIMEOUT '..')`, or `WAIT [=] FOR '..'`, which ends
    /// earlier if it may.
    fn wait_options(&mut self) -> Result<Vec<NamedOption>, Failure> {
        self.expect_word("wait")?;
        let _ = self.token(&Token::Eq);
        if self.words(&["until", "ready"]) {
            let _ = self.token(&Token::Eq);
            return self.option_list();
        }
        self.expect_word("for")?;
        let value = match self.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text) => OptionValue::Text(text),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(vec![NamedOption { name: "TIMEOUT".to_owned(), value }])
    }

    /// `COMMENT ON ..`
    pub(super) fn comment(&mut self) -> Result<Statement, Failure> {
        self.expect_words(&["comment", "on"])?;
        let kind = if self.word("column") {
            CommentKind::Column
        } else if self.words(&["cluster", "replica"]) {
            CommentKind::ClusterReplica
        } else if self.word("role") {
            CommentKind::Role
        } else if self.word("constraint") {
            CommentKind::Constraint
        } else {
            let other = self.peek_word_at(0).map(str::to_uppercase).unwrap_or_default();
            let refused = [
                "ACCESS",
                "AGGREGATE",
                "CAST",
                "COLLATION",
                "CONVERSION",
                "EVENT",
                "EXTENSION",
                "FOREIGN",
                "FUNCTION",
                "LANGUAGE",
                "LARGE",
                "NETWORK",
                "OPERATOR",
                "POLICY",
                "PROCEDURE",
                "PUBLICATION",
                "ROUTINE",
                "RULE",
                "SERVER",
                "SINK",
                "STATISTICS",
                "SUBSCRIPTION",
                "TABLESPACE",
                "TEXT",
                "TRANSFORM",
                "TRIGGER",
            ];
            if refused.contains(&other.as_str()) {
                return self.unsupported(format_args!("COMMENT ON {other}"));
            }
            CommentKind::Object(self.object_kind()?)
        };
        let name = self.object_name()?;
        let table = match kind {
            CommentKind::Constraint => {
                self.expect_word("on")?;
                if self.word("domain") {
                    return self.unsupported("COMMENT ON CONSTRAINT .. ON DOMAIN");
                }
                Some(self.object_name()?)
            }
            _ => None,
        };
        self.expect_word("is")?;
        let text = match self.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => Some(text),
            Token::DollarQuotedString(text) => Some(text.value),
            _ if self.peek_word("null") => None,
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        // As in PostgreSQL the empty comment is none.
        let text = text.filter(|text| !text.is_empty());
        Ok(Statement::Comment(Comment { kind, name, table, text }))
    }
}
