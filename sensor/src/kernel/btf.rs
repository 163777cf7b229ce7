//! Reads member offsets, enumerators and sizes from BTF, the type information of the running
//! kernel (`/sys/kernel/btf/vmlinux`; format: `Documentation/bpf/btf.rst` in the kernel's source).
//!
//! One pass over the types records where each begins and indexes those with a wanted name; members are read on demand.
//! Every access is checked, so damaged input yields an error. A kind of type that is newer than this parser is passed over
//! where the header says how long it is; elsewhere the types before it are all there is.

use std::collections::HashMap;

use thiserror::Error;

/// Why type information cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BtfError {
    #[error("the type information does not begin with a BTF header")]
    NotBtf,
    #[error("the type information ends in the middle of {0}")]
    Truncated(&'static str),
}

/// How deep members are searched for in anonymous structures.
const NESTING_LIMIT: usize = 8;

const KIND_POINTER: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_TYPE_TAG: u32 = 18;

const MAGIC: u16 = 0xeb9f;
const HEADER_SIZE: usize = 24;
const TYPE_SIZE: usize = 12;
const MEMBER_SIZE: usize = 12;
const ENUMERATOR_SIZE: usize = 8;
/// Of a kind, where the header says how long types are (Linux 7.1 and later).
const KIND_LAYOUT_SIZE: usize = 4;

/// Type information, indexed for a set of names.
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// For each kind, how long what follows a type's fixed part is, and each of its members; empty if that is not told.
    layout: &'a [u8],
    /// The kind of the first type that could not be passed over.
    unknown_kind: Option<u32>,
    /// Where each type begins in `types`; type 0 is void and has no entry.
    begins: Vec<u32>,
    /// Types by name, for the wanted names.
    named: HashMap<&'a str, Vec<u32>>,
}

#[derive(Clone, Copy)]
struct Type {
    kind: u32,
    members: usize,
    /// Whether member offsets carry a bit-field size in their upper byte.
    bitfields: bool,
    size_or_type: u32,
    /// Where the data behind the type's fixed part begins in `types`.
    data: usize,
}

