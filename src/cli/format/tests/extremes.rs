//! Every scalar at the ends of its range, through every format, both ways.

use super::*;
use shmkit::array::Scalar;

/// Each scalar with values at its ends: bytes, as text, as JSON.
fn ends(scalar: Scalar) -> Vec<(Vec<u8>, &'static str, &'static str)> {
    macro_rules! same {
        ($($value:expr => $text:literal),*) => {
            vec![$(($value.to_le_bytes().to_vec(), $text, $text)),*]
        };
    }
    match scalar {
        Scalar::I8 => same!(i8::MIN => "-128", -1i8 => "-1", 0i8 => "0", i8::MAX => "127"),
        Scalar::I16 => same!(i16::MIN => "-32768", 0i16 => "0", i16::MAX => "32767"),
        Scalar::I32 => same!(i32::MIN => "-2147483648", i32::MAX => "2147483647"),
        Scalar::I64 => same!(
            i64::MIN => "-9223372036854775808", -1i64 => "-1", i64::MAX => "9223372036854775807"
        ),
        Scalar::U8 => same!(0u8 => "0", 9u8 => "9", 10u8 => "10", u8::MAX => "255"),
        Scalar::U16 => same!(0u16 => "0", u16::MAX => "65535"),
        Scalar::U32 => same!(0u32 => "0", u32::MAX => "4294967295"),
        Scalar::U64 => same!(
            0u64 => "0", 1u64 << 53 => "9007199254740992",
            (1u64 << 53) + 1 => "9007199254740993", u64::MAX => "18446744073709551615"
        ),
        Scalar::F32 => {
            let mut ends = same!(
                0.0f32 => "0.0", -0.0f32 => "-0.0", 1.0f32 => "1.0", -1.5f32 => "-1.5",
                f32::MAX => "3.4028235e38", f32::MIN => "-3.4028235e38",
                f32::MIN_POSITIVE => "1.1754944e-38", f32::from_bits(1) => "1e-45",
                f32::EPSILON => "1.1920929e-7", 16_777_216.0f32 => "16777216.0",
                0.1f32 => "0.1", 8_388_607.5f32 => "8388607.5"
            );
            ends.extend(no_numbers(
                f32::NAN.to_le_bytes().to_vec(),
                f32::INFINITY.to_le_bytes().to_vec(),
                f32::NEG_INFINITY.to_le_bytes().to_vec(),
            ));
            ends
        }
        Scalar::F64 => {
            let mut ends = same!(
                0.0f64 => "0.0", -0.0f64 => "-0.0", 1.0f64 => "1.0", -1.5f64 => "-1.5",
                f64::MAX => "1.7976931348623157e308", f64::MIN => "-1.7976931348623157e308",
                f64::MIN_POSITIVE => "2.2250738585072014e-308", f64::from_bits(1) => "5e-324",
                f64::EPSILON => "2.220446049250313e-16", 0.1f64 => "0.1", 1e300f64 => "1e300",
                123456789.0f64 => "123456789.0", -4503599627370495.0f64 => "-4503599627370495.0",
                9007199254740993.0f64 => "9007199254740992.0"
            );
            ends.extend(no_numbers(
                f64::NAN.to_le_bytes().to_vec(),
                f64::INFINITY.to_le_bytes().to_vec(),
                f64::NEG_INFINITY.to_le_bytes().to_vec(),
            ));
            ends
        }
        Scalar::Bool => vec![(vec![0], "false", "false"), (vec![1], "true", "true")],
    }
}

fn no_numbers(
    nan: Vec<u8>,
    inf: Vec<u8>,
    minus_inf: Vec<u8>,
) -> [(Vec<u8>, &'static str, &'static str); 3] {
    [
        (nan, "NaN", "\"NaN\""),
        (inf, "inf", "\"inf\""),
        (minus_inf, "-inf", "\"-inf\""),
    ]
}

#[test]
fn every_scalar_at_its_ends_is_printed_and_read_back_in_every_format() {
    for scalar in Scalar::ALL {
        let element = ElementType::scalar(scalar);
        let ends = ends(scalar);
        let bytes: Vec<u8> = ends.iter().flat_map(|end| end.0.clone()).collect();
        let lines: String = ends.iter().map(|end| format!("{}\n", end.1)).collect();
        let json: Vec<_> = ends.iter().map(|end| end.2).collect();
        assert_eq!(text_of(Format::Text, &element, &bytes), lines);
        assert_eq!(text_of(Format::Csv, &element, &bytes), lines);
        let json = format!("[{}]\n", json.join(","));
        assert_eq!(text_of(Format::Json, &element, &bytes), json);
        assert_eq!(printed(Format::Raw, &element, &bytes), bytes);
        for format in FORMATS {
            let out = printed(format, &element, &bytes);
            let back = parsed(format, &element, ends.len() as u64, &out).unwrap();
            assert_eq!(back, bytes, "{scalar:?} {format:?}");
        }
    }
}

