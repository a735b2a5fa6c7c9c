//! Values asked from PostgreSQL.

use super::{Numeric, push_encoded, read_encoded};

fn n(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

#[test]
fn text() {
    for (input, output) in [
        ("0", "0"),
        ("-0.00", "0.00"),
        (" 1.50 ", "1.50"),
        ("1e3", "1000"),
        ("1.5e-3", "0.0015"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-12345678901234567890.123456789", "-12345678901234567890.123456789"),
        ("nan", "NaN"),
        ("-inf", "-Infinity"),
        ("Infinity", "Infinity"),
        ("1.23e1", "12.3"),
        ("0e5", "0"),
        ("1000000000000000000", "1000000000000000000"),
        ("1000000000000000000000000000000000000", "1000000000000000000000000000000000000"),
    ] {
        assert_eq!(n(input).to_string(), output);
    }
    for bad in ["", ".", "1e", "1 2", "abc", "1.2.3", "--1", "+nan"] {
        assert!(Numeric::parse(bad).is_err(), "{bad}");
    }
    assert!(Numeric::parse(&"9".repeat(76)).is_ok());
    assert!(Numeric::parse(&"9".repeat(77)).is_err());
}

#[test]
fn arithmetic() {
    let text = |value: Result<Numeric, super::NumericError>| value.unwrap().to_string();
    assert_eq!(text(n("1.5").add(&n("2.25"))), "3.75");
    assert_eq!(text(n("1.50").mul(&n("2.0"))), "3.000");
    assert_eq!(text(n("1").div(&n("3"))), "0.33333333333333333333");
    assert_eq!(text(n("10").div(&n("3"))), "3.3333333333333333");
    assert_eq!(text(n("2").div(&n("3"))), "0.66666666666666666667");
    assert_eq!(text(n("100000").div(&n("7"))), "14285.714285714286");
    assert_eq!(text(n("-7").rem(&n("3"))), "-1");
    assert_eq!(text(n("7.5").rem(&n("2"))), "1.5");
    assert_eq!(text(n("2.5").round(0)), "3");
    assert_eq!(text(n("-2.5").round(0)), "-3");
    assert_eq!(text(n("1234.5").round(-2)), "1200");
    assert_eq!(text(n("1.5").round(3)), "1.500");
    assert_eq!(text(n("-1.5").ceil()), "-1");
    assert_eq!(text(n("-1.5").floor()), "-2");
    assert_eq!(text(n("2").sqrt()), "1.414213562373095");
    assert_eq!(text(n("2").ln()), "0.6931471805599453");
    assert_eq!(text(n("1").exp()), "2.7182818284590452");
    assert_eq!(text(n("2").pow(&n("10"))), "1024.0000000000000000");
    assert_eq!(text(n("2").pow(&n("0.5"))), "1.4142135623730950");
    assert_eq!(text(n("1000").log10()), "3.0000000000000000");
    assert_eq!(text(n("12345.6789").sqrt()), "111.1111106055556");
    assert_eq!(text(n("0.0001").sqrt()), "0.01000000000000000");
    assert_eq!(text(n("0.5").ln()), "-0.6931471805599453");
    assert_eq!(text(n("-3.2").exp()), "0.04076220397836622");
    assert_eq!(text(n("2.5").pow(&n("-3"))), "0.0640000000000000");
    assert_eq!(text(n("3.0").pow(&n("0.333"))), "1.4417215093019393");
    assert_eq!(text(n("2").logarithm_of(&n("10"))), "3.3219280948873623");
    assert_eq!(text(n("1e10").div(&n("7"))), "1428571428.57142857");
    assert_eq!(text(n("0.001").div(&n("3.0"))), "0.00033333333333333333");
    assert_eq!(
        text(n("12345678901234567890.5").div(&n("0.00017"))),
        "72621640595497458179411.76471"
    );
    assert_eq!(text(n("12345.678").round(-3)), "12000");
    assert_eq!(text(n("7.5").div_trunc(&n("2"))), "3");
    assert_eq!(text(n("-7.5").rem(&n("2"))), "-1.5");
    assert_eq!(text(Numeric::from_f64(0.1)), "0.1");
    assert_eq!(text(Numeric::from_f64(1e20)), "100000000000000000000");
    assert_eq!(text(Numeric::from_f32(0.1)), "0.1");
    assert_eq!(text(n("123.456").apply_modifier(5, 2)), "123.46");
    assert!(n("999.999").apply_modifier(5, 2).is_err());
    assert_eq!(n("1.500").canonical().to_string(), "1.5");
}

#[test]
fn order_is_kept() {
    let mut values: Vec<Numeric> = ["-inf", "nan", "inf", "0", "0.00"].map(n).to_vec();
    for digits in ["1", "9", "10", "99", "100", "101", "12345", "123456789012345678901234567890"] {
        for exponent in
            ["e-300", "e-90", "e-81", "e-80", "e-79", "e-3", "e-2", "e-1", "e0", "e1", "e2", "e40"]
        {
            values.push(n(&format!("{digits}{exponent}")));
            values.push(n(&format!("-{digits}{exponent}")));
        }
    }
    for a in &values {
        let mut left = Vec::new();
        push_encoded(&mut left, a);
        let mut rest = &left[..];
        let back = read_encoded(&mut rest).unwrap();
        assert_eq!((back.to_string(), rest.len()), (a.to_string(), 0));
        for b in &values {
            let mut right = Vec::new();
            push_encoded(&mut right, b);
            match a.sql_cmp(b) {
                std::cmp::Ordering::Equal => {}
                order => assert_eq!(left.cmp(&right), order, "{a} {b}"),
            }
        }
    }
}
