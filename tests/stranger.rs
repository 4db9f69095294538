//! A stranger's view: a program that knows nothing of this crate maps the
//! segment and finds its elements where `inspect --json` says, in the layout
//! of a C struct; and what it stores there `shm` reads. The stranger is
//! Python, with nothing but its standard library; without a `python3` on the
//! path these tests say so and end.

mod harness;

use harness::{Done, Shm, Store, npy, shm, skipped};
use std::path::Path;

/// Runs a Python program with `shm` on its path; `None`, with a note, where
/// there is no Python.
fn python(program: &str, args: &[&str]) -> Option<Shm> {
    if std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_err()
    {
        skipped("no python3 here");
        return None;
    }
    let run = Shm::program("python3")
        .args(&["-c", program])
        .args(args)
        .with_shm_on_path();
    // No __pycache__ where it ran.
    Some(run.env("PYTHONDONTWRITEBYTECODE", "1"))
}

#[track_caller]
fn output(done: Done) -> String {
    String::from_utf8(done.exits(0).silent().stdout).unwrap()
}

/// Maps the segment named by its first argument: `seen` is its JSON, `data`
/// its elements' bytes, which can be changed.
const MAP: &str = r#"
import json, mmap, struct, subprocess, sys
name = sys.argv[1]
seen = json.loads(subprocess.check_output(["shm", "inspect", "--json", name]))
with open("/dev/shm/" + name, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
about = seen.get("array") or seen.get("buffer")
at = about["data_offset"]
data = memoryview(memory)[at:]
"#;

#[test]
fn a_stranger_maps_an_array_of_numbers() {
    let array = Store::array("f64", 4);
    array
        .write(&["1.5", "-0.25", "1e300", "nan"])
        .run()
        .exits(0);
    let program = format!(
        "{MAP}
assert (about['type'], about['len'], about['element_size']) == ('f64', 4, 8), about
assert len(data) == 32 and at % 4096 == 0
print(struct.unpack('<4d', data))
struct.pack_into('<d', data, 16, -2.5)
"
    );
    let Some(stranger) = python(&program, &[&array.name]) else {
        return;
    };
    assert_eq!(output(stranger.run()), "(1.5, -0.25, 1e+300, nan)\n");
    assert_eq!(array.text(), "1.5\n-0.25\n-2.5\nNaN\n");
}

#[test]
fn a_stranger_maps_every_type() {
    for (element, code, typed, seen, stored) in [
        ("i8", "b", "-128", "-128", "127"),
        ("i16", "<h", "-32768", "-32768", "32767"),
        ("i32", "<i", "-2147483648", "-2147483648", "2147483647"),
        (
            "i64",
            "<q",
            "-9223372036854775808",
            "-9223372036854775808",
            "9223372036854775807",
        ),
        ("u8", "B", "255", "255", "128"),
        ("u16", "<H", "65535", "65535", "32768"),
        ("u32", "<I", "4294967295", "4294967295", "2147483648"),
        (
            "u64",
            "<Q",
            "18446744073709551615",
            "18446744073709551615",
            "9223372036854775808",
        ),
        ("f32", "<f", "0.5", "0.5", "-1.5"),
        ("f64", "<d", "0.1", "0.1", "-1e-300"),
        ("bool", "?", "true", "True", "False"),
    ] {
        let array = Store::array(element, 3);
        array.write(&["--at", "1", typed]).run().exits(0);
        let program = format!(
            "{MAP}
one = struct.Struct('{code}')
assert about['element_size'] == one.size and len(data) == 3 * one.size
print(one.unpack_from(data, one.size)[0])
one.pack_into(data, one.size, {stored})
"
        );
        let Some(stranger) = python(&program, &[&array.name]) else {
            return;
        };
        assert_eq!(output(stranger.run()), format!("{seen}\n"), "{element}");
        let text = array
            .read(&["--at", "1", "--count", "1"])
            .run()
            .exits(0)
            .stdout;
        assert_eq!(
            String::from_utf8(text).unwrap().trim(),
            stored.to_lowercase(),
            "{element}"
        );
    }
}

#[test]
fn a_stranger_maps_an_array_of_records_as_c_structs() {
    let array = Store::array("id:u8,position:[f32;3],serial:u64,alive:bool,code:i16", 2);
    array
        .write(&[
            "7",
            "1.5",
            "2.5",
            "3.5",
            "18446744073709551615",
            "true",
            "-2",
        ])
        .run()
        .exits(0);
    // Native alignment, `@`: what the C compiler of this Python does; `0Q`
    // rounds the end up to the struct's own alignment.
    let program = format!(
        "{MAP}
one = struct.Struct('@B3fQ?h0Q')
assert (about['len'], about['element_size']) == (2, one.size), (about, one.size)
print(one.unpack_from(data, 0))
one.pack_into(data, one.size, 9, -1, -2, -3, 10, True, 11)
"
    );
    let Some(stranger) = python(&program, &[&array.name]) else {
        return;
    };
    assert_eq!(
        output(stranger.run()),
        "(7, 1.5, 2.5, 3.5, 18446744073709551615, True, -2)\n"
    );
    let first = "7 1.5 2.5 3.5 18446744073709551615 true -2\n";
    assert_eq!(
        array.text(),
        format!("{first}9 -1.0 -2.0 -3.0 10 true 11\n")
    );
}

#[test]
fn a_stranger_maps_a_buffer() {
    let buffer = Store::buffer("1M");
    buffer
        .write(&["--at", "1000"])
        .input("from shm")
        .run()
        .exits(0);
    let program = format!(
        "{MAP}
assert about['size'] == len(data) == 1 << 20
print(bytes(data[1000:1008]))
data[-4:] = b'back'
"
    );
    let Some(stranger) = python(&program, &[&buffer.name]) else {
        return;
    };
    assert_eq!(output(stranger.run()), "b'from shm'\n");
    let end = buffer.read(&["--at", "1048572"]).run().exits(0).stdout;
    assert_eq!(end, b"back");
}

#[test]
fn a_stranger_may_update_in_place_under_shm_lock() {
    let array = Store::array("i64", 1);
    let program = format!(
        "{MAP}
import time
old, = struct.unpack('<q', data)
time.sleep(0.01)
struct.pack_into('<q', data, 0, old + 1)
"
    );
    if python("", &[]).is_none() {
        return;
    }
    let script = r#"for i in 1 2 3 4 5; do shm lock "$1" -- python3 -c "$2" "$1" || exit 9; done"#;
    let count = || {
        let shell = Shm::program("bash").args(&["-c", script, "-", &array.name, &program]);
        shell.with_shm_on_path().start()
    };
    let counting: Vec<_> = (0..3).map(|_| count()).collect();
    for process in counting {
        process.finish().exits(0).silent();
    }
    assert_eq!(array.text(), "15\n");
}

#[test]
fn the_header_of_npy_is_read_by_python_as_numpy_does() {
    // As numpy.lib.format does it: ast.literal_eval, then the three keys.
    const READ: &str = r#"
import ast, struct, sys
data = sys.stdin.buffer.read()
assert data[:8] == b"\x93NUMPY\x01\x00"
size, = struct.unpack("<H", data[8:10])
assert (10 + size) % 64 == 0 and data[10 + size - 1:10 + size] == b"\n"
header = ast.literal_eval(data[10:10 + size].decode("latin1"))
print(header["descr"], header["fortran_order"], header["shape"], sorted(header), len(data) - 10 - size)
"#;
    for (element, expected) in [
        ("f64", "<f8 False (5,)"),
        ("u8", "|u1 False (5,)"),
        ("bool", "|b1 False (5,)"),
        ("[i16;3]", "<i2 False (5, 3)"),
        ("[[f32;2];1]", "<f4 False (5, 1, 2)"),
    ] {
        let array = Store::array(element, 5);
        let Some(stranger) = python(READ, &[]) else {
            return;
        };
        let size = array.bytes().len();
        let seen = output(stranger.input(array.load("npy")).run());
        assert_eq!(
            seen,
            format!("{expected} ['descr', 'fortran_order', 'shape'] {size}\n")
        );
    }
}

#[test]
fn numpy_reads_and_writes_what_we_do() {
    // Only where NumPy is: the rest of this file needs none.
    let Some(found) = python("import numpy", &[]) else {
        return;
    };
    if !found.run().status.success() {
        skipped("no numpy here");
        return;
    }
    let array = Store::array("[i32;2]", 3);
    let program = "
import sys, io, numpy
a = numpy.load(io.BytesIO(sys.stdin.buffer.read()))
assert a.shape == (3, 2) and a.dtype == numpy.int32
numpy.save(sys.stdout.buffer, a + numpy.arange(6, dtype=numpy.int32).reshape(3, 2))
";
    let changed = python(program, &[])
        .unwrap()
        .input(array.load("npy"))
        .run()
        .exits(0)
        .stdout;
    array.store("npy", changed);
    assert_eq!(array.text(), "0 1\n2 3\n4 5\n");
    array.store("npy", npy("<i4", "(0, 2)", b""));
}

// ---- the recipe of the README -----------------------------------------------

/// What the recipe needs of NumPy: views of memory, by dtype, read and
/// written through. For machines without it.
const NUMPY: &str = r#"
class dtype:
    CODES = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
             "f4": "f", "f8": "d", "b1": "?",
             "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B", "uint16": "H",
             "uint32": "I", "uint64": "Q", "float32": "f", "float64": "d", "bool": "?",
             "f": "f", "d": "d"}
    def __init__(self, name):
        name = getattr(name, "name", name)
        name = {float: "f8", int: "i8", bool: "b1"}.get(name, name)
        self.name = name.lstrip("<=|")
        self.code = self.CODES[self.name]

