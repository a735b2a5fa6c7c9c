//! `to_char` of numbers and `to_number`: templates, and which value is shown how.

mod process;

use tidemill_repr::{ColumnType, Datum, Numeric, ScalarType, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float4, float8, int, numeric, text};
use crate::functions::format_numbers::process::{read, show};
use crate::scalar::EvalContext;

/// A pattern of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Comma,
    Point,
    LocalPoint,
    Zero,
    Nine,
    Blank,
    Exponent,
    NoFill,
    Group,
    Currency,
    Minus,
    Plus,
    Brackets,
    Roman,
    SmallRoman,
    AnySign,
    Sign,
    Ordinal,
    SmallOrdinal,
    Shift,
}

/// Longer patterns before their beginnings; small letters mean the same but for two.
const KEYS: &[(&str, Key)] = &[
    ("EEEE", Key::Exponent),
    ("FM", Key::NoFill),
    ("MI", Key::Minus),
    ("PL", Key::Plus),
    ("PR", Key::Brackets),
    ("RN", Key::Roman),
    ("rn", Key::SmallRoman),
    ("SG", Key::AnySign),
    ("TH", Key::Ordinal),
    ("th", Key::SmallOrdinal),
    (",", Key::Comma),
    (".", Key::Point),
    ("0", Key::Zero),
    ("9", Key::Nine),
    ("B", Key::Blank),
    ("D", Key::LocalPoint),
    ("G", Key::Group),
    ("L", Key::Currency),
    ("S", Key::Sign),
    ("V", Key::Shift),
];

/// One piece of a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Pattern(Key),
    Literal(char),
}

/// Where a sign of the locale stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum SignPlace {
    #[default]
    None,
    Before,
    After,
}

/// A template, and what it says as a whole.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "patterns are there or not")]
pub(super) struct Template {
    pub(super) nodes: Vec<Node>,
    /// Digits before and after the point.
    pub(super) before: usize,
    pub(super) after: usize,
    /// Digits that `V` shifts by.
    pub(super) shift: usize,
    pub(super) sign_place: SignPlace,
    /// Digits before the sign.
    pub(super) before_sign: usize,
    /// Places of the first and last `0`.
    pub(super) zero_start: usize,
    pub(super) zero_end: usize,
    pub(super) zero: bool,
    pub(super) decimal: bool,
    pub(super) no_fill: bool,
    pub(super) local_sign: bool,
    pub(super) brackets: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    pub(super) multiplied: bool,
    pub(super) exponent: bool,
    blank: bool,
}

fn wrong(message: &str) -> EvalError {
    EvalError::invalid(SqlState::SYNTAX_ERROR, message)
}

/// The pattern that a text starts with.
fn key(rest: &str) -> Option<(Key, usize)> {
    let starts =
        |name: &str| rest.starts_with(name) || rest.starts_with(name.to_ascii_lowercase().as_str());
    let exact = KEYS.iter().find(|(name, _)| rest.starts_with(name));
    let found = exact.or_else(|| KEYS.iter().find(|(name, _)| starts(name)));
    found.map(|(name, key)| (*key, name.len()))
}

fn parse(template: &str) -> Result<Template, EvalError> {
    let mut parsed = Template::default();
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        if let Some((key, length)) = key(rest) {
            parsed.learn(key)?;
            parsed.nodes.push(Node::Pattern(key));
            rest = &rest[length..];
        } else if next == '"' {
            let mut characters = rest[1..].char_indices();
            let mut end = rest.len();
            while let Some((at, c)) = characters.next() {
                match c {
                    '"' => {
                        end = at + 2;
                        break;
                    }
                    '\\' => {
                        let escaped = characters.next().map_or('\\', |(_, c)| c);
                        parsed.nodes.push(Node::Literal(escaped));
                    }
                    other => parsed.nodes.push(Node::Literal(other)),
                }
            }
            rest = &rest[end..];
        } else {
            let skip = usize::from(rest.starts_with("\\\""));
            let c = rest[skip..].chars().next().unwrap_or(next);
            parsed.nodes.push(Node::Literal(c));
            rest = &rest[skip + c.len_utf8()..];
        }
    }
    Ok(parsed)
}

