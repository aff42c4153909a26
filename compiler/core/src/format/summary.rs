//! What a model file says about itself, in terms of no particular format. Each format fills it in its
//! own folder.

/// A tensor as the file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Name; `tensor_N` when the file has none.
    pub name: String,
    /// Element type in lower case, for example `int8` or `float16`; empty where the file does not
    /// say, which only ONNX files do for results.
    pub dtype: String,
    /// Extents, of which negative ones are not known; `None` where the file says nothing about them.
    pub shape: Option<Vec<i64>>,
    /// Scales, one per channel when there are several; empty without quantization.
    pub scales: Vec<f32>,
    /// Zero points.
    pub zero_points: Vec<i64>,
}

/// An operator as the file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOperator {
    /// Name in the format, or a note in angle brackets when there is none.
    pub name: String,
    /// Whether there is a reader of that name.
    pub is_known: bool,
    /// What it and graphs inside of it read, as indices into `Summary::tensors`.
    pub operands: Vec<usize>,
    /// Its results, likewise.
    pub results: Vec<usize>,
}

/// The main graph as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// `TFLite`, or `ONNX` with its opsets.
    pub format: String,
    /// Description from the file; often the converter's name.
    pub description: String,
    /// Number of subgraphs; only the first is looked at.
    pub subgraphs: usize,
    /// All tensors; the others refer to them by index, so that the size stays that of the file.
    pub tensors: Vec<FileTensor>,
    /// Inputs in model order.
    pub inputs: Vec<usize>,
    /// Outputs in model order.
    pub outputs: Vec<usize>,
    /// Operators in file order.
    pub operators: Vec<FileOperator>,
}
