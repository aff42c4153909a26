//! The attribute as users write it: the model runs inside this test, against expected outputs.

use tinycc_macros::model;

/// Large constants, which are literals here.
#[model("../../fixtures/mnist_cnn/mnist_cnn_int8.tflite", max_arena = "8K")]
pub struct Digits;

/// Kernels for another processor (in their portable form), options from all places.
#[model(
    "../../fixtures/sine/sine_int8.tflite",
    core = "cortex-m4",
    max_flash = 100_000,
    config = "tests/tinycc.toml"
)]
struct Sine;

#[model("../../fixtures/sine/sine_float.tflite")]
struct SineFloat;

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&b| b.cast_signed()).collect()
}

#[test]
fn the_outputs_are_the_expected_ones() {
    let inputs = signed(include_bytes!("../../../fixtures/mnist_cnn/mnist_cnn_int8.in.bin"));
    let wanted = signed(include_bytes!("../../../fixtures/mnist_cnn/mnist_cnn_int8.out.bin"));
    let mut arena = Digits::new_arena();
    let mut sets = 0;
    for (input, want) in inputs.chunks_exact(784).zip(wanted.chunks_exact(10)) {
        let input: &digits::Input = input.try_into().expect("784 pixels");
        assert_eq!(Digits::invoke(&mut arena, input), want);
        // The same without copies.
        *Digits::input(&mut arena) = *input;
        Digits::run(&mut arena);
        assert_eq!(Digits::output(&arena), want);
        sets += 1;
    }
    assert_eq!(sets, 8);
}

#[test]
fn constants_and_types_are_there() {
    static ARENA: std::sync::Mutex<sine::Arena> = std::sync::Mutex::new(Sine::new_arena());
    assert_eq!(Sine::ARENA_BYTES, sine::ARENA_BYTES);
    let mut arena = ARENA.lock().expect("lock");
    for x in [0.0f32, 1.0, 2.0, 4.0] {
        let y = Sine::invoke(&mut arena, &[Sine::quantize(x)]);
        assert!((Sine::dequantize(y[0]) - x.sin()).abs() < 0.1, "sin {x}");
        let [y] = SineFloat::invoke(&mut SineFloat::new_arena(), &[x]);
        assert!((y - x.sin()).abs() < 0.1, "sin {x}");
    }
}
