//! SHOW, SET, RESET and EXPLAIN.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    Explain, ExplainStage, Explainee, ObjectKind, SetScope, SetTransaction, SetValue, SetVariable,
    Show, ShowFilter, ShowKind, Statement,
};

impl StatementParser<'_> {
    pub(super) fn show(&mut self) -> Result<Statement, Failure> {
        self.expect_word("show")?;
        if self.word("create") {
            let kind = self.object_kind()?;
            return Ok(Statement::Show(Show::Create(kind, self.object_name()?)));
        }
        if self.word("all") {
            return Ok(Statement::Show(Show::All));
        }
        let Some(kind) = self.show_kind() else {
            return Ok(Statement::Show(Show::Variable(self.setting_name()?)));
        };
        let from = if self.word("from") || (!self.peek_words(&["in", "cluster"]) && self.word("in"))
        {
            Some(self.object_name()?)
        } else {
            None
        };
        let on = if self.word("on") { Some(self.object_name()?) } else { None };
        let cluster = self.in_cluster()?;
        let filter = if self.word("like") {
            let Token::SingleQuotedString(pattern) = self.parser.peek_token_ref().token.clone()
            else {
                return Err(self.unexpected());
            };
            self.parser.advance_token();
            Some(ShowFilter::Like(pattern))
        } else if self.word("where") {
            Some(ShowFilter::Where(self.parser.parse_expr()?))
        } else {
            None
        };
        if kind == ShowKind::Columns && from.is_none() {
            return Err(self.unexpected());
        }
        Ok(Statement::Show(Show::Objects { kind, from, on, cluster, filter }))
    }

    fn show_kind(&mut self) -> Option<ShowKind> {
        if self.words(&["materialized", "views"]) {
            return Some(ShowKind::MaterializedViews);
        }
        if self.words(&["cluster", "replicas"]) {
            return Some(ShowKind::ClusterReplicas);
        }
        let kinds = [
            ("sinks", ShowKind::Sinks),
            ("types", ShowKind::Types),
            ("sources", ShowKind::Sources),
            ("subsources", ShowKind::Subsources),
            ("tables", ShowKind::Tables),
            ("views", ShowKind::Views),
            ("indexes", ShowKind::Indexes),
            ("indices", ShowKind::Indexes),
            ("keys", ShowKind::Indexes),
            ("connections", ShowKind::Connections),
            ("secrets", ShowKind::Secrets),
            ("databases", ShowKind::Databases),
            ("schemas", ShowKind::Schemas),
            ("objects", ShowKind::Objects),
            ("clusters", ShowKind::Clusters),
            ("columns", ShowKind::Columns),
        ];
        kinds.into_iter().find(|(word, _)| self.word(word)).map(|(_, kind)| kind)
    }

    /// The name of a setting, also in its spelled-out forms.
    pub(super) fn setting_name(&mut self) -> Result<Ident, Failure> {
        if self.words(&["time", "zone"]) {
            return Ok(Ident::new("timezone"));
        }
        if self.words(&["transaction", "isolation", "level"]) {
            return Ok(Ident::new("transaction_isolation"));
        }
        if self.words(&["session", "authorization"]) {
            return Ok(Ident::new("session_authorization"));
        }
        let name = self.object_name()?;
        let parts: Vec<String> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| ident.value.to_ascii_lowercase())
            .collect();
        Ok(Ident::new(parts.join(".")))
    }

    pub(super) fn set(&mut self) -> Result<Statement, Failure> {
        self.expect_word("set")?;
        if self.words(&["session", "characteristics", "as", "transaction"]) {
            return self.set_transaction(true);
        }
        if self.word("transaction") {
            return self.set_transaction(false);
        }
        let scope = if self.word("local") {
            SetScope::Local
        } else {
            if self.words(&["session", "authorization"]) {
                let name = Ident::new("session_authorization");
                let values = self.set_values()?;
                return Ok(Statement::Set(SetVariable { scope: SetScope::Session, name, values }));
            }
            let _ = self.word("session");
            SetScope::Session
        };
        let assigns = matches!(self.parser.peek_nth_token_ref(1).token, Token::Eq)
            || self.peek_word_at(1) == Some("to");
        if self.peek_word("constraints") && !assigns {
            return self.unsupported("SET CONSTRAINTS");
        }
        if !assigns && self.words(&["role"]) {
            let values = self.set_values()?;
            return Ok(Statement::Set(SetVariable { scope, name: Ident::new("role"), values }));
        }
        if scope == SetScope::Local && self.words(&["session", "authorization"]) {
            let name = Ident::new("session_authorization");
            let values = self.set_values()?;
            return Ok(Statement::Set(SetVariable { scope, name, values }));
        }
        let spelled_out = [
            (&["time", "zone"][..], "timezone"),
            (&["names"][..], "client_encoding"),
            (&["schema"][..], "search_path"),
        ];
        for (words, setting) in spelled_out {
            let next = self.parser.peek_nth_token_ref(words.len());
            let value_follows =
                !matches!(next.token, Token::Eq) && self.peek_word_at(words.len()) != Some("to");
            if value_follows && self.words(words) {
                let name = Ident::new(setting);
                let values = if self.word("local") { None } else { self.set_values()? };
                return Ok(Statement::Set(SetVariable { scope, name, values }));
            }
        }
        let name = self.setting_name()?;
        if !self.token(&Token::Eq) {
            self.expect_word("to")?;
        }
        let values = self.set_values()?;
        Ok(Statement::Set(SetVariable { scope, name, values }))
    }

    pub(super) fn set_values(&mut self) -> Result<Option<Vec<SetValue>>, Failure> {
        if self.word("default") {
            return Ok(None);
        }
        self.comma_separated(Self::set_value).map(Some)
    }

    fn set_value(&mut self) -> Result<SetValue, Failure> {
        let sign = if self.token(&Token::Minus) {
            "-"
        } else {
            let _ = self.token(&Token::Plus);
            ""
        };
        let token = self.parser.peek_token_ref().token.clone();
        let value = match token {
            Token::Number(number, _) => SetValue::Number(format!("{sign}{number}")),
            _ if !sign.is_empty() => return Err(self.unexpected()),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                SetValue::Text(text)
            }
            Token::Word(word) if word.quote_style.is_some() => SetValue::Text(word.value),
            Token::Word(word) => SetValue::Word(word.value),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(value)
    }

    fn set_transaction(&mut self, session: bool) -> Result<Statement, Failure> {
        let modes = self.parser.parse_transaction_modes()?;
        if modes.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Statement::SetTransaction(SetTransaction { session, modes }))
    }

    pub(super) fn reset(&mut self) -> Result<Statement, Failure> {
        self.expect_word("reset")?;
        if self.word("all") {
            return Ok(Statement::Reset(None));
        }
        Ok(Statement::Reset(Some(self.setting_name()?)))
    }

    pub(super) fn explain(&mut self) -> Result<Statement, Failure> {
        self.expect_word("explain")?;
        let mut options = Vec::new();
        let mut as_json = false;
        let mut stage = self.explain_stage();
        if stage.is_none() && self.word("plan") {
            stage = Some(ExplainStage::Physical);
        }
        if stage.is_some() {
            options = self.with_options()?;
            if self.word("as") {
                as_json = self.word("json");
                if !as_json && !self.word("text") {
                    let format = self.identifier()?.value.to_uppercase();
                    return self.unsupported(format_args!("EXPLAIN .. AS {format}"));
                }
            }
            let _ = self.word("for");
        } else if self.peek_token(&Token::LParen) && !self.explains_query_in_parentheses() {
            options = self.option_list()?;
        } else {
            for name in ["analyze", "verbose"] {
                if self.word(name) {
                    options.push(Self::bare_option(&name.to_uppercase()));
                }
            }
        }
        let explainee = self.explainee()?;
        Ok(Statement::Explain(Explain { stage, as_json, options, explainee }))
    }

    fn explains_query_in_parentheses(&self) -> bool {
        let inner = &self.parser.peek_nth_token_ref(1).token;
        *inner == Token::LParen
            || ["select", "with", "values", "table"]
                .iter()
                .any(|word| self.peek_word_at(1) == Some(word))
    }

    fn explain_stage(&mut self) -> Option<ExplainStage> {
        let stages = [
            ("raw", ExplainStage::Raw),
            ("decorrelated", ExplainStage::Decorrelated),
            ("optimized", ExplainStage::Optimized),
            ("physical", ExplainStage::Physical),
        ];
        stages.into_iter().find(|(word, _)| self.words(&[word, "plan"])).map(|(_, stage)| stage)
    }

    fn explainee(&mut self) -> Result<Explainee, Failure> {
        let object = if self.word("view") {
            Some(ObjectKind::View)
        } else if self.words(&["materialized", "view"]) {
            Some(ObjectKind::MaterializedView)
        } else if self.word("index") {
            Some(ObjectKind::Index)
        } else {
            None
        };
        if let Some(kind) = object {
            return Ok(Explainee::Object(kind, self.object_name()?));
        }
        if self.peek_word("explain") {
            return Err(self.unexpected());
        }
        Ok(Explainee::Statement(Box::new(self.statement()?)))
    }
}
