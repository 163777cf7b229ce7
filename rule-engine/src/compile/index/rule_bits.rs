//! A set of rules, by position.

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RuleBits(Box<[u64]>);

impl RuleBits {
    /// The given ones of `count` rules.
    pub(super) fn of(rules: impl Iterator<Item = u32>, count: usize) -> RuleBits {
        let mut bits = RuleBits(vec![0; count.div_ceil(64)].into());
        rules.for_each(|rule| bits.insert(rule));
        bits
    }

    pub(super) fn insert(&mut self, rule: u32) {
        self.0[rule as usize / 64] |= 1 << (rule % 64);
    }

    pub(super) fn remove(&mut self, rule: u32) {
        self.0[rule as usize / 64] &= !(1 << (rule % 64));
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn copy_from(&mut self, other: &RuleBits) {
        self.0.copy_from_slice(&other.0);
    }

    pub(super) fn copy_from_words(&mut self, words: &[u64]) {
        self.0.copy_from_slice(words);
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn unite(&mut self, other: &RuleBits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Keeps only what the other set has too; returns whether any are left.
    pub(super) fn intersect(&mut self, other: &RuleBits) -> bool {
        let mut any = 0;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
            any |= *word;
        }
        any != 0
    }

    /// Removes what the other set has; returns whether any are left.
    pub(super) fn remove_all(&mut self, other: &RuleBits) -> bool {
        let mut any = 0;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
            any |= *word;
        }
        any != 0
    }

    pub(super) fn overlap(&self, other: &RuleBits) -> bool {
        let common = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |any, (word, other)| any | (word & other));
        common != 0
    }

    /// Whether the two have one in common that `but` has not.
    pub(super) fn overlap_but(&self, other: &RuleBits, but: &RuleBits) -> bool {
        let words = self.0.iter().zip(&other.0).zip(&but.0);
        words.fold(0, |any, ((word, other), but)| any | (word & other & !but)) != 0
    }

    /// Removes those of `doubtful` that are not in `allowed`.
    pub(super) fn remove_unless(&mut self, doubtful: &RuleBits, allowed: &RuleBits) {
        for ((word, doubtful), allowed) in self.0.iter_mut().zip(&doubtful.0).zip(&allowed.0) {
            *word &= !doubtful | allowed;
        }
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
