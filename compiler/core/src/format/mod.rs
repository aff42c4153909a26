//! Model file formats. A reader turns bytes into a graph; nothing else of the core sees bytes.

pub mod tflite;
