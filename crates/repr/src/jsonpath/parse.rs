//! Reading a path: a lexer, and a parser by recursive descent.

use super::{Accessor, Arithmetic, Comparison, JsonPath, Method, PathExpr};
use crate::error::{SqlError, SqlState};
use crate::numeric::Numeric;

/// Parts inside one another; more would endanger the stack of those who walk them.
const MAX_DEPTH: usize = 200;
/// Parts of a whole path, for the same reason: they may lie in a chain.
const MAX_PARTS: usize = 1000;

/// Reads a path.
///
/// # Errors
/// It is none (`42601`, `22P02`), or too complex (`54001`).
pub fn parse_jsonpath(text: &str) -> Result<JsonPath, SqlError> {
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type jsonpath: \"{text}\""),
        ));
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, parts: 0, in_filter: 0, in_subscript: 0 };
    let lax = if parser.word("strict") {
        false
    } else {
        parser.word("lax");
        true
    };
    let root = parser.or()?;
    match parser.peek() {
        None => Ok(JsonPath { lax, root }),
        Some(_) => Err(parser.unexpected()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Symbol(&'static str),
    /// A name without quotes.
    Word(String),
    Text(String),
    Variable(String),
    Number(String),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    written: String,
}

fn syntax(message: &str, near: Option<&str>) -> SqlError {
    let place = match near {
        Some(near) => format!("at or near \"{near}\""),
        None => "at end".to_owned(),
    };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{message} {place} of jsonpath input"))
}

const SYMBOLS: [&str; 29] = [
    "&&", "||", "==", "!=", "<>", "<=", ">=", "**", "<", ">", "!", "?", "%", "$", ".", "[", "]",
    "{", "}", "(", ")", "@", "#", ",", "*", ":", "-", "+", "/",
];

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"?%$.[]{}()|&!=<>@#,*:-+/\"".contains(c)
}

fn lex(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if let Some(comment) = rest.strip_prefix("/*") {
            let Some(end) = comment.find("*/") else {
                return Err(syntax("unexpected end of comment", None));
            };
            rest = &comment[end + 2..];
            continue;
        }
        let before = rest;
        let kind = if first == '"' {
            Kind::Text(quoted(&mut rest)?)
        } else if let Some(after) = rest.strip_prefix('$')
            && after.starts_with(|c: char| c == '"' || is_word(c))
        {
            rest = after;
            Kind::Variable(match rest.starts_with('"') {
                true => quoted(&mut rest)?,
                false => word(&mut rest)?,
            })
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(&mut rest)?
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            rest = &rest[symbol.len()..];
            Kind::Symbol(symbol)
        } else if is_word(first) {
            Kind::Word(word(&mut rest)?)
        } else {
            return Err(syntax("syntax error", Some(&first.to_string())));
        };
        let written = before[..before.len() - rest.len()].to_owned();
        tokens.push(Token { kind, written });
    }
}

/// A string in quotes; escapes are those of JSON and some more.
fn quoted(rest: &mut &str) -> Result<String, SqlError> {
    let mut out = String::new();
    let mut inside = rest.get(1..).unwrap_or_default();
    loop {
        let Some(c) = inside.chars().next() else {
            return Err(syntax("unexpected end of quoted string", None));
        };
        inside = &inside[c.len_utf8()..];
        match c {
            '"' => break,
            '\\' => out.push(escape(&mut inside)?),
            c => out.push(c),
        }
    }
    *rest = inside;
    Ok(out)
}

fn word(rest: &mut &str) -> Result<String, SqlError> {
    let mut out = String::new();
    while let Some(c) = rest.chars().next().filter(|c| is_word(*c)) {
        *rest = &rest[c.len_utf8()..];
        out.push(if c == '\\' { escape(rest)? } else { c });
    }
    Ok(out)
}

