//! What PostgreSQL's grammar has and sqlparser's has not, as far as it can be said with other
//! tokens: they are put in place before sqlparser reads the statement. Names that only mark
//! something are those of [`crate::parse_marks`].

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::parse_marks::{
    ALL_FIELDS, DISTINCT_SETS, EMPTY_SET, GROUPING_SETS, NO_ALIAS, ROWS_FROM, USING_ALIAS,
};

/// Says what sqlparser does not know with tokens that it knows.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut work = Rewrite { rest: tokens, at: 0, out: Vec::new() };
    work.out.reserve(work.rest.len());
    while work.at < work.rest.len() {
        work.step();
    }
    work.out
}

struct Rewrite {
    rest: Vec<TokenWithSpan>,
    at: usize,
    out: Vec<TokenWithSpan>,
}

fn is_word(token: Option<&TokenWithSpan>, expected: &str) -> bool {
    matches!(token.map(|token| &token.token),
        Some(Token::Word(word)) if word.quote_style.is_none() && word.value == expected)
}

fn any_word(token: Option<&TokenWithSpan>) -> Option<&str> {
    match token.map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

fn mark(name: &str) -> Token {
    Token::Word(Word {
        value: name.to_owned(),
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    })
}

fn keyword(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
}

/// The words that may begin a query in parentheses.
const QUERY: &[&str] = &["select", "values", "with", "table", "insert", "update", "delete"];

impl Rewrite {
    fn ahead(&self, n: usize) -> Option<&TokenWithSpan> {
        self.rest.get(self.at + n)
    }

    fn words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| is_word(self.ahead(n), word))
    }

    fn is(&self, n: usize, token: &Token) -> bool {
        self.ahead(n).is_some_and(|found| found.token == *token)
    }

    /// The token so many places back in the result.
    fn back(&self, n: usize) -> Option<&TokenWithSpan> {
        self.out.len().checked_sub(n).and_then(|at| self.out.get(at))
    }

    fn take(&mut self) {
        if let Some(token) = self.rest.get(self.at) {
            self.out.push(token.clone());
            self.at += 1;
        }
    }

    /// Puts a token in place of so many.
    fn put(&mut self, token: Token, instead_of: usize) {
        if let Some(first) = self.ahead(0) {
            let span = first.span;
            self.out.push(TokenWithSpan { token, span });
        }
        self.at += instead_of;
    }

    fn step(&mut self) {
        match self.ahead(0).map(|token| &token.token) {
            // `(x).*`; `t.*` is known to sqlparser.
            Some(Token::Period)
                if self.is(1, &Token::Mul)
                    && matches!(
                        self.back(1).map(|token| &token.token),
                        Some(Token::RParen | Token::RBracket)
                    ) =>
            {
                self.take();
                self.put(mark(ALL_FIELDS), 1);
            }
            Some(Token::LParen) if self.is(1, &Token::RParen) && self.in_a_list() => {
                self.put(mark(EMPTY_SET), 2);
            }
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                let word = word.value.clone();
                self.word(&word);
            }
            _ => self.take(),
        }
    }

    fn word(&mut self, word: &str) {
        match word {
            "grouping" if self.words(&["grouping", "sets"]) && self.is(2, &Token::LParen) => {
                self.put(mark(GROUPING_SETS), 2);
            }
            "group" if self.words(&["group", "by"]) => self.group_by(),
            "between" if self.words(&["between", "symmetric"]) => {
                self.take();
                self.put(Token::DoubleExclamationMark, 1);
            }
            "between" if self.words(&["between", "asymmetric"]) => {
                self.take();
                self.at += 1;
            }
            "rows" if self.words(&["rows", "from"]) && self.is(2, &Token::LParen) => {
                let item = matches!(self.back(1).map(|token| &token.token), Some(Token::Comma))
                    || ["from", "join", "lateral"].iter().any(|w| is_word(self.back(1), w));
                if item { self.put(mark(ROWS_FROM), 2) } else { self.take() }
            }
            "using" if self.is(1, &Token::LParen) => self.using(),
            "as" if self.is(1, &Token::LParen) => self.alias(),
            "substring" if self.is(1, &Token::LParen) => self.substring(),
            "for" if self.words(&["for", "no", "key", "update"]) => {
                self.take();
                self.at += 2;
            }
            "for" if self.words(&["for", "key", "share"]) => {
                self.take();
                self.at += 1;
            }
            "in" if self.is(1, &Token::LParen) && self.is(2, &Token::LParen) => self.in_list(),
            // Not PostgreSQL's, but macros of dbt-materialize write it.
            "current_user" | "session_user" | "current_role"
                if self.is(1, &Token::LParen) && self.is(2, &Token::RParen) =>
            {
                self.take();
                self.at += 2;
            }
            "operator" if self.is(1, &Token::LParen) => self.operator(),
            "trim" if self.is(1, &Token::LParen) => self.trim(),
            "fetch"
                if (self.words(&["fetch", "first"]) || self.words(&["fetch", "next"]))
                    && self.is(2, &Token::LParen) =>
            {
                self.fetch();
            }
            "isnull" if !self.is(1, &Token::LParen) && self.after_value() => {
                self.put(keyword("is", Keyword::IS), 0);
                self.put(keyword("null", Keyword::NULL), 1);
            }
            _ => self.take(),
        }
    }

    /// `TRIM(LEADING FROM x)` is `TRIM(LEADING x)`.
    fn trim(&mut self) {
        self.take();
        self.take();
        if ["both", "leading", "trailing"].iter().any(|place| self.words(&[place, "from"])) {
            self.take();
            self.at += 1;
        } else if is_word(self.ahead(0), "from") {
            self.at += 1;
        }
    }

    /// `FETCH FIRST (n) ROWS ONLY` is `LIMIT (n)`.
    fn fetch(&mut self) {
        let mut depth = 0usize;
        let mut end = 2;
        while let Some(token) = self.ahead(end) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            end += 1;
            if depth == 0 {
                break;
            }
        }
        let rows = ["row", "rows"].iter().any(|word| is_word(self.ahead(end), word));
        if !rows || !is_word(self.ahead(end + 1), "only") {
            return self.take();
        }
        self.put(keyword("limit", Keyword::LIMIT), 2);
        // What is inside is rewritten on its way.
        let after = self.at + end - 2;
        self.rest.drain(after..(after + 2).min(self.rest.len()));
    }

    /// Whether what comes before is a value, not `AS` or a part of a name.
    fn after_value(&self) -> bool {
        match self.back(1).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                word.quote_style.is_some()
                    || !matches!(word.keyword, Keyword::AS | Keyword::SELECT | Keyword::BY)
            }
            Some(Token::Period | Token::Comma | Token::LParen) | None => false,
            Some(_) => true,
        }
    }

    /// Whether the next item is one of a list, not the arguments of a call.
    fn in_a_list(&self) -> bool {
        match self.back(1).map(|token| &token.token) {
            Some(Token::Comma | Token::LParen) => true,
            _ => {
                is_word(self.back(1), "by")
                    || (is_word(self.back(2), "by")
                        && ["all", "distinct"].iter().any(|word| is_word(self.back(1), word)))
            }
        }
    }

    fn group_by(&mut self) {
        self.take();
        self.take();
        if is_word(self.ahead(0), "all") && self.ahead(1).is_some() {
            self.at += 1;
        } else if is_word(self.ahead(0), "distinct") && self.ahead(1).is_some() {
            self.put(mark(DISTINCT_SETS), 0);
            self.put(Token::Comma, 1);
        }
    }

    /// `USING (a, b) AS name`: the name becomes the last of the columns.
    fn using(&mut self) {
        let mut end = 2;
        while matches!(
            self.ahead(end).map(|token| &token.token),
            Some(Token::Word(_) | Token::Comma)
        ) {
            end += 1;
        }
        let name = match self.ahead(end + 2).map(|token| &token.token) {
            Some(Token::Word(word))
                if self.is(end, &Token::RParen) && is_word(self.ahead(end + 1), "as") =>
            {
                format!("{USING_ALIAS}{}", word.value)
            }
            _ => return self.take(),
        };
        for _ in 0..end {
            self.take();
        }
        self.put(Token::Comma, 0);
        self.put(mark(&name), 0);
        self.take();
        self.at += 2;
    }

    /// `f() AS (a int, ..)`: a list of columns without a name.
    fn alias(&mut self) {
        let definitions = matches!(self.back(1).map(|t| &t.token), Some(Token::RParen))
            && any_word(self.ahead(2)).is_some_and(|word| !QUERY.contains(&word))
            && !self.is(3, &Token::Comma)
            && !self.is(3, &Token::RParen);
        self.take();
        if definitions {
            self.put(mark(NO_ALIAS), 0);
        }
    }

    /// `SUBSTRING(x SIMILAR p ESCAPE e)` is `SUBSTRING(x FROM p FOR e)`.
    fn substring(&mut self) {
        self.take();
        let mut depth = 0usize;
        let mut n = 0;
        let mut found = false;
        while let Some(token) = self.rest.get(self.at + n) {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
            let next_is_to = is_word(self.rest.get(self.at + n + 1), "to");
            let other = match any_word(Some(token)) {
                Some("similar") if depth == 1 && !next_is_to => {
                    found = true;
                    Some(("from", Keyword::FROM))
                }
                Some("escape") if depth == 1 && found => Some(("for", Keyword::FOR)),
                _ => None,
            };
            if let (Some((value, keyword)), Some(token)) = (other, self.rest.get_mut(self.at + n)) {
                let value = value.to_owned();
                token.token = Token::Word(Word { value, quote_style: None, keyword });
            }
            n += 1;
        }
    }

    /// `IN ((SELECT ..), ..)`: sqlparser takes a query in parentheses for all of the list. COALESCE
    /// of one value is that value.
    fn in_list(&mut self) {
        let inner = any_word(self.ahead(3)).is_some_and(|word| QUERY.contains(&word));
        let mut depth = 0usize;
        let mut end = 2;
        while let Some(token) = self.ahead(end) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
            end += 1;
        }
        self.take();
        self.take();
        if !inner || !self.is(end - 1, &Token::Comma) {
            return;
        }
        let name =
            Word { value: "coalesce".to_owned(), quote_style: None, keyword: Keyword::NoKeyword };
        self.put(Token::Word(name), 0);
        self.put(Token::LParen, 0);
        // What is inside is rewritten on its way; the closing parenthesis comes after it.
        if let Some(close) = self.ahead(end - 2).cloned() {
            self.rest.insert(self.at + end - 2, close);
        }
    }

    /// `OPERATOR(schema.+)` where sqlparser does not read it: as a prefix, and before ANY.
    fn operator(&mut self) {
        let name = match (self.ahead(2).map(|t| &t.token), self.is(3, &Token::Period)) {
            (Some(Token::Word(_)), true) => 4,
            _ => 2,
        };
        if !self.is(name + 1, &Token::RParen) {
            return self.take();
        }
        let before_any =
            ["any", "all", "some"].iter().any(|word| is_word(self.ahead(name + 2), word));
        let after_operand = match self.back(1).map(|t| &t.token) {
            Some(Token::Word(word)) => word.keyword == Keyword::NoKeyword,
            Some(
                Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::RParen
                | Token::RBracket
                | Token::Placeholder(_),
            ) => true,
            _ => false,
        };
        if !before_any && after_operand {
            return self.take();
        }
        if let Some(token) = self.ahead(name).map(|token| token.token.clone()) {
            self.put(token, name + 2);
        }
    }
}

