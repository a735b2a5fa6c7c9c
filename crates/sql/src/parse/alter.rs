//! The actions of ALTER TABLE and RENAME COLUMN.

use sqlparser::ast::{AlterTableOperation, ColumnDef, DataType};
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{AlterAction, ObjectKind};

/// The words with which an action begins that sqlparser reads.
const ACTIONS: &[&str] = &["add", "alter", "drop", "rename"];

impl StatementParser<'_> {
    /// `action [, ..]` of ALTER TABLE, `RENAME [COLUMN] a TO b` of others; None if it is
    /// something else.
    pub(super) fn relation_action(
        &mut self,
        kind: ObjectKind,
    ) -> Result<Option<AlterAction>, Failure> {
        let relation =
            matches!(kind, ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView);
        if !relation || !ACTIONS.iter().any(|word| self.peek_word(word)) {
            return Ok(None);
        }
        if self.word("rename") {
            return self.rename_part().map(Some);
        }
        let actions = self.comma_separated(Self::table_action)?;
        if kind == ObjectKind::Table && self.word("with") {
            let with = self.option_list()?;
            return Ok(Some(AlterAction::Followed { actions, with }));
        }
        Ok(Some(AlterAction::Relation(actions)))
    }

    /// What follows `RENAME`, where it is a part that gets another name.
    fn rename_part(&mut self) -> Result<AlterAction, Failure> {
        let constraint = self.word("constraint");
        if !constraint {
            self.word("column");
        }
        let old_name = self.identifier()?;
        self.expect_word("to")?;
        let new_name = self.identifier()?;
        Ok(AlterAction::Relation(vec![if constraint {
            AlterTableOperation::RenameConstraint { old_name, new_name }
        } else {
            AlterTableOperation::RenameColumn {
                old_column_name: old_name,
                new_column_name: new_name,
            }
        }]))
    }

    fn table_action(&mut self) -> Result<AlterTableOperation, Failure> {
        if !ACTIONS.iter().any(|word| self.peek_word(word)) || self.peek_word("rename") {
            return Err(self.unexpected());
        }
        if let Some((column, words)) = self.other_column_action() {
            return self.unsupported(format_args!("ALTER COLUMN {column} {words}"));
        }
        if let Some(action) = self.column_of_upstream()? {
            return Ok(action);
        }
        Ok(self.parser.parse_alter_table_operation()?)
    }

    /// `ADD [COLUMN] [IF NOT EXISTS] c` without a type: the upstream's column has one.
    fn column_of_upstream(&mut self) -> Result<Option<AlterTableOperation>, Failure> {
        let mut at = 1;
        let column_keyword = self.peek_word("add") && self.peek_word_at(at) == Some("column");
        at += usize::from(column_keyword);
        let if_not_exists = ["if", "not", "exists"]
            .iter()
            .enumerate()
            .all(|(n, word)| self.peek_word_at(at + n) == Some(word));
        at += if if_not_exists { 3 } else { 0 };
        let is_name = matches!(&self.parser.peek_nth_token_ref(at).token, Token::Word(_));
        let next = &self.parser.peek_nth_token_ref(at + 1).token;
        let ends = matches!(next, Token::EOF | Token::Comma | Token::SemiColon)
            || self.peek_word_at(at + 1) == Some("with");
        if !self.peek_word("add") || !is_name || !ends {
            return Ok(None);
        }
        for _ in 0..at {
            self.parser.advance_token();
        }
        let name = self.identifier()?;
        Ok(Some(AlterTableOperation::AddColumn {
            column_keyword,
            if_not_exists,
            column_def: ColumnDef { name, data_type: DataType::Unspecified, options: Vec::new() },
            column_position: None,
        }))
    }

    /// `ALTER [COLUMN] c {DROP IDENTITY | DROP EXPRESSION | SET STATISTICS ..}`
    fn other_column_action(&self) -> Option<(String, String)> {
        if !self.peek_word("alter") {
            return None;
        }
        let at = if self.peek_word_at(1) == Some("column") { 2 } else { 1 };
        let Token::Word(column) = &self.parser.peek_nth_token_ref(at).token else { return None };
        let (verb, what) = (self.peek_word_at(at + 1)?, self.peek_word_at(at + 2)?);
        let known = match verb {
            "drop" => matches!(what, "identity" | "expression"),
            "set" => {
                matches!(what, "statistics" | "storage" | "compression" | "generated" | "cache")
            }
            _ => false,
        };
        let words = format!("{verb} {what}").to_uppercase();
        known.then(|| (column.value.clone(), words))
    }
}
