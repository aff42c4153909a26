//! Inputs bound to a constant (`ReadOptions::input_values`): fitting what the user gives to the
//! type and shape the file declares. No format is known here.

use crate::tensor::{DType, Shape, Tensor, TensorData};

/// The value as a constant of the input's type. Numbers change their type when none of them changes
/// its value; the shape becomes the declared one when that is known and has as many elements. For
/// float types of storage the result is float32, which the caller narrows as the format does it.
/// `declared`: extents, `None` where open; `None` for an input without a shape.
///
/// # Errors
/// Numbers that do not fit the type, or a shape that does not fit the declared one; what to say.
pub(super) fn bind(
    value: &Tensor,
    dtype: DType,
    declared: Option<&[Option<usize>]>,
) -> Result<Tensor, String> {
    let data = convert(value, dtype).ok_or_else(|| {
        format!("a value of type {} does not fit the input's type {dtype}", value.data.dtype())
    })?;
    let shape = shape(value, declared)?;
    let count = data.len();
    Tensor::new(shape, data).ok_or_else(|| format!("{count} numbers do not fill the input"))
}

fn shape(value: &Tensor, declared: Option<&[Option<usize>]>) -> Result<Shape, String> {
    let Some(declared) = declared else { return Ok(value.shape.clone()) };
    let fits = |(&have, want): (&usize, &Option<usize>)| want.is_none_or(|w| w == have);
    if declared.len() == value.shape.rank() && value.shape.0.iter().zip(declared).all(fits) {
        return Ok(value.shape.clone());
    }
    let known: Option<Vec<usize>> = declared.iter().copied().collect();
    known.and_then(Shape::checked).filter(|s| s.elements() == value.data.len()).ok_or_else(|| {
        let show = |d: &Option<usize>| d.map_or("?".to_string(), |n| n.to_string());
        let shown: Vec<String> = declared.iter().map(show).collect();
        let shown = if shown.is_empty() { "scalar".to_string() } else { shown.join("x") };
        format!("a value of shape {} does not fit the input's shape {shown}", value.shape)
    })
}

/// The same numbers in another type; `None` when one of them changes.
fn convert(value: &Tensor, dtype: DType) -> Option<TensorData> {
    if value.data.dtype() == dtype {
        return Some(value.data.clone());
    }
    if let (TensorData::F32(floats), DType::F64) = (&value.data, dtype) {
        return Some(TensorData::F64(floats.iter().map(|&f| f64::from(f)).collect()));
    }
    if dtype.is_storage_float() && value.data.dtype() == DType::F32 {
        return Some(value.data.clone());
    }
    let numbers = value.data.to_i128()?;
    if dtype == DType::F32 || dtype.is_storage_float() {
        let floats: Vec<f32> = numbers.iter().map(|&n| n as f32).collect();
        let is_exact = floats.iter().zip(&numbers).all(|(&f, &n)| f as i128 == n);
        return is_exact.then_some(TensorData::F32(floats));
    }
    let data = TensorData::from_i128(dtype, &numbers)?;
    (data.to_i128()? == numbers).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(dims: &[usize], values: &[i64]) -> Tensor {
        Tensor::new(Shape(dims.to_vec()), TensorData::I64(values.to_vec())).expect("counts")
    }

    #[test]
    fn numbers_change_type_only_without_loss() {
        let three = ints(&[1], &[-3]);
        assert_eq!(bind(&three, DType::I8, None).expect("fits").as_i8(), Some(&[-3i8][..]));
        assert_eq!(bind(&three, DType::F32, None).expect("fits").as_f32(), Some(&[-3.0][..]));
        assert!(bind(&three, DType::Bool, None).is_err());
        assert!(bind(&ints(&[1], &[300]), DType::I8, None).is_err());
        assert!(bind(&ints(&[1], &[16_777_217]), DType::F32, None).is_err());
        let half = Tensor::new(Shape(vec![1]), TensorData::F32(vec![0.5])).expect("counts");
        assert!(bind(&half, DType::I64, None).is_err());
    }

    #[test]
    fn shapes_follow_the_declaration() {
        let one = ints(&[1], &[7]);
        let shape = |t: &Tensor, d: &[Option<usize>]| {
            bind(t, DType::I64, Some(d)).map(|t| t.shape.0).map_err(|e| e.to_string())
        };
        assert_eq!(shape(&one, &[]), Ok(vec![]), "one number is a scalar, too");
        assert_eq!(shape(&one, &[None]), Ok(vec![1]));
        assert_eq!(shape(&ints(&[6], &[0; 6]), &[Some(2), Some(3)]), Ok(vec![2, 3]));
        assert!(shape(&ints(&[5], &[0; 5]), &[Some(2), Some(3)]).is_err());
        assert!(shape(&one, &[None, None]).is_err());
        assert_eq!(shape(&ints(&[0], &[]), &[Some(0)]), Ok(vec![0]), "no axes");
    }
}
