//! Several byte columns in one body: their number, their lengths, then their bytes.
//!
//! A later version may append columns; a reader takes those it knows.

use crate::varint::{self, Cursor, Malformed};

/// Joins columns into a body.
pub(crate) fn join(columns: &[&[u8]]) -> Vec<u8> {
    let bytes: usize = columns.iter().map(|c| c.len()).sum();
    let mut out = Vec::with_capacity(bytes + 5 * columns.len() + 1);
    varint::put(&mut out, columns.len() as u64);
    for column in columns {
        varint::put(&mut out, column.len() as u64);
    }
    for column in columns {
        out.extend_from_slice(column);
    }
    out
}

/// The first `N` columns of a body.
pub(crate) fn split<const N: usize>(body: &[u8]) -> Result<[Cursor<'_>; N], Malformed> {
    let mut cursor = Cursor::new(body);
    let count = cursor.count()?;
    if count < N {
        return Err(Malformed("a column is missing"));
    }
    let mut lens = [0u64; N];
    for column in 0..count {
        let len = cursor.number()?;
        if let Some(slot) = lens.get_mut(column) {
            *slot = len;
        }
    }
    let mut columns = [Cursor::default(); N];
    for (column, len) in columns.iter_mut().zip(lens) {
        let len = usize::try_from(len).map_err(|_| Malformed("a column is too long"))?;
        *column = Cursor::new(cursor.take(len)?);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_columns_are_ignored_and_missing_ones_refused() {
        let body = join(&[b"ab", b"", b"later"]);
        let [mut first, second] = split::<2>(&body).unwrap();
        assert_eq!(first.take(2), Ok(&b"ab"[..]));
        assert!(first.is_empty() && second.is_empty());
        assert!(split::<4>(&body).is_err());
        assert!(split::<2>(&body[..body.len() - 6]).is_err());
    }
}
