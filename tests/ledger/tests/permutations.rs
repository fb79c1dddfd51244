//! Every order and repeat.
