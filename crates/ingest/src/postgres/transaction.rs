//! (body follows)
