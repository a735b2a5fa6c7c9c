//! PostgreSQL's advanced regular expressions in the syntax of the crate `regex`.
//!
//! One pass over the pattern checks it, in PostgreSQL's words where it is wrong, and learns what
//! the search must know: how many groups there are, whether back references or look-around
//! need the backtracking engine, and whether the whole prefers a long or a short match.

use tidemill_repr::SqlState;

use crate::error::EvalError;
use crate::functions::regex::Options;

/// How deep groups may be nested.
const MAX_DEPTH: usize = 200;
/// The greatest count of a bound.
const MAX_BOUND: u32 = 255;

/// Whether a regular expression prefers a long or a short match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preference {
    Long,
    Short,
}

/// A pattern in the crate's syntax.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) source: String,
    /// Back references or look-around.
    pub(super) needs_backtracking: bool,
    pub(super) preference: Preference,
    /// Whether the first way to match may be another than the one that is preferred.
    pub(super) ambiguous: bool,
}

/// `invalid regular expression: <reason>`
pub(super) fn invalid(reason: &str) -> EvalError {
    EvalError::invalid(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {reason}"),
    )
}

const BAD_ESCAPE: &str = "invalid escape \\ sequence";
const BAD_BRACKET: &str = "brackets [] not balanced";
const BAD_PARENTHESIS: &str = "parentheses () not balanced";

/// Translates a pattern without director and embedded options.
pub(super) fn translate(pattern: &str, options: &Options) -> Result<Translated, EvalError> {
    let mut translator = Translator {
        rest: pattern.chars().collect(),
        at: 0,
        options,
        out: String::with_capacity(pattern.len() + 8),
        groups: 0,
        open: Vec::new(),
        quantified: 0,
        alternatives: false,
        reluctant: false,
        needs_backtracking: false,
    };
    let preference = translator.branches(0)?;
    if translator.at < translator.rest.len() {
        return Err(invalid(BAD_PARENTHESIS));
    }
    Ok(Translated {
        source: translator.out,
        needs_backtracking: translator.needs_backtracking,
        preference: preference.unwrap_or(Preference::Long),
        ambiguous: translator.alternatives || translator.reluctant || translator.quantified > 1,
    })
}

struct Translator<'o> {
    rest: Vec<char>,
    at: usize,
    options: &'o Options,
    out: String,
    groups: usize,
    /// Groups that are not closed yet.
    open: Vec<usize>,
    quantified: usize,
    alternatives: bool,
    reluctant: bool,
    needs_backtracking: bool,
}

/// What can be repeated, or not.
enum Atom {
    /// With the preference of what is in it.
    Plain(Option<Preference>),
    /// An assertion.
    Constraint,
}

