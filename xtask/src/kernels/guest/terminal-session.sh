#!/bin/sh
/bin/true on-terminal
