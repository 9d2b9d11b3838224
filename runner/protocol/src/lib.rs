//! Events and messages between the engine, the terminal and the editor.
