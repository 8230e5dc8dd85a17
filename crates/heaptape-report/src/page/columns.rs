//! Tables as packed columns: named arrays of numbers that a page reads without copying (`docs/page.md`).
//!
//! A [`Table`] knows how to make its values and makes them while it is written, one column at a time, so that a table
//! of millions of rows is never there twice.

use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{self, Write};

/// What packed columns are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// To be read as they are.
    Plain,
    /// To be compressed: values that are near others as differences, bytes sorted by their place in the value.
    Compressible,
}

/// A table: columns, and what else is to be said.
#[derive(Default)]
pub struct Table<'a> {
    meta: Map<String, Value>,
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    name: &'static str,
    length: usize,
    /// Whether values are near the ones before them.
    near: bool,
    values: Values<'a>,
}

/// How to make the value of a row.
enum Values<'a> {
    Bytes(Cow<'a, [u8]>),
    U8(Box<dyn Fn(usize) -> u8 + 'a>),
    U16(Box<dyn Fn(usize) -> u16 + 'a>),
    U32(Box<dyn Fn(usize) -> u32 + 'a>),
    F64(Box<dyn Fn(usize) -> f64 + 'a>),
}

#[derive(Serialize)]
struct Head<'a> {
    meta: &'a Map<String, Value>,
    columns: Vec<ColumnHead>,
}

#[derive(Serialize)]
struct ColumnHead {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    length: usize,
    delta: bool,
    shuffle: bool,
}

impl<'a> Table<'a> {
    /// No columns yet.
    pub fn new() -> Table<'a> {
        Table::default()
    }

    /// Says something beside the columns.
    pub fn meta(mut self, name: &str, value: impl Into<Value>) -> Table<'a> {
        self.meta.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a column of bytes that are there already.
    pub fn bytes(self, name: &'static str, bytes: impl Into<Cow<'a, [u8]>>) -> Table<'a> {
        let bytes = bytes.into();
        self.with(name, bytes.len(), false, Values::Bytes(bytes))
    }

    /// Adds a column of `u8`.
    pub fn u8(self, name: &'static str, length: usize, of: impl Fn(usize) -> u8 + 'a) -> Table<'a> {
        self.with(name, length, false, Values::U8(Box::new(of)))
    }

    /// Adds a column of `u16`.
    pub fn u16(
        self,
        name: &'static str,
        length: usize,
        of: impl Fn(usize) -> u16 + 'a,
    ) -> Table<'a> {
        self.with(name, length, false, Values::U16(Box::new(of)))
    }

    /// Adds a column of `u32`.
    pub fn u32(
        self,
        name: &'static str,
        length: usize,
        of: impl Fn(usize) -> u32 + 'a,
    ) -> Table<'a> {
        self.with(name, length, false, Values::U32(Box::new(of)))
    }

    /// Adds a column of `u32` whose values are near the ones before them.
    pub fn near(
        self,
        name: &'static str,
        length: usize,
        of: impl Fn(usize) -> u32 + 'a,
    ) -> Table<'a> {
        self.with(name, length, true, Values::U32(Box::new(of)))
    }

    /// Adds a column of `f64`.
    pub fn f64(
        self,
        name: &'static str,
        length: usize,
        of: impl Fn(usize) -> f64 + 'a,
    ) -> Table<'a> {
        self.with(name, length, false, Values::F64(Box::new(of)))
    }

    fn with(
        mut self,
        name: &'static str,
        length: usize,
        near: bool,
        values: Values<'a>,
    ) -> Table<'a> {
        self.columns.push(Column { name, length, near, values });
        self
    }

    /// Writes the packed columns.
    pub fn write(&self, out: &mut dyn Write, form: Form) -> io::Result<()> {
        let columns = self.columns.iter().map(|column| column.head(form)).collect();
        let mut head = serde_json::to_vec(&Head { meta: &self.meta, columns })?;
        head.resize((head.len() + 4).next_multiple_of(8) - 4, b' ');
        let length = u32::try_from(head.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&head)?;
        self.columns.iter().try_for_each(|column| column.write(out, form))
    }

    /// The packed columns, to be read as they are.
    pub fn packed(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        self.write(&mut packed, Form::Plain).expect("memory takes everything");
        packed
    }
}

