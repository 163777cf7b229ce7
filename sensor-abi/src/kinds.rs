//! The table of record kinds. Everything that lists kinds (loss counters, metrics, the losses in an alert) iterates over
//! it, so a new kind is one row here, besides the code that writes its records and the code that decodes them.

/// Which records are dropped first as the ring buffer fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTier {
    /// A cgroup over its share sends none once the ring buffer is half full.
    First,
    /// A cgroup over its share sends none once it is three quarters full; the rest is reserved for the others.
    Last,
}

impl LossTier {
    /// The fill, in bytes, at which a cgroup over its share stops sending records of this tier.
    pub const fn refused_from(self, ring_buffer: u32) -> u64 {
        match self {
            LossTier::First => ring_buffer as u64 / 2,
            LossTier::Last => ring_buffer as u64 / 4 * 3,
        }
    }
}

macro_rules! record_kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal, $plural:literal, $described:literal, $tier:ident;)*) => {
        /// What a record is about; its number is [`crate::RecordHead::kind`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum RecordKind { $($(#[$doc])* $kind = $number,)* }

        impl RecordKind {
            /// All kinds by number, starting from 1.
            pub const ALL: [RecordKind; [$($number),*].len()] = [$(RecordKind::$kind),*];

            /// The label in metrics.
            pub const fn name(self) -> &'static str {
                match self { $(RecordKind::$kind => $name,)* }
            }

            /// The key in an alert's losses.
            pub const fn plural(self) -> &'static str {
                match self { $(RecordKind::$kind => $plural,)* }
            }

            /// The plural in a log line.
            pub const fn description(self) -> &'static str {
                match self { $(RecordKind::$kind => $described,)* }
            }

            /// When records of this kind are dropped, compared with others.
            pub const fn tier(self) -> LossTier {
                match self { $(RecordKind::$kind => LossTier::$tier,)* }
            }
        }
    };
}

// Number, metrics label, key in an alert, plural in a log line, loss tier.
record_kinds! {
    /// A process was created (its thread group leader; threads are not processes): [`crate::ForkRecord`].
    Fork = 1, "fork", "forks", "forks", First;
    /// A process image was replaced: [`crate::ExecFixed`].
    Exec = 2, "exec", "execs", "execs", Last;
    /// More arguments of the preceding exec on the same processor: [`crate::ArgumentsFixed`].
    Arguments = 3, "arguments", "arguments", "records of further arguments", First;
    /// The last thread of a process ended: [`crate::ExitRecord`].
    Exit = 4, "exit", "exits", "exits", First;
    /// The environment of the preceding exec on the same processor, or a further part of it: [`crate::ArgumentsFixed`].
    Environment = 5, "environment", "environments", "records of environments", First;
    /// Somebody sent the sensor a signal, or holds it with a debugger: [`crate::SignalRecord`].
    Signal = 6, "signal", "signals", "signals to the sensor", Last;
}

impl RecordKind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The number in a record's head.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Its index in an array with an element for each kind.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The programs that make records of this kind.
    pub const fn family(self) -> Family {
        match self {
            RecordKind::Fork => Family::Fork,
            RecordKind::Exec | RecordKind::Arguments | RecordKind::Environment => Family::Exec,
            RecordKind::Exit => Family::Exit,
            RecordKind::Signal => Family::Signal,
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get((number as usize).wrapping_sub(1)).copied()
    }
}

/// Programs that share scratch space and number their records together. On a processor at most one of a family runs at a
/// time: the kernel does not enter a program again while it runs there, and a continuation runs within its program. So
/// nothing of a family's needs to be atomic, although kernels may let programs of different families preempt each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Fork,
    Exec,
    Exit,
    Signal,
}

impl Family {
    /// All families, in the order of their indices.
    pub const ALL: [Family; 4] = [Family::Fork, Family::Exec, Family::Exit, Family::Signal];

    /// How many families there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its index in an array with an element for each family.
    pub const fn index(self) -> usize {
        self as usize
    }
}

// `from_number` and the counters rely on it.
const _: () = {
    let mut index = 0;
    while index < RecordKind::COUNT {
        assert!(RecordKind::ALL[index].index() == index);
        index += 1;
    }
};
