//! The `frontrow` program.

use frontrow::config::{Cli, Command, LoadError};

fn main() -> anyhow::Result<()> {
    let cli = match Cli::load(std::env::args_os()) {
        Ok(cli) => cli,
        Err(LoadError::CommandLine(error)) => error.exit(),
        Err(error) => anyhow::bail!(error),
    };
    if matches!(cli.command, Command::Config) {
        print!("{}", cli.config.describe());
    }
    cli.config.validate()?;
    Ok(())
}
