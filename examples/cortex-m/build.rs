//! Compiles the model into `OUT_DIR`, with the register tiles of the processor that cargo builds for.

fn main() -> Result<(), tinycc_build::Error> {
    let model = "../../fixtures/mnist_cnn/mnist_cnn_int8.tflite";
    tinycc_build::Config::new(model).name("digits").target_from_env().max_arena("8K").compile()?;
    Ok(())
}
