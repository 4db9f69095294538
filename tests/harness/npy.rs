//! `.npy` files, made and taken apart by the letter of NumPy's format
//! description, by nobody else's code.
//!
//! ```text
//! \x93NUMPY  MAJOR MINOR  LEN (u16; from version 2 on u32)  HEADER  DATA
//! HEADER = a Python dict {'descr', 'fortran_order', 'shape'}, blanks, '\n'
//! ```

/// Magic, version, length, the header as it is given, data.
pub fn npy_with(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A file as NumPy writes it: its header padded so that data is aligned to 64.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    npy_with(1, &header, data)
}

/// A file taken apart.
#[derive(Debug, PartialEq)]
pub struct Npy {
    pub descr: String,
    pub shape: Vec<u64>,
    pub data: Vec<u8>,
}

/// Takes a file of version 1.0 apart; panics where it is not to the letter.
#[track_caller]
pub fn parse_npy(bytes: &[u8]) -> Npy {
    assert!(
        bytes.starts_with(b"\x93NUMPY\x01\x00"),
        "no .npy of version 1.0: {bytes:.40?}"
    );
    let len = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    assert_eq!((10 + len) % 64, 0, "data is aligned to 64");
    let header = std::str::from_utf8(&bytes[10..10 + len]).unwrap();
    let dict = header
        .strip_suffix('\n')
        .expect("ends with a line feed")
        .trim_end_matches(' ');
    let dict: String = dict.chars().filter(|&c| c != ' ').collect();
    let value = |key: &str, end: &str| {
        let (_, rest) = dict
            .split_once(&format!("'{key}':"))
            .unwrap_or_else(|| panic!("no {key} in {dict}"));
        rest.split_once(end)
            .unwrap_or_else(|| panic!("{key} in {dict}"))
            .0
            .to_owned()
    };
    assert!(dict.starts_with('{') && dict.ends_with('}'), "{dict}");
    assert!(value("fortran_order", ",").starts_with("False"), "{dict}");
    let shape = value("shape", ")");
    let shape = shape.strip_prefix('(').unwrap_or_else(|| panic!("{dict}"));
    let shape: Vec<u64> = shape
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap())
        .collect();
    if shape.len() == 1 {
        assert!(
            dict.contains(&format!("({},)", shape[0])),
            "a tuple of one: {dict}"
        );
    }
    Npy {
        descr: value("descr", ",").trim_matches('\'').to_owned(),
        shape,
        data: bytes[10 + len..].to_vec(),
    }
}
