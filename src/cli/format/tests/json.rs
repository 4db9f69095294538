//! JSON: what is refused, and where; what is read all the same.

use super::*;

#[test]
fn json_words_are_elements_or_arrays_of_them() {
    let one = |text: &str, input: &[&str]| {
        let words: Vec<_> = input.iter().map(|word| (*word).to_owned()).collect();
        parse_json_words(&element(text), 4, &words).map_err(|error| error.to_string())
    };
    assert_eq!(one("u8", &["1", "[2,3]", "[]", "4"]), Ok(vec![1, 2, 3, 4]));
    assert_eq!(
        one("[u8;2]", &["[1,2]", "[[3,4],[5,6]]", "[]"]),
        Ok(vec![1, 2, 3, 4, 5, 6])
    );
    assert_eq!(
        one("[[u8;1];2]", &["[[1],[2]]", " [ [ [3],[4] ] ]"]),
        Ok(vec![1, 2, 3, 4])
    );
    assert_eq!(one("x:u8", &["{\"x\":1}", "[{\"x\":2}]"]), Ok(vec![1, 2]));
    assert_eq!(
        one("[{x:u8};1]", &["[{\"x\":1}]", "[[{\"x\":2}]]"]),
        Ok(vec![1, 2])
    );
    for (text, input, expected) in [
        (
            "u8",
            &["1", "[2,256]"][..],
            "value 2, line 1, column 4: 256 is not a u8 (0 to 255)",
        ),
        (
            "u8",
            &["1 2"],
            "value 1, line 1, column 3: trailing characters",
        ),
        (
            "u8",
            &["1", ""],
            "value 2, line 1, column 0: EOF while parsing a value",
        ),
        (
            "u8",
            &["[1,2]", "3", "4", "5"],
            "more values than fit: there is room for 4 elements",
        ),
    ] {
        assert_eq!(one(text, input), Err(expected.to_owned()), "{input:?}");
    }
}

#[test]
fn json_names_line_and_column() {
    let one = |text: &str, input: &str| error(Format::Json, &element(text), input);
    for (text, input, expected) in [
        (
            "u8",
            "[1,\n 256]",
            "line 2, column 2: 256 is not a u8 (0 to 255)",
        ),
        ("u8", "[-1]", "line 1, column 2: -1 is not a u8 (0 to 255)"),
        (
            "u8",
            "[1.0]",
            "line 1, column 2: 1.0 is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "1e2",
            "line 1, column 1: 100.0 is not a u8 (0 to 255)",
        ),
        (
            "u64",
            "18446744073709551616",
            "line 1, column 1: 1.8446744073709552e19 is not a u64 (0 to 18446744073709551615)",
        ),
        (
            "u8",
            "[true]",
            "line 1, column 5: true is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "[null]",
            "line 1, column 2: null is not a u8 (0 to 255)",
        ),
        (
            "f32",
            "[null]",
            "line 1, column 2: null is not an f32 (a number, inf or nan)",
        ),
        (
            "u8",
            "[\"1\"]",
            "line 1, column 4: string '1' is not a u8 (0 to 255)",
        ),
        (
            "f64",
            "[\"x\"]",
            "line 1, column 4: string 'x' is not an f64 (a number, inf or nan)",
        ),
        (
            "f32",
            "[\"x\"]",
            "line 1, column 4: string 'x' is not an f32 (a number, inf or nan)",
        ),
        ("f64", "[1e400]", "line 1, column 2: number out of range"),
        ("f32", "[1e39]", "line 1, column 2: number out of range"),
        ("f64", "[NaN]", "line 1, column 2: expected value"),
        ("f64", "[01]", "line 1, column 3: invalid number"),
        ("f32", "[.5]", "line 1, column 2: expected value"),
        (
            "bool",
            "[2]",
            "line 1, column 2: 2 is not a bool (true, false, 1 or 0)",
        ),
        ("bool", "[truth]", "line 1, column 5: expected value"),
        ("f64", "[nan]", "line 1, column 3: expected value"),
        (
            "u8",
            "[-0.0]",
            "line 1, column 2: -0.0 is not a u8 (0 to 255)",
        ),
        (
            "i64",
            "-0e0",
            "line 1, column 1: -0.0 is not an i64 (-9223372036854775808 to 9223372036854775807)",
        ),
        (
            "u8",
            "-0e-0",
            "line 1, column 1: -0.0 is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "[-0.0E-0]",
            "line 1, column 2: -0.0 is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "[-1e-400]",
            "line 1, column 2: -0.0 is not a u8 (0 to 255)",
        ),
        (
            "bool",
            "[-0]",
            "line 1, column 2: -0.0 is not a bool (true, false, 1 or 0)",
        ),
        ("u8", "[1,]", "line 1, column 4: trailing comma"),
        ("u8", "[1 2]", "line 1, column 4: expected `,` or `]`"),
        ("u8", "[1", "line 1, column 2: EOF while parsing a list"),
        ("u8", "[1]\n[2]", "line 2, column 1: trailing characters"),
        ("u8", "[1]]", "line 1, column 4: trailing characters"),
        (
            "u8",
            "{}",
            "line 1, column 2: invalid type: map, expected a u8 (0 to 255)",
        ),
        (
            "u8",
            "[[1]]",
            "line 1, column 3: invalid type: sequence, expected a u8 (0 to 255)",
        ),
        (
            "[u8;2]",
            "[[1,2],[3]]",
            "line 1, column 10: an array of 1 where one of 2 should be",
        ),
        (
            "[u8;2]",
            "[[1,2],[3,4,5]]",
            "line 1, column 13: a longer array where one of 2 should be",
        ),
        (
            "[u8;2]",
            "[[1,2],3]",
            "line 1, column 8: invalid type: integer `3`, expected an array of 2",
        ),
        (
            "[u8;2]",
            "[1,2,3]",
            "line 1, column 6: a longer array where one of 2 should be",
        ),
        (
            "[u8;2]",
            "7",
            "line 1, column 1: invalid type: integer `7`, expected an array of 2",
        ),
        ("x:u8,y:u8", "[{\"x\":1}]", "line 1, column 8: no field 'y'"),
        (
            "x:u8,y:u8",
            "[{\"x\":1,\"y\":2,\"z\":3}]",
            "line 1, column 18: unknown field 'z'",
        ),
        (
            "x:u8,y:u8",
            "[{\"x\":1,\n\"x\":2}]",
            "line 2, column 4: field 'x' twice",
        ),
        (
            "x:u8,y:u8",
            "[[1,2]]",
            "line 1, column 2: invalid type: sequence, expected an object with a record's fields",
        ),
        (
            "x:u8,y:u8",
            "{\"x\":1,\"y\":}",
            "line 1, column 12: expected value",
        ),
        ("x:u8", "{\"x\" 1}", "line 1, column 6: expected `:`"),
        ("u8", "\"\u{1}\"", "line 1, column 2: control character"),
    ] {
        let error = one(text, input);
        assert!(error.starts_with(expected), "{text} {input}: {error}");
    }
    let long = format!("[[\"{}\"]]", "x".repeat(60_000));
    assert!(one("[u8;1]", &long).len() < 400);
    assert!(one("[[u8;1];1]", &long).len() < 400);
}

