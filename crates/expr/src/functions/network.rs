//! Network addresses: `inet`, `cidr`, `macaddr`, `macaddr8`.

use ethnum::I256;
use tidemill_repr::text::network::{format_address, format_inet, to_macaddr8};
use tidemill_repr::{Datum, Inet, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, inet, int, unsigned};
use crate::scalar::EvalContext;

/// The bytes ff and fe that a `macaddr8` has in the middle if it was a `macaddr`.
const MIDDLE: u64 = 0xff_fe00_0000;
const MIDDLE_MASK: u64 = 0xff_ff00_0000;
/// The bit that says that an address was given by the administrator.
const LOCAL_BIT: u64 = 0x0200_0000_0000_0000;

/// Whether the right network holds the left address or network.
fn within(inner: Inet, outer: Inet, strictly: bool) -> bool {
    let wide = if strictly { inner.bits > outer.bits } else { inner.bits >= outer.bits };
    inner.is_v4() == outer.is_v4()
        && wide
        && inner.aligned() & outer.mask() == outer.aligned() & outer.mask()
}

fn overlap(left: Inet, right: Inet) -> bool {
    left.is_v4() == right.is_v4() && (within(left, right, false) || within(right, left, false))
}

/// The number an address is: of 32 or 128 bits.
fn number(inet: Inet) -> u128 {
    if inet.is_v4() { inet.aligned() >> 96 } else { inet.aligned() }
}

fn of_number(like: Inet, number: u128, bits: u8) -> Inet {
    like.with_aligned(if like.is_v4() { number << 96 } else { number }, bits)
}

fn out_of_range() -> EvalError {
    EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

fn moved<'a>(address: Inet, by: i128) -> Evaluated<'a> {
    let longest = if address.is_v4() { u128::from(u32::MAX) } else { u128::MAX };
    let sum = number(address).checked_add_signed(by).filter(|sum| *sum <= longest);
    let sum = sum.ok_or_else(out_of_range)?;
    Ok(Datum::Inet(of_number(address, sum, address.bits)))
}

fn difference<'a>(left: Inet, right: Inet) -> Evaluated<'a> {
    if left.is_v4() != right.is_v4() {
        return Err(bad_parameter("cannot subtract inet values of different sizes"));
    }
    let bytes = I256::from(number(left)) - I256::from(number(right));
    i64::try_from(bytes).map(Datum::Int).map_err(|_| out_of_range())
}

fn paired<'a>(a: &[Datum<'a>], name: &str, join: fn(u128, u128) -> u128) -> Evaluated<'a> {
    let (left, right) = (inet(a, 0)?, inet(a, 1)?);
    if left.is_v4() != right.is_v4() {
        return Err(bad_parameter(format!("cannot {name} inet values of different sizes")));
    }
    let joined = join(left.aligned(), right.aligned());
    Ok(Datum::Inet(left.with_aligned(joined, left.bits.max(right.bits))))
}

fn host_mask(inet: Inet) -> u128 {
    let all = if inet.is_v4() { u128::MAX << 96 } else { u128::MAX };
    !inet.mask() & all
}

fn with_length<'a>(a: &[Datum<'a>], cidr: bool) -> Evaluated<'a> {
    let value = inet(a, 0)?;
    let bits = match int(a, 1)? {
        -1 => Some(value.max_bits()),
        bits => u8::try_from(bits).ok().filter(|bits| *bits <= value.max_bits()),
    };
    let Some(bits) = bits else {
        return Err(bad_parameter(format!("invalid mask length: {}", int(a, 1)?)));
    };
    let value = Inet { bits, ..value };
    Ok(Datum::Inet(if cidr { value.network() } else { value }))
}

/// The least network that holds both.
fn merged<'a>(left: Inet, right: Inet) -> Evaluated<'a> {
    if left.is_v4() != right.is_v4() {
        return Err(bad_parameter("cannot merge addresses from different families"));
    }
    let common = (left.aligned() ^ right.aligned()).leading_zeros() as u8;
    let bits = common.min(left.bits).min(right.bits);
    Ok(Datum::Inet(Inet { bits, ..left }.network()))
}

fn shown<'a>(inet: Inet, always: bool, context: EvalContext<'a>) -> Datum<'a> {
    let mut out = String::new();
    format_inet(&inet, always, &mut out);
    context.text(&out)
}

