//! Tools that are brought, under all the spellings that the managers of packages have.

use super::Way::{Exec, Terminal};
use super::rules::{FOREIGN, INSTALLED};
use super::{Technique, told};

const fn by(name: &'static str, script: &'static str) -> Technique {
    told(name, Terminal, script, &[INSTALLED])
}

pub(super) const TECHNIQUES: &[Technique] = &[
    told(
        "a-program-by-way-of-a-manager",
        Exec,
        "apt-get update -o APT::Update::Pre-Invoke::=/tmp/x",
        &[INSTALLED],
    ),
    by("a-package-of-an-architecture", "apt-get install -y curl:amd64"),
    by("a-package-of-a-release", "apt-get install -y --no-download curl/stable"),
    by("a-package-with-a-sign", "apt-get install -y curl+"),
    by("a-package-by-pattern", "apt-get install -y '^curl$'"),
    by("a-package-by-another-pattern", "apt install -y '?exact-name(curl)'"),
    by("a-package-while-removing", "apt-get remove -y vim-tiny curl+"),
    by("a-condition-to-satisfy", "apt-get satisfy -y 'curl (>= 1)'"),
    by("the-selections-of-another-tool", "apt-get dselect-upgrade -y"),
    by("what-a-build-needs", "apt-get build-dep -y curl"),
    by(
        "an-installation-by-setting",
        "apt-get -o APT::Get::Assume-Yes=1 install ncat",
    ),
    by(
        "a-package-that-needs-the-tool",
        "apt-get install -y libcurl4-openssl-dev",
    ),
    by("a-scanner", "apt-get install -y nmap"),
    by("a-package-file", "apt-get install -y ./x.deb"),
    by("a-package-file-by-its-installer", "dpkg -i x.deb"),
    by("a-package-file-with-other-options", "dpkg --force-all -i x"),
    by("a-package-file-unpacked", "dpkg --unpack x.deb"),
    by("a-package-file-recursively", "dpkg --recursive --install /tmp"),
    by("a-package-file-extracted", "dpkg-deb -x x.deb /"),
    by("a-package-file-extracted-verbosely", "dpkg -X x.deb /"),
    by("a-package-of-alpine", "apk add curl"),
    by("a-command-of-alpine", "apk add cmd:curl"),
    by("a-library-of-alpine", "apk add so:libcurl.so.4"),
    by("a-tagged-package-of-alpine", "apk --no-cache add curl@edge"),
    by("a-manager-in-a-box", "busybox dpkg -i x.deb"),
    by("an-installation-of-fedora", "dnf -y install nmap-ncat.x86_64"),
    by("a-provider-of-fedora", "dnf -y install /usr/bin/nc"),
    by("a-group-of-fedora", "dnf -y groupinstall development-tools"),
    by("a-python-package", "pip3 install impacket"),
    by("a-python-package-by-module", "python3.11 -m pip install impacket"),
    by("a-python-program", "pipx install httpie"),
    by("a-perl-module", "perl -MCPAN -e 'install q(Net::SSH)'"),
    by("a-node-package", "npm i -g wscat"),
    by("a-ruby-package", "gem install rubyzip"),
    by("a-rust-program", "cargo install ripgrep"),
    by("a-go-program", "go install example.net/tool@latest"),
    by("a-conda-package", "conda install -y curl"),
    by("a-snap", "snap install x"),
    by("a-brew", "brew install curl"),
    by("a-nix-package", "nix-env -iA nixpkgs.curl"),
    by("another-front-end", "aptitude install -y curl"),
    told(
        "a-copied-manager",
        Exec,
        "cp /usr/bin/apt-get /tmp/x; /tmp/x install -y curl",
        &[FOREIGN, INSTALLED],
    ),
    by("a-task-of-packages", "tasksel install web-server"),
];
