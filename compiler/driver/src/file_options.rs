//! Values of the options that only OpenVINO files have: precision, version, inputs of bytes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tinycc_core::format::openvino::{Precision, Version};

/// How real numbers are stored, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionName {
    /// float16: half the file, and what the stick computes with.
    #[default]
    F16,
    /// float32.
    F32,
}

impl PrecisionName {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PrecisionName::F16 => "f16",
            PrecisionName::F32 => "f32",
        }
    }
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F16 => Precision::F16,
            PrecisionName::F32 => Precision::F32,
        }
    }
}

impl fmt::Display for PrecisionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Versions of the file format, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum IrVersion {
    /// Read by every release since 2020, and the only one the stick takes.
    #[default]
    #[serde(rename = "10")]
    #[cfg_attr(feature = "clap", value(name = "10"))]
    V10,
    /// Read by 2022.1 and later.
    #[serde(rename = "11")]
    #[cfg_attr(feature = "clap", value(name = "11"))]
    V11,
}

impl IrVersion {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IrVersion::V10 => "10",
            IrVersion::V11 => "11",
        }
    }
}

impl From<IrVersion> for Version {
    fn from(version: IrVersion) -> Self {
        match version {
            IrVersion::V10 => Version::V10,
            IrVersion::V11 => Version::V11,
        }
    }
}

impl fmt::Display for IrVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What real inputs are fed with, as spelled by users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum InputType {
    /// Real numbers.
    #[default]
    F32,
    /// Bytes, for example the pixels of a camera.
    U8,
}

impl InputType {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            InputType::F32 => "f32",
            InputType::U8 => "u8",
        }
    }
}

impl fmt::Display for InputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Real numbers separated by commas: one for all channels, or one for each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Numbers(pub Vec<f32>);

/// They are finite.
impl Eq for Numbers {}

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse::<f32>().ok().filter(|n| n.is_finite());
        let numbers: Option<Vec<f32>> = text.split(',').map(number).collect();
        numbers
            .map(Self)
            .ok_or_else(|| format!("\"{text}\" is not a list of numbers like 0.5,127.5"))
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(f32::to_string).collect::<Vec<_>>().join(","))
    }
}

impl TryFrom<String> for Numbers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Numbers> for String {
    fn from(numbers: Numbers) -> String {
        numbers.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!("127.5, 0,-1e2".parse(), Ok(Numbers(vec![127.5, 0.0, -100.0])));
        for text in ["", "1,", "x", "1;2", "nan", "1e40"] {
            assert!(text.parse::<Numbers>().is_err(), "{text}");
        }
    }
}
