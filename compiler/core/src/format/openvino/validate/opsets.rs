//! The operators that files of ours may hold, each with the operator set that defines it and exactly the
//! attributes it needs there: what OpenVINO 2021.4 knows, opset1 to opset7.

const WINDOW: [&str; 4] = ["auto_pad", "pads_begin", "pads_end", "strides"];

/// Type, operator set, attributes in alphabetical order.
const KNOWN: &[(&str, &str, &[&str])] = &[
    ("Abs", "opset1", &[]),
    ("Add", "opset1", &["auto_broadcast"]),
    (
        "AvgPool",
        "opset1",
        &[WINDOW[0], "exclude-pad", "kernel", WINDOW[1], WINDOW[2], "rounding_type", WINDOW[3]],
    ),
    ("Broadcast", "opset3", &["mode"]),
    ("Clamp", "opset1", &["max", "min"]),
    ("Concat", "opset1", &["axis"]),
    ("Const", "opset1", &["element_type", "offset", "shape", "size"]),
    ("Convert", "opset1", &["destination_type"]),
    ("Convolution", "opset1", &[WINDOW[0], "dilations", WINDOW[1], WINDOW[2], WINDOW[3]]),
    (
        "ConvolutionBackpropData",
        "opset1",
        &[WINDOW[0], "dilations", "output_padding", WINDOW[1], WINDOW[2], WINDOW[3]],
    ),
    ("CumSum", "opset3", &["exclusive", "reverse"]),
    ("DepthToSpace", "opset1", &["block_size", "mode"]),
    ("Divide", "opset1", &["auto_broadcast"]),
    ("Elu", "opset1", &["alpha"]),
    ("Exp", "opset1", &[]),
    ("FakeQuantize", "opset1", &["auto_broadcast", "levels"]),
    ("Floor", "opset1", &[]),
    ("Gather", "opset1", &[]),
    ("Gather", "opset7", &["batch_dims"]),
    ("GatherElements", "opset6", &["axis"]),
    ("GatherND", "opset5", &["batch_dims"]),
    ("Gelu", "opset7", &["approximation_mode"]),
    ("GroupConvolution", "opset1", &[WINDOW[0], "dilations", WINDOW[1], WINDOW[2], WINDOW[3]]),
    ("HSwish", "opset4", &[]),
    (
        "Interpolate",
        "opset4",
        &[
            "antialias",
            "coordinate_transformation_mode",
            "cube_coeff",
            "mode",
            "nearest_mode",
            "pads_begin",
            "pads_end",
            "shape_calculation_mode",
        ],
    ),
    (
        "LSTMSequence",
        "opset5",
        &[
            "activations",
            "activations_alpha",
            "activations_beta",
            "clip",
            "direction",
            "hidden_size",
        ],
    ),
    ("Log", "opset1", &[]),
    ("LogSoftmax", "opset5", &["axis"]),
    ("MatMul", "opset1", &["transpose_a", "transpose_b"]),
    ("Maximum", "opset1", &["auto_broadcast"]),
    ("MaxPool", "opset1", &[WINDOW[0], "kernel", WINDOW[1], WINDOW[2], "rounding_type", WINDOW[3]]),
    ("Minimum", "opset1", &["auto_broadcast"]),
    ("Multiply", "opset1", &["auto_broadcast"]),
    ("Negative", "opset1", &[]),
    ("Pad", "opset1", &["pad_mode"]),
    ("Parameter", "opset1", &["element_type", "shape"]),
    ("PReLU", "opset1", &[]),
    ("ReduceL2", "opset4", &["keep_dims"]),
    ("ReduceMax", "opset1", &["keep_dims"]),
    ("ReduceMean", "opset1", &["keep_dims"]),
    ("ReduceMin", "opset1", &["keep_dims"]),
    ("ReduceSum", "opset1", &["keep_dims"]),
    ("ReLU", "opset1", &[]),
    ("Reshape", "opset1", &["special_zero"]),
    ("Result", "opset1", &[]),
    ("Round", "opset5", &["mode"]),
    ("ScatterElementsUpdate", "opset3", &[]),
    ("ScatterNDUpdate", "opset4", &[]),
    ("Sigmoid", "opset1", &[]),
    ("SoftMax", "opset1", &["axis"]),
    ("SoftPlus", "opset4", &[]),
    ("SpaceToDepth", "opset1", &["block_size", "mode"]),
    ("Sqrt", "opset1", &[]),
    ("SquaredDifference", "opset1", &["auto_broadcast"]),
    (
        "StridedSlice",
        "opset1",
        &["begin_mask", "ellipsis_mask", "end_mask", "new_axis_mask", "shrink_axis_mask"],
    ),
    ("Subtract", "opset1", &["auto_broadcast"]),
    ("Tanh", "opset1", &[]),
    ("Tile", "opset1", &[]),
    ("TopK", "opset3", &["axis", "index_element_type", "mode", "sort"]),
    ("Transpose", "opset1", &[]),
    ("VariadicSplit", "opset1", &[]),
];

/// The attributes of an operator, sorted; `None` when it may not occur.
#[must_use]
pub fn attributes(kind: &str, opset: &str) -> Option<Vec<&'static str>> {
    let found = KNOWN.iter().find(|k| k.0 == kind && k.1 == opset)?;
    let mut names = found.2.to_vec();
    names.sort_unstable();
    Some(names)
}
