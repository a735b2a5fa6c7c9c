//! Templates of dates and times: the patterns and what they are made of.

/// What a pattern's case asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Capital,
    Title,
    Small,
}

/// The patterns, in capitals, longer ones before their beginnings. Each exists in capitals and
/// in small letters.
const PATTERNS: &[&str] = &[
    "Y,YYY", "SSSSS", "MONTH", "IYYY", "IDDD", "YYYY", "A.D.", "A.M.", "B.C.", "P.M.", "HH24",
    "HH12", "SSSS", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "DAY", "DDD", "IYY", "MON", "TZH",
    "TZM", "YYY", "AD", "AM", "BC", "CC", "DD", "DY", "FX", "HH", "ID", "IW", "IY", "MI", "MM",
    "MS", "OF", "PM", "RM", "SS", "TZ", "US", "WW", "YY", "D", "I", "J", "Q", "W", "Y",
];
/// Patterns that exist with a capital first too.
const TITLES: &[&str] = &["Month", "Mon", "Day", "Dy"];

/// One piece of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Pattern(Pattern),
    /// A separator or blank outside of quotes.
    Separator(char),
    Literal(char),
}

/// A pattern with its modifiers.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// In capitals.
    pub(super) key: &'static str,
    /// As it is written.
    pub(super) name: String,
    pub(super) case: Case,
    /// `FM`
    pub(super) no_fill: bool,
    /// `TH` or `th`
    pub(super) ordinal: Option<Case>,
}

impl Pattern {
    /// Whether it stands for digits.
    pub(super) fn is_digits(&self) -> bool {
        !matches!(
            self.key,
            "A.D."
                | "A.M."
                | "B.C."
                | "P.M."
                | "AD"
                | "AM"
                | "BC"
                | "PM"
                | "MONTH"
                | "MON"
                | "DAY"
                | "DY"
                | "FX"
                | "OF"
                | "RM"
                | "TZ"
                | "TZH"
        )
    }
}

fn pattern(rest: &str) -> Option<(&'static str, Case)> {
    let title = TITLES.iter().find(|title| rest.starts_with(**title));
    let found = PATTERNS.iter().find_map(|pattern| {
        let head = rest.get(..pattern.len())?;
        if head == *pattern {
            Some((*pattern, Case::Capital))
        } else if head == pattern.to_ascii_lowercase() {
            Some((*pattern, Case::Small))
        } else {
            None
        }
    });
    match (title, found) {
        (Some(title), found) if found.is_none_or(|(key, _)| key.len() < title.len()) => {
            let key = PATTERNS.iter().find(|key| key.eq_ignore_ascii_case(title))?;
            Some((key, Case::Title))
        }
        (_, found) => found,
    }
}

pub(super) fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// The pieces of a template.
pub(super) fn parse(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let mut no_fill = false;
        let mut prefixed = true;
        let mut translated = false;
        while prefixed {
            let head = rest.get(..2).unwrap_or("");
            prefixed = matches!(head, "FM" | "fm" | "TM" | "tm");
            if prefixed {
                no_fill |= head.eq_ignore_ascii_case("FM");
                translated |= head.eq_ignore_ascii_case("TM");
                rest = &rest[2..];
            }
        }
        let Some(next) = rest.chars().next() else { break };
        if let Some((key, case)) = pattern(rest) {
            let name = rest[..key.len()].to_owned();
            rest = &rest[key.len()..];
            // Translated names are not filled up.
            no_fill |= translated && matches!(key, "MONTH" | "DAY");
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Case::Capital),
                Some("th") => Some(Case::Small),
                _ => None,
            };
            let spelled = matches!(rest.get(..2), Some("SP"));
            if ordinal.is_some() || spelled {
                rest = &rest[2..];
            }
            nodes.push(Node::Pattern(Pattern { key, name, case, no_fill, ordinal }));
        } else if next == '"' {
            rest = quoted(&rest[1..], &mut nodes);
        } else {
            let skip = usize::from(rest.starts_with("\\\""));
            let c = rest[skip..].chars().next().unwrap_or(next);
            rest = &rest[skip + c.len_utf8()..];
            let separates = skip == 0 && (is_separator(c) || c.is_whitespace());
            nodes.push(if separates { Node::Separator(c) } else { Node::Literal(c) });
        }
    }
    nodes
}

/// Literal characters up to the closing quote; gives what follows it.
fn quoted<'t>(text: &'t str, nodes: &mut Vec<Node>) -> &'t str {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => {
                let escaped = characters.next().map_or('\\', |(_, c)| c);
                nodes.push(Node::Literal(escaped));
            }
            other => nodes.push(Node::Literal(other)),
        }
    }
    ""
}
