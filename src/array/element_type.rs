//! What an element is, and how it lies in memory.
//!
//! An element is a number or a truth value, or so many of the same, or a
//! record of named fields, and each of these again. [`super::description`]
//! is how people and headers write it down; here is the layout that follows
//! from it, the same for every reader.
//!
//! ```text
//! id:u8,position:[f32;3],alive:bool        size 20, align 4
//!
//! 0    1       4            8            12           16     17      20
//! | id | 3 pad | position[0]| position[1]| position[2]| alive| 3 pad |
//! ```
//!
//! # Layout
//!
//! That of a C compiler on the supported machines: a scalar is aligned to its
//! size; an array is as its element; each field of a record begins at the
//! next multiple of its own alignment, the record is aligned as the strictest
//! of its fields, and its size is a multiple of that. So `a:u8,b:u32` has 8
//! bytes, `b` at 4. Little-endian, `bool` one byte, 0 or 1.
//!
//! # Limits
//!
//! An element has 1 byte to [`MAX_SIZE`], [`MAX_DEPTH`] levels at most, and
//! field names have up to [`MAX_NAME`] bytes: a description found in a segment
//! may be anybody's, and whatever is done with it must end, soon, and not in
//! a stack overflow or in gigabytes of paths. No [`ElementType`] breaks these
//! limits, however it was made; so code that walks through one may recurse.

/// The most bytes an element may have.
pub const MAX_SIZE: usize = 64 << 10;
/// The most levels of brackets and braces in a description.
pub const MAX_DEPTH: usize = 16;
/// The most bytes a field's name may have.
pub const MAX_NAME: usize = 255;

/// A number or a truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// -128 to 127.
    I8,
    /// Two bytes, signed.
    I16,
    /// Four bytes, signed.
    I32,
    /// Eight bytes, signed.
    I64,
    /// 0 to 255.
    U8,
    /// Two bytes, unsigned.
    U16,
    /// Four bytes, unsigned.
    U32,
    /// Eight bytes, unsigned.
    U64,
    /// IEEE 754, single precision.
    F32,
    /// IEEE 754, double precision.
    F64,
    /// One byte: 0 is false, 1 is true. What else is found there counts as true.
    Bool,
}

impl Scalar {
    /// All of them.
    pub const ALL: [Scalar; 11] = [
        Scalar::I8,
        Scalar::I16,
        Scalar::I32,
        Scalar::I64,
        Scalar::U8,
        Scalar::U16,
        Scalar::U32,
        Scalar::U64,
        Scalar::F32,
        Scalar::F64,
        Scalar::Bool,
    ];

    /// Its name: `i8` to `f64`, `bool`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scalar::I8 => "i8",
            Scalar::I16 => "i16",
            Scalar::I32 => "i32",
            Scalar::I64 => "i64",
            Scalar::U8 => "u8",
            Scalar::U16 => "u16",
            Scalar::U32 => "u32",
            Scalar::U64 => "u64",
            Scalar::F32 => "f32",
            Scalar::F64 => "f64",
            Scalar::Bool => "bool",
        }
    }

    /// Its size and alignment, in bytes: 1, 2, 4 or 8.
    pub fn size(self) -> usize {
        match self {
            Scalar::I8 | Scalar::U8 | Scalar::Bool => 1,
            Scalar::I16 | Scalar::U16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::I64 | Scalar::U64 | Scalar::F64 => 8,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Scalar> {
        Scalar::ALL
            .into_iter()
            .find(|scalar| scalar.as_str() == name)
    }
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    offset: usize,
    element: ElementType,
}

impl Field {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes from the record's start to it.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What it is.
    pub fn element(&self) -> &ElementType {
        &self.element
    }
}

/// How an element is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number or a truth value.
    Scalar(Scalar),
    /// So many of the same, one after the other.
    Repeat(Box<ElementType>, usize),
    /// Named fields, in the layout of a C struct.
    Record(Vec<Field>),
}

/// The type of an array's elements, with the layout that follows from it.
///
/// ```
/// use shmkit::array::ElementType;
///
/// let particle: ElementType = "id: u8, position: [f32; 3]".parse()?;
/// assert_eq!(particle.to_string(), "id:u8,position:[f32;3]");
/// assert_eq!((particle.size(), particle.align()), (16, 4));
/// # Ok::<(), shmkit::array::TypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementType {
    shape: Shape,
    size: usize,
    align: usize,
    /// Levels: 0 for a scalar, one more for each array or record around it.
    depth: usize,
}

/// A scalar within an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// How one would write it: `` for a scalar, `position[0]`, `corner.x`.
    pub path: String,
    /// Bytes from the element's start to it.
    pub offset: usize,
    /// What it is.
    pub scalar: Scalar,
}

impl ElementType {
    /// A scalar.
    pub fn scalar(scalar: Scalar) -> ElementType {
        ElementType {
            shape: Shape::Scalar(scalar),
            size: scalar.size(),
            align: scalar.size(),
            depth: 0,
        }
    }

