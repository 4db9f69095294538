//! Room, memory, places far behind, inputs and callers that fail.

use super::*;

#[test]
fn a_place_behind_many_pages_is_exact() {
    let error = |format, element: &ElementType, input: &str| {
        parsed(format, element, u64::MAX, input)
            .unwrap_err()
            .to_string()
    };
    let input = format!("{}  x", "123\n12 ".repeat(40_000));
    let place = error(Format::Text, &element("u8"), &input);
    assert!(place.starts_with("line 40001, column 6: 'x'"), "{place}");
    let input = format!("{}x", "1 ".repeat(100_000));
    for size in [1000, 65536] {
        let mut pieces = Pieces::new(input.as_bytes(), size);
        let place = parse(Format::Text, &element("u8"), u64::MAX, &mut pieces).unwrap_err();
        assert!(
            place.to_string().starts_with("line 1, column 200001: 'x'"),
            "{place}"
        );
    }
    let input = format!("{}\n{}\n,1", "1\n".repeat(500), "\n".repeat(90_000));
    let place = error(Format::Csv, &element("u8"), &input);
    assert_eq!(place, "line 90503: 2 cells where 1 should be");
    let input = format!("[{}\n\n x]", "1,\n".repeat(500));
    let place = error(Format::Json, &element("u8"), &input);
    assert_eq!(place, "line 503, column 2: expected value");
}

#[test]
fn raw_bytes_are_whole_elements() {
    let words = element("u32");
    assert_eq!(parsed(Format::Raw, &words, 2, [1; 8]).unwrap(), [1; 8]);
    assert_eq!(
        error(Format::Raw, &words, [0; 10]),
        "10 bytes are not a whole number of elements of 4 bytes: 2 too many"
    );
    let error = parsed(Format::Raw, &words, 2, [0; 9]).unwrap_err();
    assert!(matches!(error, ParseError::TooMany { room: 2 }));
}

#[test]
fn one_element_too_many_is_refused_in_every_format() {
    for text in ["f32", "[f32;3]", "[[u8;2];2]"] {
        let element = element(text);
        let bytes = vec![0; 4 * element.size()];
        for format in FORMATS {
            let out = printed(format, &element, &bytes);
            assert!(parsed(format, &element, 4, &out).is_ok());
            for room in [3, 1, 0] {
                let error = parsed(format, &element, room, &out).unwrap_err();
                assert!(
                    matches!(error, ParseError::TooMany { room: fit } if fit == room),
                    "{format:?}: {error}"
                );
            }
        }
    }
    let error = parsed(Format::Text, &element("u8"), 1, "1 x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "more values than fit: there is room for 1 element"
    );
    let record = element("x:u8,y:u16");
    for (format, input) in [
        (Format::Text, "1 2 3"),
        (Format::Csv, "x,y\n1,2\n3,4\n"),
        (Format::Json, "[{\"x\":1,\"y\":2},{}]"),
        (Format::Raw, "12345"),
    ] {
        let error = parsed(format, &record, 1, input).unwrap_err();
        assert!(matches!(error, ParseError::TooMany { room: 1 }), "{error}");
    }
}

#[test]
fn an_input_without_an_end_is_not_read_to_its_end() {
    let endless = |format, text: &str, room, beginning, rest| {
        let mut input = Endless::new(beginning, rest);
        parse(format, &element(text), room, &mut input)
            .unwrap_err()
            .to_string()
    };
    // Elements.
    for (format, beginning, rest) in [
        (Format::Text, "", "1\n"),
        (Format::Json, "[0", ",1"),
        (Format::Csv, "", "1\n"),
        (Format::Raw, "", "1"),
    ] {
        let error = endless(format, "u8", 100_000, beginning, rest);
        assert_eq!(
            error,
            "more values than fit: there is room for 100000 elements"
        );
    }
    // One word, string, number, or row.
    let error = endless(Format::Text, "u8", 9, "1\n 2", "2");
    assert_eq!(
        error,
        "line 2, column 2: a word of 65536 bytes or more is no number"
    );
    for (text, beginning, rest) in [
        ("f32", "[1,\"", "n"),
        ("f64", "[1,\"", "\\\""),
        ("f64", "[1,\"", ",[ "),
        ("f64", "[1,", "1"),
        ("f32", "[1,0.", "1"),
        ("x:u8", "{\"", "x"),
        ("[u8;2]", "\"", "x"),
    ] {
        let error = endless(Format::Json, text, 9, beginning, rest);
        assert!(error.starts_with("line 1, column "), "{error}");
        assert!(
            error.ends_with("a string or a number of more than 65536 bytes"),
            "{error}"
        );
    }
    let error = endless(Format::Csv, "[u8;2]", 9, "1,2\n3,\"", "4,\n");
    let commas = "line 2: too many commas for a row of 2 cells; is a quote not closed?";
    assert_eq!(error, commas);
    let error = endless(Format::Csv, "[u8;2]", 9, "1,2\n3", ",4");
    assert_eq!(error, commas);
    let error = endless(Format::Csv, "[u8;2]", 9, "1,2\n3,\"", "4\n");
    assert!(
        error.starts_with("line 2: a row of more than 16777216 bytes"),
        "{error}"
    );
    let error = endless(Format::Csv, "x:u8", 9, "x", "x");
    assert!(
        error.starts_with("line 1: a row of more than 16777216 bytes"),
        "{error}"
    );
    // Brackets.
    let error = endless(Format::Json, "u8", 9, "", "[");
    assert!(error.contains("invalid type: sequence"), "{error}");
    let error = endless(Format::Json, "[u8;2]", 9, "\n [", " ");
    assert!(
        error.starts_with("line 2, column 2: 65536 blanks and brackets"),
        "{error}"
    );
}

#[test]
fn an_input_that_fails_is_that_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::IsADirectory.into())
        }
    }
    for (format, beginning) in [
        (Format::Text, "1 "),
        (Format::Json, "[1"),
        (Format::Json, "[\"x"),
        (Format::Csv, "1\n"),
        (Format::Raw, "1"),
        (Format::Npy, ""),
    ] {
        for beginning in ["", beginning] {
            let mut input = beginning.as_bytes().chain(Broken);
            match parse(format, &element("u8"), 9, &mut input) {
                Err(ParseError::Input(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
                }
                other => panic!("{format:?} {beginning}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_printer_holds_its_caller_to_what_was_announced() {
    let words = element("u32");
    for format in FORMATS {
        let mut out = Vec::new();
        let mut printer = Printer::new(format, &words, 2, &mut out).unwrap();
        printer.push(&[0; 4]).unwrap();
        assert!(printer.push(&[0; 3]).is_err());
        assert!(printer.push(&[0; 8]).is_err());
        assert!(printer.finish().is_err());
    }
    let record = element("[{x:u8};2]");
    let mut out = Vec::new();
    let refused = Printer::new(Format::Npy, &record, 2, &mut out)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "npy has no records; take csv, json or raw"
    );
    assert!(supports(Format::Npy, &record).is_err());
    assert!(
        FORMATS[..4]
            .iter()
            .all(|format| supports(*format, &record).is_ok())
    );
}
