//! Tables as Apache Parquet files: one row group, plain encoding, no compression. That is all a
//! table of windows needs, and every reader takes it.
//!
//! The layout is that of the format's specification: pages of values, then the metadata in Thrift's
//! compact protocol.

/// What a file begins and ends with.
const MAGIC: &[u8] = b"PAR1";
/// Encodings of values and of definition levels.
const PLAIN: i32 = 0;
const RLE: i32 = 3;

/// A column's values; `None` is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// Unsigned, 64 bits, never null.
    U64(Vec<u64>),
    /// Unsigned, 32 bits.
    U32(Vec<Option<u32>>),
    /// Text.
    Text(Vec<Option<String>>),
}

/// A column and its name.
pub(crate) type Column = (&'static str, Values);

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::U64(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::Text(values) => values.len(),
        }
    }

    /// Physical type, converted type and repetition (0: required, 1: optional).
    fn types(&self) -> (i32, i32, i32) {
        match self {
            Values::U64(_) => (2, 14, 0),
            Values::U32(_) => (1, 13, 1),
            Values::Text(_) => (6, 0, 1),
        }
    }

    /// The page: definition levels if there may be nulls, then what is not null.
    fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        match self {
            Values::U64(values) => {
                page.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Values::U32(values) => {
                levels(&mut page, values.iter().map(Option::is_some));
                page.extend(values.iter().flatten().flat_map(|value| value.to_le_bytes()));
            }
            Values::Text(values) => {
                levels(&mut page, values.iter().map(Option::is_some));
                for text in values.iter().flatten() {
                    page.extend((text.len() as u32).to_le_bytes());
                    page.extend(text.as_bytes());
                }
            }
        }
        page
    }
}

/// Runs of equal levels, with the length of all of them before.
fn levels(page: &mut Vec<u8>, there: impl Iterator<Item = bool>) {
    let all: Vec<bool> = there.collect();
    let mut runs = Thrift::default();
    for run in all.chunk_by(|a, b| a == b) {
        runs.varint((run.len() as u64) << 1);
        runs.bytes.push(u8::from(run[0]));
    }
    page.extend((runs.bytes.len() as u32).to_le_bytes());
    page.extend(runs.bytes);
}

/// A file with these columns, which are equally long.
pub(crate) fn file(columns: &[Column]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let mut file = MAGIC.to_vec();
    let mut chunks = Vec::new();
    for (_, values) in columns {
        let (start, page) = (file.len(), values.page());
        file.extend(page_header(page.len(), values.len()));
        file.extend(page);
        chunks.push((start, file.len() - start));
    }
    let metadata = metadata(columns, &chunks, rows);
    file.extend(&metadata);
    file.extend((metadata.len() as u32).to_le_bytes());
    file.extend(MAGIC);
    file
}

fn page_header(bytes: usize, values: usize) -> Vec<u8> {
    let mut header = Thrift::default();
    header.int(1, 0); // A data page.
    header.int(2, bytes as i64);
    header.int(3, bytes as i64);
    header.structure(5, |data| {
        data.int(1, values as i64);
        data.int(2, PLAIN.into());
        data.int(3, RLE.into());
        data.int(4, RLE.into());
    });
    header.end()
}

/// The file's metadata; `chunks` are offset and length of each column.
fn metadata(columns: &[Column], chunks: &[(usize, usize)], rows: usize) -> Vec<u8> {
    let mut file = Thrift::default();
    file.int(1, 1);
    file.list(2, STRUCT, columns.len() + 1, |list| {
        list.element(|root| {
            root.text(4, "windows");
            root.int(5, columns.len() as i64);
        });
        for (name, values) in columns {
            let (physical, converted, repetition) = values.types();
            list.element(|column| {
                column.int(1, physical.into());
                column.int(3, repetition.into());
                column.text(4, name);
                column.int(6, converted.into());
            });
        }
    });
    file.long(3, rows as i64);
    file.list(4, STRUCT, 1, |list| list.element(|group| row_group(group, columns, chunks, rows)));
    file.text(6, concat!("latchup ", env!("CARGO_PKG_VERSION")));
    file.end()
}

fn row_group(group: &mut Thrift, columns: &[Column], chunks: &[(usize, usize)], rows: usize) {
    group.list(1, STRUCT, columns.len(), |list| {
        for ((name, values), &(start, length)) in columns.iter().zip(chunks) {
            list.element(|chunk| {
                chunk.long(2, start as i64);
                chunk.structure(3, |column| {
                    column.int(1, values.types().0.into());
                    column.list(2, INT, 2, |list| {
                        list.zigzag(PLAIN.into());
                        list.zigzag(RLE.into());
                    });
                    column.list(3, BINARY, 1, |list| list.string(name));
                    column.int(4, 0); // No compression.
                    column.long(5, values.len() as i64);
                    column.long(6, length as i64);
                    column.long(7, length as i64);
                    column.long(9, start as i64);
                });
            });
        }
    });
    group.long(2, chunks.iter().map(|chunk| chunk.1 as i64).sum());
    group.long(3, rows as i64);
}

/// Types of Thrift's compact protocol.
const INT: u8 = 5;
const LONG: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A structure under construction.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    /// Number of the last field.
    last: u8,
}

impl Thrift {
    /// Begins a field; their numbers ascend by less than 16.
    fn field(&mut self, number: u8, kind: u8) {
        self.bytes.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    fn int(&mut self, number: u8, value: i64) {
        self.field(number, INT);
        self.zigzag(value);
    }

    fn long(&mut self, number: u8, value: i64) {
        self.field(number, LONG);
        self.zigzag(value);
    }

    fn text(&mut self, number: u8, text: &str) {
        self.field(number, BINARY);
        self.string(text);
    }

    fn structure(&mut self, number: u8, fill: impl FnOnce(&mut Thrift)) {
        self.field(number, STRUCT);
        self.element(fill);
    }

    fn list(&mut self, number: u8, kind: u8, count: usize, fill: impl FnOnce(&mut Thrift)) {
        self.field(number, LIST);
        if count < 15 {
            self.bytes.push((count as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            self.varint(count as u64);
        }
        fill(self);
    }

    /// A structure that is an element of a list.
    fn element(&mut self, fill: impl FnOnce(&mut Thrift)) {
        let mut inner = Thrift::default();
        fill(&mut inner);
        self.bytes.extend(inner.end());
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn string(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reader of Apache Arrow (pyarrow) found to hold the values below.
    const KNOWN: &str = "@KNOWN@";

    #[test]
    fn the_bytes_are_those_that_arrow_has_read() {
        let columns = [
            ("lo", Values::U64(vec![0, u64::MAX])),
            ("cpu", Values::U32(vec![None, Some(18)])),
            ("finding", Values::Text(vec![Some("ok".to_owned()), None])),
        ];
        let file = file(&columns);
        let created = concat!("latchup ", env!("CARGO_PKG_VERSION")).as_bytes();
        let at = file.windows(created.len()).position(|part| part == created).expect("the name");
        let hex: String = file[..at].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, KNOWN);
    }
}