/// A network without the zeros at its end.
fn abbreviated<'a>(value: Inet, context: EvalContext<'a>) -> Datum<'a> {
    let std::net::IpAddr::V4(address) = value.address else {
        return shown(value, true, context);
    };
    let count = usize::from(value.bits.div_ceil(8)).max(1);
    let octets: Vec<String> = address.octets().iter().take(count).map(u8::to_string).collect();
    context.text(&format!("{}/{}", octets.join("."), value.bits))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Whether one network holds the other.";
    let tests: [(&str, &str, Eval); 5] = [
        ("network_sub", "<<", |a, _| Ok(Datum::Bool(within(inet(a, 0)?, inet(a, 1)?, true)))),
        ("network_subeq", "<<=", |a, _| Ok(Datum::Bool(within(inet(a, 0)?, inet(a, 1)?, false)))),
        ("network_sup", ">>", |a, _| Ok(Datum::Bool(within(inet(a, 1)?, inet(a, 0)?, true)))),
        ("network_supeq", ">>=", |a, _| Ok(Datum::Bool(within(inet(a, 1)?, inet(a, 0)?, false)))),
        ("network_overlap", "&&", |a, _| Ok(Datum::Bool(overlap(inet(a, 0)?, inet(a, 1)?)))),
    ];
    for (id, operator, eval) in tests {
        d.add(id, &format!("{id}(inet, inet) -> bool"), eval, doc).operator(operator);
    }
    let not: Eval = |a, _| {
        let value = inet(a, 0)?;
        let all = if value.is_v4() { u128::MAX << 96 } else { u128::MAX };
        Ok(Datum::Inet(value.with_aligned(!value.aligned() & all, value.bits)))
    };
    d.add("inetnot", "inetnot(inet) -> inet", not, "Bitwise not.").operator("~");
    let and: Eval = |a, _| paired(a, "AND", |x, y| x & y);
    d.add("inetand", "inetand(inet, inet) -> inet", and, "Bitwise and.").operator("&");
    let or: Eval = |a, _| paired(a, "OR", |x, y| x | y);
    d.add("inetor", "inetor(inet, inet) -> inet", or, "Bitwise or.").operator("|");
    let add: Eval = |a, _| moved(inet(a, 0)?, i128::from(int(a, 1)?));
    d.add("inetpl", "inetpl(inet, int8) -> inet", add, "So many addresses further.").operator("+");
    let added: Eval = |a, _| moved(inet(a, 1)?, i128::from(int(a, 0)?));
    d.add("int8pl_inet", "int8pl_inet(int8, inet) -> inet", added, "So many addresses further.")
        .operator("+");
    let back: Eval = |a, _| moved(inet(a, 0)?, -i128::from(int(a, 1)?));
    d.add("inetmi_int8", "inetmi_int8(inet, int8) -> inet", back, "So many addresses back.")
        .operator("-");
    let between: Eval = |a, _| difference(inet(a, 0)?, inet(a, 1)?);
    d.add("inetmi", "inetmi(inet, inet) -> int8", between, "How many addresses lie between.")
        .operator("-");
    define_parts(d);
    define_texts(d);
    define_hardware(d);
}

fn define_parts(d: &mut Definitions) {
    let parts: [(&str, &str, &str, Eval, &str); 7] = [
        (
            "network_broadcast",
            "broadcast",
            "inet",
            |a, _| {
                let value = inet(a, 0)?;
                let all = value.aligned() | host_mask(value);
                Ok(Datum::Inet(value.with_aligned(all, value.bits)))
            },
            "The last address of the network.",
        ),
        (
            "network_hostmask",
            "hostmask",
            "inet",
            |a, _| {
                let value = inet(a, 0)?;
                Ok(Datum::Inet(value.with_aligned(host_mask(value), value.max_bits())))
            },
            "The bits of the host, set.",
        ),
        (
            "network_netmask",
            "netmask",
            "inet",
            |a, _| {
                let value = inet(a, 0)?;
                Ok(Datum::Inet(value.with_aligned(value.mask(), value.max_bits())))
            },
            "The bits of the network, set.",
        ),
        (
            "network_network",
            "network",
            "cidr",
            |a, _| Ok(Datum::Inet(inet(a, 0)?.network())),
            "The network of an address.",
        ),
        (
            "network_family",
            "family",
            "int4",
            |a, _| Ok(Datum::Int(if inet(a, 0)?.is_v4() { 4 } else { 6 })),
            "4 or 6.",
        ),
        (
            "network_masklen",
            "masklen",
            "int4",
            |a, _| Ok(Datum::Int(i64::from(inet(a, 0)?.bits))),
            "Length of the network's prefix.",
        ),
        (
            "inet_to_cidr",
            "cidr",
            "cidr",
            |a, _| Ok(Datum::Inet(inet(a, 0)?.network())),
            "The network of an address.",
        ),
    ];
    for (id, name, returns, eval, doc) in parts {
        let added = d.add(id, &format!("{name}(inet) -> {returns}"), eval, doc);
        if id == "inet_to_cidr" {
            added.cast(CastContext::Assignment);
        }
    }
    d.cast("cidr", "inet", CastContext::Implicit, None);
    let doc = "With another length of the prefix.";
    let of_inet: Eval = |a, _| with_length(a, false);
    d.add("inet_set_masklen", "set_masklen(inet, int4) -> inet", of_inet, doc);
    let of_cidr: Eval = |a, _| with_length(a, true);
    d.add("cidr_set_masklen", "set_masklen(cidr, int4) -> cidr", of_cidr, doc);
    d.add(
        "inet_same_family",
        "inet_same_family(inet, inet) -> bool",
        |a, _| Ok(Datum::Bool(inet(a, 0)?.is_v4() == inet(a, 1)?.is_v4())),
        "Whether both are of IPv4, or of IPv6.",
    );
    let merge: Eval = |a, _| merged(inet(a, 0)?, inet(a, 1)?);
    let doc = "The least network that holds both.";
    d.add("inet_merge", "inet_merge(inet, inet) -> cidr", merge, doc);
}