#[test]
fn arrays_of_each_scalar_are_read_back_in_every_format() {
    for scalar in Scalar::ALL {
        let ends = ends(scalar);
        let bytes: Vec<u8> = ends.iter().flat_map(|end| end.0.clone()).collect();
        let element = element(&format!("[[{};{}];1]", scalar.as_str(), ends.len()));
        let twice = [bytes.clone(), bytes].concat();
        for format in FORMATS {
            let out = printed(format, &element, &twice);
            assert_eq!(parsed(format, &element, 2, &out).unwrap(), twice);
        }
    }
}

#[test]
fn records_have_one_form_in_each_format_and_padding_is_0() {
    let element = element("id:u8,p:[f32;2],c:{ok:bool,n:i64}");
    assert_eq!(element.size(), 32);
    let mut bytes = vec![0; 64];
    bytes[0] = 7;
    bytes[4..8].copy_from_slice(&0.5f32.to_le_bytes());
    bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes[16] = 1;
    bytes[24..32].copy_from_slice(&(-3i64).to_le_bytes());
    let text = "7 0.5 NaN true -3\n0 0.0 0.0 false 0\n";
    let csv = "id,p[0],p[1],c.ok,c.n\n7,0.5,NaN,true,-3\n0,0.0,0.0,false,0\n";
    let json = "[{\"id\":7,\"p\":[0.5,\"NaN\"],\"c\":{\"ok\":true,\"n\":-3}},\
                {\"id\":0,\"p\":[0.0,0.0],\"c\":{\"ok\":false,\"n\":0}}]\n";
    for (format, expected) in [
        (Format::Text, text),
        (Format::Csv, csv),
        (Format::Json, json),
    ] {
        // What lies in the padding is not printed, and comes back as 0.
        let mut dirty = bytes.clone();
        dirty[1..4].fill(0xee);
        dirty[12..16].fill(0xee);
        dirty[17..24].fill(0xee);
        assert_eq!(text_of(format, &element, &dirty), expected);
        assert_eq!(parsed(format, &element, 2, expected).unwrap(), bytes);
    }
    let many = super::element("[{x:i8,y:[bool;2]};2]");
    let bytes = [1, 0, 1, 0xff, 1, 1];
    let json = "[[{\"x\":1,\"y\":[false,true]},{\"x\":-1,\"y\":[true,true]}]]\n";
    assert_eq!(text_of(Format::Json, &many, &bytes), json);
    assert_eq!(parsed(Format::Json, &many, 1, json).unwrap(), bytes);
    let csv = "1,false,true,-1,true,true\n";
    assert_eq!(text_of(Format::Csv, &many, &bytes), csv);
    assert_eq!(parsed(Format::Csv, &many, 1, csv).unwrap(), bytes);
}

#[test]
fn no_elements_are_nothing_in_every_format() {
    for (text, csv) in [("f64", ""), ("[u8;3]", ""), ("x:u8,y:i8", "x,y\n")] {
        let element = element(text);
        assert_eq!(text_of(Format::Text, &element, &[]), "");
        assert_eq!(text_of(Format::Json, &element, &[]), "[]\n");
        assert_eq!(text_of(Format::Csv, &element, &[]), csv);
        assert_eq!(text_of(Format::Raw, &element, &[]), "");
        for format in [Format::Text, Format::Json, Format::Csv, Format::Raw] {
            let out = printed(format, &element, &[]);
            assert_eq!(parsed(format, &element, 0, out).unwrap(), NOTHING);
            assert_eq!(
                parsed(format, &element, 0, "").unwrap(),
                NOTHING,
                "{format:?}"
            );
        }
        for blank in ["\n", " \t\r\n \n"] {
            assert_eq!(parsed(Format::Text, &element, 0, blank).unwrap(), NOTHING);
            assert_eq!(parsed(Format::Json, &element, 0, blank).unwrap(), NOTHING);
            assert_eq!(parsed(Format::Csv, &element, 0, blank).unwrap(), NOTHING);
        }
    }
}

#[test]
fn any_byte_but_0_is_a_true_and_printed_as_such() {
    let element = element("bool");
    let bytes = [0, 1, 2, 255];
    assert_eq!(
        text_of(Format::Text, &element, &bytes),
        "false\ntrue\ntrue\ntrue\n"
    );
    assert_eq!(
        text_of(Format::Json, &element, &bytes),
        "[false,true,true,true]\n"
    );
    assert!(printed(Format::Npy, &element, &bytes).ends_with(&[0, 1, 1, 1]));
    assert_eq!(printed(Format::Raw, &element, &bytes), bytes);
}

