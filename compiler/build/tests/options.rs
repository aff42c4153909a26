//! Every option goes through the command line, `tinycc.toml` and the builder without loss.
//! A new field of `Options` does not compile here until it is covered.

#![allow(clippy::expect_used, reason = "a broken precondition should stop the test")]

use clap::{CommandFactory, FromArgMatches, Parser};
use proptest::collection::vec;
use proptest::prelude::*;
use tinycc_build::Config;
use tinycc_driver::{
    CoreName, InputShape, InputType, InputValue, IoLayout, IrVersion, Numbers, Options,
    PrecisionName, Rows, RuntimeName, Settings, Size,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn line(options: &Options) -> Vec<String> {
    let mut line = vec!["tinycc".to_string()];
    line.extend(options.to_args());
    line
}

fn through_arguments(options: &Options) -> Options {
    Line::try_parse_from(line(options)).expect("accepted").options
}

fn through_toml(options: &Options) -> Options {
    toml_settings(options).options(&other()).expect("fits")
}

fn toml_settings(options: &Options) -> Settings {
    Settings::from_toml(&options.to_toml().expect("TOML"), "tinycc.toml").expect("reads")
}

/// No `..` here: a new option needs a method of the builder.
fn through_builder(options: &Options) -> Options {
    let Options {
        target,
        name,
        core,
        examples,
        max_arena,
        max_flash,
        input_shapes,
        input_values,
        nms_rows,
        io_layout,
        package,
        runtime,
        precision,
        ir_version,
        input_type,
        mean_values,
        scale_values,
    } = options.clone();
    let config = Config::new("x.tflite").target(target).core(core).package(package);
    let config = config.runtime(runtime).io_layout(io_layout);
    let mut config = config.precision(precision).ir_version(ir_version).input_type(input_type);
    if let Some(numbers) = mean_values {
        config = config.mean_values(numbers);
    }
    if let Some(numbers) = scale_values {
        config = config.scale_values(numbers);
    }
    if let Some(name) = name {
        config = config.name(name);
    }
    for example in examples {
        config = config.example(example);
    }
    if let Some(bytes) = max_arena {
        config = config.max_arena(bytes);
    }
    if let Some(bytes) = max_flash {
        config = config.max_flash(bytes);
    }
    if let Some(rows) = nms_rows {
        config = config.nms_rows(rows);
    }
    for shape in input_shapes {
        config = config.input_shape(shape);
    }
    for value in input_values {
        config = config.input_value(value);
    }
    config.options().expect("fits")
}

/// A base that differs from the defaults only where every source always says something.
fn other() -> Options {
    Options { target: "other".into(), core: CoreName::CortexM4, ..Options::default() }
}

/// An option that takes part in every direction, with all its fields drawn at random.
fn options() -> impl Strategy<Value = Options> {
    let text = "[ -~äß]{1,8}";
    let size = || proptest::option::of(any::<u32>().prop_map(|n| Size(n as usize)));
    let shape =
        (text, vec(1usize..1000, 1..5)).prop_map(|(name, shape)| InputShape { name, shape });
    let value = (text, vec(any::<i32>(), 0..4)).prop_map(|(name, numbers)| {
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        format!("{name}={}", numbers.join(",")).parse::<InputValue>().expect("a value")
    });
    let core = prop_oneof![Just(CoreName::Generic), Just(CoreName::CortexM4)];
    let runtime = prop_oneof![Just(RuntimeName::Embedded), Just(RuntimeName::Crate)];
    let name = proptest::option::of(text);
    let layout = prop_oneof![Just(IoLayout::File), Just(IoLayout::Nhwc), Just(IoLayout::Nchw)];
    let first = (text, name, core, vec(text, 0..3), size(), size());
    let rows = (1u32..).prop_map(|n| n.to_string().parse::<Rows>().expect("rows"));
    let inputs = (vec(shape, 0..3), vec(value, 0..3), proptest::option::of(rows), layout);
    (first, inputs, any::<bool>(), runtime, file_options()).prop_map(
        |(
            (target, name, core, examples, max_arena, max_flash),
            (input_shapes, input_values, nms_rows, io_layout),
            package,
            runtime,
            file,
        )| {
            Options {
                target,
                name,
                core,
                examples,
                max_arena,
                max_flash,
                input_shapes,
                input_values,
                nms_rows,
                io_layout,
                package,
                runtime,
                ..file
            }
        },
    )
}

/// The options that only OpenVINO files have; the rest are defaults.
fn file_options() -> impl Strategy<Value = Options> {
    let numbers = || proptest::option::of(vec(-1e6f32..1e6, 1..4).prop_map(Numbers));
    let precision = prop_oneof![Just(PrecisionName::F16), Just(PrecisionName::F32)];
    let version = prop_oneof![Just(IrVersion::V10), Just(IrVersion::V11)];
    let input = prop_oneof![Just(InputType::F32), Just(InputType::U8)];
    (precision, version, input, numbers(), numbers()).prop_map(
        |(precision, ir_version, input_type, mean_values, scale_values)| Options {
            precision,
            ir_version,
            input_type,
            mean_values,
            scale_values,
            ..Options::default()
        },
    )
}

/// The names under which an option is known, as far as this set of options mentions them.
fn names(options: &Options) -> Vec<String> {
    let flag = |arg: &String| arg.trim_start_matches('-').split('=').next().map(str::to_string);
    let mut names: Vec<String> = options.to_args().iter().filter_map(flag).collect();
    names.dedup();
    names
}

proptest! {
    #[test]
    fn round_trips(options in options()) {
        prop_assert_eq!(&through_arguments(&options), &options);
        prop_assert_eq!(&through_toml(&options), &options);
        prop_assert_eq!(&through_builder(&options), &options);
        let around = through_builder(&through_toml(&through_arguments(&options)));
        prop_assert_eq!(around, options);
    }

    /// The command line wins over the file, option by option.
    #[test]
    fn what_is_given_wins(file in options(), given in options()) {
        let matches = Line::command().try_get_matches_from(line(&given)).expect("accepted");
        let merged = Settings::from_matches(&matches).expect("given").options(&file).expect("fits");
        prop_assert_eq!(Line::from_arg_matches(&matches).expect("parsed").options, given.clone());
        let (merged, from_file, from_line) = (merged.to_map(), file.to_map(), given.to_map());
        for name in names(&given) {
            prop_assert_eq!(merged.get(&name), from_line.get(&name), "{}", name);
        }
        for (name, value) in from_file.iter().filter(|(n, _)| !names(&given).contains(n)) {
            prop_assert_eq!(merged.get(name), Some(value), "{}", name);
        }
    }
}

#[test]
fn names_are_the_same_everywhere() {
    let full = Options {
        target: "rust".into(),
        name: Some("kws".into()),
        core: CoreName::CortexM4,
        examples: vec!["host".into()],
        max_arena: Some(Size(32 * 1024)),
        max_flash: Some(Size(1)),
        input_shapes: vec!["x=1x96x96x3".parse().expect("shape")],
        input_values: vec!["axes=0,2".parse().expect("value")],
        nms_rows: Some("100".parse().expect("rows")),
        io_layout: IoLayout::Nhwc,
        package: true,
        runtime: RuntimeName::Crate,
        precision: PrecisionName::F32,
        ir_version: IrVersion::V11,
        input_type: InputType::U8,
        mean_values: Some(Numbers(vec![127.5])),
        scale_values: Some(Numbers(vec![1.0, 2.0, 3.0])),
    };
    let flags: Vec<String> = Line::command()
        .get_arguments()
        .filter_map(|a| a.get_long().map(str::to_string))
        .filter(|long| long != "help")
        .collect();
    let mut keys = names(&full);
    keys.sort();
    let mut sorted = flags.clone();
    sorted.sort();
    assert_eq!(keys, sorted, "every flag is an option and every option a flag");
    let toml = full.to_toml().expect("TOML");
    for key in &keys {
        assert!(toml.contains(&format!("{key} = ")), "{key} is not in\n{toml}");
    }
    assert_eq!(through_arguments(&Options::default()), Options::default(), "defaults stated twice");
}
