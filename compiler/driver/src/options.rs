//! The user's options, declared once: the same struct is the library's input, the command line
//! (clap) and the serialised form (serde) that manifests show.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use tinycc_core::lower::Core;

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
        }
    }
}

impl Options {
    /// Option name -> values, for all options that are set.
    fn entries(&self) -> Vec<(String, Vec<String>)> {
        let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        // A struct of strings always serialises to an object.
        let fields = serde_json::to_value(self).unwrap_or_default();
        fields
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let list = value.as_array().map(|values| values.iter().map(text).collect());
                (key.clone(), list.unwrap_or_else(|| vec![text(value)]))
            })
            .collect()
    }

    /// The command line arguments that give these options.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let arg = |(key, values): (String, Vec<String>)| {
            values.into_iter().map(move |value| format!("--{key}={value}"))
        };
        self.entries().into_iter().flat_map(arg).collect()
    }

    /// Option name -> value, several values joined by commas: what a manifest shows.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.entries().into_iter().map(|(key, values)| (key, values.join(","))).collect()
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

/// A number of bytes. Written `55296`, `32K` or `1M` (also `KiB`, `MiB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub usize);

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

macro_rules! through_text {
    ($($ty:ident),*) => {$(
        impl TryFrom<String> for $ty {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$ty> for String {
            fn from(value: $ty) -> String {
                value.to_string()
            }
        }
    )*};
}
through_text!(Size, InputShape);

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Options {
        Options {
            target: "c".into(),
            name: Some("kws".into()),
            core: CoreName::CortexM4,
            examples: vec!["host".into(), "qemu-mps2-an386".into()],
            max_arena: Some(Size(32 * 1024)),
            max_flash: Some(Size(1)),
            input_shapes: vec!["a=b:0=1x2x3".parse().expect("shape"), "y=7".parse().expect("y")],
        }
    }

    #[test]
    fn round_trip_through_json() {
        for options in [Options::default(), full()] {
            let json = serde_json::to_string(&options).expect("serialises");
            assert_eq!(serde_json::from_str::<Options>(&json).expect("reads back"), options);
        }
        assert_eq!(full().to_map()["example"], "host,qemu-mps2-an386");
        assert_eq!(full().input_shapes[0].name, "a=b:0");
        assert!(serde_json::from_str::<Options>("{\"max-aren\": \"1\"}").is_err());
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
        for text in ["", "x", "=1", "x=", "x=1x", "x=0", "x=-1", "x=1X2"] {
            assert!(text.parse::<InputShape>().is_err(), "{text}");
        }
    }
}
