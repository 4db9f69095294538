//! Any type, any values, any bytes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use shmkit::array::Scalar;

/// Any type of moderate size.
fn any_type() -> impl Strategy<Value = ElementType> {
    let scalar = (0..Scalar::ALL.len()).prop_map(|i| ElementType::scalar(Scalar::ALL[i]));
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            (inner.clone(), 1..4usize)
                .prop_map(|(of, count)| ElementType::repeat(of, count).unwrap()),
            vec(inner, 1..4).prop_map(|fields| {
                let names = ["x", "Y_2", "_"];
                ElementType::record(names.into_iter().zip(fields)).unwrap()
            }),
        ]
    })
}

/// Elements as parsers make them from any bytes: padding 0, trues 1, one NaN.
fn usual(element: &ElementType, bytes: &[u8]) -> Vec<u8> {
    let mut usual = vec![0; bytes.len()];
    for (from, to) in bytes
        .chunks(element.size())
        .zip(usual.chunks_mut(element.size()))
    {
        for leaf in element.leaves() {
            let range = leaf.offset..leaf.offset + leaf.scalar.size();
            let (from, to) = (&from[range.clone()], &mut to[range]);
            to.copy_from_slice(from);
            match leaf.scalar {
                Scalar::Bool => to[0] = u8::from(from[0] != 0),
                Scalar::F32 if f32::from_le_bytes(from.try_into().unwrap()).is_nan() => {
                    to.copy_from_slice(&f32::NAN.to_le_bytes());
                }
                Scalar::F64 if f64::from_le_bytes(from.try_into().unwrap()).is_nan() => {
                    to.copy_from_slice(&f64::NAN.to_le_bytes());
                }
                _ => {}
            }
        }
    }
    usual
}

/// A type, and bytes of up to 5 elements.
fn any_elements() -> impl Strategy<Value = (ElementType, Vec<u8>)> {
    (any_type(), 0..6usize).prop_flat_map(|(element, count)| {
        let length = count * element.size();
        (Just(element), vec(any::<u8>(), length))
    })
}

