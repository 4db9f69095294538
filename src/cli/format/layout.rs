//! Where the scalars of an element are, worked out once for all elements.
//!
//! ```text
//! id:u8,p:[f32;3],q:f32     u8 @0 x1     f32 @4 x4            (two runs)
//! [f64;3]                   f64 @0 x3                         (one: uniform)
//! ```
//!
//! A [`Run`] is a stretch of equal scalars without a gap. Whoever prints or
//! parses goes through the runs of each element and decides once per run of
//! which type its values are; an element that is one run is a special case
//! that decides once for all elements.
//!
//! The paths of scalars (`p[0]`, `corner.x`) are found when somebody needs
//! one, never kept for all: a description of 64 KiB can name 60 thousand
//! scalars with 60 thousand letters each.

use shmkit::array::{ElementType, Scalar, Shape};

/// Equal scalars, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes from the element's start.
    pub offset: usize,
    /// What they are.
    pub scalar: Scalar,
    /// How many.
    pub count: usize,
}

impl Run {
    /// The first byte behind it.
    pub fn end(&self) -> usize {
        self.offset + self.count * self.scalar.size()
    }

    /// Its bytes, in an element's.
    pub fn of<'a>(&self, element: &'a [u8]) -> &'a [u8] {
        element.get(self.offset..self.end()).unwrap_or_default()
    }

    /// Its bytes, in an element's, to be written.
    pub fn of_mut<'a>(&self, element: &'a mut [u8]) -> &'a mut [u8] {
        element.get_mut(self.offset..self.end()).unwrap_or_default()
    }
}

/// The runs of an element, in the order of their offsets.
pub fn runs(element: &ElementType) -> Vec<Run> {
    let mut runs = Vec::new();
    collect(element, 0, &mut runs);
    runs
}

fn collect(element: &ElementType, offset: usize, runs: &mut Vec<Run>) {
    match element.shape() {
        Shape::Scalar(scalar) => append(*scalar, offset, 1, runs),
        Shape::Repeat(of, count) => match of.shape() {
            Shape::Scalar(scalar) => append(*scalar, offset, *count, runs),
            _ => {
                for i in 0..*count {
                    collect(of, offset + i * of.size(), runs);
                }
            }
        },
        Shape::Record(fields) => {
            for field in fields {
                collect(field.element(), offset + field.offset(), runs);
            }
        }
    }
}

fn append(scalar: Scalar, offset: usize, count: usize, runs: &mut Vec<Run>) {
    match runs.last_mut() {
        Some(last) if last.scalar == scalar && last.end() == offset => last.count += count,
        _ => runs.push(Run {
            offset,
            scalar,
            count,
        }),
    }
}

/// Scalars in an element, all runs together.
pub fn scalars(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.count).sum()
}

/// Each scalar with its offset, in the order of the offsets.
pub fn each(runs: &[Run]) -> impl Iterator<Item = (usize, Scalar)> + '_ {
    runs.iter()
        .flat_map(|run| (0..run.count).map(|i| (run.offset + i * run.scalar.size(), run.scalar)))
}

/// How one would write the scalar at an offset: `position[0]`, `corner.x`.
pub fn path_at(element: &ElementType, offset: usize) -> String {
    let (mut element, mut offset) = (element, offset);
    let mut path = String::new();
    loop {
        match element.shape() {
            Shape::Scalar(_) => return path,
            Shape::Repeat(of, _) => {
                path.push_str(&format!("[{}]", offset / of.size()));
                offset %= of.size();
                element = of;
            }
            Shape::Record(fields) => {
                let behind = fields.partition_point(|field| field.offset() <= offset);
                let Some(field) = fields[..behind].last() else {
                    return path;
                };
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(field.name());
                offset -= field.offset();
                element = field.element();
            }
        }
    }
}

/// The offset of the scalar with that path: the reverse of [`path_at`].
pub fn offset_of(element: &ElementType, path: &str) -> Option<usize> {
    let (mut element, mut rest, mut offset) = (element, path, 0);
    loop {
        match element.shape() {
            Shape::Scalar(_) => return rest.is_empty().then_some(offset),
            Shape::Repeat(of, count) => {
                let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
                let i: usize = index.parse().ok()?;
                // One way to write each: not [01], not [+1].
                if i >= *count || i.to_string() != index {
                    return None;
                }
                offset += i * of.size();
                rest = behind;
                element = of;
            }
            Shape::Record(fields) => {
                if rest.len() < path.len() {
                    rest = rest.strip_prefix('.')?;
                }
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let field = fields.iter().find(|field| field.name() == &rest[..end])?;
                offset += field.offset();
                rest = &rest[end..];
                element = field.element();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> ElementType {
        text.parse().unwrap()
    }

    #[test]
    fn runs_are_as_long_as_they_can_be() {
        let run = |offset, scalar, count| Run {
            offset,
            scalar,
            count,
        };
        for (text, expected) in [
            ("f64", vec![run(0, Scalar::F64, 1)]),
            ("[[f32;2];3]", vec![run(0, Scalar::F32, 6)]),
            ("[{x:f32,y:f32};16]", vec![run(0, Scalar::F32, 32)]),
            (
                "id:u8,p:[f32;3],q:f32",
                vec![run(0, Scalar::U8, 1), run(4, Scalar::F32, 4)],
            ),
            (
                "[{a:u32,b:u8};2]",
                vec![
                    run(0, Scalar::U32, 1),
                    run(4, Scalar::U8, 1),
                    run(8, Scalar::U32, 1),
                    run(12, Scalar::U8, 1),
                ],
            ),
        ] {
            assert_eq!(runs(&element(text)), expected, "{text}");
        }
    }

    #[test]
    fn each_scalar_is_where_the_library_says() {
        for text in [
            "i8",
            "[u16;3]",
            "a:u8,b:{x:u16,y:[f64;2]},c:bool",
            "[{a:u32,b:[{c:u8,d:i64};2]};2]",
            "z:[[{k:bool};2];2]",
        ] {
            let element = element(text);
            let leaves = element.leaves();
            let found: Vec<_> = each(&runs(&element)).collect();
            assert_eq!(found.len(), scalars(&runs(&element)));
            assert_eq!(found.len(), leaves.len(), "{text}");
            for ((offset, scalar), leaf) in found.into_iter().zip(leaves) {
                assert_eq!((offset, scalar), (leaf.offset, leaf.scalar));
                assert_eq!(path_at(&element, offset), leaf.path);
                assert_eq!(offset_of(&element, &leaf.path), Some(offset));
            }
        }
    }

    #[test]
    fn what_is_no_path_has_no_offset() {
        let element = element("a:u8,b:{x:u16,y:[f64;2]}");
        for path in [
            "", "a.", ".a", "a[0]", "b", "b.", "bx", "b..x", "b.y", "b.y[2]", "b.y[01]", "b.y[+1]",
            "b.y[1", "b.y[1]x", "b.y[]", "c", "b.a", "A", "ä",
        ] {
            assert_eq!(offset_of(&element, path), None, "{path}");
        }
    }
}
