//! Whole-stack tests: the real function binaries behind the one-command stack, called as a customer would call them.

mod support;

mod tasks;