impl Template {
    /// Takes account of one more pattern.
    fn learn(&mut self, key: Key) -> Result<(), EvalError> {
        if self.exponent && key != Key::Exponent {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match key {
            Key::Nine | Key::Zero => self.digit(key)?,
            Key::Blank => self.blank |= self.before == 0 && self.after == 0 && !self.zero,
            Key::Point | Key::LocalPoint => {
                if self.decimal {
                    return Err(wrong("multiple decimal points"));
                }
                if self.multiplied {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.decimal = true;
            }
            Key::NoFill => self.no_fill = true,
            Key::Sign | Key::Minus | Key::Plus | Key::AnySign | Key::Brackets => self.sign(key)?,
            Key::Roman | Key::SmallRoman => self.roman = true,
            Key::Shift => {
                if self.decimal {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.multiplied = true;
            }
            Key::Exponent => {
                if self.exponent {
                    return Err(wrong("cannot use \"EEEE\" twice"));
                }
                let others = self.blank
                    || self.no_fill
                    || self.local_sign
                    || self.brackets
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.multiplied;
                if others {
                    return Err(EvalError::Invalid {
                        code: SqlState::SYNTAX_ERROR.0.to_owned(),
                        message: "\"EEEE\" is incompatible with other formats".to_owned(),
                        detail: Some(
                            "\"EEEE\" may only be used together with digit and decimal point \
                             patterns."
                                .to_owned(),
                        ),
                        hint: None,
                    });
                }
                self.exponent = true;
            }
            Key::Comma | Key::Group | Key::Currency | Key::Ordinal | Key::SmallOrdinal => {}
        }
        Ok(())
    }

    fn digit(&mut self, key: Key) -> Result<(), EvalError> {
        if self.brackets {
            let name = if key == Key::Nine { "9" } else { "0" };
            return Err(wrong(&format!("\"{name}\" must be ahead of \"PR\"")));
        }
        if key == Key::Nine && self.multiplied {
            self.shift += 1;
            return Ok(());
        }
        if key == Key::Zero && !self.zero && !self.decimal {
            self.zero = true;
            self.zero_start = self.before + 1;
        }
        if self.decimal {
            self.after += 1;
        } else {
            self.before += 1;
        }
        if key == Key::Zero {
            self.zero_end = self.before + self.after;
        }
        Ok(())
    }

    fn sign(&mut self, key: Key) -> Result<(), EvalError> {
        let together =
            |other: &str| Err(wrong(&format!("cannot use \"S\" and \"{other}\" together")));
        match key {
            Key::Sign => {
                if self.local_sign {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.brackets {
                    return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                self.local_sign = true;
                if self.decimal {
                    self.sign_place = SignPlace::After;
                } else {
                    self.sign_place = SignPlace::Before;
                    self.before_sign = self.before;
                }
            }
            Key::Minus if self.local_sign => return together("MI"),
            Key::Plus if self.local_sign => return together("PL"),
            Key::AnySign if self.local_sign => return together("SG"),
            Key::Minus => self.minus = true,
            Key::Plus => self.plus = true,
            Key::AnySign => (self.minus, self.plus) = (true, true),
            _ => {
                if self.local_sign || self.plus || self.minus {
                    return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.brackets = true;
            }
        }
        Ok(())
    }
}

/// The capital Roman numeral; `#` of what has none.
fn roman(value: Option<i64>) -> String {
    const STEPS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let Some(mut rest) = value.filter(|value| (1..=3999).contains(value)) else {
        return "#".repeat(15);
    };
    let mut out = String::new();
    for (step, letters) in STEPS {
        while rest >= step {
            out.push_str(letters);
            rest -= step;
        }
    }
    out
}

/// `d.ddde+dd`, of numbers that are finite.
fn scientific(value: &Numeric, digits: usize) -> Result<String, EvalError> {
    let plain = value.abs().to_string();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let all = format!("{whole}{fraction}");
    let first = all.find(|c| c != '0');
    let exponent = first.map_or(0, |at| whole.len() as i64 - 1 - at as i64);
    // The digits as a number with one place before the point, rounded there.
    let significant = first.map_or("0", |at| &all[at..]);
    let scaled = Numeric::parse(&format!("{}.{}", &significant[..1], &significant[1..]))?;
    let places = i32::try_from(digits).unwrap_or(i32::MAX);
    // What is rounded up to 10 stays so, as in PostgreSQL.
    let mantissa = scaled.round(places)?;
    let sign = if value.signum() < 0 { '-' } else { ' ' };
    let direction = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{sign}{mantissa}e{direction}{:02}", exponent.abs()))
}

/// A number by a template; of a float, how many digits its type can tell apart and whether its
/// sign is negative, which a zero keeps.
fn shown<'a>(
    value: &Numeric,
    template: &str,
    float: Option<(usize, bool)>,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    let mut template = parse(template)?;
    if template.roman {
        let rounded = if value.is_finite() { value.round(0)?.to_i64() } else { None };
        return Ok(context.text(&show(&mut template, &roman(rounded), 0, '+')));
    }
    if template.exponent {
        if value.is_finite() {
            return Ok(context.text(&scientific(value, template.after)?));
        }
        let (before, after) = ("#".repeat(template.before), "#".repeat(template.after + 4));
        return Ok(context.text(&format!(" {before}.{after}")));
    }
    let mut value = *value;
    if template.multiplied {
        let shift = Numeric::from(10).pow(&Numeric::from(template.shift as i64))?;
        value = value.mul(&shift)?;
        template.before += template.shift;
    }
    if let Some((digits, _)) = float
        && value.is_finite()
    {
        let whole = value.abs().round(0)?.to_string().len();
        template.after = template.after.min(digits.saturating_sub(whole));
    }
    let places = i32::try_from(template.after).unwrap_or(i32::MAX);
    let rounded = if value.is_finite() { value.round(places)? } else { value };
    let text = rounded.to_string();
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ('-', number.to_owned()),
        None if float.is_some_and(|(_, negative)| negative) => ('-', text),
        None => ('+', text),
    };
    let length = number.find('.').unwrap_or(number.len());
    if length > template.before {
        let number = format!("{}.{}", "#".repeat(template.before), "#".repeat(template.after));
        return Ok(context.text(&show(&mut template, &number, 0, sign)));
    }
    let spaces = template.before - length;
    Ok(context.text(&show(&mut template, &number, spaces, sign)))
}

fn to_number<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let (source, template) = (text(a, 0)?, text(a, 1)?);
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let mut template = parse(template)?;
    for (is, name) in [(template.exponent, "EEEE"), (template.roman, "RN")] {
        if is {
            return Err(EvalError::invalid(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("\"{name}\" not supported for input"),
            ));
        }
    }
    let (digits, after) = read(&mut template, source);
    let precision = template.before + template.shift + after;
    let value = Numeric::parse(&digits)?;
    let modifier = i32::try_from(precision << 16 | after).unwrap_or(0).saturating_add(4);
    let typ = ColumnType::new(ScalarType::Numeric).with_typmod(modifier);
    let value = match typ.numeric_precision_scale() {
        Some((precision, scale)) if precision > 0 => value.apply_modifier(precision, scale)?,
        _ => value,
    };
    if template.multiplied {
        let shift = Numeric::from(10).pow(&Numeric::from(-(template.shift as i64)))?;
        return Ok(Datum::Numeric(value.mul(&shift)?));
    }
    Ok(Datum::Numeric(value))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Written by a template.";
    let of_numeric: Eval = |a, c| shown(&numeric(a, 0)?, text(a, 1)?, None, c);
    d.add("numeric_to_char", "to_char(numeric, text) -> text", of_numeric, doc);
    let of_int: Eval = |a, c| shown(&Numeric::from(int(a, 0)?), text(a, 1)?, None, c);
    d.add("int4_to_char", "to_char(int4, text) -> text", of_int, doc);
    d.add("int8_to_char", "to_char(int8, text) -> text", of_int, doc);
    let of_float8: Eval = |a, c| {
        let value = float8(a, 0)?;
        let float = Some((15, value.is_sign_negative() && !value.is_nan()));
        shown(&Numeric::from_f64(value)?, text(a, 1)?, float, c)
    };
    d.add("float8_to_char", "to_char(float8, text) -> text", of_float8, doc);
    let of_float4: Eval = |a, c| {
        let value = float4(a, 0)?;
        let float = Some((6, value.is_sign_negative() && !value.is_nan()));
        shown(&Numeric::from_f64(f64::from(value))?, text(a, 1)?, float, c)
    };
    d.add("float4_to_char", "to_char(float4, text) -> text", of_float4, doc);
    let doc = "A number read by a template.";
    d.add("numeric_to_number", "to_number(text, text) -> numeric", |a, _| to_number(a), doc);
}
