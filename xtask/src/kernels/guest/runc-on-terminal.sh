#!/bin/sh
/guest/run-container.sh b123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef true runc-on-terminal
