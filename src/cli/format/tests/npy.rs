//! NumPy files against bytes written down by hand, after its specification.

use super::*;

/// A file of some version with this header, which is used as it is.
fn file(version: [u8; 2], literal: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend(version);
    match version[0] {
        1 => file.extend(u16::try_from(literal.len()).unwrap().to_le_bytes()),
        _ => file.extend(u32::try_from(literal.len()).unwrap().to_le_bytes()),
    }
    file.extend(literal.as_bytes());
    file.extend(data);
    file
}

fn error(element: &ElementType, room: u64, file: impl AsRef<[u8]>) -> String {
    parsed(Format::Npy, element, room, file)
        .unwrap_err()
        .to_string()
}

#[test]
fn files_are_byte_for_byte_those_of_numpy() {
    let floats = element("f64");
    let data = [1.0f64.to_le_bytes(), (-2.5f64).to_le_bytes()].concat();
    let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    expected.extend(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }");
    expected.extend([b' '; 60]);
    expected.push(b'\n');
    assert_eq!(expected.len(), 128);
    expected.extend(&data);
    assert_eq!(printed(Format::Npy, &floats, &data), expected);
    assert_eq!(parsed(Format::Npy, &floats, 2, &expected).unwrap(), data);
    for (text, descr, shape) in [
        ("i8", "|i1", "(2,)"),
        ("u8", "|u1", "(2,)"),
        ("bool", "|b1", "(2,)"),
        ("i16", "<i2", "(2,)"),
        ("u16", "<u2", "(2,)"),
        ("i32", "<i4", "(2,)"),
        ("u32", "<u4", "(2,)"),
        ("i64", "<i8", "(2,)"),
        ("u64", "<u8", "(2,)"),
        ("f32", "<f4", "(2,)"),
        ("[f32;3]", "<f4", "(2, 3)"),
        ("[[u8;5];7]", "|u1", "(2, 7, 5)"),
    ] {
        let element = element(text);
        let out = printed(Format::Npy, &element, &vec![1; 2 * element.size()]);
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        assert_eq!(String::from_utf8_lossy(&out[10..10 + header.len()]), header);
        assert_eq!(&out[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(u16::from_le_bytes([out[8], out[9]]), 118);
        assert_eq!(out[127], b'\n');
        assert_eq!(out.len(), 128 + 2 * element.size());
    }
    let deep = format!("{}u8{}", "[".repeat(15), ";1]".repeat(15));
    let deep = element(&deep);
    let out = printed(Format::Npy, &deep, &[9; 3]);
    assert_eq!((out.len() - 3) % 64, 0);
    assert_eq!(parsed(Format::Npy, &deep, 3, out).unwrap(), [9; 3]);
}

#[test]
fn all_versions_and_spellings_of_a_header_are_read() {
    let words = element("u16");
    let data = [1, 0, 2, 0];
    for literal in [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }   \n",
        "{'shape':(2,),'fortran_order':False,'descr':'<u2'}",
        "{\"descr\": \"=u2\", 'fortran_order': True, 'shape': ( 2 , ) , }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2L,), }",
    ] {
        for version in [[1, 0], [2, 0], [3, 0]] {
            let file = file(version, literal, &data);
            assert_eq!(
                parsed(Format::Npy, &words, 2, file).unwrap(),
                data,
                "{literal}"
            );
        }
    }
    let one = |text: &str, descr: &str, shape: &str, data: &[u8]| {
        let literal = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
        parsed(Format::Npy, &element(text), 9, file([1, 0], &literal, data))
    };
    assert_eq!(one("u16", "<u2", "()", &[1, 2]).unwrap(), [1, 2]);
    assert_eq!(one("u16", "<u2", "(0,)", &[]).unwrap(), NOTHING);
    assert_eq!(one("[u8;3]", "|u1", "(3,)", &[1, 2, 3]).unwrap(), [1, 2, 3]);
    assert_eq!(one("[u8;3]", "|u1", "(0, 3)", &[]).unwrap(), NOTHING);
    assert_eq!(
        one("[u8;3]", "<u1", "(1, 3,)", &[1, 2, 3]).unwrap(),
        [1, 2, 3]
    );
    assert_eq!(one("bool", "|b1", "(3,)", &[0, 1, 7]).unwrap(), [0, 1, 1]);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let good = |descr: &str, fortran: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    };
    let pairs = element("[f32;2]");
    for (literal, reason) in [
        (
            good("'>f4'", "False", "(1, 2)"),
            "npy: its type is '>f4', big-endian, the array's is '<f4'",
        ),
        (
            good("'<f8'", "False", "(1, 2)"),
            "npy: its type is '<f8', the array's is '<f4' (f32)",
        ),
        (good("'|f4'", "False", "(1, 2)"), "npy: its type is '|f4'"),
        (good("'f4'", "False", "(1, 2)"), "npy: its type is 'f4'"),
        (good("''", "False", "(1, 2)"), "npy: its type is ''"),
        (good("'ä'", "False", "(1, 2)"), "npy: its type is 'ä'"),
        (good("'|O'", "False", "(1, 2)"), "npy: its type is '|O'"),
        (
            good("[('x', '<f4')]", "False", "(1,)"),
            "npy: its type is a record; take csv or json",
        ),
        (
            good("'<f4'", "True", "(1, 2)"),
            "npy: it is in Fortran order",
        ),
        (
            good("'<f4'", "False", "(1,)"),
            "npy: its shape is (1,), the array's is (n, 2)",
        ),
        (
            good("'<f4'", "False", "()"),
            "npy: its shape is (), the array's is (n, 2)",
        ),
        (
            good("'<f4'", "False", "(2, 1)"),
            "npy: its shape is (2, 1), the array's is (n, 2)",
        ),
        (
            good("'<f4'", "False", "(1, 1, 2)"),
            "npy: its shape is (1, 1, 2)",
        ),
        (
            good("'<f4'", "False", "(2)"),
            "npy: header, byte 53: '), }\\n' where ',' should be",
        ),
        (
            good("'<f4'", "False", "(-1, 2)"),
            "npy: header, byte 52: '-1, 2), }",
        ),
        (good("'<f4'", "False", "(1 2)"), "npy: header, byte"),
        (
            good("'<f4'", "False", "(99999999999999999999, 2)"),
            "npy: header, byte 52",
        ),
        (
            good("'<f4'", "false", "(1, 2)"),
            "npy: header, byte 35: 'false, 'shap' where True or False should be",
        ),
        (good("'<f4", "False", "(1, 2)"), "npy: header, byte"),
        (
            "{'descr': '<f4', 'shape': (1, 2)}".to_owned(),
            "npy: no 'fortran_order' in the header",
        ),
        ("{}".to_owned(), "npy: no 'descr' in the header"),
        ("{'x': 1}".to_owned(), "npy: unknown header key 'x'"),
        (
            "{'shape': (), 'shape': ()}".to_owned(),
            "npy: header key 'shape' twice",
        ),
        (
            "{'shape': ()} x".to_owned(),
            "npy: header, byte 15: 'x' where the end of the header should be",
        ),
        (
            "{'shape': () 'x'}".to_owned(),
            "npy: header, byte 14: ''x'}' where ',' should be",
        ),
        (
            "".to_owned(),
            "npy: header, byte 1: its end where '{' should be",
        ),
        (
            "{'shape".to_owned(),
            "npy: header, byte 3: 'shape' where a string should be",
        ),
    ] {
        let found = error(&pairs, 9, file([1, 0], &literal, &[0; 8]));
        assert!(found.starts_with(reason), "{literal}: {found}");
    }
    let record = element("x:u8");
    assert!(error(&record, 1, "").contains("npy has no records"));
}

