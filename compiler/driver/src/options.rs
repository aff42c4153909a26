//! The user's options, declared once: the same struct is the library's input, the command line
//! (clap), the file `tinycc.toml` and what manifests show (serde). Which source wins is in `settings`.

use crate::file_options::{InputType, IrVersion, Numbers, PrecisionName};
use crate::rows::Rows;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use tinycc_core::format::Layout;
use tinycc_core::lower::Core;
use tinycc_core::{Shape, Tensor, TensorData};
use tinycc_targets::Runtime;

/// What to compile for, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    /// What to emit; `tinycc targets` lists the choices.
    #[cfg_attr(feature = "clap", arg(long, value_name = "TARGET", default_value = "c"))]
    pub target: String,
    /// Prefix of all emitted symbols and files [default: the model's file name]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Processor to specialise the kernels for.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub core: CoreName,
    /// Also emit an example program; may be given several times. `tinycc targets` lists them.
    #[cfg_attr(feature = "clap", arg(long = "example", value_name = "EXAMPLE"))]
    #[serde(rename = "example", skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Fail when the arena needs more bytes; K and M mean 1024 and 1024 * 1024.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_arena: Option<Size>,
    /// Fail when weights and estimated code need more bytes of flash.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_flash: Option<Size>,
    /// Replace the shape of an input, for example serving_default_x=1x96x96x3.
    #[cfg_attr(feature = "clap", arg(long = "input-shape", value_name = "NAME=SHAPE"))]
    #[serde(rename = "input-shape", skip_serializing_if = "Vec::is_empty")]
    pub input_shapes: Vec<InputShape>,
    /// Replace an input by constant numbers, row by row, for example axes=0,2: it is an input no more.
    #[cfg_attr(feature = "clap", arg(long = "input-value", value_name = "NAME=NUMBERS"))]
    #[serde(rename = "input-value", skip_serializing_if = "Vec::is_empty")]
    pub input_values: Vec<InputValue>,
    /// Rows of each NonMaxSuppression's result: unused ones hold -1, and what has no row is cut.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nms_rows: Option<Rows>,
    /// Order of the dimensions of inputs and outputs.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    #[serde(skip_serializing_if = "is_default")]
    pub io_layout: IoLayout,
    /// Emit a whole cargo package around the module; needs target rust.
    #[cfg_attr(feature = "clap", arg(long = "crate"))]
    #[serde(rename = "crate", skip_serializing_if = "is_default")]
    pub package: bool,
    /// Source of the run-time functions that emitted Rust calls.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: RuntimeName,
    /// How an OpenVINO file stores real numbers; targets ncs and openvino.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    #[serde(skip_serializing_if = "is_default")]
    pub precision: PrecisionName,
    /// Version of an OpenVINO file; the stick takes only 10.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    #[serde(skip_serializing_if = "is_default")]
    pub ir_version: IrVersion,
    /// What the real inputs of an OpenVINO file are fed with.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    #[serde(skip_serializing_if = "is_default")]
    pub input_type: InputType,
    /// With --input-type u8: subtracted from each byte; one number, or one per channel.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NUMBERS", allow_hyphen_values = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_values: Option<Numbers>,
    /// With --input-type u8: what the difference is then divided by.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NUMBERS", allow_hyphen_values = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_values: Option<Numbers>,
}

/// Options of one target only stay out of the other targets' manifests.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: "c".into(),
            name: None,
            core: CoreName::default(),
            examples: Vec::new(),
            max_arena: None,
            max_flash: None,
            input_shapes: Vec::new(),
            input_values: Vec::new(),
            nms_rows: None,
            io_layout: IoLayout::default(),
            package: false,
            runtime: RuntimeName::default(),
            precision: PrecisionName::default(),
            ir_version: IrVersion::default(),
            input_type: InputType::default(),
            mean_values: None,
            scale_values: None,
        }
    }
}

