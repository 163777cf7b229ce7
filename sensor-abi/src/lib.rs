//! Records shared by kernel and agent.
#![no_std]
