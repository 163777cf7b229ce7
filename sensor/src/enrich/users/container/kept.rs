//! The names that are kept, within one budget, of which no container takes another's part.

use std::collections::HashMap;
use std::sync::Arc;

use super::files::ContainerNames;

/// What all names together may take: of some 2,000 ordinary containers.
const BYTES_AT_MOST: usize = 4 * 1024 * 1024;
/// What a container and each of its names take beside the texts.
const CONTAINER_BYTES: usize = 256;
const NAME_BYTES: usize = 64;

/// Names by outermost container and by container, so that no container inside another passes for one outside.
#[derive(Default)]
pub(super) struct KeptNames {
    owners: HashMap<String, Owner>,
    bytes: usize,
    /// How often something was inserted.
    time: u64,
}

#[derive(Default)]
struct Owner {
    containers: HashMap<String, Kept>,
    bytes: usize,
}

struct Kept {
    names: Arc<ContainerNames>,
    bytes: usize,
    time: u64,
}

impl KeptNames {
    pub(super) fn get(&self, outermost: &str, container: &str) -> Option<Arc<ContainerNames>> {
        let kept = self.owners.get(outermost)?.containers.get(container)?;
        Some(Arc::clone(&kept.names))
    }

    /// Adds or replaces a container's names. Where there is too much, whoever has the most loses its oldest.
    pub(super) fn insert(&mut self, outermost: &str, container: String, names: ContainerNames) {
        let texts = names.users.values().chain(names.groups.values());
        let bytes = CONTAINER_BYTES + texts.map(|name| NAME_BYTES + name.len()).sum::<usize>();
        self.time += 1;
        let kept = Kept {
            names: Arc::new(names),
            bytes,
            time: self.time,
        };
        let owner = self.owners.entry(outermost.to_owned()).or_default();
        let former = owner
            .containers
            .insert(container, kept)
            .map_or(0, |former| former.bytes);
        owner.bytes = owner.bytes + bytes - former;
        self.bytes = self.bytes + bytes - former;
        while self.bytes > BYTES_AT_MOST && self.forget_one() {}
    }

    fn forget_one(&mut self) -> bool {
        let largest = self.owners.iter_mut().max_by_key(|(_, owner)| owner.bytes);
        let Some((outermost, owner)) = largest else {
            return false;
        };
        let oldest = owner.containers.iter().min_by_key(|(_, kept)| kept.time);
        let oldest = oldest.map(|(container, _)| container.clone());
        if let Some(kept) = oldest.and_then(|container| owner.containers.remove(&container)) {
            owner.bytes -= kept.bytes;
            self.bytes -= kept.bytes;
        }
        if owner.containers.is_empty() {
            let outermost = outermost.clone();
            self.owners.remove(&outermost);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: u32) -> ContainerNames {
        ContainerNames {
            users: (0..number).map(|id| (id, "x".repeat(32).into())).collect(),
            groups: HashMap::new(),
        }
    }

    #[test]
    fn a_container_that_makes_many_in_itself_pushes_out_its_own() {
        let mut kept = KeptNames::default();
        kept.insert("quiet", "quiet".to_owned(), names(100));
        for number in 0..10_000 {
            kept.insert("loud", number.to_string(), names(100));
            assert!(kept.bytes <= BYTES_AT_MOST);
        }
        assert!(kept.get("quiet", "quiet").is_some() && kept.get("loud", "9999").is_some());
        assert!(kept.get("loud", "0").is_none());
        let bytes: usize = kept.owners.values().map(|owner| owner.bytes).sum();
        assert_eq!(kept.bytes, bytes);
    }

    #[test]
    fn names_that_are_read_again_take_the_place_of_the_former() {
        let mut kept = KeptNames::default();
        for number in [100, 3, 50] {
            kept.insert("a", "a".to_owned(), names(number));
        }
        assert_eq!(kept.bytes, CONTAINER_BYTES + 50 * (NAME_BYTES + 32));
    }
}
