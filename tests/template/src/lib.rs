//! template-tests
