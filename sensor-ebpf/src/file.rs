//! The file that runs, by its inode: which one it is, and when it was changed.

use sensor_abi::{FLAG_EXECUTABLE_UPPER, FileIdentity, KernelLayout, OVERLAY_MAGIC};

use crate::{
    layout::layout,
    read::{Address, Block, BlockBytes, pointer, read},
};

/// Of a second.
const NANOSECONDS: i64 = 1_000_000_000;

/// The executed file by its inode; with [`FLAG_EXECUTABLE_UPPER`] where it applies.
#[inline(always)]
pub(crate) fn file_identity(bytes: *mut BlockBytes, inode: Address) -> (FileIdentity, u16) {
    let block = Block::read(bytes, inode);
    let file_system: Address = block.get(layout!(inode_file_system));
    let magic = read(file_system, layout!(file_system_magic));
    let upper = if magic == OVERLAY_MAGIC {
        pointer(inode, layout!(inode_size))
    } else {
        0
    };
    let mut identity = FileIdentity {
        inode: block.get(layout!(inode_number)),
        device: read(file_system, layout!(file_system_device)),
        file_system: magic,
        mode: block.get::<u16>(layout!(inode_mode)) as u32,
        uid: block.get(layout!(inode_uid)),
        gid: block.get(layout!(inode_gid)),
        links: block.get(layout!(inode_links)),
        changed_ns: changed(block),
    };
    if upper != 0 {
        // What is written by way of a mapping changes the upper layer's inode alone.
        identity.changed_ns = changed(Block::read(bytes, pointer(upper, layout!(dentry_inode))));
    }
    (identity, if upper != 0 { FLAG_EXECUTABLE_UPPER } else { 0 })
}

/// When an inode was changed last, nanoseconds since the epoch; 0 where the kernel has it elsewhere.
#[inline(always)]
fn changed(inode: Block) -> i64 {
    let seconds = layout!(inode_changed);
    if seconds == KernelLayout::ABSENT {
        return 0;
    }
    let nanoseconds = match layout!(inode_changed_nanoseconds) {
        KernelLayout::ABSENT => seconds + size_of::<i64>() as u32,
        own => own,
    };
    // From 6.13 on the highest bit says whether somebody asked for it.
    let nanoseconds = inode.get::<u32>(nanoseconds) & (u32::MAX >> 1);
    inode.get::<i64>(seconds) * NANOSECONDS + nanoseconds as i64
}
