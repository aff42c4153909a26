//! The models every promise is measured on.

/// Path in the zoo and short name, used as C prefix.
pub const MODELS: &[(&str, &str)] = &[
    ("mlperf_tiny/ic_resnet8_int8.tflite", "ic"),
    ("mlperf_tiny/kws_dscnn_int8.tflite", "kws"),
    ("mlperf_tiny/vww_mobilenet_int8.tflite", "vww"),
    ("mlperf_tiny/ad_toycar_int8.tflite", "ad"),
    ("mlperf_tiny/sww_streaming_int8.tflite", "sww"),
    ("tflm/person_detect_int8.tflite", "person"),
    ("tflm/hello_world_int8.tflite", "hello"),
    ("tflm/micro_speech_int8.tflite", "speech"),
];

/// The four of MLPerf Tiny with an instruction and an arena bound.
pub const BOUNDED: &[&str] = &["ic", "kws", "vww", "ad"];
