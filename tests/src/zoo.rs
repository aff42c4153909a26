//! The model zoo outside the repository: its manifest and golden files.

use crate::build::file;
use crate::compare::{difference, split};
use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, ReadableElement};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tinycc_core::kir::{self, Module};
use tinycc_core::{DType, TensorData, TensorType};

/// An input or output of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// Name in the file.
    #[serde(default)]
    pub name: String,
    /// numpy type name.
    pub dtype: String,
    /// Extents of one sample, batch included.
    #[serde(default, deserialize_with = "null_as_default")]
    pub shape: Vec<usize>,
    /// Extents as the file declares them, where some are open: numbers and names.
    #[serde(default)]
    pub declared_shape: Option<Vec<serde_json::Value>>,
    /// Golden file; axis 0 is the sample.
    #[serde(default)]
    pub file: Option<String>,
    /// Relative tolerance of float outputs.
    #[serde(default)]
    pub rtol: Option<f64>,
    /// Absolute tolerance of float outputs.
    #[serde(default)]
    pub atol: Option<f64>,
}

/// One model of the zoo.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// Path in the zoo.
    pub path: String,
    /// `tflite` or `onnx`.
    #[serde(default)]
    pub format: String,
    /// `network`, `single-op`, `expect-reject` or `data`.
    pub kind: String,
    /// Quantization scheme.
    #[serde(default)]
    pub quant: Option<String>,
    /// Operators with their counts.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ops: BTreeMap<String, usize>,
    /// Carries state between calls.
    #[serde(default)]
    pub stateful: bool,
    /// Inputs in model order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inputs: Vec<Port>,
    /// Outputs in model order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<Port>,
    /// Golden samples.
    #[serde(default)]
    pub n_samples: Option<usize>,
    /// Multiply-accumulates.
    #[serde(default)]
    pub macs: Option<u64>,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The TFLite records of the zoo.
#[must_use]
pub fn tflite_records(zoo: &Path) -> Vec<Record> {
    records(zoo, "tflite")
}

/// The records of one format.
#[must_use]
pub fn records(zoo: &Path, format: &str) -> Vec<Record> {
    let text = file(&zoo.join("manifest.json"));
    // Records of other formats have fields of other types: look at the format first.
    let all: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("manifest is JSON");
    all.into_iter()
        .filter(|r| r["format"] == format && r["kind"] != "data")
        .map(|r| serde_json::from_value(r).expect("a record of the manifest"))
        .collect()
}

/// The zoo, or `None` with a loud message. Under `TINYCC_FULL` its absence is a failure, unless
/// `TINYCC_ZOO=none` says that there is none.
#[must_use]
pub fn require() -> Option<PathBuf> {
    let zoo = crate::build::zoo();
    if zoo.is_none() {
        let message = "the model zoo is absent: set TINYCC_ZOO to its folder";
        let known = std::env::var_os("TINYCC_ZOO").is_some_and(|z| z == "none");
        assert!(known || std::env::var_os("TINYCC_FULL").is_none(), "{message}");
        eprintln!("NOT TESTED: {message}");
    }
    zoo
}

/// Loads a golden file.
#[must_use]
pub fn npy(path: &Path, dtype: DType) -> TensorData {
    fn load<T: ReadableElement + Clone>(path: &Path) -> Vec<T> {
        let bytes = file(path);
        let array = ArrayD::<T>::read_npy(bytes.as_slice()).expect("a .npy file");
        array.iter().cloned().collect()
    }
    match dtype {
        DType::I8 => TensorData::I8(load(path)),
        DType::U8 => TensorData::U8(load(path)),
        DType::U16 => TensorData::U16(load(path)),
        DType::U32 => TensorData::U32(load(path)),
        DType::U64 => TensorData::U64(load(path)),
        DType::F64 => TensorData::F64(load(path)),
        DType::F16 | DType::BF16 | DType::Small(_) => {
            panic!("{}: golden files hold no {dtype}", path.display())
        }
        DType::I16 => TensorData::I16(load(path)),
        DType::I32 => TensorData::I32(load(path)),
        DType::I64 => TensorData::I64(load(path)),
        DType::F32 => TensorData::F32(load(path)),
        DType::Bool => TensorData::Bool(load::<bool>(path).into_iter().map(u8::from).collect()),
    }
}