/// The character that is meant behind a backslash.
fn escape(rest: &mut &str) -> Result<char, SqlError> {
    let Some(c) = rest.chars().next() else {
        return Err(syntax("unexpected end after backslash", None));
    };
    *rest = &rest[c.len_utf8()..];
    Ok(match c {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => {
            let code = hexadecimal(rest, 2)
                .ok_or_else(|| syntax("invalid hexadecimal character sequence", Some(rest)))?;
            character(code)?
        }
        'u' => {
            let invalid = |rest: &str| syntax("invalid Unicode escape sequence", Some(rest));
            if let Some(braced) = rest.strip_prefix('{') {
                let (digits, after) = braced.split_once('}').ok_or_else(|| invalid(rest))?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| invalid(rest))?;
                *rest = after;
                return character(code);
            }
            let mut code = hexadecimal(rest, 4).ok_or_else(|| invalid(rest))?;
            if (0xd800..0xdc00).contains(&code)
                && let Some(mut after) = rest.strip_prefix("\\u")
                && let Some(low) = hexadecimal(&mut after, 4)
                && (0xdc00..0xe000).contains(&low)
            {
                *rest = after;
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
            character(code)?
        }
        other => other,
    })
}

fn hexadecimal(rest: &mut &str, digits: usize) -> Option<u32> {
    let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
    *rest = &rest[digits..];
    Some(code)
}

fn character(code: u32) -> Result<char, SqlError> {
    match char::from_u32(code) {
        Some('\0') => Err(SqlError::new(
            SqlState::UNTRANSLATABLE_CHARACTER,
            "unsupported Unicode escape sequence",
        )
        .with_detail("\\u0000 cannot be converted to text.")),
        Some(c) => Ok(c),
        None => Err(SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type jsonpath",
        )),
    }
}

