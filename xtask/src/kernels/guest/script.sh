#!/bin/sh
# A script is named after itself.
