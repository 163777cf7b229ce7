//! What runs, whatever it is called: the file behind the process's name, and how it was asked for.

use rule_engine::{FieldId, Record, fields};

use super::own;
use super::put::{text_from, texts_from};
use super::user::{put_group_name, put_user_name};
use crate::{
    decode::LeftOut,
    enrich::users::Users,
    process::{Image, Process, capability_names, device_numbers},
};

pub(super) fn fill(record: &mut Record, process: &Process, users: &Users) {
    let image = process.image();
    put_if_wanted(record, own::PROCESS_ARGV0, || image.args().iter().next());
    put_if_wanted(record, own::PROCESS_REQUESTED_PATH, || {
        Some(&*image.requested_path).filter(|path| !path.is_empty())
    });
    put_if_wanted(record, own::PROCESS_SCRIPT, || image.script());
    put_if_wanted(record, own::PROCESS_APPLET, || image.applet());
    put_if_wanted(record, own::PROCESS_LOADER, || image.loaded());
    fill_path_in_container(record, &image);
    let groups = &process.groups;
    if groups.total as usize > groups.ids.len() {
        record.boolean(own::PROCESS_GROUPS_COMPLETE, false);
    }
    texts_from(
        record,
        Some(own::PROCESS_EXECUTABLE_CAPABILITIES),
        capability_names(image.file_capabilities),
    );
    if image.left_out.working_directory != LeftOut::Nothing {
        record.boolean(own::PROCESS_WORKING_DIRECTORY_CUT, true);
    }
    if image.left_out.requested {
        record.boolean(own::PROCESS_REQUESTED_PATH_CUT, true);
    }
    if let Some(shortened) = image.shortened {
        record.text(own::PROCESS_SHORTENED, shortened.name());
    }
    let Some(file) = &image.file else { return };
    for (field, truth) in [
        (own::PROCESS_EXECUTABLE_IN_MEMORY, Some(file.in_memory)),
        (own::PROCESS_EXECUTABLE_DELETED, Some(file.deleted)),
        (
            own::PROCESS_EXECUTABLE_PATH_CUT,
            Some(image.left_out.executable != LeftOut::Nothing),
        ),
        (own::PROCESS_EXECUTABLE_SET_USER_ID, Some(file.sets_user_id())),
        (own::PROCESS_EXECUTABLE_SET_GROUP_ID, Some(file.sets_group_id())),
        (own::PROCESS_EXECUTABLE_UPPER_LAYER, file.upper_layer),
    ] {
        if let Some(truth) = truth {
            record.boolean(field, truth);
        }
    }
    if let Some(origin) = file.origin {
        record.text(own::PROCESS_EXECUTABLE_ORIGIN, origin.name());
    }
    let identity = &file.identity;
    record.long(own::PROCESS_EXECUTABLE_LINKS, i64::from(identity.links));
    text_from(record, Some(fields::FILE_INODE), || identity.inode.to_string());
    text_from(record, Some(fields::FILE_DEVICE), || {
        let (major, minor) = device_numbers(identity.device);
        format!("{major}:{minor}")
    });
    if identity.changed_ns != 0 {
        record.date(fields::FILE_CTIME, identity.changed_ns);
    }
    if file.is_attested() {
        text_from(record, Some(own::PROCESS_EXECUTABLE_IDENTITY), || {
            let (major, minor) = device_numbers(identity.device);
            format!("{major}:{minor}:{}:{}", identity.inode, identity.changed_ns)
        });
    }
    text_from(record, Some(fields::FILE_MODE), || file.permissions());
    text_from(record, Some(fields::FILE_UID), || identity.uid.to_string());
    text_from(record, Some(fields::FILE_GID), || identity.gid.to_string());
    put_user_name(record, Some(fields::FILE_OWNER), identity.uid, process, users);
    put_group_name(record, Some(fields::FILE_GROUP), identity.gid, process, users);
}

fn fill_path_in_container(record: &mut Record, image: &Image) {
    let path = own::PROCESS_EXECUTABLE_PATH_IN_CONTAINER;
    let cut = own::PROCESS_EXECUTABLE_PATH_IN_CONTAINER_CUT;
    if [path, cut].into_iter().any(|field| record.wants(field))
        && let Some(text) = image.path_in_container()
    {
        record.text(path, &text);
        let left_out = image.left_out.root.max(image.left_out.executable);
        record.boolean(cut, left_out != LeftOut::Nothing);
    }
}

fn put_if_wanted<'a>(record: &mut Record, field: FieldId, text: impl FnOnce() -> Option<&'a str>) {
    if record.wants(field)
        && let Some(text) = text()
    {
        record.text(field, text);
    }
}