fn number(rest: &mut &str) -> Result<Kind, SqlError> {
    let bytes = rest.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let whole = digits(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    let junk = rest[end..].chars().next().filter(|c| is_word(*c));
    let leading_zero = whole > 1 && bytes.first() == Some(&b'0');
    if junk.is_some() || leading_zero {
        let shown = match junk {
            Some(c) => &rest[..end + c.len_utf8()],
            None => &rest[..2],
        };
        return Err(syntax("trailing junk after numeric literal", Some(shown)));
    }
    let text = rest[..end].to_owned();
    *rest = &rest[end..];
    Ok(Kind::Number(text))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    parts: usize,
    in_filter: usize,
    in_subscript: usize,
}

type Parsed = Result<PathExpr, SqlError>;

impl Parser {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Symbol(found)) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.at + ahead);
        matches!(token.map(|token| &token.kind), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), SqlError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> SqlError {
        syntax("syntax error", self.tokens.get(self.at).map(|token| token.written.as_str()))
    }

    fn part(&mut self) -> Result<(), SqlError> {
        self.parts += 1;
        if self.parts > MAX_PARTS || self.depth > MAX_DEPTH {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "the jsonpath is too complex",
            ));
        }
        Ok(())
    }

    fn condition(&self, expr: PathExpr) -> Parsed {
        if expr.is_predicate() { Ok(expr) } else { Err(self.unexpected()) }
    }

    fn value(&self, expr: PathExpr) -> Parsed {
        if expr.is_predicate() { Err(self.unexpected()) } else { Ok(expr) }
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while matches!(self.peek(), Some(Kind::Symbol("||"))) {
            self.part()?;
            left = self.condition(left)?;
            self.at += 1;
            let right = self.and()?;
            left = PathExpr::Or(Box::new(left), Box::new(self.condition(right)?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while matches!(self.peek(), Some(Kind::Symbol("&&"))) {
            self.part()?;
            left = self.condition(left)?;
            self.at += 1;
            let right = self.not()?;
            left = PathExpr::And(Box::new(left), Box::new(self.condition(right)?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        if !self.symbol("!") {
            return self.comparison();
        }
        self.part()?;
        if !matches!(self.peek(), Some(Kind::Symbol("("))) && !self.is_word(0, "exists") {
            return Err(self.unexpected());
        }
        let inner = self.postfix()?;
        Ok(PathExpr::Not(Box::new(self.condition(inner)?)))
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let operator = match self.peek() {
            Some(Kind::Symbol("==")) => Comparison::Equal,
            Some(Kind::Symbol("!=" | "<>")) => Comparison::NotEqual,
            Some(Kind::Symbol("<")) => Comparison::Less,
            Some(Kind::Symbol("<=")) => Comparison::LessOrEqual,
            Some(Kind::Symbol(">")) => Comparison::Greater,
            Some(Kind::Symbol(">=")) => Comparison::GreaterOrEqual,
            _ if self.is_word(0, "starts") => return self.starts_with(left),
            _ if self.is_word(0, "like_regex") => return self.like_regex(left),
            _ => return Ok(left),
        };
        let left = self.value(left)?;
        self.at += 1;
        self.part()?;
        let right = self.sum()?;
        let right = self.value(right)?;
        Ok(PathExpr::Compare(operator, Box::new(left), Box::new(right)))
    }

    fn starts_with(&mut self, left: PathExpr) -> Parsed {
        let left = self.value(left)?;
        self.at += 1;
        self.part()?;
        if !self.word("with") {
            return Err(self.unexpected());
        }
        let right = match self.peek() {
            Some(Kind::Text(text)) => PathExpr::Text(text.clone()),
            Some(Kind::Variable(name)) => PathExpr::Variable(name.clone()),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(PathExpr::StartsWith(Box::new(left), Box::new(right)))
    }

    fn text(&mut self) -> Result<String, SqlError> {
        let Some(Kind::Text(text)) = self.peek() else { return Err(self.unexpected()) };
        let text = text.clone();
        self.at += 1;
        Ok(text)
    }

    fn like_regex(&mut self, left: PathExpr) -> Parsed {
        let value = Box::new(self.value(left)?);
        self.at += 1;
        self.part()?;
        let pattern = self.text()?;
        let letters = if self.word("flag") { self.text()? } else { String::new() };
        if let Some(wrong) = letters.chars().find(|letter| !"ismxq".contains(*letter)) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "invalid input syntax for type jsonpath",
            )
            .with_detail(format!(
                "Unrecognized flag character \"{wrong}\" in LIKE_REGEX predicate."
            )));
        }
        if letters.contains('x') && !letters.contains('q') {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "XQuery \"x\" flag (expanded regular expressions) is not implemented",
            ));
        }
        let flags = "ismxq".chars().filter(|letter| letters.contains(*letter)).collect();
        Ok(PathExpr::LikeRegex { value, pattern, flags })
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("+")) => Arithmetic::Add,
                Some(Kind::Symbol("-")) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            left = self.value(left)?;
            self.at += 1;
            self.part()?;
            let right = self.product()?;
            left = PathExpr::Arithmetic(operator, Box::new(left), Box::new(self.value(right)?));
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("*")) => Arithmetic::Multiply,
                Some(Kind::Symbol("/")) => Arithmetic::Divide,
                Some(Kind::Symbol("%")) => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            left = self.value(left)?;
            self.at += 1;
            self.part()?;
            let right = self.signed()?;
            left = PathExpr::Arithmetic(operator, Box::new(left), Box::new(self.value(right)?));
        }
    }

    fn signed(&mut self) -> Parsed {
        let sign = match self.peek() {
            Some(Kind::Symbol("+")) => Arithmetic::Add,
            Some(Kind::Symbol("-")) => Arithmetic::Subtract,
            _ => return self.postfix(),
        };
        self.at += 1;
        self.part()?;
        self.depth += 1;
        let inner = self.signed()?;
        self.depth -= 1;
        // The sign of a constant is part of it.
        match (sign, self.value(inner)?) {
            (Arithmetic::Subtract, PathExpr::Number(number)) => Ok(PathExpr::Number(number.neg())),
            (_, number @ PathExpr::Number(_)) => Ok(number),
            (sign, inner) => Ok(PathExpr::Sign(sign, Box::new(inner))),
        }
    }

    fn postfix(&mut self) -> Parsed {
        self.depth += 1;
        self.part()?;
        // Parentheses may be nested deeper than the stack of a thread is.
        let mut base = stacker::maybe_grow(64 << 10, 1 << 20, || self.primary())?;
        while let Some(accessor) = self.accessor()? {
            self.part()?;
            base = PathExpr::Access(Box::new(base), accessor);
        }
        self.depth -= 1;
        Ok(base)
    }

    fn primary(&mut self) -> Parsed {
        let Some(kind) = self.peek().cloned() else { return Err(self.unexpected()) };
        let is =
            |wanted: &str| matches!(&kind, Kind::Word(word) if word.eq_ignore_ascii_case(wanted));
        if is("exists") {
            self.at += 1;
            self.expect("(")?;
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(PathExpr::Exists(Box::new(self.value(inner)?)));
        }
        let primary = match &kind {
            Kind::Symbol("(") => {
                self.at += 1;
                let inner = self.or()?;
                self.expect(")")?;
                if inner.is_predicate() && self.is_word(0, "is") && self.is_word(1, "unknown") {
                    self.at += 2;
                    return Ok(PathExpr::IsUnknown(Box::new(inner)));
                }
                return Ok(inner);
            }
            Kind::Symbol("$") => PathExpr::Root,
            Kind::Symbol("@") if self.in_filter == 0 => {
                let message = "@ is not allowed in root expressions";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            Kind::Symbol("@") => PathExpr::Current,
            Kind::Variable(name) => PathExpr::Variable(name.clone()),
            Kind::Text(text) => PathExpr::Text(text.clone()),
            Kind::Number(text) => PathExpr::Number(Numeric::parse(text)?),
            Kind::Word(word) => match word.as_str() {
                "null" => PathExpr::Null,
                "true" => PathExpr::Bool(true),
                "false" => PathExpr::Bool(false),
                _ if is("last") && self.in_subscript == 0 => {
                    let message = "LAST is allowed only in array subscripts";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                _ if is("last") => PathExpr::Last,
                _ => return Err(self.unexpected()),
            },
            Kind::Symbol(_) => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(primary)
    }

    fn accessor(&mut self) -> Result<Option<Accessor>, SqlError> {
        if self.symbol("?") {
            self.expect("(")?;
            self.in_filter += 1;
            let condition = self.or()?;
            self.in_filter -= 1;
            let condition = self.condition(condition)?;
            self.expect(")")?;
            return Ok(Some(Accessor::Filter(Box::new(condition))));
        }
        if self.symbol("[") {
            return self.subscripts().map(Some);
        }
        if !self.symbol(".") {
            return Ok(None);
        }
        if self.symbol("*") {
            return Ok(Some(Accessor::AnyMember));
        }
        if self.symbol("**") {
            return self.levels().map(Some);
        }
        let key = match self.peek() {
            Some(Kind::Word(word)) => word.clone(),
            Some(Kind::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                return Ok(Some(Accessor::Member(text)));
            }
            _ => return Err(self.unexpected()),
        };
        let method = match key.to_ascii_lowercase().as_str() {
            "type" => Some(Method::Type),
            "size" => Some(Method::Size),
            "abs" => Some(Method::Abs),
            "floor" => Some(Method::Floor),
            "ceiling" => Some(Method::Ceiling),
            "double" => Some(Method::Double),
            "keyvalue" => Some(Method::KeyValue),
            "datetime" => Some(Method::DateTime(None)),
            _ => None,
        };
        self.at += 1;
        let Some(method) = method else { return Ok(Some(Accessor::Member(key))) };
        if !self.symbol("(") {
            return Ok(Some(Accessor::Member(key)));
        }
        let method = match (method, self.peek()) {
            (Method::DateTime(_), Some(Kind::Text(_))) => Method::DateTime(Some(self.text()?)),
            (method, _) => method,
        };
        self.expect(")")?;
        Ok(Some(Accessor::Method(method)))
    }

    fn subscripts(&mut self) -> Result<Accessor, SqlError> {
        if self.symbol("*") {
            self.expect("]")?;
            return Ok(Accessor::AnyElement);
        }
        self.in_subscript += 1;
        let mut all = Vec::new();
        loop {
            let from = self.sum()?;
            let from = self.value(from)?;
            let to = match self.word("to") {
                true => {
                    let to = self.sum()?;
                    Some(self.value(to)?)
                }
                false => None,
            };
            all.push((from, to));
            if !self.symbol(",") {
                break;
            }
        }
        self.in_subscript -= 1;
        self.expect("]")?;
        Ok(Accessor::Elements(all))
    }

    fn levels(&mut self) -> Result<Accessor, SqlError> {
        if !self.symbol("{") {
            return Ok(Accessor::AnyLevel(Some(0), None));
        }
        let first = self.level()?;
        let last = if self.word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Accessor::AnyLevel(first, last))
    }

    fn level(&mut self) -> Result<Option<u32>, SqlError> {
        if self.word("last") {
            return Ok(None);
        }
        let level = match self.peek() {
            Some(Kind::Number(text)) => text.parse().ok(),
            _ => None,
        };
        match level {
            Some(level) => {
                self.at += 1;
                Ok(Some(level))
            }
            None => Err(self.unexpected()),
        }
    }
}