#[test]
fn json_fields_may_come_in_any_order() {
    let element = element("x:u8,y:{a:u16,b:bool},z:f32");
    let bytes = [1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0x80, 0x3f];
    for json in [
        "[{\"x\":1,\"y\":{\"a\":2,\"b\":true},\"z\":1}]",
        " { \"z\" : 1.0 , \"y\" : { \"b\" : 1 , \"a\" : 2 } , \"x\" : 1 } ",
        "{\"\\u0079\":{\"b\":true,\"a\":2},\"x\":1,\"z\":1e0}",
    ] {
        assert_eq!(
            parsed(Format::Json, &element, 1, json).unwrap(),
            bytes,
            "{json}"
        );
    }
}

#[test]
fn a_zero_may_have_a_sign() {
    for text in ["u8", "i8", "u64", "i64"] {
        let element = element(text);
        for input in [
            "-0",
            "[-0]",
            "[-0\n]",
            " [ -0 , -0 ] ",
            "\n\n-0\n",
            "[0,-0]",
        ] {
            let bytes = parsed(Format::Json, &element, 9, input).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0), "{text}: {input:?}");
            assert!(bytes.len() >= element.size());
        }
    }
    let one = parsed(Format::Json, &element("f64"), 9, "[-0]").unwrap();
    assert_eq!(one, (-0.0f64).to_le_bytes());
}

#[test]
fn blanks_before_a_value_are_as_many_as_they_like() {
    // Around a page's end, and of several pages.
    for blanks in [0, 1, 65535, 65536, 65537, 200_001] {
        for (text, value, expected) in [
            ("u8", "[1,2]", &[1u8, 2][..]),
            ("u8", "7", &[7]),
            ("[u8;2]", "[[1,2],[3,4]]", &[1, 2, 3, 4]),
            ("x:u8", "{\"x\":5}", &[5]),
        ] {
            for size in [usize::MAX, 1000] {
                let input = " ".repeat(blanks) + value;
                let mut input = Pieces::new(input.as_bytes(), size);
                let bytes = parse(Format::Json, &element(text), 9, &mut input).unwrap();
                assert_eq!(bytes, expected, "{blanks} blanks, {value}");
            }
        }
        assert_eq!(
            error(Format::Json, &element("u8"), " ".repeat(blanks) + "[1,x]"),
            format!("line 1, column {}: expected value", blanks + 4)
        );
        assert_eq!(
            error(
                Format::Json,
                &element("u8"),
                "\n".repeat(blanks) + " [1,256]"
            ),
            format!("line {}, column 5: 256 is not a u8 (0 to 255)", blanks + 1)
        );
        assert_eq!(
            error(
                Format::Json,
                &element("u8"),
                "\n".repeat(blanks) + "  [1,\n x]"
            ),
            format!("line {}, column 2: expected value", blanks + 2)
        );
        assert_eq!(
            parsed(Format::Json, &element("u8"), 9, "\n".repeat(blanks)).unwrap(),
            NOTHING
        );
    }
}
