//! The users, groups and capabilities of one process. Rules look at them for few kinds of events, so most records take
//! none of them.

use rule_engine::{FieldId, Record};

use super::own::SCHEMA;
use super::put::{text_from, texts_from};
use super::user::{put_group_name, put_user_name};
use crate::{
    enrich::users::Users,
    process::{Process, capability_names},
};

/// The field of an id and that of the name; `None` where ECS has no such field.
type Pair = (Option<FieldId>, Option<FieldId>);

/// The fields below one prefix.
pub(super) struct CredentialFields {
    /// Effective, real and saved.
    users: [Pair; 3],
    groups: [Pair; 3],
    supplemental_groups: Pair,
    permitted: Option<FieldId>,
    effective: Option<FieldId>,
    all: Vec<FieldId>,
}

impl CredentialFields {
    pub(super) fn below(prefix: &str) -> Self {
        let field = |name: &str| SCHEMA.field(&format!("{prefix}.{name}"));
        let users = [
            (field("user.id"), field("user.name")),
            (field("real_user.id"), field("real_user.name")),
            (field("saved_user.id"), field("saved_user.name")),
        ];
        let groups = [
            (field("group.id"), field("group.name")),
            (field("real_group.id"), field("real_group.name")),
            (field("saved_group.id"), field("saved_group.name")),
        ];
        let supplemental_groups = (field("supplemental_groups.id"), field("supplemental_groups.name"));
        let permitted = field("thread.capabilities.permitted");
        let effective = field("thread.capabilities.effective");
        let pairs = users.into_iter().chain(groups).chain([supplemental_groups]);
        let ids_and_names = pairs.flat_map(|(id, name)| [id, name]);
        CredentialFields {
            users,
            groups,
            supplemental_groups,
            permitted,
            effective,
            all: ids_and_names.chain([permitted, effective]).flatten().collect(),
        }
    }

    pub(super) fn all(&self) -> &[FieldId] {
        &self.all
    }

    pub(super) fn fill(&self, record: &mut Record, process: &Process, users: &Users) {
        if !self.all.iter().any(|field| record.wants(*field)) {
            return;
        }
        let credentials = &process.credentials;
        let of_users = [credentials.effective_uid, credentials.uid, credentials.saved_uid];
        for ((id_field, name_field), id) in self.users.into_iter().zip(of_users) {
            text_from(record, id_field, || id.to_string());
            put_user_name(record, name_field, id, process, users);
        }
        let of_groups = [credentials.effective_gid, credentials.gid, credentials.saved_gid];
        for ((id_field, name_field), id) in self.groups.into_iter().zip(of_groups) {
            text_from(record, id_field, || id.to_string());
            put_group_name(record, name_field, id, process, users);
        }
        let (id_field, name_field) = self.supplemental_groups;
        for group in process.groups.ids.iter() {
            text_from(record, id_field, || group.to_string());
            put_group_name(record, name_field, *group, process, users);
        }
        for (field, capabilities) in [
            (self.permitted, credentials.permitted),
            (self.effective, credentials.effective),
        ] {
            texts_from(record, field, capability_names(capabilities));
        }
    }
}
