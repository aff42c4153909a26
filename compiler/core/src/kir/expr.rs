//! Expressions of the kernel IR: pure, typed, and simplified while they are built, so that the
//! printed code has no `x * 1 + 0` in it.

use std::ops;

/// Scalar type of an expression, variable or buffer element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ty {
    /// Truth value of a comparison; never stored.
    Bool,
    /// Signed 8 bit.
    I8,
    /// Unsigned 8 bit (booleans in memory).
    U8,
    /// Signed 16 bit.
    I16,
    /// Unsigned 16 bit (half-width floats in memory).
    U16,
    /// Signed 32 bit: arithmetic and indices.
    I32,
    /// Unsigned 32 bit: packed pairs and wrapping arithmetic.
    U32,
    /// Signed 64 bit.
    I64,
    /// Unsigned 64 bit: wrapping arithmetic.
    U64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64: conversions and comparisons; of the intrinsics, only those for bits take it.
    F64,
}

impl Ty {
    /// Bytes of one element in memory.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Ty::Bool | Ty::I8 | Ty::U8 => 1,
            Ty::I16 | Ty::U16 => 2,
            Ty::I32 | Ty::U32 | Ty::F32 => 4,
            Ty::I64 | Ty::U64 | Ty::F64 => 8,
        }
    }

    /// Whether the type holds reals.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64)
    }

    /// Whether `+ - * <<` of the type wrap.
    #[must_use]
    pub fn wraps(self) -> bool {
        matches!(self, Ty::U32 | Ty::U64)
    }
}

/// Handle of a kernel variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Var {
    /// Index into `Kernel::vars`.
    pub id: u32,
    /// Its type.
    pub ty: Ty,
}

/// Handle of a kernel buffer (parameter or constant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Buf {
    /// Index into `Kernel::buffers`.
    pub id: u32,
    /// Element type.
    pub ty: Ty,
}

/// Binary operators. `+ - * <<` must not overflow on signed types (the interpreter checks) and wrap
/// on u32 and u64; `/` and `%` truncate towards zero; `>>` is arithmetic on signed types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the operators")]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Shl,
    Shr,
    And,
    Or,
    Xor,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    LogicAnd,
    LogicOr,
}

impl BinOp {
    /// Whether the result is a truth value.
    #[must_use]
    pub fn is_predicate(self) -> bool {
        match self {
            BinOp::Lt
            | BinOp::Le
            | BinOp::Gt
            | BinOp::Ge
            | BinOp::Eq
            | BinOp::Ne
            | BinOp::LogicAnd
            | BinOp::LogicOr => true,
            BinOp::Add
            | BinOp::Sub
            | BinOp::Mul
            | BinOp::Div
            | BinOp::Rem
            | BinOp::Shl
            | BinOp::Shr
            | BinOp::And
            | BinOp::Or
            | BinOp::Xor => false,
        }
    }
}

/// Declares the intrinsics: name in `tinycc-rt` (C adds the prefix `tcc_`), result and operand types.
macro_rules! intrinsics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal ($($arg:ident),*) -> $result:ident;)*) => {
        /// Closed set of functions that `runtime-min` (or libm) provides in every target language,
        /// with one exact meaning in the interpreter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Intrinsic { $($(#[$doc])* $variant,)* }

        impl Intrinsic {
            /// All intrinsics.
            pub const ALL: &'static [Intrinsic] = &[$(Intrinsic::$variant),*];
            /// Function name without language prefix.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Intrinsic::$variant => $name,)* } }
            /// Result type.
            #[must_use]
            pub fn result(self) -> Ty { match self { $(Intrinsic::$variant => Ty::$result,)* } }
            /// Operand types.
            #[must_use]
            pub fn operands(self) -> &'static [Ty] {
                match self { $(Intrinsic::$variant => &[$(Ty::$arg),*],)* }
            }
        }
    };
}

