//! The command `para`.

fn main() -> std::process::ExitCode {
    sdk::process::prepare();
    runner::cli::main()
}
