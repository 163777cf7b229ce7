//! The one table of record kinds. Whatever lists kinds (loss counters, metrics, the losses in an alert) goes through it,
//! so a further kind is one row here, beside the code that makes its records and the code that reads them.

/// Which of the records are given up first when the ring buffer fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTier {
    /// A cgroup over its share sends none from half of the ring buffer on.
    First,
    /// A cgroup over its share sends none from three quarters on: the rest is kept for the others.
    Last,
}

impl LossTier {
    /// Bytes in the ring buffer from which on a cgroup over its share sends no records of this tier.
    pub const fn refused_from(self, ring_buffer: u32) -> u64 {
        match self {
            LossTier::First => ring_buffer as u64 / 2,
            LossTier::Last => ring_buffer as u64 / 4 * 3,
        }
    }
}

macro_rules! record_kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal, $plural:literal, $described:literal, $tier:ident;)*) => {
        /// What a record is about: [`crate::RecordHead::kind`] as a number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum RecordKind { $($(#[$doc])* $kind = $number,)* }

        impl RecordKind {
            /// All kinds, in the order of their numbers, which count from 1.
            pub const ALL: [RecordKind; [$($number),*].len()] = [$(RecordKind::$kind),*];

            /// As metrics label it.
            pub const fn name(self) -> &'static str {
                match self { $(RecordKind::$kind => $name,)* }
            }

            /// As the losses in an alert call several of them.
            pub const fn plural(self) -> &'static str {
                match self { $(RecordKind::$kind => $plural,)* }
            }

            /// Several of them in a sentence.
            pub const fn description(self) -> &'static str {
                match self { $(RecordKind::$kind => $described,)* }
            }

            pub const fn tier(self) -> LossTier {
                match self { $(RecordKind::$kind => LossTier::$tier,)* }
            }
        }
    };
}

// Number, name, plural, plural in a sentence, loss tier.
record_kinds! {
    /// A process was created (its thread group leader; threads are not processes): [`crate::ForkRecord`].
    Fork = 1, "fork", "forks", "forks", First;
    /// A process image was replaced: [`crate::ExecFixed`].
    Exec = 2, "exec", "execs", "execs", Last;
    /// More arguments of the exec before it on the same processor: [`crate::ArgumentsFixed`].
    Arguments = 3, "arguments", "arguments", "records of further arguments", First;
    /// The last thread of a process ended: [`crate::ExitRecord`].
    Exit = 4, "exit", "exits", "exits", First;
    /// The environment of the exec before it on the same processor, or more of it: [`crate::ArgumentsFixed`].
    Environment = 5, "environment", "environments", "records of environments", First;
}

impl RecordKind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The number in a record's head.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The place of its counters in an array over all kinds.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get((number as usize).wrapping_sub(1)).copied()
    }
}

// `from_number` and the counters rest on it.
const _: () = {
    let mut index = 0;
    while index < RecordKind::COUNT {
        assert!(RecordKind::ALL[index].index() == index);
        index += 1;
    }
};
