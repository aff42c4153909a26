//! Many emitted models in one program: a generated driver runs each on the inputs of its fixture.

use crate::build::{self, SANITIZE, STRICT};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One model of a batch; its `NAME.c` and `NAME.h` lie in the batch's folder.
#[derive(Clone, Debug)]
pub struct Member {
    /// C name of the model.
    pub name: String,
    /// Number of model inputs.
    pub inputs: usize,
    /// Number of model outputs.
    pub outputs: usize,
    /// Input sets, raw.
    pub stdin: Vec<u8>,
    /// How many sets these are.
    pub sets: usize,
}

/// Time for the C compiler, and for the program, on one model.
const SECONDS: u32 = 60;

/// What a model did.
pub type Outcome = Result<Vec<u8>, String>;

/// How the members are compiled; warnings are always strict.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// The optimisation, for example `-O1`.
    pub optimise: &'static str,
    /// Whether the sanitizers watch.
    pub sanitize: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self { optimise: "-O1", sanitize: true }
    }
}

impl Checks {
    fn sanitizers(self) -> &'static [&'static str] {
        if self.sanitize { SANITIZE } else { &[] }
    }
}

/// Compiles every member (strict warnings, sanitizers), links them with a driver, and runs it.
/// One result per member, in order: its output bytes, or what the compiler or a sanitizer said.
#[must_use]
pub fn run(folder: &Path, members: &[Member]) -> Vec<Outcome> {
    run_with(folder, members, Checks::default())
}

/// The same with other checks. A member that does not compile, link, or end leaves the others alone;
/// one that runs longer than [`SECONDS`] is ended by SIGALRM.
#[must_use]
pub fn run_with(folder: &Path, members: &[Member], checks: Checks) -> Vec<Outcome> {
    let mut results: Vec<Option<Outcome>> = vec![None; members.len()];
    let mut linked = Vec::new();
    for (i, member) in members.iter().enumerate() {
        match compile(folder, &member.name, checks) {
            Ok(()) => linked.push(i),
            Err(message) => results[i] = Some(Err(message)),
        }
    }
    if linked.is_empty() {
        return results.into_iter().flatten().collect();
    }
    let program = link(folder, members, &linked, checks);
    if program.is_err() && members.len() > 1 {
        for &i in &linked {
            results[i] = run_with(folder, &members[i..=i], checks).pop();
        }
        linked.clear();
    }
    let mut next = 0;
    while next < linked.len() {
        let program = match &program {
            Ok(program) => program,
            Err(message) => {
                results[linked[next]] = Some(Err(message.clone()));
                next += 1;
                continue;
            }
        };
        let (done, message) = drive(program, folder, members, &linked, next);
        for &i in &linked[next..next + done] {
            let path = folder.join(format!("{}.got", members[i].name));
            results[i] = Some(std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display())));
        }
        next += done;
        if let Some(message) = message {
            // The one that ended the program; the rest gets a program of its own.
            if let Some(&i) = linked.get(next) {
                results[i] = Some(Err(message));
            }
            next += 1;
        }
    }
    results.into_iter().map(|r| r.unwrap_or_else(|| Err("it did not run".into()))).collect()
}

fn compile(folder: &Path, name: &str, checks: Checks) -> Result<(), String> {
    let mut command = Command::new("timeout");
    command.arg(format!("{SECONDS}s")).arg("gcc").current_dir(folder);
    command.args(STRICT).args(checks.sanitizers()).arg(checks.optimise);
    command.args(["-c", &format!("{name}.c"), "-o", &format!("{name}.o")]);
    build::run(&mut command, &[]).map(drop)
}

fn link(
    folder: &Path,
    members: &[Member],
    linked: &[usize],
    checks: Checks,
) -> Result<PathBuf, String> {
    let first = members.first().map_or("none", |m| m.name.as_str());
    let source = format!("driver_{first}.c");
    std::fs::write(folder.join(&source), driver(members, linked)).map_err(|e| e.to_string())?;
    let program = folder.join(format!("driver_{first}"));
    let mut command = Command::new("gcc");
    command
        .args(["-std=c99", "-Wall", "-Werror"])
        .args(checks.sanitizers())
        .arg("-O0")
        .current_dir(folder);
    command.arg(&source).args(linked.iter().map(|&i| format!("{}.o", members[i].name)));
    command.arg("-o").arg(&program).arg("-lm");
    build::run(&mut command, &[])?;
    Ok(program)
}

