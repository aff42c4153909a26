//! The pipeline: read, ask the target about every operator, run its passes, legalise, emit, check
//! the budgets, report. All in memory.

use crate::file_options::{InputType, IrVersion, PrecisionName};
use crate::name::{is_identifier, is_module, model_name, module_name};
use crate::options::{CoreName, Options, RuntimeName};
use crate::report::Report;
use crate::{budget, capability};
use std::collections::BTreeSet;
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use tinycc_core::format::{self, ExternalFiles};
use tinycc_core::graph::Graph;
use tinycc_core::kir::{self, Module};
use tinycc_core::{graph, pass};
use tinycc_targets::openvino::{Bytes, FileOptions};
use tinycc_targets::{Artifacts, EmitOptions, Kind, Product, Target};

/// Compiles one model.
#[derive(Clone, Debug)]
pub struct Compiler<'a> {
    bytes: &'a [u8],
    options: Options,
    file: String,
    inline_weights: bool,
    external: ExternalFiles,
}

/// A compiled model.
#[derive(Clone, Debug)]
pub struct Output {
    /// Relative path -> bytes; nothing is on disk yet.
    pub artifacts: Artifacts,
    /// Costs.
    pub report: Report,
    /// The kernel IR that was printed; targets that write the graph have none.
    pub module: Option<Module>,
}

impl Output {
    /// The kernel IR as readable text, when there is one.
    #[must_use]
    pub fn kir(&self) -> Option<String> {
        self.module.as_ref().map(kir::text::print)
    }
}

impl<'a> Compiler<'a> {
    /// A compiler for the bytes of a model file.
    #[must_use]
    pub fn new(bytes: &'a [u8], options: Options) -> Self {
        Self {
            bytes,
            options,
            file: "model".into(),
            inline_weights: false,
            external: ExternalFiles::new(),
        }
    }

    /// Says which file the bytes come from, for messages and the default name.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }

    /// Keeps all constants in the source text instead of a file beside it. For front doors that have
    /// no place for a second file; target rust.
    #[must_use]
    pub fn inline_weights(mut self, inline: bool) -> Self {
        self.inline_weights = inline;
        self
    }

    /// The files beside the model that hold its data: [`crate::external::load`] reads them.
    #[must_use]
    pub fn external(mut self, files: ExternalFiles) -> Self {
        self.external = files;
        self
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The file name as given.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file
    }

    /// The same model with other options.
    #[must_use]
    pub fn with_options(&self, options: Options) -> Self {
        Self { options, ..self.clone() }
    }

    fn bad_option(&self, message: String, help: String) -> Diagnostics {
        let origin = Origin { file: self.file.clone(), ..Origin::default() };
        Diagnostic::new(Code::BadOption, origin, message).help(help).into()
    }

