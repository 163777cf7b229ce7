//! Tools that are brought, under all the spellings that the managers of packages have.

use super::Way::{Exec, Terminal};
use super::rules::{FOREIGN, INSTALLED};
use super::{Technique, UNKNOWN_FORM, missed, told};

const fn by(name: &'static str, script: &'static str) -> Technique {
    told(name, Terminal, script, &[INSTALLED])
}

const fn not_by(name: &'static str, script: &'static str, reason: &'static str) -> Technique {
    missed(name, Terminal, script, &[INSTALLED], reason)
}

pub(super) const TECHNIQUES: [Technique; 41] = [
    not_by(
        "a-package-of-an-architecture",
        "apt-get install -y curl:amd64",
        UNKNOWN_FORM,
    ),
    not_by(
        "a-package-of-a-release",
        "apt-get install -y --no-download curl/stable",
        UNKNOWN_FORM,
    ),
    not_by("a-package-with-a-sign", "apt-get install -y curl+", UNKNOWN_FORM),
    not_by("a-package-by-pattern", "apt-get install -y '^curl$'", UNKNOWN_FORM),
    not_by(
        "a-package-by-another-pattern",
        "apt install -y '?exact-name(curl)'",
        UNKNOWN_FORM,
    ),
    not_by(
        "a-package-while-removing",
        "apt-get remove -y vim-tiny curl+",
        UNKNOWN_FORM,
    ),
    not_by(
        "a-condition-to-satisfy",
        "apt-get satisfy -y 'curl (>= 1)'",
        UNKNOWN_FORM,
    ),
    not_by(
        "the-selections-of-another-tool",
        "apt-get dselect-upgrade -y",
        UNKNOWN_FORM,
    ),
    not_by("what-a-build-needs", "apt-get build-dep -y curl", UNKNOWN_FORM),
    by(
        "an-installation-by-setting",
        "apt-get -o APT::Get::Assume-Yes=1 install ncat",
    ),
    not_by(
        "a-package-that-needs-the-tool",
        "apt-get install -y libcurl4-openssl-dev",
        UNKNOWN_FORM,
    ),
    by("a-scanner", "apt-get install -y nmap"),
    by("a-package-file", "apt-get install -y ./x.deb"),
    by("a-package-file-by-its-installer", "dpkg -i x.deb"),
    not_by(
        "a-package-file-with-other-options",
        "dpkg --force-all -i x",
        UNKNOWN_FORM,
    ),
    not_by("a-package-file-unpacked", "dpkg --unpack x.deb", UNKNOWN_FORM),
    not_by(
        "a-package-file-recursively",
        "dpkg --recursive --install /tmp",
        UNKNOWN_FORM,
    ),
    not_by("a-package-file-extracted", "dpkg-deb -x x.deb /", UNKNOWN_FORM),
    not_by("a-package-file-extracted-verbosely", "dpkg -X x.deb /", UNKNOWN_FORM),
    by("a-package-of-alpine", "apk add curl"),
    not_by("a-command-of-alpine", "apk add cmd:curl", UNKNOWN_FORM),
    not_by("a-library-of-alpine", "apk add so:libcurl.so.4", UNKNOWN_FORM),
    not_by(
        "a-tagged-package-of-alpine",
        "apk --no-cache add curl@edge",
        UNKNOWN_FORM,
    ),
    not_by("a-manager-in-a-box", "busybox dpkg -i x.deb", UNKNOWN_FORM),
    by("an-installation-of-fedora", "dnf -y install nmap-ncat.x86_64"),
    not_by("a-provider-of-fedora", "dnf -y install /usr/bin/nc", UNKNOWN_FORM),
    not_by(
        "a-group-of-fedora",
        "dnf -y groupinstall development-tools",
        UNKNOWN_FORM,
    ),
    not_by("a-python-package", "pip3 install impacket", UNKNOWN_FORM),
    not_by(
        "a-python-package-by-module",
        "python3.11 -m pip install impacket",
        UNKNOWN_FORM,
    ),
    not_by("a-python-program", "pipx install httpie", UNKNOWN_FORM),
    not_by("a-perl-module", "perl -MCPAN -e 'install q(Net::SSH)'", UNKNOWN_FORM),
    not_by("a-node-package", "npm i -g wscat", UNKNOWN_FORM),
    not_by("a-ruby-package", "gem install rubyzip", UNKNOWN_FORM),
    not_by("a-rust-program", "cargo install ripgrep", UNKNOWN_FORM),
    not_by("a-go-program", "go install example.net/tool@latest", UNKNOWN_FORM),
    not_by("a-conda-package", "conda install -y curl", UNKNOWN_FORM),
    not_by("a-snap", "snap install x", UNKNOWN_FORM),
    by("a-brew", "brew install curl"),
    not_by("a-nix-package", "nix-env -iA nixpkgs.curl", UNKNOWN_FORM),
    by("another-front-end", "aptitude install -y curl"),
    told(
        "a-copied-manager",
        Exec,
        "cp /usr/bin/apt-get /tmp/x; /tmp/x install -y curl",
        &[FOREIGN, INSTALLED],
    ),
];
