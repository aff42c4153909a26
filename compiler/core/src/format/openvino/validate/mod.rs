//! Reads a file back and checks it, independently of the writer.