for _name in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]:
    globals()[_name] = dtype(_name)
bool_ = dtype("b1")

class ndarray:
    def __init__(self, view, dtype):
        self.view, self.dtype, self.shape, self.size = view, dtype, (len(view),), len(view)
    def __len__(self): return len(self.view)
    def __iter__(self): return iter(self.view)
    def __getitem__(self, at):
        return ndarray(self.view[at], self.dtype) if isinstance(at, slice) else self.view[at]
    def __setitem__(self, at, value):
        if isinstance(at, slice):
            for i in range(*at.indices(len(self.view))):
                self.view[i] = value[i] if hasattr(value, "__len__") else value
        else:
            self.view[at] = value
    def _map(self, one):
        for i in range(len(self.view)):
            self.view[i] = one(self.view[i])
        return self
    def __iadd__(self, value): return self._map(lambda x: x + value)
    def __imul__(self, value): return self._map(lambda x: x * value)
    def tolist(self): return list(self.view)
    def sum(self): return sum(self.view)
    def mean(self): return sum(self.view) / len(self.view)
    def min(self): return min(self.view)
    def max(self): return max(self.view)
    def __repr__(self): return "array(" + repr(list(self.view)) + ")"
    def __str__(self): return "[" + " ".join(str(x) for x in self.view) + "]"

