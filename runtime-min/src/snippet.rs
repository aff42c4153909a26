//! Cuts the C header into its marked snippets; printing them is the code generator's part.
//!
//! ```text
//! /* tcc:begin NAME [needs OTHER ...] [includes HEADER ...] */
//! ...
//! /* tcc:end */
//! ```
//!
//! NAME is the Rust function's name; `assumptions` has no function. Whatever a snippet needs
//! stands above it, so printing the selected ones in file order is always valid C.

/// One snippet of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snippet<'a> {
    /// Name of the function without `tcc_`.
    pub name: &'a str,
    needs: &'a str,
    includes: &'a str,
    /// The comment and the code, whole lines with their line ends, without the two marker lines.
    pub text: &'a str,
}

impl<'a> Snippet<'a> {
    /// Names of the snippets that this one uses directly.
    pub fn needs(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.needs.split_whitespace()
    }

    /// Headers without brackets, such as `string.h`, that this one uses besides `stdint.h`.
    pub fn includes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.includes.split_whitespace()
    }
}

/// The snippets of [`C_HEADER`](crate::C_HEADER) in file order.
pub fn all() -> Snippets<'static> {
    parse(crate::C_HEADER)
}

/// The snippets named in `wanted` and everything they need, each once, in file order.
///
/// Names that do not exist select nothing.
pub fn select<'w>(wanted: &'w [&'w str]) -> impl Iterator<Item = Snippet<'static>> + use<'w> {
    all().filter(move |s| is_needed(s.name, wanted, all()))
}

/// Whether `name` is wanted, or needed by a snippet of `below` that is.
fn is_needed(name: &str, wanted: &[&str], mut below: Snippets<'static>) -> bool {
    // Users stand below what they use, so the search goes down the file and ends.
    wanted.contains(&name)
        || core::iter::from_fn(|| below.next().map(|s| (s, below.clone())))
            .any(|(s, rest)| s.needs().any(|n| n == name) && is_needed(s.name, wanted, rest))
}

/// The snippets of `header` in file order; text outside of snippets is skipped.
pub fn parse(header: &str) -> Snippets<'_> {
    Snippets { rest: header }
}

/// Iterator over the snippets of a header; ends at a begin line without its end.
#[derive(Clone, Debug)]
pub struct Snippets<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Snippets<'a> {
    type Item = Snippet<'a>;

    fn next(&mut self) -> Option<Snippet<'a>> {
        let (_, after) = self.rest.split_once("/* tcc:begin ")?;
        let (marker, after) = after.split_once(" */\n")?;
        let (text, rest) = after.split_once("/* tcc:end */")?;
        self.rest = rest;
        let name = marker.split_whitespace().next()?;
        Some(Snippet {
            name,
            needs: bracket(marker, "[needs "),
            includes: bracket(marker, "[includes "),
            text,
        })
    }
}

/// What stands between `open` and the next `]`, or nothing.
fn bracket<'a>(marker: &'a str, open: &str) -> &'a str {
    let after = marker.split_once(open).map_or("", |(_, after)| after);
    after.split_once(']').map_or("", |(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_needs_includes_and_text() {
        let header = "x\n/* tcc:begin a */\nA\n/* tcc:end */\ny\n\
                      /* tcc:begin b [needs a c] [includes string.h] */\nB\nB\n/* tcc:end */\n\
                      /* tcc:begin cut */\nno end\n";
        let mut found = parse(header);
        let a = found.next().unwrap();
        assert_eq!((a.name, a.text), ("a", "A\n"));
        assert_eq!((a.needs().count(), a.includes().count()), (0, 0));
        let b = found.next().unwrap();
        assert_eq!((b.name, b.text), ("b", "B\nB\n"));
        assert!(b.needs().eq(["a", "c"]) && b.includes().eq(["string.h"]));
        assert_eq!(found.next(), None);
    }

    #[test]
    fn selection_is_closed_and_in_file_order() {
        assert!(select(&["requantize"]).map(|s| s.name).eq([
            "assumptions",
            "saturating_rounding_doubling_high_mul",
            "rounding_divide_by_pot",
            "requantize",
        ]));
        assert!(select(&["ssat8", "clamp", "no_such"]).map(|s| s.name).eq(["clamp", "ssat8"]));
        assert!(select(&["softmax_recip"]).any(|s| s.name == "rounding_divide_by_pot"));
    }

    #[test]
    fn needs_are_what_the_text_uses_and_stand_above() {
        for (index, s) in all().enumerate() {
            for n in s.needs() {
                assert!(all().take(index).any(|above| above.name == n), "{} needs {n}", s.name);
            }
            let own = |n: &str| n == s.name || n.starts_with("assume_");
            for used in s.text.split("tcc_").skip(1) {
                let end = used.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
                let used = &used[..end];
                assert!(own(used) || s.needs().any(|n| n == used), "{} uses {used}", s.name);
            }
            for n in s.needs().filter(|&n| n != "assumptions") {
                let called = s
                    .text
                    .split("tcc_")
                    .any(|t| t.strip_prefix(n).is_some_and(|after| after.starts_with('(')));
                assert!(called, "{} does not use {n}", s.name);
            }
            assert_eq!(s.text.contains("memcpy"), s.includes().any(|i| i == "string.h"));
        }
    }
}
