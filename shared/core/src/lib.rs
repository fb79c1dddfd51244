//! piecework-core
