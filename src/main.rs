//! Environment in, exit code out.

use std::io::{self, Write};

/// A check makes and drops millions of tree nodes, on several threads: the C library's allocator spends a
/// fifth of its time on that, and the one that the released program would be linked to (musl's) far more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let code = lockkeeper::run(std::env::args_os(), std::env::vars_os());
    // A failed write has been told of by now, and is in the exit code.
    let _ = io::stdout().flush();
    // What the C library does at the end of a program is the allocator's: it would hand back each page of its
    // own before the system takes them all.
    signal_hook::low_level::exit(code.into());
}
