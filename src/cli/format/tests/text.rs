//! Text and words of a command line: what is refused, and where.

use super::*;

#[test]
fn text_names_line_and_column_of_the_word() {
    let one = |text: &str, input: &str| error(Format::Text, &element(text), input);
    for (text, input, expected) in [
        (
            "u8",
            "1 2\n3\n4 5  256\n",
            "line 3, column 6: '256' is not a u8 (0 to 255)",
        ),
        ("u8", "-1", "line 1, column 1: '-1' is not a u8 (0 to 255)"),
        (
            "i8",
            "0xff",
            "line 1, column 1: '0xff' is not an i8 (-128 to 127)",
        ),
        (
            "i8",
            "1\r\n128",
            "line 2, column 1: '128' is not an i8 (-128 to 127)",
        ),
        (
            "u64",
            "18446744073709551616",
            "line 1, column 1: '18446744073709551616' is not a u64 (0 to 18446744073709551615)",
        ),
        (
            "i64",
            "-9223372036854775809",
            "line 1, column 1: '-9223372036854775809' is not an i64 (-9223372036854775808 to 9223372036854775807)",
        ),
        (
            "i32",
            "1.0",
            "line 1, column 1: '1.0' is not an i32 (-2147483648 to 2147483647)",
        ),
        (
            "u16",
            "\t1e3",
            "line 1, column 2: '1e3' is not a u16 (0 to 65535)",
        ),
        (
            "u16",
            "nan",
            "line 1, column 1: 'nan' is not a u16 (0 to 65535)",
        ),
        (
            "u16",
            "0x",
            "line 1, column 1: '0x' is not a u16 (0 to 65535)",
        ),
        (
            "u16",
            "+",
            "line 1, column 1: '+' is not a u16 (0 to 65535)",
        ),
        (
            "u16",
            "--1",
            "line 1, column 1: '--1' is not a u16 (0 to 65535)",
        ),
        (
            "u16",
            "1,2",
            "line 1, column 1: '1,2' is not a u16 (0 to 65535)",
        ),
        (
            "f64",
            "1e400",
            "line 1, column 1: '1e400' is not an f64 (at most 1.7976931348623157e308)",
        ),
        (
            "f64",
            "-1e400",
            "line 1, column 1: '-1e400' is not an f64 (at most 1.7976931348623157e308)",
        ),
        (
            "f32",
            "1e39",
            "line 1, column 1: '1e39' is not an f32 (at most 3.4028235e38)",
        ),
        (
            "f64",
            "0x10",
            "line 1, column 1: '0x10' is not an f64 (a number, inf or nan)",
        ),
        (
            "f64",
            "1 .\n",
            "line 1, column 3: '.' is not an f64 (a number, inf or nan)",
        ),
        (
            "f64",
            "1_0",
            "line 1, column 1: '1_0' is not an f64 (a number, inf or nan)",
        ),
        (
            "bool",
            "1 0 true TRUE",
            "line 1, column 10: 'TRUE' is not a bool (true, false, 1 or 0)",
        ),
        (
            "bool",
            "2",
            "line 1, column 1: '2' is not a bool (true, false, 1 or 0)",
        ),
        (
            "u8",
            "1\u{0}2",
            "line 1, column 2: '\\u{0}2' is not a u8 (0 to 255)",
        ),
        ("u8", "7 ä", "line 1, column 3: 'ä' is not a u8 (0 to 255)"),
        (
            "u8",
            "\u{1b}[2J",
            "line 1, column 1: '\\u{1b}[2J' is not a u8 (0 to 255)",
        ),
        (
            "[u8;3]",
            "1 2 3\n4 5\n",
            "line 3, column 1: the input ends within an element, after 2 of its 3 values",
        ),
        (
            "x:u8,y:f32",
            "1 2 3",
            "line 1, column 6: the input ends within an element, after 1 of its 2 values",
        ),
        (
            "x:u8,y:f32,z:bool",
            "1 2 3",
            "line 1, column 5: '3' is not a bool (true, false, 1 or 0)",
        ),
    ] {
        assert_eq!(one(text, input), expected, "{text} {input:?}");
    }
    let long = error(Format::Text, &element("u8"), "9".repeat(1000));
    assert!(long.len() < 100 && long.contains("999...'"), "{long}");
    assert!(error(Format::Text, &element("u8"), b"\xff\xfe").contains("'\u{fffd}\u{fffd}'"));
}

#[test]
fn words_of_a_command_line_have_numbers() {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let one = |text: &str, input: &[&str]| {
        parse_words(&element(text), 2, &words(input)).map_err(|error| error.to_string())
    };
    assert_eq!(one("i8", &["-1", "2"]), Ok(vec![255, 2]));
    assert_eq!(one("i8", &[" -1\n2 "]), Ok(vec![255, 2]));
    assert_eq!(one("[u8;2]", &["1", "2 3", "4"]), Ok(vec![1, 2, 3, 4]));
    assert_eq!(one("x:u8,y:u16", &["1", "2"]), Ok(vec![1, 0, 2, 0]));
    assert_eq!(one("u8", &[]), Ok(vec![]));
    for (text, input, expected) in [
        (
            "[u8;3]",
            &["1", "2", "256"][..],
            "value 3: '256' is not a u8 (0 to 255)",
        ),
        ("[u8;3]", &["1 2 x"], "value 3: 'x' is not a u8 (0 to 255)"),
        ("u8", &["1", ""], "value 2: '' is not a u8 (0 to 255)"),
        ("u8", &["1", " "], "value 2: '' is not a u8 (0 to 255)"),
        (
            "[u8;2]",
            &["1", "2", "3"],
            "value 3: the input ends within an element, after 1 of its 2 values",
        ),
        (
            "u8",
            &["1", "2", "x"],
            "more values than fit: there is room for 2 elements",
        ),
    ] {
        assert_eq!(one(text, input), Err(expected.to_owned()), "{input:?}");
    }
}

#[test]
fn a_fill_is_a_whole_element_or_one_value_for_all_of_it() {
    let one = |text: &str, fill: &str| {
        parse_fill(&element(text), fill).map_err(|error| error.to_string())
    };
    assert_eq!(one("u8", "7"), Ok(vec![7]));
    assert_eq!(one("[u8;3]", "7"), Ok(vec![7, 7, 7]));
    assert_eq!(one("[u8;3]", " 1 2  3 "), Ok(vec![1, 2, 3]));
    assert_eq!(one("x:u8,y:u16,z:bool", "1"), Ok(vec![1, 0, 1, 0, 1, 0]));
    assert_eq!(
        one("x:i8,y:u16,z:bool", "-2 3 false"),
        Ok(vec![254, 0, 3, 0, 0, 0])
    );
    for (text, fill, expected) in [
        ("u8", "256", "'256' is not a u8 (0 to 255)"),
        ("u8", "", "'' is not a u8 (0 to 255)"),
        ("u8", "1 2", "2 values where 1 should be"),
        ("[u8;3]", "1 2", "2 values where 1 or 3 should be"),
        ("[u8;3]", "1 2 x", "value 3: 'x' is not a u8 (0 to 255)"),
        (
            "x:u8,z:bool",
            "7",
            "'7' is not a bool (true, false, 1 or 0)",
        ),
    ] {
        assert_eq!(one(text, fill), Err(expected.to_owned()), "{fill}");
    }
}
