//! Elementwise operators: they work in whatever order their operands lie.

use crate::format::openvino::file::Wire;
use crate::format::openvino::held::{Call, Held, inverse};
use crate::numeric::Activation;
use crate::op::OpError;
use crate::tensor::DType;

/// A layer that maps each element on its own.
pub fn unary(call: &mut Call<'_, '_>, kind: (&'static str, u8)) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    Ok(Held::Tensor { wire: call.e.unary(kind, &x), order })
}

/// |x|. The stick's plugin has no Abs.
pub fn abs(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    if !call.e.is_myriad() {
        return unary(call, ("Abs", 1));
    }
    let (x, order) = call.any(0)?;
    let negative = call.e.unary(("Negative", 1), &x);
    call.rewritten("Maximum(x, -x)");
    Ok(Held::Tensor { wire: call.e.binary("Maximum", &x, &negative)?, order })
}

/// ELU with alpha 1.
pub fn elu(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let data = vec![("alpha", "1".to_string())];
    let wire = call.e.one(("Elu", 1), data, &[&x], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// GELU, exact or in its tanh form.
pub fn gelu(call: &mut Call<'_, '_>, approximate: bool) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let mode = if approximate { "tanh" } else { "erf" };
    let data = vec![("approximation_mode", mode.to_string())];
    let wire = call.e.one(("Gelu", 7), data, &[&x], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// A ReLU with its bounds.
pub fn relu(call: &mut Call<'_, '_>, kind: Activation) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    Ok(Held::Tensor { wire: call.e.activate(x, kind), order })
}

/// x * x.
pub fn square(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    Ok(Held::Tensor { wire: call.e.binary("Multiply", &x, &x)?, order })
}

/// 1 / sqrt(x).
pub fn rsqrt(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let root = call.e.unary(("Sqrt", 1), &x);
    let one = call.e.scalar(1.0, root.dims.len());
    Ok(Held::Tensor { wire: call.e.binary("Divide", &one, &root)?, order })
}

/// A conversion; real numbers are cut off towards zero, as the format says.
pub fn cast(call: &mut Call<'_, '_>, to: DType) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let elem = call.e.elem(to)?;
    Ok(Held::Tensor { wire: call.e.convert(&x, elem), order })
}

/// Negative elements times a constant slope.
pub fn leaky(call: &mut Call<'_, '_>, alpha: f32) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let slope = call.e.reals(vec![1], &[alpha]);
    Ok(Held::Tensor { wire: prelu_layer(call, &x, &slope), order })
}

fn prelu_layer(call: &mut Call<'_, '_>, x: &Wire, slope: &Wire) -> Wire {
    call.e.one(("PReLU", 1), Vec::new(), &[x, slope], x.elem, x.dims.clone())
}

/// Negative elements times slopes: PReLU has one for all or one per channel, which is dimension 1 of a
/// tensor. Anything else is max(x, 0) + slope * min(x, 0).
pub fn prelu(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let rank = x.dims.len();
    if let Some(stored) = call.stored(1) {
        let turned = stored.of_rank(rank).permuted(&inverse(&order));
        let dims = &turned.data.shape.0;
        let is_per_channel = rank > 1 && dims.iter().enumerate().all(|(i, &d)| i == 1 || d == 1);
        let covers = dims.get(1) == x.dims.get(1) || turned.data.shape.elements() == 1;
        if is_per_channel && covers {
            let flat = turned.reshaped(|d| vec![d.iter().product()]);
            let slope = call.e.constant(&flat)?;
            return Ok(Held::Tensor { wire: prelu_layer(call, &x, &slope), order });
        }
    }
    let ([x, slope], order) = aligned(call)?;
    let positive = call.e.unary(("ReLU", 1), &x);
    let zero = call.e.scalar(0.0, x.dims.len());
    let negative = call.e.binary("Minimum", &x, &zero)?;
    let scaled = call.e.binary("Multiply", &negative, &slope)?;
    call.rewritten("ReLU(x) + slope * Minimum(x, 0)");
    Ok(Held::Tensor { wire: call.e.binary("Add", &positive, &scaled)?, order })
}

/// Both operands in one order and of one rank.
///
/// # Errors
/// A constant the file cannot hold.
pub fn aligned(call: &mut Call<'_, '_>) -> Result<([Wire; 2], Vec<usize>), OpError> {
    let rank = call.dims(0)?.len().max(call.dims(1)?.len());
    let orders = [0, 1].map(|i| match call.held.get(i) {
        Some(Held::Tensor { order, .. }) if order.len() == rank && !order.is_sorted() => {
            Some(order.clone())
        }
        _other => None,
    });
    let order = orders.into_iter().flatten().next().unwrap_or_else(|| (0..rank).collect());
    let want = inverse(&order);
    let mut side = |i: usize| -> Result<Wire, OpError> {
        if let Some(stored) = call.stored(i) {
            let turned = stored.of_rank(rank).permuted(&want);
            return call.e.constant(&turned);
        }
        if call.dims(i)?.len() == rank {
            return call.arranged(i, &want);
        }
        let plain = call.plain(i)?;
        let mut dims = vec![1; rank - plain.dims.len()];
        dims.extend(&plain.dims);
        let wide = call.e.reshape(&plain, &dims);
        Ok(call.e.transpose(&wide, &want))
    };
    let (a, b) = (side(0)?, side(1)?);
    Ok(([a, b], order))
}

/// To the nearest integer, ties to the even one.
pub fn round(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let data = vec![("mode", "half_to_even".to_string())];
    let wire = call.e.one(("Round", 5), data, &[&x], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// Two operands that broadcast, then the fused activation.
pub fn binary(
    call: &mut Call<'_, '_>,
    kind: &'static str,
    activation: Activation,
) -> Result<Held, OpError> {
    let ([a, b], order) = aligned(call)?;
    let wire = call.e.binary(kind, &a, &b)?;
    Ok(Held::Tensor { wire: call.e.activate(wire, activation), order })
}

/// Two operands that broadcast.
pub fn plain_binary(call: &mut Call<'_, '_>, kind: &'static str) -> Result<Held, OpError> {
    binary(call, kind, Activation::None)
}

/// Maximum or Minimum. The stick's compiler makes one Clamp of two that follow each other, and refuses it
/// when they cross; the outer one says what the result is then.
pub fn bound(call: &mut Call<'_, '_>, kind: &'static str) -> Result<Held, OpError> {
    if call.e.is_myriad()
        && let Some((x, order, number)) = crossed(call, kind)?
    {
        call.rewritten("Clamp");
        let elem = x.elem;
        let x = call.real_on_stick(x);
        let wire = call.e.clamp(&x, number, number);
        return Ok(Held::Tensor { wire: call.e.convert(&wire, elem), order });
    }
    plain_binary(call, kind)
}

/// What is limited, its order and the result, when one number limits what another has limited beyond it.
fn crossed(
    call: &Call<'_, '_>,
    kind: &'static str,
) -> Result<Option<(Wire, Vec<usize>, f32)>, OpError> {
    for (limited, limit) in [(0, 1), (1, 0)] {
        let Held::Tensor { wire, order } = call.operand(limited)?.clone() else { continue };
        let Some(stored) = call.stored(limit).filter(|s| s.data.shape.elements() == 1) else {
            continue;
        };
        let real = stored.real()?;
        let whole = real.to_i64().and_then(|q| q.first().map(|&q| q as f32));
        let outer = real.as_f32().and_then(|v| v.first().copied()).or(whole);
        let Some(outer) = outer else { continue };
        let layer = call.e.network.layers.get(wire.port.layer);
        let other = if kind == "Minimum" { "Maximum" } else { "Minimum" };
        let Some([a, b]) = layer.filter(|l| l.kind == other).map(|l| l.inputs.as_slice()) else {
            continue;
        };
        // A limit of more dimensions would make the result larger.
        let is_whole = call.result()?.len() == wire.dims.len();
        for (x, bound) in [(a, b), (b, a)] {
            let cross = |inner: f32| if kind == "Minimum" { inner > outer } else { inner < outer };
            if call.e.number(bound).is_some_and(cross) && x.dims == wire.dims && is_whole {
                return Ok(Some((x.clone(), order, outer)));
            }
        }
    }
    Ok(None)
}

/// A real number that was limited to the 256 values of a quantization: FakeQuantize. The stick's plugin
/// does not have it.
pub fn quantize(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (scale, zero_point) = call.s.result(0)?.per_tensor()?;
    if call.s.operand(0)?.dtype() != DType::F32 {
        return Err(OpError::unsupported("only real numbers are quantized in an OpenVINO file"));
    }
    let (x, order) = call.any(0)?;
    let bound = |q: i32| ((f64::from(q) - f64::from(zero_point)) * f64::from(scale)) as f32;
    let rank = x.dims.len();
    if call.e.is_myriad() {
        call.rewritten("Multiply, Round, Clamp, Multiply");
        let steps = call.e.with_scalar("Multiply", &x, 1.0 / scale)?;
        let data = vec![("mode", "half_away_from_zero".to_string())];
        let whole = call.e.one(("Round", 5), data, &[&steps], steps.elem, steps.dims.clone());
        let kept = call.e.clamp(&whole, (-128 - zero_point) as f32, (127 - zero_point) as f32);
        return Ok(Held::Tensor { wire: call.e.with_scalar("Multiply", &kept, scale)?, order });
    }
    let (low, high) = (call.e.scalar(bound(-128), rank), call.e.scalar(bound(127), rank));
    let data = vec![("levels", "256".to_string()), ("auto_broadcast", "numpy".to_string())];
    let inputs = [&x, &low, &high, &low, &high];
    let wire = call.e.one(("FakeQuantize", 1), data, &inputs, x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// Quantized values are real numbers in the file already; int8 weights stay constants.
pub fn dequantize(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    Ok(call.operand(0)?.clone())
}