intrinsics! {
    /// Two-step double-rounding multiply by mantissa * 2^exponent (numerics 3.1).
    Requantize = "requantize"(I32, I32, I32) -> I32;
    /// Closed form for exponent <= -2; the last operand is -exponent - 1 (numerics 3.3).
    RequantizeShr = "requantize_shr"(I32, I32, I32) -> I32;
    /// The same for results that are clamped at or above the zero point afterwards.
    RequantizeShrPos = "requantize_shr_pos"(I32, I32, I32) -> I32;
    /// Multiply by mantissa * 2^exponent, rounded once, ties to even, saturating.
    RequantizeNearest = "requantize_nearest"(I32, I32, I32) -> I32;
    /// The same for exponent <= -2, ties up; the last operand is -exponent - 1.
    RequantizeShrNearest = "requantize_shr_nearest"(I32, I32, I32) -> I32;
    /// Rounding division by a power of two, half away from zero.
    RoundingDivideByPot = "rounding_divide_by_pot"(I32, I32) -> I32;
    /// x limited to [lo, hi].
    Clamp = "clamp"(I32, I32, I32) -> I32;
    /// Smaller of two.
    MinI32 = "min_i32"(I32, I32) -> I32;
    /// Larger of two.
    MaxI32 = "max_i32"(I32, I32) -> I32;
    /// a < b ? a : b.
    MinF32 = "min_f32"(F32, F32) -> F32;
    /// a > b ? a : b.
    MaxF32 = "max_f32"(F32, F32) -> F32;
    /// Division rounding half away from zero.
    DivRound = "div_round"(I32, I32) -> I32;
    /// Division rounding half to even.
    DivRoundEven = "div_round_even"(I32, I32) -> I32;
    /// Reciprocal of a softmax row sum (Q12.19), normalised.
    SoftmaxRecip = "softmax_recip"(U32) -> I32;
    /// Right shift that belongs to the reciprocal.
    SoftmaxShift = "softmax_shift"(U32) -> I32;
    /// int8 probability from reciprocal, shift and exponential.
    SoftmaxFinish = "softmax_finish"(I32, I32, I32) -> I32;
    /// Natural logarithm in Q5.26 of a number >= 1 in Q12.19.
    LogQ12 = "log_q12"(I32) -> I32;
    /// Multiplier of 1 / sqrt(x) for `Requantize`.
    InvSqrtMultiplier = "inv_sqrt_multiplier"(I32) -> I32;
    /// Exponent that belongs to the multiplier.
    InvSqrtExponent = "inv_sqrt_exponent"(I32) -> I32;
    /// Nearest integer, half away from zero, saturating; NaN gives 0.
    RoundHalfAwayF32 = "round_half_away_f32"(F32) -> I32;
    /// Nearest integer as a float, half to even; NaN and infinity stay.
    RoundHalfEvenF32 = "round_half_even_f32"(F32) -> F32;
    /// Bytes 0 and 2, sign-extended to a pair of int16.
    Sxtb16 = "sxtb16"(U32) -> U32;
    /// Bytes 1 and 3, sign-extended to a pair of int16.
    Sxtb16Ror8 = "sxtb16_ror8"(U32) -> U32;
    /// acc + lo*lo + hi*hi, wrapping.
    Smlad = "smlad"(U32, U32, I32) -> I32;
    /// (a * b + 2^31) >> 32.
    Smmulr = "smmulr"(I32, I32) -> I32;
    /// Saturation to int8.
    Ssat8 = "ssat8"(I32) -> I32;
    /// The bits of a float.
    FloatBits = "float_bits"(F32) -> I32;
    /// The float of these bits.
    BitsFloat = "bits_float"(I32) -> F32;
    /// The bits of a double.
    DoubleBits = "double_bits"(F64) -> I64;
    /// The double of these bits.
    BitsDouble = "bits_double"(I64) -> F64;
    /// The code of a float in a smaller format, which the second operand describes.
    NarrowFloat = "narrow_float"(F32, I32) -> I32;
    /// The float of a code in a smaller format.
    WidenFloat = "widen_float"(I32, I32) -> F32;
    /// libm `expf`.
    Exp = "expf"(F32) -> F32;
    /// libm `logf`.
    Log = "logf"(F32) -> F32;
    /// libm `tanhf`.
    Tanh = "tanhf"(F32) -> F32;
    /// libm `erff`.
    Erf = "erff"(F32) -> F32;
    /// libm `sqrtf`.
    Sqrt = "sqrtf"(F32) -> F32;
    /// libm `floorf`.
    Floor = "floorf"(F32) -> F32;
    /// libm `fabsf`.
    FAbs = "fabsf"(F32) -> F32;
    /// libm `expm1f`.
    Expm1 = "expm1f"(F32) -> F32;
    /// libm `atanf`.
    Atan = "atanf"(F32) -> F32;
    /// libm `cosf`.
    Cos = "cosf"(F32) -> F32;
    /// libm `fmodf`: the remainder of truncating division.
    Fmod = "fmodf"(F32, F32) -> F32;
    /// libm `log1pf`.
    Log1p = "log1pf"(F32) -> F32;
    /// libm `powf`.
    Pow = "powf"(F32, F32) -> F32;
    /// libm `rintf` as C starts: the nearest integer, the even one of two.
    RoundEven = "rintf"(F32) -> F32;
    /// libm `sinf`.
    Sin = "sinf"(F32) -> F32;
}

