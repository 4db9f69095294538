//! Records lie in memory as a C compiler lays them out.
//!
//! One C program is generated from descriptions: hand-picked ones and random
//! ones (the same in every run). It declares each as a struct and prints its size,
//! its alignment, and the offset of every scalar in it; and these are
//! compared with ours. A scalar's path is a C member designator as it is:
//! `offsetof(struct r7, corner.x[2])`.

mod harness;

use shmkit::array::{Element, ElementType, Scalar, Shape};
use std::fmt::Write;
use std::process::Command;

shmkit::record! {
    struct Inner { a: u8, b: [f64; 2], c: u16 }
}
shmkit::record! {
    struct Outer { first: i8, inner: [Inner; 3], last: shmkit::array::Bool }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX; its high bits are good enough for this.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn element(&mut self, levels: u64) -> ElementType {
        match self.below(if levels == 0 { 6 } else { 10 }) {
            0..=5 => {
                let which = self.below(Scalar::ALL.len() as u64) as usize;
                ElementType::scalar(Scalar::ALL[which])
            }
            6 | 7 => {
                let of = self.element(levels - 1);
                let count = 1 + self.below(4) as usize;
                ElementType::repeat(of, count).unwrap()
            }
            _ => self.record(levels - 1),
        }
    }

    fn record(&mut self, levels: u64) -> ElementType {
        let fields = 1 + self.below(6);
        let fields: Vec<_> = (0..fields)
            .map(|i| (format!("f{i}"), self.element(levels)))
            .collect();
        ElementType::record(fields).unwrap()
    }
}

/// `element` as the C declaration of something called `name`.
fn declare(element: &ElementType, name: &str) -> String {
    match element.shape() {
        Shape::Scalar(scalar) => {
            let c = match scalar {
                Scalar::F32 => "float".to_owned(),
                Scalar::F64 => "double".to_owned(),
                Scalar::Bool => "_Bool".to_owned(),
                integer => {
                    let (sign, bits) = integer.as_str().split_at(1);
                    let sign = if sign == "u" { "u" } else { "" };
                    format!("{sign}int{bits}_t")
                }
            };
            format!("{c} {name}")
        }
        // The outermost dimension stands first.
        Shape::Repeat(of, count) => declare(of, &format!("{name}[{count}]")),
        Shape::Record(_) => format!("struct {} {name}", body(element)),
    }
}

fn body(record: &ElementType) -> String {
    let Shape::Record(fields) = record.shape() else {
        panic!("no record: {record}");
    };
    let fields: String = fields
        .iter()
        .map(|field| format!("{}; ", declare(field.element(), field.name())))
        .collect();
    format!("{{ {fields}}}")
}

fn program(records: &[ElementType]) -> String {
    let mut c = String::from("#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n");
    for (i, record) in records.iter().enumerate() {
        writeln!(c, "struct r{i} {};", body(record)).unwrap();
    }
    c.push_str("int main(void) {\n");
    for (i, record) in records.iter().enumerate() {
        let line = format!("printf(\"%zu %zu\", sizeof(struct r{i}), _Alignof(struct r{i}));");
        writeln!(c, "{line}").unwrap();
        for leaf in record.leaves() {
            let path = leaf.path;
            writeln!(c, "printf(\" %zu\", offsetof(struct r{i}, {path}));").unwrap();
        }
        c.push_str("puts(\"\");\n");
    }
    c.push_str("return 0;\n}\n");
    c
}

#[test]
fn records_lie_as_a_c_compiler_lays_them_out() {
    let mut records: Vec<ElementType> = [
        "x:u8",
        "a:u8,b:u32",
        "a:u8,b:u64,c:u8",
        "a:bool,b:f64,c:bool,d:f32,e:i16",
        "id:u32,position:[f32;3],alive:bool",
        "a:i8,b:{x:i16,y:{z:i64,w:u8}},c:[{p:u8,q:f32};3],d:u8",
        "m:[[f64;3];2],n:[[u8;3];5],o:u16",
        "a:[{x:[{y:u8,z:[u16;2]};2]};2],b:u32",
        "a:{b:{c:{d:{e:{f:u64,g:u8}}}}},h:u8",
        "pad:[u8;7],after:f64,tail:[u8;9]",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    records.push(Outer::element_type());
    let mut dice = Dice(3);
    records.extend((0..60).map(|_| dice.record(3)));
    let leaves: usize = records.iter().map(|record| record.leaves().len()).sum();
    let padded = records.iter().filter(|record| record.has_padding()).count();
    assert!(
        leaves > 500 && padded > 20,
        "{leaves} scalars, {padded} padded"
    );

    let directory = tempfile::tempdir().unwrap();
    let (source, binary) = (directory.path().join("r.c"), directory.path().join("r"));
    std::fs::write(&source, program(&records)).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-w", "-O0", "-o"])
        .args([&binary, &source])
        .output();
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            harness::skipped("there is no C compiler called cc on this machine");
            return;
        }
        Err(error) => panic!("cc: {error}"),
    };
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "cc: {said}");
    let run = Command::new(&binary).output().unwrap();
    assert!(run.status.success(), "{:?}", run.status);
    let printed = String::from_utf8(run.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), records.len());
    for (record, line) in records.iter().zip(lines) {
        let by_c: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let mut ours = vec![record.size(), record.align()];
        ours.extend(record.leaves().iter().map(|leaf| leaf.offset));
        assert_eq!(ours, by_c, "{record}");
    }
}

/// The same struct, by Rust: what `record!` relies on.
#[test]
fn a_rust_struct_lies_as_its_description_says() {
    let described = Outer::element_type();
    assert_eq!(described.size(), size_of::<Outer>());
    assert_eq!(described.align(), align_of::<Outer>());
    let leaves = described.leaves();
    let at = |path: &str| leaves.iter().find(|leaf| leaf.path == path).unwrap().offset;
    let inner = std::mem::offset_of!(Outer, inner);
    assert_eq!(at("first"), std::mem::offset_of!(Outer, first));
    assert_eq!(at("inner[0].a"), inner);
    let third = inner + 2 * size_of::<Inner>();
    assert_eq!(
        at("inner[2].b[1]"),
        third + std::mem::offset_of!(Inner, b) + 8
    );
    assert_eq!(at("inner[2].c"), third + std::mem::offset_of!(Inner, c));
    assert_eq!(at("last"), std::mem::offset_of!(Outer, last));
}