impl Options {
    /// Option name -> value; options that are not set are missing.
    pub(crate) fn fields(&self) -> serde_json::Map<String, Value> {
        // A struct of strings always serialises to an object.
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _never => serde_json::Map::new(),
        }
    }

    /// The command line arguments that give these options.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let arg = |(key, value): (String, Value)| match value.as_bool() {
            Some(true) => vec![format!("--{key}")],
            Some(false) => Vec::new(),
            None => texts(&value).into_iter().map(|text| format!("--{key}={text}")).collect(),
        };
        self.fields().into_iter().flat_map(arg).collect()
    }

    /// The text of a `tinycc.toml` that gives these options.
    ///
    /// # Errors
    /// None is known: every option has a form in TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Option name -> value, several values joined by commas: what a manifest shows.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.fields().into_iter().map(|(key, value)| (key, texts(&value).join(","))).collect()
    }
}

/// The values of one option as text.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            vec![value.to_string()]
        }
    }
}

/// Processors, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum CoreName {
    /// Portable code for any processor.
    #[default]
    Generic,
    /// Cortex-M4 and M7: register tiles with the DSP instructions.
    CortexM4,
}

impl CoreName {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CoreName::Generic => "generic",
            CoreName::CortexM4 => "cortex-m4",
        }
    }
}

impl From<CoreName> for Core {
    fn from(core: CoreName) -> Self {
        match core {
            CoreName::Generic => Core::Generic,
            CoreName::CortexM4 => Core::CortexM4,
        }
    }
}

impl fmt::Display for CoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Orders of dimensions at inputs and outputs, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum IoLayout {
    /// As in the model file.
    #[default]
    File,
    /// Channels last: images are [n, h, w, c].
    Nhwc,
    /// Channels first: images are [n, c, h, w].
    Nchw,
}

impl IoLayout {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IoLayout::File => "file",
            IoLayout::Nhwc => "nhwc",
            IoLayout::Nchw => "nchw",
        }
    }
}

impl From<IoLayout> for Option<Layout> {
    fn from(layout: IoLayout) -> Self {
        match layout {
            IoLayout::File => None,
            IoLayout::Nhwc => Some(Layout::ChannelsLast),
            IoLayout::Nchw => Some(Layout::ChannelsFirst),
        }
    }
}

impl fmt::Display for IoLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Sources of the run-time functions, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeName {
    /// What is used stands in the emitted file.
    #[default]
    Embedded,
    /// The emitted code depends on the crate tinycc-rt.
    Crate,
}

impl RuntimeName {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RuntimeName::Embedded => "embedded",
            RuntimeName::Crate => "crate",
        }
    }
}

impl From<RuntimeName> for Runtime {
    fn from(runtime: RuntimeName) -> Self {
        match runtime {
            RuntimeName::Embedded => Runtime::Embedded,
            RuntimeName::Crate => Runtime::Crate,
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A number of bytes. Written `55296`, `32K` or `1M` (also `KiB`, `MiB`); files may hold a plain
/// number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SizeForm", into = "String")]
pub struct Size(pub usize);

/// What a file may hold for a [`Size`].
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a size like 55296, \"32K\" or \"1M\"")]
enum SizeForm {
    Number(usize),
    Text(String),
}

impl TryFrom<SizeForm> for Size {
    type Error = String;

    fn try_from(form: SizeForm) -> Result<Self, String> {
        match form {
            SizeForm::Number(bytes) => Ok(Self(bytes)),
            SizeForm::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" => 1,
            "k" | "kib" => 1024,
            "m" | "mib" => 1024 * 1024,
            _unknown => return Err(format!("\"{text}\" is not a size like 55296, 32K or 1M")),
        };
        let number: usize = digits
            .parse()
            .map_err(|_| format!("\"{text}\" is not a size like 55296, 32K or 1M"))?;
        number.checked_mul(factor).map(Size).ok_or_else(|| format!("\"{text}\" is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `NAME=1x96x96x3`: a shape for the input of that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputShape {
    /// Tensor name of the input.
    pub name: String,
    /// Extents, all positive.
    pub shape: Vec<usize>,
}

impl FromStr for InputShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not NAME=SHAPE like image=1x96x96x3");
        // Tensor names may contain '=', shapes cannot.
        let (name, dims) = text.rsplit_once('=').ok_or_else(wrong)?;
        let shape: Result<Vec<usize>, _> = dims.split('x').map(str::parse).collect();
        let shape = shape.map_err(|_| wrong())?;
        if name.is_empty() || shape.contains(&0) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_string(), shape })
    }
}

