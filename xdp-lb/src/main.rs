//! Entry of the `xdp-lb` command.

fn main() -> std::process::ExitCode {
    xdp_lb::cli::main()
}
