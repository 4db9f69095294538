//! CSV: what is refused, and where; what is read all the same.

use super::*;

#[test]
fn csv_names_line_and_column() {
    let record = "id:u8,p:[i16;2]";
    for (text, input, expected) in [
        (
            "u8",
            "1\n256\n",
            "line 2, column 1: '256' is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "1\r\n\r\nx\r\n",
            "line 3, column 1: 'x' is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "1\n\n\nx",
            "line 4, column 1: 'x' is not a u8 (0 to 255)",
        ),
        (
            "u8",
            "1\n\"\"\n",
            "line 2, column 1: '' is not a u8 (0 to 255)",
        ),
        ("[u8;2]", "1,2\n3\n", "line 2: 1 cell where 2 should be"),
        ("[u8;2]", "1,2\n3,4,\n", "line 2: 3 cells where 2 should be"),
        (
            "[u8;2]",
            "1,\n",
            "line 1, column 2: '' is not a u8 (0 to 255)",
        ),
        ("[u8;2]", "1 2\n", "line 1: 1 cell where 2 should be"),
        (
            "[u8;2]",
            "1,\"\n\nx\"\n",
            "line 1, column 2: 'x' is not a u8 (0 to 255)",
        ),
        (
            "[u8;2]",
            "\"\n1\n\",x\n",
            "line 3, column 2: 'x' is not a u8 (0 to 255)",
        ),
        (
            "[u8;2]",
            "1,2\n3,\"4\n5,6\n",
            "line 2: a quote is not closed",
        ),
        ("[u8;2]", "1,2\n3,\"4", "line 2: a quote is not closed"),
        ("[u8;2]", "1,2\n3,\"", "line 2: a quote is not closed"),
        (record, "id,p[0]\n1,2\n", "line 1: no column 'p[1]'"),
        (
            record,
            "1,2,3\n",
            "line 1, column '1': id:u8,p:[i16;2] has no such field",
        ),
        (
            record,
            "id,p[0],p[1],p[2]\n",
            "line 1, column 'p[2]': id:u8,p:[i16;2] has no such field",
        ),
        (
            record,
            "id,p[0],id,p[1]\n",
            "line 1, column 'id': there are two of them",
        ),
        (
            record,
            "id,p[0],p[1]\n1,2,3\n1,x,3\n",
            "line 3, column 'p[0]': 'x' is not an i16 (-32768 to 32767)",
        ),
        (
            record,
            "id,p[0],p[1]\n1,2\n",
            "line 2: 2 cells where 3 should be",
        ),
        (
            record,
            "p[1],id,p[0]\r\n1,256,3\r\n",
            "line 2, column 'id': '256' is not a u8 (0 to 255)",
        ),
    ] {
        assert_eq!(
            error(Format::Csv, &element(text), input),
            expected,
            "{text} {input:?}"
        );
    }
    assert!(error(Format::Csv, &element("u8"), b"\xff").contains("'\u{fffd}' is not a u8"));
}

#[test]
fn csv_is_read_as_others_write_it() {
    let record = element("id:u8,p:[u8;2]");
    for input in [
        "id,p[0],p[1]\n1,2,3\n4,5,6\n",
        "p[1],p[0],id\r\n3,2,1\r\n6,5,4",
        "\u{feff}id, p[0] ,p[1]\n\n 1 ,\t2,3\n\n4,5,6\n\n",
        "\"id\",\"p[0]\",\"p[1]\"\r\n\"1\",\"2\",\"3\"\r\n\"4\",\"5\",\"6\"\r\n",
        "\"id\",\"p[0]\",\"p[1]\"\n\"1\n\",\"2\",\"3\"\n\"4\",\"5\",\"6\n\"",
        "id,p[0],p[1]\n1,2,3\n4,5,\" 6 \"\n",
    ] {
        assert_eq!(
            parsed(Format::Csv, &record, 2, input).unwrap(),
            [1, 2, 3, 4, 5, 6],
            "{input:?}"
        );
    }
    assert_eq!(
        parsed(Format::Csv, &element("u8"), 3, "1\r\n  \r\n2").unwrap(),
        [1, 2]
    );
}