    /// `count` of the same. `None` if that is 0 or more than [`MAX_SIZE`]
    /// bytes, or more than [`MAX_DEPTH`] levels.
    pub fn repeat(of: ElementType, count: usize) -> Option<ElementType> {
        let size = of.size.checked_mul(count)?;
        let depth = of.depth + 1;
        ((1..=MAX_SIZE).contains(&size) && depth <= MAX_DEPTH).then(|| ElementType {
            align: of.align,
            size,
            shape: Shape::Repeat(Box::new(of), count),
            depth,
        })
    }

    /// A record of these fields, in this order.
    ///
    /// # Errors
    ///
    /// Says, of which field, that its name is none or a second one, or that
    /// the record grows beyond [`MAX_SIZE`] or [`MAX_DEPTH`]; or that there
    /// is no field.
    pub fn record<N: Into<String>>(
        fields: impl IntoIterator<Item = (N, ElementType)>,
    ) -> Result<ElementType, String> {
        let mut names = std::collections::HashSet::new();
        let (mut end, mut align, mut depth) = (0usize, 1, 0);
        let mut placed = Vec::new();
        for (name, element) in fields {
            let name = name.into();
            if name.len() > MAX_NAME {
                return Err(format!("a field name of more than {MAX_NAME} letters"));
            }
            if !is_name(&name) {
                return Err(format!(
                    "'{name}' is no field name; letters, digits and _, not beginning with a digit"
                ));
            }
            if !names.insert(name.clone()) {
                return Err(format!("a second field '{name}'"));
            }
            // Around the fields of a record there are braces only where it
            // is itself a part: they count there, as its `depth`.
            if element.depth > MAX_DEPTH {
                return Err(format!(
                    "more than {MAX_DEPTH} levels deep with field '{name}'"
                ));
            }
            depth = depth.max(element.depth);
            align = align.max(element.align);
            let offset = end.next_multiple_of(element.align);
            end = offset + element.size;
            if end > MAX_SIZE {
                return Err(format!(
                    "the record is larger than {MAX_SIZE} bytes with field '{name}'"
                ));
            }
            placed.push(Field {
                name,
                offset,
                element,
            });
        }
        let size = end.next_multiple_of(align);
        match size {
            0 => Err("a record without fields".to_owned()),
            _ if size > MAX_SIZE => Err(format!("the record is larger than {MAX_SIZE} bytes")),
            _ => Ok(ElementType {
                shape: Shape::Record(placed),
                size,
                align,
                depth: depth + 1,
            }),
        }
    }

    /// A type that no array can have, whose description is none. It stands
    /// for what a Rust type says of itself that cannot be.
    pub(super) fn impossible() -> ElementType {
        ElementType {
            shape: Shape::Repeat(Box::new(ElementType::scalar(Scalar::U8)), usize::MAX),
            size: usize::MAX,
            align: 1,
            depth: MAX_DEPTH + 1,
        }
    }

    /// How it is made.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes of an element, and from one element to the next: 1 to
    /// [`MAX_SIZE`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its alignment in bytes: 1, 2, 4 or 8.
    pub fn align(&self) -> usize {
        self.align
    }

    /// Where the fields of a record begin; nothing for others.
    pub(super) fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        let fields = match &self.shape {
            Shape::Record(fields) => fields.as_slice(),
            _ => &[],
        };
        fields.iter().map(|field| field.offset)
    }

    /// Whether bytes of it belong to no scalar: a C compiler's padding.
    pub fn has_padding(&self) -> bool {
        match &self.shape {
            Shape::Scalar(_) => false,
            Shape::Repeat(of, _) => of.has_padding(),
            Shape::Record(fields) => {
                let filled: usize = fields.iter().map(|field| field.element.size).sum();
                filled != self.size || fields.iter().any(|field| field.element.has_padding())
            }
        }
    }

    /// Its scalars and where they lie, in the order of their offsets, with
    /// their paths: up to some hundred MB of text for an element of 64 KiB.
    /// [`scalars`](ElementType::scalars) has no paths.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.collect_leaves(String::new(), 0, &mut leaves);
        leaves
    }

    /// Its scalars and where they lie, in the order of their offsets: bytes
    /// from the element's start. At most [`MAX_SIZE`] of them.
    pub fn scalars(&self) -> Vec<(usize, Scalar)> {
        let mut scalars = Vec::new();
        self.collect_scalars(0, &mut scalars);
        scalars
    }

    fn collect_leaves(&self, path: String, offset: usize, leaves: &mut Vec<Leaf>) {
        match &self.shape {
            Shape::Scalar(scalar) => leaves.push(Leaf {
                path,
                offset,
                scalar: *scalar,
            }),
            Shape::Repeat(of, count) => {
                for i in 0..*count {
                    of.collect_leaves(format!("{path}[{i}]"), offset + i * of.size, leaves);
                }
            }
            Shape::Record(fields) => {
                for field in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", field.name);
                    let offset = offset + field.offset;
                    field.element.collect_leaves(path, offset, leaves);
                }
            }
        }
    }

    fn collect_scalars(&self, offset: usize, scalars: &mut Vec<(usize, Scalar)>) {
        match &self.shape {
            Shape::Scalar(scalar) => scalars.push((offset, *scalar)),
            Shape::Repeat(of, count) => {
                for i in 0..*count {
                    of.collect_scalars(offset + i * of.size, scalars);
                }
            }
            Shape::Record(fields) => {
                for field in fields {
                    field
                        .element
                        .collect_scalars(offset + field.offset, scalars);
                }
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
