//! What a package manager runs while it installs: whatever descends from the image's own one, for as long as that runs.

use super::image::Image;
use super::names::base_name;
use super::origin::Origin;

/// Whether a program is a package manager that is in the container's image, so that nobody there can have put it into its
/// place.
pub(super) fn is_package_manager(image: &Image) -> bool {
    image.file.is_some_and(|file| file.origin == Some(Origin::Image)) && is_name(base_name(&image.executable))
}

fn is_name(name: &str) -> bool {
    matches!(
        name,
        "apk"
            | "apk.static"
            | "apt"
            | "apt-get"
            | "aptitude"
            | "dpkg"
            | "rpm"
            | "dnf"
            | "dnf5"
            | "microdnf"
            | "tdnf"
            | "zypper"
            | "pacman"
            | "opkg"
            | "xbps-install"
    )
}