impl fmt::Display for InputShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "{}={}", self.name, dims.join("x"))
    }
}

/// `NAME=0,2` or `NAME=0.5`: the constant numbers of the input of that name, row by row. None at
/// all after the `=` is an input without elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputValue {
    /// Tensor name of the input.
    pub name: String,
    /// The numbers as they were written.
    numbers: Vec<String>,
}

impl InputValue {
    /// The numbers in one dimension: int64 when all are whole, else float32. The reader converts them
    /// to the input's type and shape.
    #[must_use]
    pub fn tensor(&self) -> Tensor {
        let whole: Result<Vec<i64>, _> = self.numbers.iter().map(|n| n.parse()).collect();
        let data = whole.map_or_else(
            // Checked when it was read.
            |_| {
                let floats = self.numbers.iter().map(|n| n.parse().unwrap_or(f32::NAN));
                TensorData::F32(floats.collect())
            },
            TensorData::I64,
        );
        Tensor { shape: Shape(vec![data.len()]), data }
    }
}

impl FromStr for InputValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not NAME=NUMBERS like axes=0,2 or ratio=0.5");
        // Tensor names may contain '=', numbers cannot.
        let (name, numbers) = text.rsplit_once('=').ok_or_else(wrong)?;
        let numbers: Vec<String> = match numbers {
            "" => Vec::new(),
            some => some.split(',').map(str::to_string).collect(),
        };
        let is_number = |n: &String| n.parse::<i64>().is_ok() || n.parse::<f32>().is_ok();
        if name.is_empty() || !numbers.iter().all(is_number) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_string(), numbers })
    }
}

impl fmt::Display for InputValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.numbers.join(","))
    }
}

impl TryFrom<String> for InputValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<InputValue> for String {
    fn from(value: InputValue) -> String {
        value.to_string()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

impl TryFrom<String> for InputShape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<InputShape> for String {
    fn from(shape: InputShape) -> String {
        shape.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_show_every_value() {
        let options = Options {
            core: CoreName::CortexM4,
            examples: vec!["host".into(), "qemu-mps2-an386".into()],
            max_arena: Some(Size(32 * 1024)),
            ..Options::default()
        };
        let map = options.to_map();
        assert_eq!(map["example"], "host,qemu-mps2-an386");
        assert_eq!((map["core"].as_str(), map["max-arena"].as_str()), ("cortex-m4", "32768"));
        assert!(!map.contains_key("crate") && !map.contains_key("name"), "{map:?}");
    }

    #[test]
    fn sizes() {
        let good = [("0", 0), ("55296", 55_296), ("32K", 32_768), ("1m", 1 << 20), ("2KiB", 2048)];
        for (text, bytes) in good {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in
            ["", "K", "-1", "1.5K", "1G", "32 K", "99999999999999999999", "9999999999999999M"]
        {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn shapes() {
        let shape: InputShape = "a=b:0=1x2x3".parse().expect("shape");
        assert_eq!((shape.name.as_str(), shape.shape.as_slice()), ("a=b:0", &[1, 2, 3][..]));
        for text in ["", "x", "=1", "x=", "x=1x", "x=0", "x=-1", "x=1X2"] {
            assert!(text.parse::<InputShape>().is_err(), "{text}");
        }
    }

    #[test]
    fn values() {
        let data = |text: &str| text.parse::<InputValue>().expect("value").tensor().data;
        assert_eq!(data("a=b:0=0,-2"), TensorData::I64(vec![0, -2]));
        assert_eq!(data("k=1,0.5"), TensorData::F32(vec![1.0, 0.5]));
        assert_eq!(data("axes="), TensorData::I64(Vec::new()));
        for text in ["", "x", "=1", "x=1,", "x=one", "x=1 2"] {
            assert!(text.parse::<InputValue>().is_err(), "{text}");
        }
    }
}
