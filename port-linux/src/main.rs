//! The program `lunet`.

use std::process::ExitCode;

fn main() -> ExitCode {
    port_linux::main(std::env::args_os().skip(1)).into()
}
