//! The user and group of the event's process, and the names of users and groups in general.

use rule_engine::{FieldId, Record, fields};

use super::put::text_from;
use crate::{enrich::users::Users, process::Process};

pub(super) fn fill(record: &mut Record, process: &Process, users: &Users) {
    let credentials = &process.credentials;
    text_from(record, Some(fields::USER_ID), || credentials.effective_uid.to_string());
    text_from(record, Some(fields::USER_EXT_REAL_ID), || credentials.uid.to_string());
    text_from(record, Some(fields::GROUP_ID), || credentials.effective_gid.to_string());
    text_from(record, Some(fields::GROUP_EXT_REAL_ID), || credentials.gid.to_string());
    put_user_name(
        record,
        Some(fields::USER_NAME),
        credentials.effective_uid,
        process,
        users,
    );
    put_user_name(
        record,
        Some(fields::USER_EXT_REAL_NAME),
        credentials.uid,
        process,
        users,
    );
    put_group_name(
        record,
        Some(fields::GROUP_NAME),
        credentials.effective_gid,
        process,
        users,
    );
    put_group_name(
        record,
        Some(fields::GROUP_EXT_REAL_NAME),
        credentials.gid,
        process,
        users,
    );
}

pub(super) fn put_user_name(record: &mut Record, field: Option<FieldId>, uid: u32, process: &Process, users: &Users) {
    if let Some(field) = field.filter(|field| record.wants(*field))
        && let Some(name) = users.user(uid, process)
    {
        record.text(field, &name);
    }
}

pub(super) fn put_group_name(record: &mut Record, field: Option<FieldId>, gid: u32, process: &Process, users: &Users) {
    if let Some(field) = field.filter(|field| record.wants(*field))
        && let Some(name) = users.group(gid, process)
    {
        record.text(field, &name);
    }
}
