//! The commands that list what tinycc has: passes, targets, operators, shell completions.

use super::{Failure, Shell};
use clap::CommandFactory;
use clap_complete::Shell as Completion;
use tinycc::{Align, TARGETS, Table, support};

/// List the passes of each target, in the order in which they run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc passes
  tinycc compile model.tflite --emit ir --after tabulate")]
pub(super) struct PassesArgs {}

/// List the targets and their example programs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc targets
  tinycc compile model.tflite --target c --example host")]
pub(super) struct TargetsArgs {}

/// Show which TFLite operators each target supports, and which ONNX operators are read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc ops
  tinycc ops --markdown > SUPPORTED-OPS.md")]
pub(super) struct OpsArgs {
    /// As a markdown document.
    #[arg(long)]
    markdown: bool,
}

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc completions bash > ~/.local/share/bash-completion/completions/tinycc")]
pub(super) struct CompletionsArgs {
    /// Shell.
    #[arg(value_enum)]
    shell: Completion,
}

pub(super) fn passes(_: &PassesArgs, shell: Shell) -> Result<(), Failure> {
    let mut table =
        Table::new(&[("target", Align::Left), ("pass", Align::Left), ("", Align::Left)]);
    for target in TARGETS {
        for pass in target.passes() {
            table.row(vec![target.name().into(), pass.name.into(), pass.about.into()]);
        }
    }
    shell.print(&table.to_string())
}

pub(super) fn targets(_: &TargetsArgs, shell: Shell) -> Result<(), Failure> {
    let mut text = String::new();
    for target in TARGETS {
        text.push_str(&format!("{}: {}\n", target.name(), target.about()));
        let width = target.examples().iter().map(|e| e.0.len()).max().unwrap_or(0);
        for (name, about) in target.examples() {
            text.push_str(&format!("  --example {name:<width$}  {about}\n"));
        }
    }
    shell.print(&text)
}

pub(super) fn ops(args: &OpsArgs, shell: Shell) -> Result<(), Failure> {
    let matrix = support::matrix();
    if args.markdown {
        return shell.print(&support::markdown(&matrix));
    }
    shell.print(&format!("{}\n{}", support::table(&matrix), support::onnx_table()))
}

pub(super) fn completions<C: CommandFactory>(
    args: &CompletionsArgs,
    shell: Shell,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "tinycc", &mut script);
    shell.print(&String::from_utf8_lossy(&script))
}
