//! What the agent knows about every process on the node, kept up to date by events.
//!
//! Stands between the decoder and the record: an event changes the [`ProcessTable`], and the
//! record is made from the table. Processes are named by [`ProcessKey`], which outlives pid reuse.

mod allowance;
mod arguments;
mod boxes;
mod budget;
mod capabilities;
mod descriptors;
mod entry;
mod executable;
mod given_up;
mod host;
mod image;
mod kept;
mod key;
mod model;
mod names;
mod noted;
mod origin;
mod packages;
mod proc_paths;
mod reconcile;
mod scan;
mod start;
mod started;
mod table;
mod terminal;
mod texts;
mod view;

pub(crate) use arguments::ProcessArguments;
pub(crate) use boxes::{Boxes, Header};
pub(crate) use capabilities::{FIRST_USER_NAMESPACE, capability_names};
pub(crate) use descriptors::descriptor_names;
pub(crate) use image::Image;
pub(crate) use key::ProcessKey;
pub(crate) use model::Process;
pub(crate) use reconcile::Reconciliation;
pub(crate) use scan::{cgroup_path, scan};
pub use table::ProcessTable;
pub(crate) use terminal::device_numbers;
pub(crate) use texts::Texts;
pub(crate) use view::{CgroupView, enter_hosts_view, has_hosts_pids, is_in_first, own_pid};