    pub(crate) fn target(&self) -> Result<&'static dyn Target, Diagnostics> {
        let wanted = &self.options.target;
        tinycc_targets::target(wanted).ok_or_else(|| {
            let known: Vec<&str> = tinycc_targets::TARGETS.iter().map(|t| t.name()).collect();
            self.bad_option(
                format!("there is no target \"{wanted}\""),
                format!("the targets are: {}", known.join(", ")),
            )
        })
    }

    /// Refuses targets whose result another run-time executes.
    pub(crate) fn emits_code(&self) -> Result<(), Diagnostics> {
        let target = self.target()?;
        if target.kind() == Kind::Kernels {
            return Ok(());
        }
        let message =
            format!("target {} emits no code that could be built and run here", target.name());
        let help = "compile it with --example openvino-python and run that on the CPU".to_string();
        Err(self.bad_option(message, help))
    }

    /// The prefix of the emitted symbols, or the Rust module: the option, else made from the file
    /// name.
    ///
    /// # Errors
    /// The option is not usable as an identifier of the target's language.
    pub fn name(&self) -> Result<String, Diagnostics> {
        let is_rust = self.options.target == "rust";
        let Some(given) = &self.options.name else {
            return Ok(if is_rust { module_name(&self.file) } else { model_name(&self.file) });
        };
        if !is_identifier(given) {
            return Err(self.bad_option(
                format!("--name \"{given}\" cannot name functions and files"),
                "use letters, digits and _, first a letter, and no name of a C standard header"
                    .into(),
            ));
        }
        if is_rust && !is_module(given) {
            return Err(self.bad_option(
                format!("--name \"{given}\" cannot name a Rust module and package"),
                "use a name that is no word of Rust, none of its crates, and not \"example\""
                    .into(),
            ));
        }
        Ok(given.clone())
    }

    /// Reads the model.
    ///
    /// # Errors
    /// All problems the reader finds.
    pub fn graph(&self) -> Result<Graph, Diagnostics> {
        format::read(self.bytes, &self.read_options())
    }

    /// Reads what can be read of the model, with the problems of the rest.
    ///
    /// # Errors
    /// Nothing of it can be read.
    pub(crate) fn graph_partly(&self) -> Result<(Graph, Diagnostics), Diagnostics> {
        format::read_partly(self.bytes, &self.read_options())
    }

    fn read_options(&self) -> format::ReadOptions {
        let mut input_shapes = std::collections::BTreeMap::new();
        for given in &self.options.input_shapes {
            input_shapes.insert(given.name.clone(), given.shape.clone());
        }
        let values = self.options.input_values.iter();
        let input_values = values.map(|v| (v.name.clone(), v.tensor())).collect();
        format::ReadOptions {
            file: self.file.clone(),
            input_shapes,
            input_values,
            nms_rows: self.options.nms_rows.map(usize::from),
            io_layout: self.options.io_layout.into(),
            external: self.external.clone(),
        }
    }

    /// The file as it describes itself, also when it cannot be compiled.
    ///
    /// # Errors
    /// Not a model, or a damaged one.
    pub fn summary(&self) -> Result<format::Summary, Diagnostics> {
        format::summary(self.bytes, &self.file)
    }

    /// The graph in text form: after all passes of the target, after the pass `after`, or as read
    /// when `after` is `read`.
    ///
    /// # Errors
    /// The model cannot be read, a pass fails, or no pass has that name.
    pub fn ir(&self, after: Option<&str>) -> Result<String, Diagnostics> {
        let passes = self.target()?.passes();
        if let Some(wanted) = after
            && wanted != "read"
            && !passes.iter().any(|p| p.name == wanted)
        {
            let known: Vec<&str> = passes.iter().map(|p| p.name).collect();
            return Err(self.bad_option(
                format!("--after \"{wanted}\": target {} has no such pass", self.options.target),
                format!("its passes are: read, {}", known.join(", ")),
            ));
        }
        let mut graph = self.graph()?;
        if after != Some("read") {
            pass::run_until(&mut graph, passes, after)?;
        }
        Ok(graph::text::print(&graph))
    }

    /// Compiles the model.
    ///
    /// # Errors
    /// Everything that is wrong with the options, the model, or its size; then nothing is emitted.
    pub fn compile(&self) -> Result<Output, Diagnostics> {
        self.check_options()?;
        self.compile_graph(self.graph()?)
    }

    pub(crate) fn check_options(&self) -> Result<(), Diagnostics> {
        let target = self.target()?;
        self.name()?;
        self.check_applicable(target)?;
        let known: Vec<&str> = target.examples().iter().map(|e| e.0).collect();
        for example in &self.options.examples {
            if !known.contains(&example.as_str()) {
                return Err(self.bad_option(
                    format!("target {} has no example \"{example}\"", target.name()),
                    format!("its examples are: {}", known.join(", ")),
                ));
            }
        }
        let mut seen = BTreeSet::new();
        let shapes = self.options.input_shapes.iter().map(|s| ("--input-shape", &s.name));
        let values = self.options.input_values.iter().map(|v| ("--input-value", &v.name));
        for (option, name) in shapes.chain(values) {
            if !seen.insert((option, name)) {
                let message = format!("{option} gives \"{name}\" twice");
                return Err(self.bad_option(message, String::new()));
            }
        }
        Ok(())
    }

    /// Options that would have no effect are mistakes, too.
    fn check_applicable(&self, target: &dyn Target) -> Result<(), Diagnostics> {
        let o = &self.options;
        let (is_rust, is_graph) = (target.name() == "rust", target.kind() == Kind::Graph);
        let (rust, graph) = ("add --target rust", "add --target ncs or --target openvino");
        let kernels = "take a target that emits code, for example --target c";
        let bytes = o.input_type == InputType::U8;
        let given = [
            ("--crate".to_string(), o.package, is_rust, rust),
            (
                format!("--runtime {}", o.runtime),
                o.runtime != RuntimeName::default(),
                is_rust,
                rust,
            ),
            (format!("--core {}", o.core), o.core != CoreName::default(), !is_graph, kernels),
            ("--max-arena".into(), o.max_arena.is_some(), !is_graph, kernels),
            ("--max-flash".into(), o.max_flash.is_some(), !is_graph, kernels),
            (
                format!("--precision {}", o.precision),
                o.precision != PrecisionName::default(),
                is_graph,
                graph,
            ),
            (
                format!("--ir-version {}", o.ir_version),
                o.ir_version != IrVersion::default(),
                target.name() == "openvino",
                "the stick's software reads version 10 only; other devices: --target openvino",
            ),
            (format!("--input-type {}", o.input_type), bytes, is_graph, graph),
            (
                "--mean-values".into(),
                o.mean_values.is_some(),
                is_graph && bytes,
                "add --input-type u8",
            ),
            (
                "--scale-values".into(),
                o.scale_values.is_some(),
                is_graph && bytes,
                "add --input-type u8",
            ),
        ];
        let mut problems = Diagnostics::default();
        for (option, _, _, help) in given.iter().filter(|g| g.1 && !g.2) {
            let message = format!("{option} does not apply to target {}", target.name());
            problems.0.extend(self.bad_option(message, (*help).into()).0);
        }
        if o.scale_values.as_ref().is_some_and(|s| s.0.contains(&0.0)) {
            let message = "--scale-values holds a 0, which nothing is divided by".to_string();
            problems.0.extend(self.bad_option(message, String::new()).0);
        }
        problems.into_result(())
    }

    /// How an OpenVINO file should look, given the graph as it was read.
    fn file_options(&self, graph: &Graph) -> FileOptions {
        let o = &self.options;
        let numbers = |n: &Option<crate::Numbers>| n.clone().map(|n| n.0).unwrap_or_default();
        let bytes = (o.input_type == InputType::U8)
            .then(|| Bytes { mean: numbers(&o.mean_values), scale: numbers(&o.scale_values) });
        let mut graph = graph.clone();
        pass::label_ports(&mut graph);
        let quantization = graph
            .named_inputs()
            .chain(graph.named_outputs())
            .filter_map(|(v, name)| {
                let value = graph.value(v)?;
                Some((name.to_string(), (value.ty.dtype, value.quant.clone()?)))
            })
            .collect();
        FileOptions {
            precision: o.precision.into(),
            version: o.ir_version.into(),
            bytes,
            quantization,
        }
    }

    /// Compiles a graph made from the model, for example one with more outputs.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(crate) fn compile_graph(&self, mut graph: Graph) -> Result<Output, Diagnostics> {
        let target = self.target()?;
        let name = self.name()?;
        let core = self.options.core.into();
        capability::unsupported(&graph, target, core)?;
        let openvino = self.file_options(&graph);
        let notes = graph.notes().to_vec();
        pass::run_all(&mut graph, target.passes())?;
        let legal = target.legalise(graph, core)?;
        let source = self.file.rsplit(['/', '\\']).next().unwrap_or_default().to_string();
        let emit = EmitOptions {
            name: name.clone(),
            core,
            examples: self.options.examples.clone(),
            options: self.options.to_map(),
            source: source.clone(),
            package: self.options.package,
            runtime: self.options.runtime.into(),
            inline_weights: self.inline_weights,
            openvino,
        };
        let emitted = target.emit(&legal, &emit)?;
        let mut report = Report::new(&source, &name, &self.options, &emitted);
        report.notes.splice(0..0, notes);
        budget::check(&report, &self.options, &self.file)?;
        let module = match emitted.product {
            Product::Program(program) => Some(program.module),
            Product::Network(_) => None,
        };
        Ok(Output { artifacts: emitted.artifacts, report, module })
    }
}