#[test]
fn every_form_of_a_float_is_read() {
    let element = element("f64");
    let value = |text: &str| {
        let bytes = parsed(Format::Text, &element, 1, text).unwrap();
        f64::from_le_bytes(bytes.try_into().unwrap())
    };
    for text in ["nan", "NaN", "NAN", "+nan", "-NaN"] {
        assert_eq!(value(text).to_bits(), f64::NAN.to_bits(), "{text}");
    }
    for text in ["inf", "INF", "+inf", "Infinity", "+INFINITY"] {
        assert_eq!(value(text), f64::INFINITY, "{text}");
        let minus = format!("-{}", text.trim_start_matches('+'));
        assert_eq!(value(&minus), f64::NEG_INFINITY);
    }
    for (text, number) in [
        ("1", 1.0),
        ("+1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e+1", -5.0),
        ("1E3", 1000.0),
        ("1e-400", 0.0),
        ("0.1", 0.1),
    ] {
        assert_eq!(value(text).to_bits(), f64::to_bits(number), "{text}");
    }
    assert_eq!(value("-1e-400").to_bits(), (-0.0f64).to_bits());
}

#[test]
fn every_form_of_an_integer_is_read() {
    let element = element("i16");
    for (text, number) in [
        ("0x7fff", i16::MAX),
        ("0XfF", 255),
        ("-0x8000", i16::MIN),
        ("+12", 12),
        ("-0", 0),
        ("0012", 12),
    ] {
        let bytes = parsed(Format::Text, &element, 1, text).unwrap();
        assert_eq!(bytes, number.to_le_bytes(), "{text}");
    }
}

#[test]
fn an_f32_is_rounded_once_in_every_text_format() {
    // A little above the middle of two f32s, so the upper one; but as an f64
    // it is the middle itself, which rounds down to the even one.
    let decimal = "1.000000059604644775390625000000000001";
    let once: f32 = decimal.parse().unwrap();
    let twice = decimal.parse::<f64>().unwrap() as f32;
    assert_ne!(once, twice);
    let element = element("f32");
    for (format, input) in [
        (Format::Text, decimal.to_owned()),
        (Format::Csv, decimal.to_owned()),
        (Format::Json, decimal.to_owned()),
        (Format::Json, format!("[{decimal}]")),
        (Format::Json, format!("[ \n {decimal} ]")),
    ] {
        let bytes = parsed(format, &element, 1, &input).unwrap();
        assert_eq!(bytes, once.to_le_bytes(), "{input}");
    }
    let record = super::element("x:f32,y:f32");
    let json = format!("{{\"x\":\"inf\",\"y\" : {decimal}}}");
    let bytes = parsed(Format::Json, &record, 1, json).unwrap();
    assert_eq!(bytes[4..], once.to_le_bytes());
}

#[test]
fn what_is_read_does_not_depend_on_the_pieces_in_which_it_comes() {
    let element = element("id:u16,p:[f32;2],ok:bool");
    let one = [1, 1, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0, 1, 0, 0, 0];
    let bytes = one.repeat(50);
    for format in [Format::Text, Format::Json, Format::Csv, Format::Raw] {
        let out = printed(format, &element, &bytes);
        let whole = parsed(format, &element, 50, &out).unwrap();
        for size in [1, 2, 3, 7, 64, 1000] {
            let mut pieces = Pieces::new(&out, size);
            assert_eq!(parse(format, &element, 50, &mut pieces).unwrap(), whole);
        }
    }
    let floats = super::element("[f64;4]");
    let out = printed(Format::Npy, &floats, &bytes);
    let mut pieces = Pieces::new(&out, 5);
    assert_eq!(parse(Format::Npy, &floats, 25, &mut pieces).unwrap(), bytes);
}

#[test]
fn pages_of_words_are_read_as_one_input() {
    let element = element("u32");
    let numbers = 0..200_000u32;
    let bytes: Vec<u8> = numbers.clone().flat_map(u32::to_le_bytes).collect();
    for format in FORMATS {
        let out = printed(format, &element, &bytes);
        assert!(
            parsed(format, &element, 200_000, &out).unwrap() == bytes,
            "{format:?}"
        );
    }
    let spread: String = numbers
        .map(|i| format!("{i}{}", " \r\n\t".repeat(i as usize % 5)))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(parsed(Format::Text, &element, 200_000, spread).unwrap() == bytes);
}

#[test]
fn floats_where_the_ways_to_print_them_meet_are_printed_alike() {
    let same = |value: f64| {
        let shortest = |text: &str| text.replace("e+", "e");
        let text = text_of(Format::Text, &element("f64"), &value.to_le_bytes());
        let mut buffer = zmij::Buffer::new();
        assert_eq!(text.trim_end(), shortest(buffer.format(value)));
        let single = value as f32;
        let text = text_of(Format::Text, &element("f32"), &single.to_le_bytes());
        assert_eq!(text.trim_end(), shortest(buffer.format(single)));
    };
    for power in 0..64 {
        for digits in [0.0, 0.5, 1.0, 1.5, 2.0] {
            for edge in [2f64.powi(power), 10f64.powi(power / 2)] {
                for value in [edge - digits, edge + digits] {
                    same(value);
                    same(-value);
                }
            }
        }
    }
}