impl<'a> Btf<'a> {
    /// Indexes `bytes` for the structures, enumerations and type names in `wanted`.
    ///
    /// # Errors
    /// The bytes are not BTF, or are truncated.
    pub(super) fn parse(bytes: &'a [u8], wanted: &[&'a str]) -> Result<Self, BtfError> {
        if bytes.len() < HEADER_SIZE || read_u16(bytes, 0) != Some(MAGIC) {
            return Err(BtfError::NotBtf);
        }
        let field = |at| read_u32(bytes, at).map_or(usize::MAX, |value| value as usize);
        let section = |at: usize, length: usize, what| {
            field(4)
                .checked_add(at)
                .and_then(|begin| Some(begin..begin.checked_add(length)?))
                .and_then(|range| bytes.get(range))
                .ok_or(BtfError::Truncated(what))
        };
        let types = section(field(8), field(12), "the types")?;
        let strings = section(field(16), field(20), "the strings")?;
        let layout = match field(4) >= HEADER_SIZE + 8 {
            true => section(field(24), field(28), "the layout of kinds")?,
            false => &[],
        };
        let mut btf = Btf {
            types,
            strings,
            layout,
            unknown_kind: None,
            begins: Vec::with_capacity(types.len() / 32),
            named: wanted.iter().map(|name| (*name, Vec::new())).collect(),
        };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let this = read_type(self.types, at).ok_or(BtfError::Truncated("a type"))?;
            let id = self.begins.len() as u32 + 1;
            self.begins.push(at as u32);
            if matches!(this.kind, KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_TYPEDEF) {
                let name = read_u32(self.types, at).unwrap_or(0);
                if let Some(found) = self.string(name).and_then(|name| self.named.get_mut(name)) {
                    found.push(id);
                }
            }
            let Some(size) = data_size(this).or_else(|| self.stated_size(this)) else {
                self.unknown_kind = Some(this.kind);
                break;
            };
            at = this.data + size;
        }
        Ok(())
    }

    /// The kind of type behind which nothing was read, if it was too new.
    pub(super) fn unknown_kind(&self) -> Option<u32> {
        self.unknown_kind
    }

    /// As [`data_size`], as the type information itself says it.
    fn stated_size(&self, this: Type) -> Option<usize> {
        let stated = self.layout.get(this.kind as usize * KIND_LAYOUT_SIZE..)?;
        let [fixed, member, ..] = *stated else { return None };
        Some(usize::from(fixed) + this.members * usize::from(member))
    }

    /// The offset in bytes of a member. Dots in `path` lead through nested members; of alternatives separated by `|`, the
    /// first that exists counts.
    pub(super) fn member_offset(&self, structure: &str, path: &str) -> Option<u32> {
        self.named(structure).find_map(|outermost| {
            let mut offset = 0;
            let mut holder = Some(outermost);
            for names in path.split('.') {
                let (at, next) = names
                    .split('|')
                    .find_map(|name| self.find_member(holder?, name, NESTING_LIMIT))?;
                offset += at;
                holder = self.by_id(self.without_qualifiers(next));
            }
            Some(offset)
        })
    }

    /// The size of a structure in bytes.
    pub(super) fn size(&self, structure: &str) -> Option<u32> {
        let sized = |found: &Type| matches!(found.kind, KIND_STRUCT | KIND_UNION);
        self.named(structure).find(sized).map(|found| found.size_or_type)
    }

    /// The value of an enumerator.
    pub(super) fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        self.named(enumeration).find_map(|found| {
            (0..found.members).find_map(|index| {
                let at = found.data + index * ENUMERATOR_SIZE;
                let enumerator = self.string(read_u32(self.types, at)?)?;
                (enumerator == name).then(|| read_u32(self.types, at + 4))?
            })
        })
    }

    /// The number of the `typedef` of this name.
    pub(super) fn typedef_id(&self, name: &str) -> Option<u32> {
        let is_it = |id: &u32| self.by_id(*id).is_some_and(|found| found.kind == KIND_TYPEDEF);
        self.ids(name).iter().copied().find(is_it)
    }

    fn named(&self, name: &str) -> impl Iterator<Item = Type> {
        self.ids(name).iter().filter_map(|id| self.by_id(*id))
    }

    fn ids(&self, name: &str) -> &[u32] {
        self.named.get(name).map_or(&[][..], Vec::as_slice)
    }

    /// The byte offset and type of a member, also searched for in anonymous members.
    fn find_member(&self, holder: Type, name: &str, depth: usize) -> Option<(u32, u32)> {
        if !matches!(holder.kind, KIND_STRUCT | KIND_UNION) || depth == 0 {
            return None;
        }
        (0..holder.members).find_map(|index| {
            let at = holder.data + index * MEMBER_SIZE;
            let found = self.string(read_u32(self.types, at)?)?;
            let member_type = read_u32(self.types, at + 4)?;
            let bits = read_u32(self.types, at + 8)?;
            let bits = if holder.bitfields { bits & 0xff_ffff } else { bits };
            if found == name {
                return Some((bits / 8, member_type));
            }
            if !found.is_empty() {
                return None;
            }
            let inner = self.by_id(self.without_qualifiers(member_type))?;
            let (offset, member_type) = self.find_member(inner, name, depth - 1)?;
            Some((bits / 8 + offset, member_type))
        })
    }

    fn without_qualifiers(&self, mut id: u32) -> u32 {
        for _ in 0..NESTING_LIMIT {
            match self.by_id(id) {
                Some(this)
                    if matches!(
                        this.kind,
                        KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG
                    ) =>
                {
                    id = this.size_or_type;
                }
                _ => break,
            }
        }
        id
    }

    fn by_id(&self, id: u32) -> Option<Type> {
        let begin = self.begins.get(id.checked_sub(1)? as usize)?;
        read_type(self.types, *begin as usize)
    }

    fn string(&self, at: u32) -> Option<&'a str> {
        let rest = self.strings.get(at as usize..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

fn read_type(types: &[u8], at: usize) -> Option<Type> {
    let info = read_u32(types, at + 4)?;
    Some(Type {
        kind: info >> 24 & 0x7f,
        members: (info & 0xff_ffff) as usize,
        bitfields: info >> 31 == 1,
        size_or_type: read_u32(types, at + 8)?,
        data: at + TYPE_SIZE,
    })
}

/// BTF in which these names are `typedef`s with these numbers, and nothing else is there.
pub(super) fn with_typedefs(named: &[(&str, u32)]) -> Vec<u8> {
    let mut strings = vec![0];
    let highest = named.iter().map(|(_, id)| *id).max().unwrap_or(0);
    let mut types = vec![[0, KIND_POINTER << 24, 0]; highest as usize];
    for (name, id) in named {
        if let Some(place) = (*id as usize).checked_sub(1).and_then(|index| types.get_mut(index)) {
            *place = [strings.len() as u32, KIND_TYPEDEF << 24, 0];
        }
        strings.extend(name.bytes().chain([0]));
    }
    let types: Vec<u8> = types
        .as_flattened()
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let (types_length, strings_length) = (types.len() as u32, strings.len() as u32);
    let header = [HEADER_SIZE as u32, 0, types_length, types_length, strings_length];
    let mut bytes = Vec::from(MAGIC.to_ne_bytes());
    // Version 1, no flags.
    bytes.extend([1, 0]);
    bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}

/// The size of what follows a type's fixed part, if its kind is known.
fn data_size(this: Type) -> Option<usize> {
    Some(match this.kind {
        // integer, variable, declaration tag
        1 | 14 | 17 => 4,
        // pointer, forward declaration, typedef, qualifiers, function, float, type tag
        2 | 7..=12 | 16 | 18 => 0,
        // array
        3 => 12,
        KIND_STRUCT | KIND_UNION => this.members * MEMBER_SIZE,
        // enumeration, function prototype
        KIND_ENUM | 13 => this.members * ENUMERATOR_SIZE,
        // section, 64-bit enumeration
        15 | 19 => this.members * 12,
        _ => return None,
    })
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// BTF with `struct outer { int a; union { struct { int pad; const struct inner b; }; }; }`,
    /// `struct inner { int x; int y; }` and `enum e { ONE = 1, SEVEN = 7 }`.
    fn sample() -> Vec<u8> {
        sample_with(&[], &[])
    }

    /// With words of a further type before the last one, and with the layout of kinds that the header gives.
    fn sample_with(further: &[u32], layout: &[u8]) -> Vec<u8> {
        let strings = b"\0outer\0a\0pad\0b\0inner\0x\0y\0e\0ONE\0SEVEN\0int\0";
        let at = |name: &str| {
            let name = [&[0], name.as_bytes(), &[0]].concat();
            strings
                .windows(name.len())
                .position(|part| part == name)
                .map_or(0, |at| at + 1) as u32
        };
        let head = |name: u32, kind: u32, members: u32, size: u32| [name, kind << 24 | members, size];
        let mut words = Vec::new();
        words.extend(head(at("int"), 1, 0, 4)); // 1
        words.push(32);
        words.extend(head(at("inner"), KIND_STRUCT, 2, 8)); // 2
        words.extend([at("x"), 1, 0, at("y"), 1, 32]);
        words.extend(head(0, KIND_CONST, 0, 2)); // 3
        words.extend(head(0, KIND_STRUCT, 2, 12)); // 4
        words.extend([at("pad"), 1, 0, at("b"), 3, 32]);
        words.extend(head(0, KIND_UNION, 1, 12)); // 5
        words.extend([0, 4, 0]);
        words.extend(head(at("outer"), KIND_STRUCT, 2, 16)); // 6
        words.extend([at("a"), 1, 0, 0, 5, 32]);
        words.extend(further);
        words.extend(head(at("e"), KIND_ENUM, 2, 4)); // 7
        words.extend([at("ONE"), 1, at("SEVEN"), 7]);
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        let (types_length, strings_length) = (types.len() as u32, strings.len() as u32);
        let mut header = vec![24, 0, types_length, types_length, strings_length];
        if !layout.is_empty() {
            header[0] = 32;
            header.extend([types_length + strings_length, layout.len() as u32]);
        }
        bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(types);
        bytes.extend(strings);
        bytes.extend(layout);
        bytes
    }

    #[test]
    fn members_are_found_through_anonymous_and_qualified_ones() {
        let bytes = sample();
        let btf = Btf::parse(&bytes, &["outer", "inner", "e"]).unwrap();
        assert_eq!(btf.member_offset("outer", "a"), Some(0));
        assert_eq!(btf.member_offset("outer", "b.y"), Some(12));
        assert_eq!(btf.member_offset("outer", "absent|pad"), Some(4));
        assert_eq!(btf.member_offset("outer", "absent"), None);
        assert_eq!(btf.size("inner"), Some(8));
        assert_eq!(btf.enumerator("e", "SEVEN"), Some(7));
        assert_eq!(btf.enumerator("e", "EIGHT"), None);
    }

    /// A type of a kind that no kernel has yet, of two members with eight bytes each, behind four of its own.
    const NEW: [u32; 8] = [0, 99 << 24 | 2, 0, 1, 2, 3, 4, 5];

    #[test]
    fn a_new_kind_of_type_is_passed_over_where_its_length_is_told() {
        let mut layout = [0; 100 * KIND_LAYOUT_SIZE];
        layout[99 * KIND_LAYOUT_SIZE..].copy_from_slice(&[4, 8, 0, 0]);
        let bytes = sample_with(&NEW, &layout);
        let btf = Btf::parse(&bytes, &["outer", "e"]).unwrap();
        assert_eq!(btf.unknown_kind(), None);
        assert_eq!(btf.member_offset("outer", "a"), Some(0));
        assert_eq!(btf.enumerator("e", "SEVEN"), Some(7));
    }

    #[test]
    fn before_a_new_kind_of_type_everything_is_found() {
        let bytes = sample_with(&NEW, &[]);
        let btf = Btf::parse(&bytes, &["outer", "inner", "e"]).unwrap();
        assert_eq!(btf.unknown_kind(), Some(99));
        assert_eq!(btf.member_offset("outer", "b.y"), Some(12));
        assert_eq!(btf.enumerator("e", "SEVEN"), None);
    }

    #[test]
    fn what_the_loader_is_given_has_the_names_at_their_numbers() {
        let bytes = with_typedefs(&[("first", 3), ("second", 7)]);
        let btf = Btf::parse(&bytes, &["first", "second"]).unwrap();
        assert_eq!(btf.typedef_id("first"), Some(3));
        assert_eq!(btf.typedef_id("second"), Some(7));
        assert!(aya::Btf::parse(&bytes, aya::Endianness::default()).is_ok());
    }

    #[test]
    fn a_cut_is_an_error() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(Btf::parse(&bytes[..length], &[]).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn damaged_input_never_panics(at in 0..sample().len(), byte: u8) {
            let mut bytes = sample();
            bytes[at] = byte;
            if let Ok(btf) = Btf::parse(&bytes, &["outer", "inner", "e"]) {
                let _ = btf.member_offset("outer", "b.y");
                let _ = btf.enumerator("e", "SEVEN");
            }
        }
    }
}
