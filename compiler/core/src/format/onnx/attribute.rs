//! Attributes of an ONNX node, by name and with their defaults. What they mean is the readers' part.

use super::tensor;
use crate::op::OpError;
use crate::tensor::Tensor;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, GraphProto, NodeProto};
use std::collections::BTreeMap;

/// Attributes that the caller of a function gives, and its defaults, by name.
pub type Given<'a> = BTreeMap<&'a str, &'a AttributeProto>;

/// The attributes of one node. In the body of a function they may stand for those of its call.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    list: &'a [AttributeProto],
    given: Option<&'a Given<'a>>,
}

impl<'a> Attributes<'a> {
    /// Those of a node.
    #[must_use]
    pub fn of(node: &'a NodeProto) -> Self {
        Self { list: &node.attribute, given: None }
    }

    /// The same with what references stand for.
    #[must_use]
    pub fn given(self, given: Option<&'a Given<'a>>) -> Self {
        Self { given, ..self }
    }

    /// All attributes by their names in the node. References to attributes that the caller left out
    /// and that have no default are left out, too.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, &'a AttributeProto)> + use<'a> {
        let given = self.given;
        self.list.iter().filter_map(move |a| match a.ref_attr_name.as_str() {
            "" => Some((a.name.as_str(), a)),
            reference => Some((a.name.as_str(), *given?.get(reference)?)),
        })
    }

    fn find(&self, name: &str, ty: AttributeType) -> Result<Option<&'a AttributeProto>, OpError> {
        let Some((_, found)) = self.all().find(|(n, _)| *n == name) else { return Ok(None) };
        // Old exporters leave the type out.
        let given = found.type_.enum_value_or_default();
        if given == ty || given == AttributeType::UNDEFINED {
            return Ok(Some(found));
        }
        Err(OpError::invalid(format!("attribute \"{name}\" is of type {given:?}, not {ty:?}")))
    }

    /// Names of all attributes.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all().map(|(name, _)| name)
    }

    /// An integer.
    ///
    /// # Errors
    /// Another type.
    pub fn int(&self, name: &str) -> Result<Option<i64>, OpError> {
        Ok(self.find(name, AttributeType::INT)?.map(|a| a.i))
    }

    /// An integer, 0 or 1.
    ///
    /// # Errors
    /// Another type.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, OpError> {
        Ok(self.int(name)?.map_or(default, |i| i != 0))
    }

    /// A list of integers.
    ///
    /// # Errors
    /// Another type.
    pub fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, OpError> {
        Ok(self.find(name, AttributeType::INTS)?.map(|a| a.ints.as_slice()))
    }

    /// A float.
    ///
    /// # Errors
    /// Another type.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, OpError> {
        Ok(self.find(name, AttributeType::FLOAT)?.map_or(default, |a| a.f))
    }

    /// A text.
    ///
    /// # Errors
    /// Another type, or bytes that are no text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, OpError> {
        let Some(found) = self.find(name, AttributeType::STRING)? else { return Ok(None) };
        std::str::from_utf8(&found.s)
            .map(Some)
            .map_err(|_| OpError::invalid(format!("attribute \"{name}\" is not UTF-8")))
    }

    /// A tensor.
    ///
    /// # Errors
    /// Another type, or a malformed tensor.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, OpError> {
        let Some(found) = self.find(name, AttributeType::TENSOR)? else { return Ok(None) };
        let proto = found
            .t
            .as_ref()
            .ok_or_else(|| OpError::invalid(format!("attribute \"{name}\" holds no tensor")))?;
        tensor::read(proto).map(Some).map_err(|e| {
            let message = format!("attribute \"{name}\": {}", e.message);
            OpError { message, ..e }
        })
    }

    /// A subgraph.
    ///
    /// # Errors
    /// Another type.
    pub fn graph(&self, name: &str) -> Result<Option<&'a GraphProto>, OpError> {
        Ok(self.find(name, AttributeType::GRAPH)?.and_then(|a| a.g.as_ref()))
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Another type, or bytes that are no text.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, OpError> {
        let Some(found) = self.find(name, AttributeType::STRINGS)? else { return Ok(None) };
        let text = |s: &'a Vec<u8>| std::str::from_utf8(s);
        found
            .strings
            .iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|_| OpError::invalid(format!("attribute \"{name}\" is not UTF-8")))
    }

    /// A list of floats.
    ///
    /// # Errors
    /// Another type.
    pub fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, OpError> {
        Ok(self.find(name, AttributeType::FLOATS)?.map(|a| a.floats.as_slice()))
    }
}
