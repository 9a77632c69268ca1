//! Environment in, exit code out.

use std::process::ExitCode;

/// A check makes and drops millions of tree nodes, on several threads: the C library's allocator spends a
/// fifth of its time on that, and the one that the released program would be linked to (musl's) far more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(lockkeeper::run(std::env::args_os(), std::env::vars_os()))
}
