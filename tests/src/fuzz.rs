//! Damaged models through the whole compiler: it returns diagnostics, never panics, never takes
//! long, never allocates more than a small multiple of the file. Which models and which damage, the
//! tests say.

use crate::mutate::Random;
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::{self, ReadOptions};
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_targets::EmitOptions;

/// Allowed peak: a multiple of the file and a constant part of the test's.
const BYTES_PER_BYTE: usize = 64;

/// Longest time for one file. The issue asks for 1 s in a release build.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

/// After this long without progress the run is stopped from outside.
const HANG: Duration = Duration::from_secs(60);

/// How far a model came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    Emitted,
}

/// The whole compiler, for both cores and all targets.
fn compile(bytes: &[u8]) -> Result<(), Diagnostics> {
    let options = ReadOptions { file: "mutated".into(), ..Default::default() };
    let summary = format::summary(bytes, "mutated");
    let mut graph = format::read(bytes, &options)?;
    summary?;
    pass::run_all(&mut graph, pass::LEGALISE)?;
    for core in [Core::Generic, Core::CortexM4] {
        let legal = lower::legalise(graph.clone(), core)?;
        let options = EmitOptions {
            name: "mutated".into(),
            core,
            examples: vec!["host".into()],
            options: Default::default(),
            source: "mutated".into(),
            ..Default::default()
        };
        for target in tinycc_targets::TARGETS {
            target.emit(&legal, &options)?;
        }
    }
    Ok(())
}

/// What one file cost.
struct Cost {
    outcome: Outcome,
    time: Duration,
    bytes: usize,
}

/// Time this thread has run, so that a busy machine makes no failure; where the system does not tell,
/// time that has passed.
fn clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

fn measure(memory: &PeakAlloc, always: usize, bytes: &[u8]) -> Result<Cost, String> {
    let before = memory.current_usage();
    memory.reset_peak_usage();
    let start = clock();
    let result = catch_unwind(AssertUnwindSafe(|| compile(bytes).map_err(|d| d.to_string())));
    let time = clock().saturating_sub(start);
    let used = memory.peak_usage().saturating_sub(before);
    let outcome = match result {
        Err(_) => return Err("panic".into()),
        Ok(Ok(())) => Outcome::Emitted,
        Ok(Err(text)) if text.is_empty() => return Err("refused without a message".into()),
        Ok(Err(_)) => Outcome::Refused,
    };
    if time > LIMIT {
        return Err(format!("took {time:?} ({outcome:?})"));
    }
    if used > BYTES_PER_BYTE * bytes.len() + always {
        return Err(format!("allocated {used} bytes for {} ({outcome:?})", bytes.len()));
    }
    Ok(Cost { outcome, time, bytes: used })
}

/// Ends the process when one file hangs, since a test cannot stop its own thread.
fn watch(progress: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        loop {
            let seen = progress.load(Ordering::Relaxed);
            std::thread::sleep(HANG);
            if seen == usize::MAX {
                return;
            }
            if progress.load(Ordering::Relaxed) == seen {
                eprintln!("mutation {seen} hangs; repeat it with TINYCC_FUZZ_FROM={seen}");
                std::process::abort();
            }
        }
    });
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|t| t.parse().expect("a number"))
}

/// A damaged copy of a model; the second is one from which pieces may be taken.
pub type Mutate = fn(&[u8], &[u8], &mut Random) -> Vec<u8>;

/// Compiles as many damaged models as `TINYCC_FUZZ` says, else 2,000, in the full run 20,000.
/// `memory` is the global allocator of the test, which runs nothing else meanwhile; a file may take
/// `always` bytes (tables, folded constants, text) besides a multiple of its size.
pub fn run(memory: &PeakAlloc, always: usize, seeds: &[(String, Vec<u8>)], mutate: Mutate) {
    let full = std::env::var_os("TINYCC_FULL").is_some();
    let count = number("TINYCC_FUZZ").unwrap_or(if full { 20_000 } else { 2_000 });
    let from = number("TINYCC_FUZZ_FROM").unwrap_or(0);
    let progress = Arc::new(AtomicUsize::new(from));
    watch(progress.clone());
    // Panics are expected to be none; when there are, the message and place suffice.
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    let (mut emitted, mut slowest, mut largest) = (0, (Duration::ZERO, 0), (0, 0));
    let mut failures = Vec::new();
    for i in from..from + count {
        progress.store(i, Ordering::Relaxed);
        let mut random = Random::new(i as u64);
        let (name, model) = &seeds[random.below(seeds.len())];
        let other = &seeds[random.below(seeds.len())].1;
        let bytes = mutate(model, other, &mut random);
        match measure(memory, always, &bytes) {
            Ok(cost) => {
                emitted += usize::from(cost.outcome == Outcome::Emitted);
                slowest = slowest.max((cost.time, i));
                largest = largest.max((cost.bytes, i));
            }
            Err(what) => {
                eprintln!("mutation {i} of {name}: {what}");
                failures.push(format!("mutation {i} of {name}: {what}"));
            }
        }
        if failures.len() >= 40 {
            break;
        }
    }
    progress.store(usize::MAX, Ordering::Relaxed);
    let _ = std::panic::take_hook();
    eprintln!(
        "{count} mutations of {} models: {emitted} still compile; slowest {:?} (mutation {}), \
         largest peak {} bytes (mutation {})",
        seeds.len(),
        slowest.0,
        slowest.1,
        largest.0,
        largest.1
    );
    assert!(emitted > 0, "no mutation compiled: the mutations are too blunt");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