/// Interleaves golden files (axis 0 = sample) into sets of raw bytes: all ports of sample 0, then
/// of sample 1, and so on.
#[must_use]
pub fn sets(zoo: &Path, ports: &[Port], types: &[TensorType], n: usize) -> Vec<u8> {
    let data: Vec<Vec<u8>> = ports
        .iter()
        .zip(types)
        .map(|(p, ty)| npy(&zoo.join(p.file.as_ref().expect("golden")), ty.dtype).to_le_bytes())
        .collect();
    let mut all = Vec::new();
    for sample in 0..n {
        for (bytes, ty) in data.iter().zip(types) {
            all.extend_from_slice(&bytes[sample * ty.bytes()..(sample + 1) * ty.bytes()]);
        }
    }
    all
}

/// float32 models that magnify rounding: the absolute difference between two right answers. Changing each
/// input by one last place at random moves the output of OpenVINO's own CPU plugin by 1.2e-4 (three
/// trials), and it is 2.6e-4 from the golden; their manifest has one run-time's answer as the only one.
const ILL_CONDITIONED: &[(&str, f64)] = &[("mediapipe/selfie_segmentation.tflite", 4e-4)];

impl Record {
    /// What float32 outputs may differ by whatever the manifest says; 0 for nearly all.
    #[must_use]
    pub fn float_noise(&self) -> f64 {
        ILL_CONDITIONED.iter().find(|(path, _)| *path == self.path).map_or(0.0, |&(_, noise)| noise)
    }
}

/// Operators outside today's scope; all else must compile.
const LATER: &[&str] = &["SVDF", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"];

/// Whether a model must compile.
#[must_use]
pub fn in_scope(r: &Record) -> bool {
    let quant = matches!(r.quant.as_deref(), Some("int8" | "float" | "fp16" | "float-io-int8"));
    let is_later = |o: &String| match o.as_str() {
        // Read in float32.
        "UNIDIRECTIONAL_SEQUENCE_LSTM" => r.quant.as_deref() != Some("float"),
        "CUSTOM:Convolution2DTransposeBias" => false,
        o => LATER.contains(&o) || o.starts_with("CUSTOM"),
    };
    let known = !r.ops.keys().any(is_later);
    r.kind == "network" && quant && known && !r.stateful
}

fn types(ports: &[kir::Port]) -> Vec<TensorType> {
    ports.iter().map(|p| p.ty.clone()).collect()
}

/// The golden inputs of all samples, as an example program reads them.
#[must_use]
pub fn inputs(zoo: &Path, r: &Record, module: &Module) -> Vec<u8> {
    sets(zoo, &r.inputs, &types(&module.inputs), r.n_samples.unwrap_or(1))
}

/// How near the outputs are.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// Whether there is a float output; integers are equal.
    pub is_float: bool,
    /// Largest absolute difference of a float.
    pub deviation: f64,
}

/// Compares raw outputs of all samples with the golden ones.
///
/// # Errors
/// What differs, or lies outside the manifest's tolerance.
pub fn compare(zoo: &Path, r: &Record, module: &Module, got: &[u8]) -> Result<Match, String> {
    let outputs = types(&module.outputs);
    let n = r.n_samples.unwrap_or(1);
    let want = sets(zoo, &r.outputs, &outputs, n);
    if got.len() != want.len() {
        return Err(format!("{} output bytes instead of {}", got.len(), want.len()));
    }
    let size: usize = outputs.iter().map(TensorType::bytes).sum();
    let mut all = Match { is_float: false, deviation: 0.0 };
    for sample in 0..n {
        let range = sample * size..(sample + 1) * size;
        let pairs =
            split(&got[range.clone()], &outputs).into_iter().zip(split(&want[range], &outputs));
        for ((g, w), port) in pairs.zip(&r.outputs) {
            let (rtol, atol) =
                (port.rtol.unwrap_or(0.0), port.atol.unwrap_or(0.0).max(r.float_noise()));
            if let Some(d) = difference(&g, &w, rtol, atol) {
                return Err(format!("sample {sample}: {d}"));
            }
            if let (Some(g), Some(w)) = (g.as_f32(), w.as_f32()) {
                all.is_float = true;
                let apart = g.iter().zip(w).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
                all.deviation = apart.fold(all.deviation, f64::max);
            }
        }
    }
    Ok(all)
}