/// The text of a tree with PostgreSQL's words in the places of the marks.
pub(crate) fn unmark(text: String) -> String {
    if !text.contains('\0') && !text.contains("!!") {
        return text;
    }
    let pairs = [
        (format!("\"{GROUPING_SETS}\"("), "GROUPING SETS ("),
        (format!("\"{EMPTY_SET}\""), "()"),
        (format!("GROUP BY \"{DISTINCT_SETS}\", "), "GROUP BY DISTINCT "),
        (format!("\"{ROWS_FROM}\"("), "ROWS FROM ("),
        (format!("AS \"{NO_ALIAS}\""), "AS"),
        (format!("\"{ALL_FIELDS}\""), "*"),
        ("BETWEEN !!".to_owned(), "BETWEEN SYMMETRIC "),
    ];
    let using = format!(", \"{USING_ALIAS}");
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut quoted = false;
    while let Some(next) = rest.chars().next() {
        if !quoted {
            if let Some((mark, words)) =
                pairs.iter().find(|(mark, _)| rest.starts_with(mark.as_str()))
            {
                result.push_str(words);
                rest = rest.get(mark.len()..).unwrap_or_default();
                continue;
            }
            if let Some((name, after)) =
                rest.strip_prefix(using.as_str()).and_then(|after| after.split_once("\")"))
            {
                result.push_str(") AS \"");
                result.push_str(name);
                result.push('"');
                rest = after;
                continue;
            }
        }
        quoted ^= next == '\'';
        result.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    result
}
