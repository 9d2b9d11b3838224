//! Whole-system tests, in one binary.
