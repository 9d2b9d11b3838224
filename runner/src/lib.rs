//! The engine and the command para.
