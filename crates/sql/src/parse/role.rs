//! Statements about roles, privileges, network policies and settings of the server.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;
use tidemill_catalog::role::{Privilege, SecurableKind};

use super::StatementParser;
use super::failure::Failure;
use crate::ast::role::{
    AlterDefaultPrivileges, DefaultRoles, GrantTarget, MemberOption, PolicyRule, RoleName,
    RoleOption, RoleStatement, ShowSecurity,
};
use crate::ast::{SetValue, ShowFilter, Statement};

/// How far the words `OWNER TO` may be from the beginning.
const OWNER_WITHIN: usize = 16;

impl StatementParser<'_> {
    /// A statement about roles and what they may do, if that is what comes.
    pub(super) fn role_statement(&mut self) -> Result<Option<Statement>, Failure> {
        let role = |parser: &Self| matches!(parser.peek_word_at(1), Some("role" | "user"));
        let statement = match self.peek_word_at(0) {
            Some("create") if role(self) => self.create_role()?,
            Some("alter") if role(self) => self.alter_role()?,
            Some("drop") if role(self) => {
                self.take(2);
                let if_exists = self.words(&["if", "exists"]);
                RoleStatement::Drop(if_exists, self.comma_separated(Self::identifier)?)
            }
            Some("grant") => self.grant_or_revoke(true)?,
            Some("revoke") => self.grant_or_revoke(false)?,
            Some("alter") if self.peek_words(&["alter", "default", "privileges"]) => {
                self.take(3);
                self.default_privileges()?
            }
            Some("alter") if self.peek_words(&["alter", "system"]) => {
                self.take(2);
                let (name, values) = self.setting_change()?;
                RoleStatement::System(name, values)
            }
            Some("reassign") => {
                self.expect_words(&["reassign", "owned", "by"])?;
                let old = self.comma_separated(Self::role_name)?;
                self.expect_word("to")?;
                RoleStatement::Reassign(old, self.role_name()?)
            }
            Some("drop") if self.peek_words(&["drop", "owned"]) => {
                self.expect_words(&["drop", "owned", "by"])?;
                let roles = self.comma_separated(Self::role_name)?;
                let cascade = self.word("cascade");
                let _ = !cascade && self.word("restrict");
                RoleStatement::DropOwned(roles, cascade)
            }
            Some("create" | "alter" | "drop") if self.peek_word_at(1) == Some("network") => {
                self.network_policy()?
            }
            Some("alter") if self.changes_owner() => self.owner()?,
            Some("show") => match self.show_security()? {
                Some(statement) => statement,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(Statement::Role(Box::new(statement))))
    }

    fn take(&mut self, words: usize) {
        (0..words).for_each(|_| self.parser.advance_token());
    }

    fn changes_owner(&self) -> bool {
        (2..OWNER_WITHIN).any(|n| {
            self.peek_word_at(n) == Some("owner") && self.peek_word_at(n + 1) == Some("to")
        })
    }

    fn owner(&mut self) -> Result<RoleStatement, Failure> {
        self.expect_word("alter")?;
        let kind = self.object_kind()?;
        let if_exists = self.words(&["if", "exists"]);
        let name = self.object_name()?;
        self.expect_words(&["owner", "to"])?;
        Ok(RoleStatement::Owner(kind, if_exists, name, self.role_name()?))
    }

    pub(super) fn role_name(&mut self) -> Result<RoleName, Failure> {
        let _ = self.peek_word("group")
            && !matches!(self.parser.peek_nth_token_ref(1).token, Token::Comma | Token::EOF)
            && self.word("group");
        for (word, name) in [
            ("public", RoleName::Public),
            ("current_user", RoleName::CurrentUser),
            ("current_role", RoleName::CurrentUser),
            ("session_user", RoleName::SessionUser),
        ] {
            if self.word(word) {
                return Ok(name);
            }
        }
        Ok(RoleName::Named(self.identifier()?.value))
    }

    fn role_names(&mut self) -> Result<Vec<RoleName>, Failure> {
        self.comma_separated(Self::role_name)
    }

    fn create_role(&mut self) -> Result<RoleStatement, Failure> {
        let user = self.peek_word_at(1) == Some("user");
        self.take(2);
        let name = self.identifier()?;
        let mut options = self.role_options()?;
        // A user is a role that may log in.
        if user && !options.iter().any(|option| matches!(option, RoleOption::Login(_))) {
            options.push(RoleOption::Login(true));
        }
        Ok(RoleStatement::Create(name, options))
    }

    fn alter_role(&mut self) -> Result<RoleStatement, Failure> {
        self.take(2);
        let name = self.role_name()?;
        if self.peek_words(&["in", "database"]) {
            return self.unsupported("ALTER ROLE .. IN DATABASE");
        }
        if self.peek_words(&["rename", "to"]) {
            return self.unsupported("ALTER ROLE .. RENAME TO");
        }
        if self.peek_word("set") || self.peek_word("reset") {
            let (setting, values) = self.setting_change()?;
            return Ok(RoleStatement::AlterSetting(name, setting, values));
        }
        Ok(RoleStatement::Alter(name, self.role_options()?))
    }

    /// `SET name {TO | =} values`, `RESET name`, `RESET ALL`
    fn setting_change(&mut self) -> Result<(Option<Ident>, Option<Vec<SetValue>>), Failure> {
        if self.word("reset") {
            let all = self.word("all");
            return Ok((if all { None } else { Some(self.setting_name()?) }, None));
        }
        self.expect_word("set")?;
        let name = self.setting_name()?;
        if !self.token(&Token::Eq) {
            self.expect_word("to")?;
        }
        Ok((Some(name), self.set_values()?))
    }

    fn role_options(&mut self) -> Result<Vec<RoleOption>, Failure> {
        let _ = self.word("with");
        let mut options = Vec::new();
        while !self.at_end() {
            options.push(self.role_option()?);
        }
        Ok(options)
    }

    fn role_option(&mut self) -> Result<RoleOption, Failure> {
        let _ = self.word("encrypted");
        if self.word("password") {
            if self.word("null") {
                return Ok(RoleOption::Password(None));
            }
            return Ok(RoleOption::Password(Some(self.text()?)));
        }
        if self.words(&["in", "role"]) || self.words(&["in", "group"]) {
            return Ok(RoleOption::InRole(self.role_names()?));
        }
        if self.word("role") || self.word("user") {
            return Ok(RoleOption::Role(self.role_names()?));
        }
        let Some(word) = self.peek_word_at(0).map(str::to_owned) else {
            return Err(self.unexpected());
        };
        let (set, plain) = match word.strip_prefix("no") {
            Some(plain) => (false, plain),
            None => (true, word.as_str()),
        };
        let option = match plain {
            "superuser" => RoleOption::Superuser(set),
            "inherit" => RoleOption::Inherit(set),
            "login" => RoleOption::Login(set),
            "createrole" => RoleOption::System(Privilege::CreateRole, set),
            "createdb" => RoleOption::System(Privilege::CreateDb, set),
            "createcluster" => RoleOption::System(Privilege::CreateCluster, set),
            "createnetworkpolicy" => RoleOption::System(Privilege::CreateNetworkPolicy, set),
            "replication" | "bypassrls" | "connection" | "valid" | "admin" | "sysid" => {
                let words = word.to_uppercase();
                while !self.at_end() {
                    self.parser.advance_token();
                }
                return Ok(RoleOption::Other(words));
            }
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(option)
    }

    fn text(&mut self) -> Result<String, Failure> {
        let text = match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// The privileges of GRANT and REVOKE, if that is what comes; no list: all.
    fn privileges(&mut self) -> Result<Option<Vec<Privilege>>, Failure> {
        if self.word("all") {
            let _ = self.word("privileges");
            return Ok(Some(Vec::new()));
        }
        let known = |word: Option<&str>| word.and_then(Privilege::of_word);
        // `GRANT select TO r` grants a role of that name.
        let mut at = 0;
        loop {
            if known(self.peek_word_at(at)).is_none() {
                let word = self.peek_word_at(at);
                if matches!(
                    word,
                    Some("truncate" | "references" | "trigger" | "connect" | "temporary" | "temp")
                ) {
                    let word = word.map(str::to_uppercase).unwrap_or_default();
                    return self.unsupported(format_args!("the privilege {word}"));
                }
                return Ok(None);
            }
            match &self.parser.peek_nth_token_ref(at + 1).token {
                Token::Comma => at += 2,
                Token::LParen => return self.unsupported("privileges on columns"),
                _ if self.peek_word_at(at + 1) == Some("on") => break,
                _ => return Ok(None),
            }
        }
        self.comma_separated(|parser| {
            let privilege = known(parser.peek_word_at(0)).ok_or_else(|| parser.unexpected())?;
            parser.parser.advance_token();
            Ok(privilege)
        })
        .map(Some)
    }

    fn grant_or_revoke(&mut self, grant: bool) -> Result<RoleStatement, Failure> {
        self.parser.advance_token();
        if !grant && self.peek_words(&["grant", "option", "for"]) {
            return self.unsupported("REVOKE GRANT OPTION FOR");
        }
        let mut options = Vec::new();
        if !grant && self.peek_word_at(1) == Some("option") && self.peek_word_at(2) == Some("for") {
            options.push((self.member_option()?, false));
            self.take(2);
        }
        let to = if grant { "to" } else { "from" };
        let statement = match self.privileges()? {
            None => {
                let roles = self.comma_separated(Self::identifier)?;
                self.expect_word(to)?;
                let members = self.role_names()?;
                if grant && self.word("with") {
                    options = self.comma_separated(Self::member_option_value)?;
                }
                RoleStatement::Member(grant, roles, members, options)
            }
            Some(privileges) => {
                self.expect_word("on")?;
                let target = self.grant_target()?;
                self.expect_word(to)?;
                RoleStatement::Grant(grant, privileges, target, self.role_names()?)
            }
        };
        if self.peek_words(&["with", "grant"]) {
            return self.unsupported("WITH GRANT OPTION");
        }
        // Nobody grants what was granted to him: nothing can depend on it.
        let _ = !grant && (self.word("restrict") || self.word("cascade"));
        Ok(statement)
    }

    fn member_option(&mut self) -> Result<MemberOption, Failure> {
        let option = match self.peek_word_at(0) {
            Some("admin") => MemberOption::Admin,
            Some("inherit") => MemberOption::Inherit,
            Some("set") => MemberOption::Set,
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(option)
    }

    fn member_option_value(&mut self) -> Result<(MemberOption, bool), Failure> {
        let option = self.member_option()?;
        if self.word("option") || self.word("true") {
            return Ok((option, true));
        }
        self.expect_word("false")?;
        Ok((option, false))
    }

    fn securable_kind(&mut self, plural: bool) -> Option<SecurableKind> {
        let kinds = [
            ("table", "tables", SecurableKind::Table),
            ("view", "views", SecurableKind::Table),
            ("source", "sources", SecurableKind::Table),
            ("sequence", "sequences", SecurableKind::Table),
            ("type", "types", SecurableKind::Type),
            ("secret", "secrets", SecurableKind::Secret),
            ("connection", "connections", SecurableKind::Connection),
            ("database", "databases", SecurableKind::Database),
            ("schema", "schemas", SecurableKind::Schema),
            ("cluster", "clusters", SecurableKind::Cluster),
            ("function", "functions", SecurableKind::Function),
            ("routine", "routines", SecurableKind::Function),
        ];
        if self.words(if plural { &["materialized", "views"] } else { &["materialized", "view"] }) {
            return Some(SecurableKind::Table);
        }
        let named = |one: &'static str, many: &'static str| if plural { many } else { one };
        let found = kinds.into_iter().find(|(one, many, _)| self.peek_word(named(one, many)))?;
        let next = &self.parser.peek_nth_token_ref(1).token;
        // `GRANT SELECT ON source TO r` is about a table of that name.
        if !plural
            && (matches!(next, Token::Comma | Token::Period) || self.peek_word_at(1) == Some("to"))
        {
            return None;
        }
        self.parser.advance_token();
        Some(found.2)
    }

    fn grant_target(&mut self) -> Result<GrantTarget, Failure> {
        if self.word("system") {
            return Ok(GrantTarget::System);
        }
        if self.peek_word("all") {
            self.parser.advance_token();
            let kind = self.securable_kind(true).ok_or_else(|| self.unexpected())?;
            if self.words(&["in", "schema"]) {
                return Ok(GrantTarget::InSchemas(kind, self.comma_separated(Self::object_name)?));
            }
            if self.words(&["in", "database"]) {
                let names = self.comma_separated(Self::object_name)?;
                return Ok(GrantTarget::InDatabases(kind, names));
            }
            return Ok(GrantTarget::All(kind));
        }
        let kind = self.securable_kind(false).unwrap_or(SecurableKind::Table);
        if kind == SecurableKind::Function {
            return Ok(GrantTarget::Functions(self.comma_separated(Self::function_name)?));
        }
        Ok(GrantTarget::Names(kind, self.comma_separated(Self::object_name)?))
    }

    fn default_privileges(&mut self) -> Result<RoleStatement, Failure> {
        let roles = if self.words(&["for", "all", "roles"]) {
            DefaultRoles::All
        } else if self.words(&["for", "role"]) || self.words(&["for", "user"]) {
            DefaultRoles::Roles(self.role_names()?)
        } else {
            DefaultRoles::Current
        };
        let (mut schemas, mut databases) = (Vec::new(), Vec::new());
        if self.words(&["in", "schema"]) {
            schemas = self.comma_separated(Self::object_name)?;
        } else if self.words(&["in", "database"]) {
            databases = self.comma_separated(Self::object_name)?;
        }
        let grant = if self.word("grant") {
            true
        } else {
            self.expect_word("revoke")?;
            false
        };
        let privileges = self.privileges()?.ok_or_else(|| self.unexpected())?;
        self.expect_word("on")?;
        let kind = self.securable_kind(true).ok_or_else(|| self.unexpected())?;
        self.expect_word(if grant { "to" } else { "from" })?;
        let grantees = self.role_names()?;
        Ok(RoleStatement::DefaultPrivileges(AlterDefaultPrivileges {
            roles,
            schemas,
            databases,
            grant,
            privileges,
            kind,
            grantees,
        }))
    }

    fn network_policy(&mut self) -> Result<RoleStatement, Failure> {
        let drop = self.peek_word("drop");
        let create = self.peek_word("create");
        self.parser.advance_token();
        self.expect_words(&["network", "policy"])?;
        if drop {
            let if_exists = self.words(&["if", "exists"]);
            return Ok(RoleStatement::DropPolicy(
                if_exists,
                self.comma_separated(Self::identifier)?,
            ));
        }
        let name = self.identifier()?;
        if !create {
            self.expect_word("set")?;
        }
        let rules = self.parenthesized(|parser| {
            parser.expect_word("rules")?;
            let _ = parser.token(&Token::Eq);
            parser.parenthesized(|parser| {
                if parser.peek_token(&Token::RParen) {
                    return Ok(Vec::new());
                }
                parser.comma_separated(Self::policy_rule)
            })
        })?;
        Ok(RoleStatement::Policy(create, name, rules))
    }

    fn policy_rule(&mut self) -> Result<PolicyRule, Failure> {
        let name = self.identifier()?;
        let names = ["action", "direction", "address"];
        let mut values = [const { None }; 3];
        self.parenthesized(|parser| {
            parser.comma_separated(|parser| {
                let at = names.iter().position(|name| parser.peek_word(name));
                let at = at.ok_or_else(|| parser.unexpected())?;
                parser.parser.advance_token();
                let _ = parser.token(&Token::Eq);
                if let Some(value) = values.get_mut(at) {
                    *value = Some(parser.text()?);
                }
                Ok(())
            })
        })?;
        match values {
            [Some(action), Some(direction), Some(address)] => {
                Ok((name, [action, direction, address]))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn show_security(&mut self) -> Result<Option<RoleStatement>, Failure> {
        let kinds: [(&[&str], ShowSecurity); 5] = [
            (&["show", "roles"], ShowSecurity::Roles),
            (&["show", "privileges"], ShowSecurity::Privileges(None, None)),
            (&["show", "default", "privileges"], ShowSecurity::DefaultPrivileges),
            (&["show", "role", "membership"], ShowSecurity::Membership),
            (&["show", "network", "policies"], ShowSecurity::NetworkPolicies),
        ];
        let Some((_, mut show)) = kinds.into_iter().find(|(words, _)| self.words(words)) else {
            return Ok(None);
        };
        if matches!(show, ShowSecurity::Privileges(..)) && self.word("on") {
            show = if self.word("system") {
                ShowSecurity::Privileges(Some(SecurableKind::System), None)
            } else {
                let kind = self.securable_kind(false).unwrap_or(SecurableKind::Table);
                let bare = self.at_end() || self.peek_word("for");
                let name = if bare { None } else { Some(self.object_name()?) };
                ShowSecurity::Privileges(Some(kind), name)
            };
        }
        let role = if self.word("for") {
            let _ = self.peek_word("role")
                && matches!(self.parser.peek_nth_token_ref(1).token, Token::Word(_))
                && self.word("role");
            Some(self.role_name()?)
        } else {
            None
        };
        let filter = if self.word("like") {
            Some(ShowFilter::Like(self.text()?))
        } else if self.word("where") {
            Some(ShowFilter::Where(self.parser.parse_expr()?))
        } else {
            None
        };
        Ok(Some(RoleStatement::Show(show, role, filter)))
    }
}
