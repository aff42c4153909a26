//! Options as somebody gave them: only those that were given, by name. Command line, `tinycc.toml`,
//! build scripts and the attribute all end here, so that each accepts the same names and values and
//! one rule says who wins. What the options mean is in `options`.

use crate::options::Options;
use serde_json::{Map, Value};
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin};

/// Options that were given, by name: `max-arena` -> `"32K"`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Who gave them, for messages; may be empty.
    source: String,
    values: Map<String, Value>,
}

impl Settings {
    /// None yet; `source` names who gives them in messages, for example a file.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), values: Map::new() }
    }

    /// Gives one value. Nothing is checked before [`Settings::options`].
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.values.insert(name.to_string(), value.into());
    }

    /// Gives one more value of an option that has several.
    pub fn add(&mut self, name: &str, value: impl Into<Value>) {
        match self.values.get_mut(name) {
            Some(Value::Array(list)) => list.push(value.into()),
            _first => self.set(name, vec![value.into()]),
        }
    }

    /// The options in the text of a `tinycc.toml`: the names of the command line without dashes in
    /// front, and lists for what may be given several times.
    ///
    /// # Errors
    /// Not TOML, an option that does not exist (the message lists those that do), or a value that
    /// does not fit. `file` names the text in messages.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, Diagnostics> {
        let bad = |e: toml::de::Error| {
            let origin = Origin { file: file.to_string(), ..Origin::default() };
            let text = e.to_string();
            let (what, excerpt) = text.trim_end().split_once('\n').unwrap_or((&text, ""));
            let message = format!("not a file of options: {}", what.trim_end());
            Diagnostics::from(Diagnostic::new(Code::BadOption, origin, message).listing(excerpt))
        };
        // Twice: the first knows the options and can point at the place of a mistake.
        toml::from_str::<Options>(text).map_err(bad)?;
        let values = toml::from_str::<Map<String, Value>>(text).map_err(bad)?;
        Ok(Self { source: file.to_string(), values })
    }

    /// The options of a parsed command line that the user wrote there; defaults are left out.
    ///
    /// # Errors
    /// `matches` does not come from a command that has these options.
    #[cfg(feature = "clap")]
    pub fn from_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        use clap::{Args, FromArgMatches, parser::ValueSource};
        let all = Options::from_arg_matches(matches)?.fields();
        let declared = Options::augment_args(clap::Command::new(""));
        let mut given = Self::new("");
        for arg in declared.get_arguments() {
            let written = matches.value_source(arg.get_id().as_str());
            if written == Some(ValueSource::CommandLine)
                && let Some((name, value)) = arg.get_long().and_then(|l| all.get_key_value(l))
            {
                given.set(name, value.clone());
            }
        }
        Ok(given)
    }

    /// What was given for an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The options: these where given, else those of `base`.
    ///
    /// # Errors
    /// All names that do not exist and all values that do not fit.
    pub fn options(&self, base: &Options) -> Result<Options, Diagnostics> {
        let mut fields = base.fields();
        let mut problems = Diagnostics::default();
        for (name, value) in &self.values {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            if let Err(e) = serde_json::from_value::<Options>(Value::Object(alone)) {
                problems.push(self.problem(&format!("option {name}: {e}")));
            }
            fields.insert(name.clone(), value.clone());
        }
        let options = problems.into_result(Value::Object(fields))?;
        serde_json::from_value(options).map_err(|e| self.problem(&e.to_string()).into())
    }

    fn problem(&self, message: &str) -> Diagnostic {
        let origin = Origin { file: self.source.clone(), ..Origin::default() };
        Diagnostic::new(Code::BadOption, origin, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{CoreName, Size};

    #[test]
    fn given_values_win_and_the_rest_stays() {
        let text = "core = \"cortex-m4\"\nmax-arena = \"32K\"\nexample = []\nmax-flash = 7\n";
        let file = Settings::from_toml(text, "tinycc.toml").expect("reads");
        let base = Options {
            target: "rust".into(),
            examples: vec!["host".into()],
            max_arena: Some(Size(1)),
            ..Options::default()
        };
        let options = file.options(&base).expect("fits");
        let (arena, flash) = (Some(Size(32 * 1024)), Some(Size(7)));
        assert_eq!((options.max_arena, options.max_flash), (arena, flash));
        assert_eq!((options.target.as_str(), options.core), ("rust", CoreName::CortexM4));
        assert!(options.examples.is_empty(), "an empty list is a value too");
        let mut given = Settings::default();
        given.set("core", "generic");
        given.add("example", "host");
        given.add("example", "x");
        let options = given.options(&options).expect("fits");
        assert_eq!((options.core, options.max_arena), (CoreName::Generic, arena));
        assert_eq!(options.examples, ["host", "x"]);
    }

    #[test]
    fn mistakes_are_named_with_what_would_be_right() {
        for (text, words) in [
            ("max-aren = 1", &["line 1", "max-aren", "`max-arena`", "`input-shape`"][..]),
            ("\ncore = \"z80\"", &["line 2", "z80", "`cortex-m4`"]),
            ("max-arena = \"32Q\"", &["\"32Q\" is not a size"]),
            ("max-arena = -1", &["expected a size like 55296"]),
            ("crate = \"yes\"", &["boolean"]),
            ("target = ", &["line 1"]),
        ] {
            let problems = Settings::from_toml(text, "dir/tinycc.toml").expect_err(text);
            let message = problems.to_string();
            assert!(message.contains("TCC0601") && message.contains("dir/tinycc.toml"));
            for word in words {
                assert!(message.contains(word), "no {word} in {message}");
            }
        }
        let mut given = Settings::new("build.rs");
        given.set("max-aren", "1");
        given.set("max-arena", "32Q");
        let message = given.options(&Options::default()).expect_err("two mistakes").to_string();
        assert!(message.contains("option max-arena: \"32Q\" is not a size"), "{message}");
        assert!(message.contains("option max-aren: unknown field"), "{message}");
        assert!(message.contains("build.rs") && message.contains("`max-flash`"), "{message}");
    }
}
