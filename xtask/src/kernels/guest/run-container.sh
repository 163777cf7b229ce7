#!/bin/sh
# run-container.sh ID TERMINAL MARKER: a container of runc, with a terminal or not; its program is called with the marker.
mkdir -p /trial/bundles/$1
sed "s/ID/$1/; s/TERMINAL/$2/; s/MARKER/$3/" /guest/container.json > /trial/bundles/$1/config.json
# The virtual machine's first file system cannot be left behind.
runc --root /trial/runc run --no-pivot --bundle /trial/bundles/$1 $1