impl Column<'_> {
    fn head(&self, form: Form) -> ColumnHead {
        let (kind, width) = match self.values {
            Values::Bytes(_) | Values::U8(_) => ("u8", 1),
            Values::U16(_) => ("u16", 2),
            Values::U32(_) => ("u32", 4),
            Values::F64(_) => ("f64", 8),
        };
        let compressible = form == Form::Compressible;
        ColumnHead {
            name: self.name,
            kind,
            length: self.length,
            delta: compressible && self.near,
            shuffle: compressible && width > 1,
        }
    }

    fn write(&self, out: &mut dyn Write, form: Form) -> io::Result<()> {
        let (length, delta) = (self.length, self.near && form == Form::Compressible);
        match &self.values {
            Values::Bytes(bytes) => write_array(out, form, bytes.iter().map(|byte| [*byte])),
            Values::U8(of) => write_array(out, form, (0..length).map(|row| [of(row)])),
            Values::U16(of) => write_array(out, form, (0..length).map(|row| of(row).to_le_bytes())),
            Values::U32(of) => {
                let mut before = 0;
                let step = |row| {
                    let value = of(row);
                    let step = if delta { value.wrapping_sub(before) } else { value };
                    before = value;
                    step.to_le_bytes()
                };
                write_array(out, form, (0..length).map(step))
            }
            Values::F64(of) => write_array(out, form, (0..length).map(|row| of(row).to_le_bytes())),
        }
    }
}

/// Writes values of `WIDTH` bytes, and zeros up to a multiple of 8.
fn write_array<const WIDTH: usize>(
    out: &mut dyn Write,
    form: Form,
    values: impl Iterator<Item = [u8; WIDTH]>,
) -> io::Result<()> {
    let mut bytes: Vec<u8> = Vec::with_capacity(values.size_hint().0 * WIDTH);
    values.for_each(|value| bytes.extend_from_slice(&value));
    if form == Form::Compressible && WIDTH > 1 {
        let mut place = Vec::with_capacity(bytes.len() / WIDTH);
        for nth in 0..WIDTH {
            place.clear();
            place.extend(bytes.iter().skip(nth).step_by(WIDTH));
            out.write_all(&place)?;
        }
    } else {
        out.write_all(&bytes)?;
    }
    out.write_all(&[0; 8][..bytes.len().next_multiple_of(8) - bytes.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a column back, as the page does.
    fn read(packed: &[u8], wanted: &str) -> (Value, Vec<u64>) {
        let length = u32::from_le_bytes(packed[..4].try_into().unwrap()) as usize;
        let head: Value = serde_json::from_slice(&packed[4..4 + length]).unwrap();
        let mut at = 4 + length;
        for column in head["columns"].as_array().unwrap() {
            assert_eq!(at % 8, 0, "typed arrays begin where they may");
            let count = column["length"].as_u64().unwrap() as usize;
            let width = match column["type"].as_str().unwrap() {
                "u8" => 1,
                "u16" => 2,
                "u32" => 4,
                _ => 8,
            };
            if column["name"] == wanted {
                let byte = |row: usize, nth: usize| match column["shuffle"] == true {
                    true => packed[at + nth * count + row],
                    false => packed[at + row * width + nth],
                };
                let mut values = Vec::new();
                let mut sum = 0_u32;
                for row in 0..count {
                    let raw = (0..width).rev().fold(0, |v, nth| v << 8 | u64::from(byte(row, nth)));
                    sum = sum.wrapping_add(raw as u32);
                    values.push(if column["delta"] == true { u64::from(sum) } else { raw });
                }
                return (head["meta"].clone(), values);
            }
            at += (count * width).next_multiple_of(8);
        }
        panic!("no column {wanted}");
    }

    proptest! {
        #[test]
        fn columns_are_read_as_they_were_written(
            small in prop::collection::vec(any::<u8>(), 0..20),
            ids in prop::collection::vec(any::<u16>(), 0..20),
            ranks in prop::collection::vec(any::<u32>(), 0..20),
            sums in prop::collection::vec(any::<f64>(), 0..20),
            compressible: bool,
        ) {
            let table = Table::new()
                .meta("note", "<\u{2028}")
                .bytes("bytes", &small)
                .u8("small", small.len(), |row| small[row])
                .u16("ids", ids.len(), |row| ids[row])
                .u32("ranks", ranks.len(), |row| ranks[row])
                .near("near", ranks.len(), |row| ranks[row])
                .f64("sums", sums.len(), |row| sums[row]);
            let mut packed = Vec::new();
            table.write(&mut packed, if compressible { Form::Compressible } else { Form::Plain }).unwrap();
            let wide = |values: &[u32]| values.iter().map(|it| u64::from(*it)).collect::<Vec<_>>();
            let bytes = small.iter().map(|it| u64::from(*it)).collect::<Vec<_>>();
            prop_assert_eq!(read(&packed, "bytes").1, bytes.clone());
            prop_assert_eq!(read(&packed, "small").1, bytes);
            prop_assert_eq!(read(&packed, "ids").1, ids.iter().map(|it| u64::from(*it)).collect::<Vec<_>>());
            prop_assert_eq!(read(&packed, "ranks").1, wide(&ranks));
            prop_assert_eq!(read(&packed, "near").1, wide(&ranks));
            let (meta, read) = read(&packed, "sums");
            prop_assert_eq!(read, sums.iter().map(|it| it.to_bits()).collect::<Vec<_>>());
            prop_assert_eq!(&meta["note"], "<\u{2028}");
        }
    }
}
