//! local-parties
