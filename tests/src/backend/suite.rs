//! The tests as the zoo holds them: an index, and an archive of models and tensors.

use super::element::{self, Raw};
use crate::build::file;
use onnx_protobuf::tensor_shape_proto::dimension::Value as Extent;
use onnx_protobuf::type_proto::Value as Kind;
use onnx_protobuf::{Message, ModelProto, TensorProto, ValueInfoProto};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use tinycc_driver::Rows;

/// One test of the index.
#[derive(Clone, Debug, Deserialize)]
pub struct Test {
    /// `node`, `simple`, `pytorch-converted` or `pytorch-operator`.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// Operators, each once.
    pub ops: Vec<String>,
    /// Element types, in ONNX's names.
    pub dtypes: Vec<String>,
}

impl Test {
    /// `kind/name`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Model and tensors of a test.
#[derive(Clone, Debug)]
pub struct Data {
    /// The file.
    pub bytes: Vec<u8>,
    /// The same as a message.
    pub model: ModelProto,
    /// Inputs with their names; `None` for what is no tensor of numbers.
    pub inputs: Vec<(String, Option<Raw>)>,
    /// Outputs.
    pub outputs: Vec<Option<Raw>>,
}

/// The suite.
#[derive(Debug)]
pub struct Suite {
    /// All tests, by id.
    pub tests: Vec<Test>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Suite {
    /// Opens the suite of a zoo and unpacks it in memory.
    #[must_use]
    pub fn open(zoo: &Path) -> Self {
        let folder = zoo.join("onnx_backend");
        let index = file(&folder.join("INDEX.json"));
        let mut tests: Vec<Test> = serde_json::from_slice(&index).expect("INDEX.json parses");
        tests.sort_by_key(Test::id);
        let archive = file(&folder.join("onnx-1.22.0-backend-tests-dev.zip"));
        let mut archive = zip::ZipArchive::new(Cursor::new(archive)).expect("an archive");
        let mut files = BTreeMap::new();
        for i in 0..archive.len() {
            let mut entry = archive.by_index(i).expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("unpacks");
            files.insert(entry.name().to_string(), bytes);
        }
        Self { tests, files }
    }

    /// Model and tensors of a test.
    #[must_use]
    pub fn data(&self, test: &Test) -> Data {
        let id = test.id();
        let bytes = self.files.get(&format!("{id}/model.onnx")).expect("a model").clone();
        let model = ModelProto::parse_from_bytes(&bytes).expect("the suite's models parse");
        let second = format!("{id}/test_data_set_1/output_0.pb");
        assert!(!self.files.contains_key(&second), "{id} has more than one set");
        let inputs = self.tensors(&format!("{id}/test_data_set_0/input_"));
        let outputs = self.tensors(&format!("{id}/test_data_set_0/output_"));
        let names = input_names(&model, inputs.len());
        Data { bytes, model, inputs: names.into_iter().zip(inputs).collect(), outputs }
    }

    fn tensors(&self, prefix: &str) -> Vec<Option<Raw>> {
        let files = (0..).map_while(|i| self.files.get(&format!("{prefix}{i}.pb")));
        files.map(|bytes| element::read(&TensorProto::parse_from_bytes(bytes).ok()?)).collect()
    }
}

/// The inputs a test has data for: those of the graph in order, without the initializers among them
/// where the data leaves these out.
fn input_names(model: &ModelProto, count: usize) -> Vec<String> {
    let Some(graph) = model.graph.as_ref() else { return Vec::new() };
    let all: Vec<String> = graph.input.iter().map(|i| i.name.clone()).collect();
    if all.len() == count {
        return all;
    }
    let given = |n: &String| !graph.initializer.iter().any(|i| i.name == *n);
    all.into_iter().filter(given).collect()
}

impl Data {
    /// Shapes for `--input-shape`: of the inputs whose declared shape is open or not the data's.
    #[must_use]
    pub fn open_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let Some(graph) = self.model.graph.as_ref() else { return Vec::new() };
        let is_constant = |n: &str| graph.initializer.iter().any(|i| i.name == n);
        let data = self.inputs.iter().filter_map(|(n, raw)| Some((n, raw.as_ref()?)));
        data.filter(|(name, raw)| {
            let declared = graph.input.iter().find(|i| i.name == **name);
            !is_constant(name) && declared.and_then(static_dims).as_ref() != Some(&raw.dims)
        })
        .map(|(name, raw)| (name.clone(), raw.dims.clone()))
        .collect()
    }

    /// Rows of the first output, for `--nms-rows`.
    #[must_use]
    pub fn rows(&self) -> Option<Rows> {
        self.outputs.first()?.as_ref()?.dims.first()?.to_string().parse().ok()
    }

    /// The tensor of an input.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Raw> {
        self.inputs.iter().find(|(n, _)| n == name)?.1.as_ref()
    }
}

fn static_dims(input: &ValueInfoProto) -> Option<Vec<usize>> {
    let Kind::TensorType(ty) = input.type_.as_ref()?.value.as_ref()? else { return None };
    let known = |value: &Option<Extent>| match value {
        Some(Extent::DimValue(n)) => usize::try_from(*n).ok(),
        _symbol => None,
    };
    ty.shape.as_ref()?.dim.iter().map(|d| known(&d.value)).collect()
}