impl Intrinsic {
    /// Whether the C spelling is a `<math.h>` function rather than one of ours.
    #[must_use]
    pub fn is_libm(self) -> bool {
        matches!(
            self,
            Intrinsic::Exp
                | Intrinsic::Log
                | Intrinsic::Tanh
                | Intrinsic::Erf
                | Intrinsic::Sqrt
                | Intrinsic::Floor
                | Intrinsic::FAbs
                | Intrinsic::Expm1
                | Intrinsic::Atan
                | Intrinsic::Cos
                | Intrinsic::Fmod
                | Intrinsic::Log1p
                | Intrinsic::Pow
                | Intrinsic::RoundEven
                | Intrinsic::Sin
        )
    }
}

/// A pure expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Integer literal; of u64 its 64 bits.
    Int(i64, Ty),
    /// float32 literal; printed so that it reads back to the same bits.
    Float(f32),
    /// Variable.
    Var(Var),
    /// Element of a buffer.
    Load(Buf, Box<Expr>),
    /// Binary operation on two operands of the same type (shift counts are I32).
    Bin(BinOp, Box<Expr>, Box<Expr>),
    /// Conversion: integers wrap, float to integer truncates (the value must fit).
    Cast(Ty, Box<Expr>),
    /// `condition ? a : b`.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Call of an intrinsic.
    Call(Intrinsic, Vec<Expr>),
}

/// An I32 literal.
#[must_use]
pub fn int(value: i64) -> Expr {
    Expr::Int(value, Ty::I32)
}

/// An I32 literal from an extent or index (which fit by the graph's invariants).
#[must_use]
pub fn idx(value: usize) -> Expr {
    Expr::Int(value as i64, Ty::I32)
}

/// A float32 literal.
#[must_use]
pub fn float(value: f32) -> Expr {
    Expr::Float(value)
}

impl Expr {
    /// Type of the expression.
    #[must_use]
    pub fn ty(&self) -> Ty {
        match self {
            Expr::Int(_, ty) | Expr::Cast(ty, _) => *ty,
            Expr::Float(_) => Ty::F32,
            Expr::Var(v) => v.ty,
            Expr::Load(b, _) => b.ty,
            Expr::Bin(op, a, _) => {
                if op.is_predicate() {
                    Ty::Bool
                } else {
                    a.ty()
                }
            }
            Expr::Select(_, a, _) => a.ty(),
            Expr::Call(f, _) => f.result(),
        }
    }

    /// The value of an integer literal that fits i64.
    #[must_use]
    pub fn literal(&self) -> Option<i64> {
        let Expr::Int(v, ty) = self else { return None };
        (*ty != Ty::U64 || *v >= 0).then_some(*v)
    }

    /// Conversion; none when the type is right already.
    #[must_use]
    pub fn cast(self, ty: Ty) -> Expr {
        if self.ty() == ty {
            return self;
        }
        match self.literal() {
            Some(v) if fits(v, ty) => Expr::Int(v, ty),
            _general => Expr::Cast(ty, Box::new(self)),
        }
    }

    /// `if self { a } else { b }`.
    #[must_use]
    pub fn select(self, a: Expr, b: Expr) -> Expr {
        match self.literal() {
            Some(0) => b,
            Some(_) => a,
            None => Expr::Select(Box::new(self), Box::new(a), Box::new(b)),
        }
    }