#[test]
fn broken_files_are_refused_with_the_reason() {
    let words = element("u16");
    let literal = "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n";
    let whole = file([1, 0], literal, &[1, 0, 2, 0]);
    let header = whole.len() - 4;
    for length in 0..whole.len() {
        let expected = match length {
            length if length < header => "npy: it ends within the header".to_owned(),
            length => format!("npy: the data ends after {} of 4 bytes", length - header),
        };
        assert_eq!(error(&words, 2, &whole[..length]), expected);
    }
    let more = [whole.clone(), vec![0]].concat();
    assert_eq!(
        error(&words, 2, more),
        "npy: more data than the 4 bytes of its shape"
    );
    assert_eq!(
        error(&words, 1, &whole),
        "more values than fit: there is room for 1 element"
    );
    let not = [b"PK\x03\x04".to_vec(), whole[4..].to_vec()].concat();
    assert_eq!(
        error(&words, 2, not),
        "npy: it does not begin as a NumPy file does"
    );
    for version in [[0, 0], [1, 1], [4, 0], [255, 255]] {
        let other = file(version, literal, &[]);
        assert!(
            error(&words, 2, other).contains(&format!("version {}.{}", version[0], version[1]))
        );
    }
}

#[test]
fn what_a_header_claims_takes_no_memory() {
    let words = element("u16");
    let claimed = |shape: &str| {
        let literal = format!("{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}}}");
        error(&words, u64::MAX, file([1, 0], &literal, &[0; 10]))
    };
    assert_eq!(
        claimed("(18446744073709551615,)"),
        "npy: the data ends after 10 of 36893488147419103230 bytes"
    );
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    assert_eq!(
        error(&words, 9, long),
        "npy: a header of 4294967295 bytes; at most 65536"
    );
    // The longest one that is read.
    let literal = format!(
        "{{'descr': '<u2', 'fortran_order': False, 'shape': (0,){}}}",
        " ".repeat(65_000)
    );
    assert_eq!(
        parsed(Format::Npy, &words, 0, file([3, 0], &literal, &[])).unwrap(),
        NOTHING
    );
    // A shape of many dimensions.
    let shape = format!("({})", "1,".repeat(30_000));
    let found = claimed(&shape);
    assert!(
        found.len() < 200 && found.contains("its shape is"),
        "{found}"
    );
}
