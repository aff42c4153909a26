//! Operators as they were before opset 7, where their definition differs: operand 1 is repeated as
//! the attributes `broadcast` and `axis` say, not by trailing dimensions.

use super::{Context, ReadFn, activation, elementwise, logic, norm};
use crate::graph::ValueId;
use crate::op::OpError;

type Read = Result<Vec<ValueId>, OpError>;

/// Operand 1 with ones behind its dimensions, so that the broadcasting of opset 7 does what
/// `broadcast` and `axis` say; then today's reader.
fn aligned(c: &mut Context<'_, '_>, read: ReadFn) -> Read {
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    let (left, right) = (c.build.shape(a), c.build.shape(b));
    if !c.attributes.flag("broadcast", false)? {
        if left != right {
            let message = format!("shapes {left:?} and {right:?} differ without \"broadcast\"");
            return Err(OpError::invalid(message));
        }
        return read(c);
    }
    let Some(axis) = c.attributes.int("axis")? else { return read(c) };
    let axis = c.axis(axis, left.len())?;
    let behind = left.len().checked_sub(axis + right.len()).ok_or_else(|| {
        OpError::invalid(format!("{right:?} does not fit {left:?} from dimension {axis} on"))
    })?;
    let dims = right.into_iter().chain(std::iter::repeat_n(1, behind)).collect();
    let wide = c.build.reshape(b, dims)?;
    if let Some(operand) = c.operands.get_mut(1) {
        *operand = Some(wide);
    }
    read(c)
}

macro_rules! aligned {
    ($($name:ident => $read:path;)*) => {
        $(#[doc = concat!("`", stringify!($name), "` with the attribute `broadcast`.")]
        pub fn $name(c: &mut Context<'_, '_>) -> Read {
            aligned(c, $read)
        })*
    };
}

aligned! {
    add => elementwise::add;
    and => logic::and;
    div => elementwise::div;
    equal => logic::equal;
    greater => logic::greater;
    less => logic::less;
    mul => elementwise::mul;
    or => logic::or;
    pow => activation::pow;
    sub => elementwise::sub;
    xor => logic::xor;
}

/// PRelu: a list of slopes is one per channel.
pub fn prelu(c: &mut Context<'_, '_>) -> Read {
    let (x, slope) = (c.operand(0)?, c.operand(1)?);
    let (dims, slopes) = (c.build.shape(x), c.build.shape(slope));
    if let (&[n], true) = (slopes.as_slice(), dims.len() > 2)
        && n > 1
    {
        let wide = [n].into_iter().chain(std::iter::repeat_n(1, dims.len() - 2)).collect();
        let wide = c.build.reshape(slope, wide)?;
        if let Some(operand) = c.operands.get_mut(1) {
            *operand = Some(wide);
        }
    }
    activation::prelu(c)
}

/// BatchNormalization: `is_test` says whether it is for inference; statistics are per channel unless
/// `spatial` is 0.
pub fn batch_normalization(c: &mut Context<'_, '_>) -> Read {
    if !c.attributes.flag("spatial", true)? {
        return Err(OpError::unsupported("statistics per element (spatial = 0) are not supported"));
    }
    if !c.attributes.flag("is_test", false)? && c.outputs > 1 {
        return Err(OpError::unsupported("training is supported from opset 14 on only")
            .help("export the model for inference: model.eval()"));
    }
    norm::batch_normalization(c)
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    #[test]
    fn operand_1_is_repeated_from_an_axis_on() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let add = || case("Add").input(&[1, 2, 2], &x).floats(&[2], &[10.0, 20.0]);
        add().int("broadcast", 1).gives(6, &[1, 2, 2], &[11.0, 22.0, 13.0, 24.0]);
        let rows = add().int("broadcast", 1).int("axis", 1);
        rows.gives(6, &[1, 2, 2], &[11.0, 12.0, 23.0, 24.0]);
        add().refused(6, "broadcast");
        add().int("broadcast", 1).int("axis", 3).refused(6, "axis 3");
        let slopes = case("PRelu").input(&[1, 2, 1, 2], &[-1.0, 1.0, -1.0, 2.0]);
        slopes.floats(&[2], &[0.5, 0.25]).gives(6, &[1, 2, 1, 2], &[-0.5, 1.0, -0.25, 2.0]);
    }
}