    /// Any binary operation, folded when both sides are integer literals.
    #[must_use]
    pub fn bin(op: BinOp, a: Expr, b: Expr) -> Expr {
        if let (Some(x), Some(y)) = (a.literal(), b.literal())
            && let Some(value) = fold(op, x, y)
        {
            let ty = if op.is_predicate() { Ty::Bool } else { a.ty() };
            if ty == Ty::Bool || fits(value, ty) {
                return Expr::Int(value, ty);
            }
        }
        match (op, a.literal(), b.literal()) {
            (BinOp::Add, Some(0), _) | (BinOp::Mul, Some(1), _) => b,
            (BinOp::Add | BinOp::Sub | BinOp::Shl | BinOp::Shr, _, Some(0))
            | (BinOp::Mul | BinOp::Div, _, Some(1)) => a,
            (BinOp::Mul, Some(0), _) => a,
            (BinOp::Mul, _, Some(0)) => b,
            (BinOp::LogicAnd, Some(n), _) => {
                if n != 0 {
                    b
                } else {
                    a
                }
            }
            (BinOp::LogicAnd, _, Some(n)) => {
                if n != 0 {
                    a
                } else {
                    b
                }
            }
            (BinOp::Add, _, Some(n)) if n < 0 && n > i64::from(i32::MIN) => {
                let ty = b.ty();
                Expr::Bin(BinOp::Sub, Box::new(a), Box::new(Expr::Int(-n, ty)))
            }
            (BinOp::Sub, _, Some(n)) if n < 0 && n > i64::from(i32::MIN) => {
                let ty = b.ty();
                Expr::Bin(BinOp::Add, Box::new(a), Box::new(Expr::Int(-n, ty)))
            }
            _general => Expr::Bin(op, Box::new(a), Box::new(b)),
        }
    }

    /// `self >> n`.
    #[must_use]
    pub fn shifted_right(self, n: Expr) -> Expr {
        Expr::bin(BinOp::Shr, self, n)
    }
    /// `self < b`.
    #[must_use]
    pub fn lt(self, b: Expr) -> Expr {
        Expr::bin(BinOp::Lt, self, b)
    }
    /// `self >= b`.
    #[must_use]
    pub fn ge(self, b: Expr) -> Expr {
        Expr::bin(BinOp::Ge, self, b)
    }
    /// `self > b`.
    #[must_use]
    pub fn gt(self, b: Expr) -> Expr {
        Expr::bin(BinOp::Gt, self, b)
    }
    /// `self && b`.
    #[must_use]
    pub fn and(self, b: Expr) -> Expr {
        Expr::bin(BinOp::LogicAnd, self, b)
    }
    /// Call of an intrinsic.
    #[must_use]
    pub fn call(f: Intrinsic, args: Vec<Expr>) -> Expr {
        Expr::Call(f, args)
    }
    /// Limits an I32 to `[lo, hi]`; nothing when that is the whole of int32.
    #[must_use]
    pub fn clamp(self, lo: i32, hi: i32) -> Expr {
        Expr::Call(Intrinsic::Clamp, vec![self, int(i64::from(lo)), int(i64::from(hi))])
    }
}

fn fold(op: BinOp, x: i64, y: i64) -> Option<i64> {
    Some(match op {
        BinOp::Add => x.checked_add(y)?,
        BinOp::Sub => x.checked_sub(y)?,
        BinOp::Mul => x.checked_mul(y)?,
        BinOp::Div => x.checked_div(y)?,
        BinOp::Rem => x.checked_rem(y)?,
        BinOp::Lt => i64::from(x < y),
        BinOp::Le => i64::from(x <= y),
        BinOp::Gt => i64::from(x > y),
        BinOp::Ge => i64::from(x >= y),
        BinOp::Eq => i64::from(x == y),
        BinOp::Ne => i64::from(x != y),
        BinOp::LogicAnd => i64::from(x != 0 && y != 0),
        BinOp::LogicOr => i64::from(x != 0 || y != 0),
        BinOp::Shl | BinOp::Shr | BinOp::And | BinOp::Or | BinOp::Xor => return None,
    })
}

fn fits(v: i64, ty: Ty) -> bool {
    match ty {
        Ty::Bool => v == 0 || v == 1,
        Ty::I8 => i8::try_from(v).is_ok(),
        Ty::U8 => u8::try_from(v).is_ok(),
        Ty::I16 => i16::try_from(v).is_ok(),
        Ty::U16 => u16::try_from(v).is_ok(),
        Ty::I32 => i32::try_from(v).is_ok(),
        Ty::U32 => u32::try_from(v).is_ok(),
        Ty::I64 => true,
        Ty::U64 => v >= 0,
        Ty::F32 | Ty::F64 => false,
    }
}

impl From<Var> for Expr {
    fn from(v: Var) -> Self {
        Expr::Var(v)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl<R: Into<Expr>> ops::$trait<R> for Expr {
            type Output = Expr;
            fn $method(self, rhs: R) -> Expr {
                Expr::bin(BinOp::$trait, self, rhs.into())
            }
        }
        impl<R: Into<Expr>> ops::$trait<R> for Var {
            type Output = Expr;
            fn $method(self, rhs: R) -> Expr {
                Expr::bin(BinOp::$trait, self.into(), rhs.into())
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
operator!(Rem, rem);