def frombuffer(buffer, dtype="f8", count=-1, offset=0):
    kind = globals()["dtype"](dtype)
    bytes_ = memoryview(buffer).cast("B")[offset:]
    size = memoryview(bytearray(8)).cast(kind.code).itemsize
    if count == -1:
        if len(bytes_) % size:
            raise ValueError("buffer size must be a multiple of element size")
        count = len(bytes_) // size
    if count * size > len(bytes_):
        raise ValueError("buffer is smaller than requested size")
    return ndarray(bytes_[:count * size].cast(kind.code), kind)
"#;

/// The first ```python block of a text.
fn recipe(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("\n```python\n")?;
    rest.split_once("\n```").map(|(block, _)| block)
}

#[test]
fn the_readmes_recipe_maps_an_array_into_numpy() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let recipe = recipe(&readme).expect("a ```python block in README.md");
    assert!(
        recipe.lines().count() < 15,
        "short enough to be typed:\n{recipe}"
    );
    for word in ["sys.argv", "mmap", "frombuffer", "data_offset"] {
        assert!(recipe.contains(word), "no {word} in the recipe:\n{recipe}");
    }
    let array = Store::array("f64", 5);
    array
        .write(&["1.5", "2.5", "-3", "0", "100"])
        .run()
        .exits(0);
    // As it is; then what it has mapped is compared, and changed.
    let program = format!(
        "{recipe}
maps = [value for value in list(globals().values()) if type(value).__name__ == 'ndarray']
assert maps, 'it mapped nothing'
print('SEEN', [float(x) for x in maps[0]])
maps[0][1] = 42.0
"
    );
    let Some(numpy) = python("import numpy", &[]) else {
        return;
    };
    let run = python(&program, &[&array.name]).unwrap();
    let stand_in = tempfile::tempdir().unwrap();
    let run = match numpy.run().status.success() {
        true => run,
        false => {
            eprintln!("no numpy here: a stand-in for frombuffer takes its place");
            std::fs::write(stand_in.path().join("numpy.py"), NUMPY).unwrap();
            run.env("PYTHONPATH", stand_in.path())
        }
    };
    let before = array.text();
    let done = run.run();
    assert!(done.status.success(), "{recipe}\n{}", done.stderr);
    let said = String::from_utf8(done.stdout).unwrap();
    let seen = said
        .lines()
        .find_map(|line| line.strip_prefix("SEEN "))
        .unwrap();
    let now = shm(&["read", &array.name, "--format", "json"])
        .run()
        .exits(0)
        .json();
    eprintln!("before: {before:?}; the recipe said {said:?}; after: {now}");
    assert_eq!(now[1], 42.0, "what Python stores is there");
    // What it saw is what is there, but for the one it was told to change.
    let seen: Vec<f64> = serde_json::from_str(seen).unwrap();
    let now: Vec<f64> = serde_json::from_value(now).unwrap();
    assert_eq!(seen.len(), 5);
    for at in [0, 2, 3, 4] {
        assert_eq!(seen[at], now[at], "{said}");
    }
}
