//! Sets of rows.

/// A set of the rows of one segment, one bit a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSet {
    bits: Box<[u64]>,
    rows: usize,
}

impl RowSet {
    /// No row of `rows`.
    pub fn none(rows: usize) -> Self {
        Self {
            bits: vec![0; rows.div_ceil(64)].into(),
            rows,
        }
    }

    /// All of `rows`.
    pub fn all(rows: usize) -> Self {
        let mut all = Self::none(rows);
        all.invert();
        all
    }

    /// How many rows the segment has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row; one that the segment does not have is not added.
    pub fn insert(&mut self, row: usize) {
        if row < self.rows {
            self.bits[row / 64] |= 1 << (row % 64);
        }
    }

    /// Takes a row out.
    pub fn remove(&mut self, row: usize) {
        if row < self.rows {
            self.bits[row / 64] &= !(1 << (row % 64));
        }
    }

    /// Adds the rows from `start` on, `count` of them, as far as the segment has them.
    pub fn insert_run(&mut self, start: usize, count: usize) {
        let end = start.saturating_add(count).min(self.rows);
        let mut row = start;
        while row < end {
            if row.is_multiple_of(64) && end - row >= 64 {
                self.bits[row / 64] = u64::MAX;
                row += 64;
            } else {
                self.insert(row);
                row += 1;
            }
        }
    }

    /// Whether a row is in the set.
    pub fn contains(&self, row: usize) -> bool {
        row < self.rows && self.bits[row / 64] >> (row % 64) & 1 == 1
    }

    /// How many rows are in the set.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|b| b.count_ones() as usize).sum()
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|b| *b == 0)
    }

    /// The rows that are in both.
    pub fn intersect(&mut self, other: &Self) {
        self.each(other, |a, b| a & b);
    }

    /// The rows that are in one of them.
    pub fn unite(&mut self, other: &Self) {
        self.each(other, |a, b| a | b);
    }

    /// The rows that are not in the other.
    pub fn subtract(&mut self, other: &Self) {
        self.each(other, |a, b| a & !b);
    }

    /// The rows that are not in this set.
    pub fn invert(&mut self) {
        for bits in &mut self.bits {
            *bits = !*bits;
        }
        if let Some(last) = self.bits.last_mut()
            && !self.rows.is_multiple_of(64)
        {
            *last &= (1 << (self.rows % 64)) - 1;
        }
    }

    fn each(&mut self, other: &Self, f: impl Fn(u64, u64) -> u64) {
        debug_assert_eq!(self.rows, other.rows);
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a = f(*a, *b);
        }
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().flat_map(|(i, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let low = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    i * 64 + low
                })
            })
        })
    }

    pub(crate) fn to_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let bytes = self.bits.iter().flat_map(|b| b.to_le_bytes());
        bytes.take(self.rows.div_ceil(8))
    }

    /// Adds the rows whose bits are set, the lowest first.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        for (word, eight) in self.bits.iter_mut().zip(bytes.chunks(8)) {
            let mut all = [0; 8];
            all[..eight.len()].copy_from_slice(eight);
            *word |= u64::from_le_bytes(all);
        }
        // Bits beyond the last row are nobody's.
        if let Some(last) = self.bits.last_mut()
            && !self.rows.is_multiple_of(64)
        {
            *last &= (1 << (self.rows % 64)) - 1;
        }
    }
}