/// Runs from the `from`-th linked member on: how many finished, and why the next one did not.
fn drive(
    program: &Path,
    folder: &Path,
    members: &[Member],
    linked: &[usize],
    from: usize,
) -> (usize, Option<String>) {
    for &i in &linked[from..] {
        let path = folder.join(format!("{}.in", members[i].name));
        if let Err(e) = std::fs::write(&path, &members[i].stdin) {
            return (0, Some(format!("{}: {e}", path.display())));
        }
    }
    let output = Command::new(program)
        .arg(from.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => return (0, Some(format!("{}: {e}", program.display()))),
    };
    let done = output.stdout.iter().filter(|&&b| b == b'.').count();
    if output.status.success() {
        return (linked.len() - from, None);
    }
    let text = String::from_utf8_lossy(&output.stderr).chars().take(3000).collect::<String>();
    (done, Some(format!("{}: {text}", output.status)))
}

/// The driver: a table of models, and a loop that prints a dot after each.
fn driver(members: &[Member], linked: &[usize]) -> String {
    let mut out = String::from("#include <stdio.h>\n#include <stdlib.h>\n");
    let (mut ports, mut table) = (String::new(), String::new());
    for &i in linked {
        let Member { name, inputs, outputs, sets, .. } = &members[i];
        let upper = name.to_uppercase();
        let _ = writeln!(out, "#include \"{name}.h\"");
        for (kind, count) in [("INPUT", *inputs), ("OUTPUT", *outputs)] {
            let _ = write!(ports, "static const unsigned {name}_{kind}[][2] = {{");
            for p in 0..count {
                let prefix = format!("{upper}_{kind}_{p}");
                let _ = write!(ports, "{{{prefix}_OFFSET, {prefix}_BYTES}}, ");
            }
            ports.push_str("{0, 0}};\n");
        }
        let _ = writeln!(
            table,
            "    {{\"{name}\", {name}_invoke, {upper}_ARENA_BYTES, {sets}, {inputs}, {outputs}, \
             {name}_INPUT, {name}_OUTPUT}},"
        );
    }
    let _ = write!(
        out,
        "{ports}\nstruct model {{\n    const char *name;\n    void (*invoke)(void *);\n    \
         unsigned arena, sets, inputs, outputs;\n    const unsigned (*in)[2], (*out)[2];\n}};\n\
         static const struct model models[] = {{\n{table}    {{0, 0, 0, 0, 0, 0, 0, 0}},\n}};\n\
         enum {{ SECONDS = {SECONDS} }};\n{MAIN}"
    );
    out
}

/// The arena comes from malloc with its exact size, so that the sanitizer sees its end; it is
/// filled with a pattern, so that reading what nobody wrote shows.
const MAIN: &str = r#"
/* POSIX, hidden by -std=c99. */
unsigned alarm(unsigned seconds);

static int run(const struct model *m)
{
    char path[256];
    unsigned char *arena = malloc(m->arena);
    FILE *in, *out;
    int good = arena != NULL;

    snprintf(path, sizeof path, "%s.in", m->name);
    in = fopen(path, "rb");
    snprintf(path, sizeof path, "%s.got", m->name);
    out = fopen(path, "wb");
    good = good && in != NULL && out != NULL;
    for (unsigned i = 0; good && i < m->arena; i++) {
        arena[i] = 0x55;
    }
    for (unsigned s = 0; good && s < m->sets; s++) {
        for (unsigned i = 0; i < m->inputs; i++) {
            good = good && fread(arena + m->in[i][0], 1, m->in[i][1], in) == m->in[i][1];
        }
        m->invoke(arena);
        for (unsigned i = 0; i < m->outputs; i++) {
            good = good && fwrite(arena + m->out[i][0], 1, m->out[i][1], out) == m->out[i][1];
        }
    }
    if (in != NULL) {
        fclose(in);
    }
    if (out != NULL) {
        fclose(out);
    }
    free(arena);
    return good;
}

int main(int argc, char **argv)
{
    for (const struct model *m = models + (argc > 1 ? atoi(argv[1]) : 0); m->name != NULL; m++) {
        alarm(SECONDS);
        if (!run(m)) {
            fprintf(stderr, "%s: files or memory\n", m->name);
            return 1;
        }
        putchar('.');
        fflush(stdout);
    }
    return 0;
}
"#;
