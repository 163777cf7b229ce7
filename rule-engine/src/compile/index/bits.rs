//! A set of small numbers: of ways, or of rules.

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// The given ones of `count` numbers.
    pub(super) fn of(numbers: impl Iterator<Item = u32>, count: usize) -> Bits {
        let mut bits = Bits(vec![0; count.div_ceil(64)].into());
        numbers.for_each(|number| bits.insert(number));
        bits
    }

    pub(super) fn insert(&mut self, number: u32) {
        self.0[number as usize / 64] |= 1 << (number % 64);
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.0[number as usize / 64] &= !(1 << (number % 64));
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.0[number as usize / 64] >> (number % 64) & 1 == 1
    }

    pub(super) fn fill(&mut self) {
        self.0.fill(u64::MAX);
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn copy_from(&mut self, other: &Bits) {
        self.0.copy_from_slice(&other.0);
    }

    pub(super) fn copy_from_words(&mut self, words: &[u64]) {
        self.0.copy_from_slice(words);
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn unite(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn overlap(&self, other: &Bits) -> bool {
        let common = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |any, (word, other)| any | (word & other));
        common != 0
    }

    /// Removes those of `doubtful` that are not in `allowed`; returns whether any are left.
    pub(super) fn remove_unless(&mut self, doubtful: &Bits, allowed: &Bits) -> bool {
        let mut any = 0;
        for ((word, doubtful), allowed) in self.0.iter_mut().zip(&doubtful.0).zip(&allowed.0) {
            *word &= !doubtful | allowed;
            any |= *word;
        }
        any != 0
    }

    /// In ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(position, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then(|| position * 64 + bit as usize)
            })
        })
    }
}
