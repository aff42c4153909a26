//! The programs that run a network through OpenVINO; data under `boards/`. They read `NAME.json`, so the
//! only thing put in is the name.

use crate::{Artifacts, EmitOptions};

const PYTHON: &str = include_str!("../../boards/openvino-python/run.py");
const CPP: &str = include_str!("../../boards/openvino-cpp/main.cpp");
const CMAKE: &str = include_str!("../../boards/openvino-cpp/CMakeLists.txt");

/// `example-python/run.py`.
pub fn python(artifacts: &mut Artifacts, options: &EmitOptions) {
    let text = PYTHON.replace("@NAME@", &options.name);
    artifacts.insert("example-python/run.py".into(), text.into());
}

/// `example-cpp/`.
pub fn cpp(artifacts: &mut Artifacts, options: &EmitOptions) {
    let text = CPP.replace("@NAME@", &options.name);
    artifacts.insert("example-cpp/main.cpp".into(), text.into());
    artifacts.insert("example-cpp/CMakeLists.txt".into(), CMAKE.into());
}