/// Words that look like those of the formats.
fn likely_input() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[-+]?[0-9]{1,5}",
        "[-+]?[0-9.]{1,4}[eE][-+]?[0-9]{1,3}",
        "[\\[\\]{},:\"\\\\ \r\n\t]{1,3}",
        "nan|-inf|\"NaN\"|true|false|null|0x[0-9a-g]{0,17}",
        "\"x\":|\"Y_2\":|x,_|x\\[0\\],|\\{|\\}|\\[|\\]|,",
        ".{0,4}",
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back((element, bytes) in any_elements()) {
        let count = (bytes.len() / element.size()) as u64;
        let usual = usual(&element, &bytes);
        for format in FORMATS {
            if supports(format, &element).is_err() {
                continue;
            }
            let out = printed(format, &element, &bytes);
            let back = parsed(format, &element, count, &out).unwrap();
            match format {
                Format::Raw => prop_assert_eq!(&back, &bytes),
                // Floats keep their payload there.
                Format::Npy => prop_assert_eq!(super::properties::usual(&element, &back), usual.clone()),
                _ => prop_assert_eq!(&back, &usual, "{} {:?}", element, format),
            }
            // Piece by piece it is the same output.
            let mut pieces = Vec::new();
            let mut printer = Printer::new(format, &element, count, &mut pieces).unwrap();
            for piece in bytes.chunks(element.size()) {
                printer.push(piece).unwrap();
            }
            printer.finish().unwrap();
            prop_assert_eq!(pieces, out);
        }
    }

    #[test]
    fn each_element_by_itself_is_read_from_words((element, bytes) in any_elements()) {
        let count = (bytes.len() / element.size()) as u64;
        let usual = usual(&element, &bytes);
        let each = |format| -> Vec<String> {
            bytes.chunks(element.size()).map(|bytes| text_of(format, &element, bytes)).collect()
        };
        prop_assert_eq!(&parse_words(&element, count, &each(Format::Text)).unwrap(), &usual);
        prop_assert_eq!(&parse_json_words(&element, count, &each(Format::Json)).unwrap(), &usual);
        let single: Vec<_> = each(Format::Json)
            .iter()
            .map(|array| array.trim_end()[1..array.len() - 2].to_owned())
            .collect();
        prop_assert_eq!(&parse_json_words(&element, count, &single).unwrap(), &usual);
        if count > 0 {
            let first = parse_fill(&element, &each(Format::Text)[0]);
            prop_assert_eq!(&first.unwrap(), &usual[..element.size()]);
        }
    }

    #[test]
    fn floats_are_printed_as_the_shortest_decimal(bits in any::<u64>(), whole in -(1i64 << 54)..1 << 54, small in -9999i32..9999) {
        let texts = |value: f64| {
            let text = text_of(Format::Text, &element("f64"), &value.to_le_bytes());
            prop_assert_eq!(text.trim_end(), zmij::Buffer::new().format(value).replace("e+", "e"));
            Ok(())
        };
        texts(f64::from_bits(bits))?;
        texts(whole as f64)?;
        texts(f64::from(small))?;
        texts(f64::from(small) / 8.0)?;
        for value in [f32::from_bits(bits as u32), small as f32, (whole >> 25) as f32, whole as f32] {
            let text = text_of(Format::Text, &element("f32"), &value.to_le_bytes());
            prop_assert_eq!(text.trim_end(), zmij::Buffer::new().format(value).replace("e+", "e"));
        }
    }

    #[test]
    fn integers_are_read_as_std_reads_them(word in "[-+]?[0-9]{1,21}") {
        macro_rules! same {
            ($($rust:ident)*) => {$(
                let ours = parsed(Format::Text, &element(stringify!($rust)), 1, &word).ok();
                // std refuses -0 where there is no sign, we do not.
                let std = match word.trim_start_matches('-').bytes().all(|digit| digit == b'0') {
                    true => Some(0),
                    false => word.parse::<$rust>().ok(),
                };
                prop_assert_eq!(ours, std.map(|value| value.to_le_bytes().to_vec()));
            )*};
        }
        same!(i8 i16 i32 i64 u8 u16 u32 u64);
    }

    #[test]
    fn no_input_makes_a_parser_panic(element in any_type(), bytes in vec(any::<u8>(), 0..300), room in 0..9u64) {
        for format in FORMATS {
            if let Ok(back) = parsed(format, &element, room, &bytes) {
                prop_assert_eq!(back.len() % element.size(), 0);
                prop_assert!(back.len() as u64 <= room * element.size() as u64);
            }
        }
    }

    #[test]
    fn no_likely_input_makes_a_parser_panic(element in any_type(), input in likely_input(), room in 0..9u64) {
        for format in FORMATS {
            if let Ok(back) = parsed(format, &element, room, &input) {
                prop_assert_eq!(back.len() % element.size(), 0);
                prop_assert!(back.len() as u64 <= room * element.size() as u64);
            }
        }
        let words: Vec<_> = input.split('\n').map(ToOwned::to_owned).collect();
        let _ = parse_words(&element, room, &words);
        let _ = parse_json_words(&element, room, &words);
        let _ = parse_fill(&element, &input);
    }

    #[test]
    fn no_damage_to_what_was_printed_makes_a_parser_panic(
        (element, bytes) in any_elements(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        for format in FORMATS {
            if supports(format, &element).is_err() {
                continue;
            }
            let mut out = printed(format, &element, &bytes);
            if out.is_empty() {
                continue;
            }
            let at = at.index(out.len());
            out[at] = byte;
            out.truncate(if cut { at + 1 } else { out.len() });
            let room = (bytes.len() / element.size()) as u64;
            if let Ok(back) = parsed(format, &element, room, &out) {
                prop_assert_eq!(back.len() % element.size(), 0);
            }
        }
    }
}