fn define_texts(d: &mut Definitions) {
    let host: Eval = |a, c| {
        let mut out = String::new();
        format_address(&inet(a, 0)?.address, &mut out);
        Ok(c.text(&out))
    };
    d.add("network_host", "host(inet) -> text", host, "The address without its prefix.");
    let text: Eval = |a, c| Ok(shown(inet(a, 0)?, true, c));
    d.add("network_show", "text(inet) -> text", text, "The address and the length of its prefix.");
    let abbreviate: Eval = |a, c| Ok(shown(inet(a, 0)?, false, c));
    d.add("inet_abbrev", "abbrev(inet) -> text", abbreviate, "The address as short as it can be.");
    let abbreviate: Eval = |a, c| Ok(abbreviated(inet(a, 0)?, c));
    d.add("cidr_abbrev", "abbrev(cidr) -> text", abbreviate, "The network as short as it can be.");
}

fn define_hardware(d: &mut Definitions) {
    for typ in ["macaddr", "macaddr8"] {
        let and: Eval = |a, _| Ok(Datum::UInt(unsigned(a, 0)? & unsigned(a, 1)?));
        let id = format!("{typ}_and");
        d.add(&id, &format!("{id}({typ}, {typ}) -> {typ}"), and, "Bitwise and.").operator("&");
        let or: Eval = |a, _| Ok(Datum::UInt(unsigned(a, 0)? | unsigned(a, 1)?));
        let id = format!("{typ}_or");
        d.add(&id, &format!("{id}({typ}, {typ}) -> {typ}"), or, "Bitwise or.").operator("|");
        let not: Eval = match typ {
            "macaddr" => |a, _| Ok(Datum::UInt(!unsigned(a, 0)? & 0xffff_ffff_ffff)),
            _ => |a, _| Ok(Datum::UInt(!unsigned(a, 0)?)),
        };
        let id = format!("{typ}_not");
        d.add(&id, &format!("{id}({typ}) -> {typ}"), not, "Bitwise not.").operator("~");
        let trunc: Eval = match typ {
            "macaddr" => |a, _| Ok(Datum::UInt(unsigned(a, 0)? & 0xffff_ff00_0000)),
            _ => |a, _| Ok(Datum::UInt(unsigned(a, 0)? & 0xffff_ff00_0000_0000)),
        };
        let doc = "The manufacturer's bytes, the others zero.";
        d.add(&format!("{typ}_trunc"), &format!("trunc({typ}) -> {typ}"), trunc, doc);
    }
    let set: Eval = |a, _| Ok(Datum::UInt(unsigned(a, 0)? | LOCAL_BIT));
    let doc = "The address as IPv6 uses it: the seventh bit set.";
    d.add("macaddr8_set7bit", "macaddr8_set7bit(macaddr8) -> macaddr8", set, doc);
    let wide: Eval = |a, _| Ok(Datum::UInt(to_macaddr8(unsigned(a, 0)?)));
    d.add("macaddrtomacaddr8", "macaddr8(macaddr) -> macaddr8", wide, "With ff and fe put in.")
        .cast(CastContext::Implicit);
    let narrow: Eval = |a, _| {
        let value = unsigned(a, 0)?;
        if value & MIDDLE_MASK != MIDDLE {
            return Err(EvalError::Invalid {
                code: SqlState::NUMERIC_VALUE_OUT_OF_RANGE.0.to_owned(),
                message: "macaddr8 data out of range to convert to macaddr".to_owned(),
                detail: None,
                hint: None,
            });
        }
        Ok(Datum::UInt(value >> 40 << 24 | value & 0xff_ffff))
    };
    d.add("macaddr8tomacaddr", "macaddr(macaddr8) -> macaddr", narrow, "Without ff and fe.")
        .cast(CastContext::Implicit);
}
