//! Compiles the model into `OUT_DIR`.

fn main() -> Result<(), tinycc_build::Error> {
    let model = "../../fixtures/mnist_cnn/mnist_cnn_int8.tflite";
    tinycc_build::Config::new(model).name("digits").max_arena("8K").compile().map(drop)
}