impl Translator<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.rest.get(self.at + by).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn takes(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(by, c)| self.ahead(by) == Some(c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Alternatives up to the end or a closing parenthesis.
    fn branches(&mut self, depth: usize) -> Result<Option<Preference>, EvalError> {
        if depth > MAX_DEPTH {
            return Err(invalid("regular expression is too complex"));
        }
        let mut preference = self.branch(depth)?;
        while self.peek() == Some('|') {
            self.at += 1;
            self.out.push('|');
            self.alternatives = true;
            self.branch(depth)?;
            preference = Some(Preference::Long);
        }
        Ok(preference)
    }

    fn branch(&mut self, depth: usize) -> Result<Option<Preference>, EvalError> {
        let mut preference = None;
        loop {
            self.skip_expanded();
            match self.peek() {
                None | Some('|') => return Ok(preference),
                Some(')') if depth > 0 => return Ok(preference),
                _ => {}
            }
            let start = self.out.len();
            let atom = self.atom(depth)?;
            self.skip_expanded();
            let own = match (self.quantifier()?, atom) {
                (None, Atom::Plain(own)) => own,
                (None, Atom::Constraint) => None,
                (Some(_), Atom::Constraint) => return Err(invalid("quantifier operand invalid")),
                (Some(quantifier), Atom::Plain(own)) => {
                    self.out.insert_str(start, "(?:");
                    self.out.push(')');
                    self.out.push_str(&quantifier.text);
                    if quantifier.fixed {
                        own
                    } else {
                        self.quantified += 1;
                        self.reluctant |= quantifier.preference == Preference::Short;
                        Some(quantifier.preference)
                    }
                }
            };
            if self.peek().is_some_and(|c| matches!(c, '*' | '+' | '?')) && self.out.len() > start {
                return Err(invalid("quantifier operand invalid"));
            }
            preference = preference.or(own);
        }
    }

    /// White space and comments where the expanded syntax is asked for; `(?#..)` anywhere.
    fn skip_expanded(&mut self) {
        loop {
            if self.takes("(?#") {
                while self.next().is_some_and(|c| c != ')') {}
            } else if !self.options.expanded {
                return;
            } else if self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            } else if self.peek() == Some('#') {
                while self.next().is_some_and(|c| c != '\n') {}
            } else {
                return;
            }
        }
    }

    fn atom(&mut self, depth: usize) -> Result<Atom, EvalError> {
        let Some(next) = self.next() else { return Ok(Atom::Constraint) };
        match next {
            '(' => return self.group(depth),
            ')' if self.options.extended => self.out.push_str("\\)"),
            ')' => return Err(invalid(BAD_PARENTHESIS)),
            '[' => return self.bracket(),
            '.' => self.out.push_str(if self.options.stop_at_newline { "[^\\n]" } else { "." }),
            '^' => {
                self.out.push_str(if self.options.line_anchors { "(?m:^)" } else { "\\A" });
                return Ok(Atom::Constraint);
            }
            '$' => {
                self.out.push_str(if self.options.line_anchors { "(?m:$)" } else { "\\z" });
                return Ok(Atom::Constraint);
            }
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '\\' if self.options.extended => {
                let escaped = self.next().ok_or_else(|| invalid(BAD_ESCAPE))?;
                self.literal(escaped);
            }
            '\\' => return self.escape(),
            other => self.literal(other),
        }
        Ok(Atom::Plain(None))
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn group(&mut self, depth: usize) -> Result<Atom, EvalError> {
        let mut constraint = false;
        let mut own = None;
        if self.takes("?") {
            let opening = ["<=", "<!", ":", "=", "!"].into_iter().find(|text| self.takes(text));
            let opening = opening.ok_or_else(|| invalid("quantifier operand invalid"))?;
            constraint = opening != ":";
            self.needs_backtracking |= constraint;
            self.out.push_str("(?");
            self.out.push_str(opening);
        } else {
            self.groups += 1;
            own = Some(self.groups);
            self.open.push(self.groups);
            self.out.push('(');
        }
        let preference = self.branches(depth + 1)?;
        if self.next() != Some(')') {
            return Err(invalid(BAD_PARENTHESIS));
        }
        if own.is_some() {
            self.open.pop();
        }
        self.out.push(')');
        Ok(if constraint { Atom::Constraint } else { Atom::Plain(preference) })
    }

    fn escape(&mut self) -> Result<Atom, EvalError> {
        let escaped = self.next().ok_or_else(|| invalid(BAD_ESCAPE))?;
        let constraint = match escaped {
            'A' => "\\A",
            'Z' => "\\z",
            'm' => "\\b{start}",
            'M' => "\\b{end}",
            'y' => "\\b",
            'Y' => "\\B",
            _ => "",
        };
        if !constraint.is_empty() {
            self.out.push_str(constraint);
            return Ok(Atom::Constraint);
        }
        match escaped {
            'd' | 's' | 'w' | 'D' | 'S' | 'W' => self.out.push_str(class_escape(escaped)),
            '1'..='9' => return self.back_reference(escaped),
            _ if escaped.is_ascii_alphanumeric() => {
                let c = self.character_escape(escaped)?;
                self.literal(c);
            }
            other => self.literal(other),
        }
        Ok(Atom::Plain(None))
    }

    /// `\1`; more digits belong to it only if there are so many groups, else they are octal.
    fn back_reference(&mut self, first: char) -> Result<Atom, EvalError> {
        let start = self.at;
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let longer = number * 10 + digit as usize;
            if longer > self.groups {
                break;
            }
            number = longer;
            self.at += 1;
        }
        if self.at == start
            && number > self.groups
            && let (Some('0'..='7'), Some('0'..='7')) = (Some(first), self.peek())
        {
            let mut code = number as u32;
            while let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                if self.at - start >= 2 {
                    break;
                }
                code = code * 8 + digit;
                self.at += 1;
            }
            self.literal(char::from_u32(code).ok_or_else(|| invalid(BAD_ESCAPE))?);
            return Ok(Atom::Plain(None));
        }
        if number > self.groups || self.open.contains(&number) {
            return Err(invalid("invalid backreference number"));
        }
        self.needs_backtracking = true;
        self.out.push_str(&format!("(?:\\{number})"));
        Ok(Atom::Plain(None))
    }

    /// The character that an escape of a letter or a zero stands for.
    fn character_escape(&mut self, escaped: char) -> Result<char, EvalError> {
        let code = match escaped {
            'a' => 7,
            'b' => 8,
            'B' => u32::from('\\'),
            'c' => u32::from(self.next().ok_or_else(|| invalid(BAD_ESCAPE))?) & 31,
            'e' => 27,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'u' => self.digits(16, 4, 4)?,
            'U' => self.digits(16, 8, 8)?,
            'x' => self.digits(16, 1, 255)?,
            '0' => self.digits(8, 0, 2)?,
            _ => return Err(invalid(BAD_ESCAPE)),
        };
        char::from_u32(code).ok_or_else(|| invalid(BAD_ESCAPE))
    }

    fn digits(&mut self, radix: u32, least: usize, most: usize) -> Result<u32, EvalError> {
        let (mut value, mut count) = (0u32, 0);
        while count < most
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(radix))
        {
            value = value.wrapping_mul(radix).wrapping_add(digit);
            count += 1;
            self.at += 1;
        }
        if count < least { Err(invalid(BAD_ESCAPE)) } else { Ok(value) }
    }

    fn quantifier(&mut self) -> Result<Option<Quantifier>, EvalError> {
        let mut text = String::new();
        let mut fixed = false;
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                self.at += 1;
                text.push(c);
            }
            Some('{') if self.ahead(1).is_some_and(|c| c.is_ascii_digit()) => {
                self.at += 1;
                let low = self.bound()?;
                let mut high = Some(low);
                fixed = true;
                if self.takes(",") {
                    fixed = false;
                    high = match self.peek() {
                        Some('}') => None,
                        _ => Some(self.bound()?),
                    };
                }
                if !self.takes("}") {
                    return Err(invalid("braces {} not balanced"));
                }
                if high.is_some_and(|high| high < low) {
                    return Err(invalid("invalid repetition count(s)"));
                }
                text = match high {
                    Some(high) if high == low => format!("{{{low}}}"),
                    Some(high) => format!("{{{low},{high}}}"),
                    None => format!("{{{low},}}"),
                };
            }
            _ => return Ok(None),
        }
        let short = !self.options.extended && self.takes("?");
        if short {
            text.push('?');
        }
        let preference = if short { Preference::Short } else { Preference::Long };
        Ok(Some(Quantifier { text, fixed, preference }))
    }

    fn bound(&mut self) -> Result<u32, EvalError> {
        let mut value = 0u32;
        let start = self.at;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = value.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        if self.at == start || value > MAX_BOUND {
            return Err(invalid("invalid repetition count(s)"));
        }
        Ok(value)
    }

    fn bracket(&mut self) -> Result<Atom, EvalError> {
        for (text, meaning) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
            if self.takes(text) {
                self.out.push_str(meaning);
                return Ok(Atom::Constraint);
            }
        }
        self.out.push('[');
        if self.takes("^") {
            self.out.push('^');
            if self.options.stop_at_newline {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            let next = self.peek().ok_or_else(|| invalid(BAD_BRACKET))?;
            if next == ']' && !first {
                self.at += 1;
                break;
            }
            first = false;
            let Some(low) = self.bracket_element()? else { continue };
            let range = self.peek() == Some('-') && self.ahead(1).is_some_and(|c| c != ']');
            if !range {
                self.bracket_literal(low);
                continue;
            }
            self.at += 1;
            let high = self.bracket_element()?.ok_or_else(|| invalid("invalid character range"))?;
            if high < low {
                return Err(invalid("invalid character range"));
            }
            self.bracket_literal(low);
            self.out.push('-');
            self.bracket_literal(high);
        }
        self.out.push(']');
        Ok(Atom::Plain(None))
    }

    fn bracket_literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// One character of a bracket expression; None where a class was written instead.
    fn bracket_element(&mut self) -> Result<Option<char>, EvalError> {
        let next = self.next().ok_or_else(|| invalid(BAD_BRACKET))?;
        match next {
            '[' => match self.peek() {
                Some(kind @ (':' | '.' | '=')) => {
                    self.at += 1;
                    self.named(kind)
                }
                _ => Ok(Some('[')),
            },
            '\\' if !self.options.extended => {
                let escaped = self.next().ok_or_else(|| invalid(BAD_ESCAPE))?;
                match escaped {
                    'd' | 's' | 'w' | 'D' | 'S' | 'W' => {
                        self.out.push_str(class_escape(escaped));
                        Ok(None)
                    }
                    'A' | 'Z' | 'm' | 'M' | 'y' | 'Y' | '1'..='9' => Err(invalid(BAD_ESCAPE)),
                    _ if escaped.is_ascii_alphanumeric() => {
                        self.character_escape(escaped).map(Some)
                    }
                    other => Ok(Some(other)),
                }
            }
            other => Ok(Some(other)),
        }
    }

    /// `[:alpha:]`, `[.x.]` or `[=x=]`, after its opening.
    fn named(&mut self, kind: char) -> Result<Option<char>, EvalError> {
        let mut name = String::new();
        loop {
            let next = self.next().ok_or_else(|| invalid(BAD_BRACKET))?;
            if next == kind && self.peek() == Some(']') {
                self.at += 1;
                break;
            }
            name.push(next);
        }
        if kind != ':' {
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
                (Some(c), None) => Ok(Some(c)),
                _ => Err(invalid("invalid collating element")),
            };
        }
        let class = match name.as_str() {
            "alpha" => "\\p{Alphabetic}",
            "alnum" => "\\p{Alphabetic}\\p{Nd}",
            "digit" => "\\p{Nd}",
            "space" => "\\s",
            "lower" => "\\p{Lowercase}",
            "upper" => "\\p{Uppercase}",
            "punct" => "[:punct:]",
            "blank" => "\\x20\\t",
            "cntrl" => "\\p{Cc}",
            "graph" => "[^\\s\\p{Cc}\\p{Cn}]",
            "print" => "[^\\p{Cc}\\p{Cn}]",
            "xdigit" => "0-9A-Fa-f",
            "word" => "\\w",
            "ascii" => "\\x00-\\x7f",
            _ => return Err(invalid("invalid character class")),
        };
        let wrapped = if name == "punct" { format!("[{class}]") } else { class.to_owned() };
        self.out.push_str(&wrapped);
        Ok(None)
    }
}

struct Quantifier {
    text: String,
    fixed: bool,
    preference: Preference,
}

fn class_escape(letter: char) -> &'static str {
    match letter {
        'd' => "\\d",
        's' => "\\s",
        'w' => "\\w",
        'D' => "\\D",
        'S' => "\\S",
        _ => "\\W",
    }
}
