//! scratch
use tinycc_core::lower::Core;
use tinycc_tests::build;
#[test]
fn scratch() {
    let zoo = build::zoo().unwrap();
    for core in [Core::Generic, Core::CortexM4] {
        let b = build::emit(&build::file(&zoo.join("mlperf_tiny/ad_toycar_int8.tflite")), "ad.tflite", "ad", core).unwrap();
        let macs: u64 = b.emitted.module.layers.iter().map(|l| l.macs).sum();
        println!("arena {} lb {}", b.emitted.module.arena_bytes, b.emitted.module.arena_lower_bound);
        b.check("gcc").unwrap();
        b.check("clang").unwrap();
        let p = b.host("gcc", &["-O2"]).unwrap();
        let out = build::run(&mut std::process::Command::new(p), &vec![7u8; 640]).unwrap();
        let f = b.firmware(&vec![7u8; 640]).unwrap();
        assert_eq!(out, f.output);
        println!("instr {} per mac {} stack {} est {} code est {}", f.instructions, f.instructions as f64 / macs as f64, f.stack, b.emitted.stack_bytes, b.emitted.code_bytes);
        std::process::Command::new("cp").arg("-r").arg(b.folder.path()).arg("/tmp/adout").status().unwrap();
    }
}
