//! The number of rows a result has whose size depends on the data: option `nms-rows`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A number of rows, at least 1. Written `100`; files may hold a number or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "u32")]
pub struct Rows(NonZeroU32);

/// What a file may hold for [`Rows`].
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number of rows, at least 1")]
enum Form {
    Number(i64),
    Text(String),
}

impl TryFrom<Form> for Rows {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        match form {
            Form::Number(number) => number.to_string().parse(),
            Form::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |_| format!("\"{text}\" is not a number of rows, at least 1 and at most {}", u32::MAX);
        text.parse().map(Self).map_err(wrong)
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<Rows> for u32 {
    fn from(rows: Rows) -> u32 {
        rows.0.get()
    }
}

impl From<Rows> for usize {
    fn from(rows: Rows) -> usize {
        rows.0.get() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Settings};

    #[test]
    fn rows() {
        for (text, rows) in [("1", 1), ("4294967295", u32::MAX)] {
            assert_eq!(text.parse::<Rows>().map(u32::from), Ok(rows), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "x", "4294967296"] {
            assert!(text.parse::<Rows>().is_err(), "{text}");
        }
        let from_file = |value: &str| {
            let given = Settings::from_toml(&format!("nms-rows = {value}"), "tinycc.toml")?;
            given.options(&Options::default()).map(|options| options.nms_rows.map(usize::from))
        };
        assert_eq!((from_file("7"), from_file("\"7\"")), (Ok(Some(7)), Ok(Some(7))));
        for (value, says) in
            [("0", "at least 1"), ("-3", "at least 1"), ("true", "a number of rows")]
        {
            let message = from_file(value).expect_err(value).to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
