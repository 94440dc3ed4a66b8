//! `turnstiled undrive`: every output of a gate undriven, the safe state. The unit calls it when the daemon is gone
//! (`ExecStopPost=`): a process that was killed cannot let go of the lines of a Raspberry Pi, whose registers keep
//! what was last written. It is the second means; pulls, relay polarity and the hard-wired fire release are the first.

use std::path::PathBuf;

use super::{CONFIG, Failure, UNAVAILABLE};
use crate::config;
use crate::drivers::gpio::{self, Layout};

/// Which gate.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file, TOML
    #[arg(long)]
    config: PathBuf,
}

/// Opens each relay board, which leaves its outputs undriven until they are driven, and lets go of it. Every board
/// is tried, whatever the others say.
///
/// # Errors
/// [`Failure`] with 78 for a config that is refused, with 69 and the first board that cannot be reached.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let config = config::load(&args.config).map_err(|error| Failure::new(CONFIG, &error))?;
    let mut failed = None;
    for board in config.boards() {
        let mut open = gpio::opener(&board.config.gpio, &Layout::new(&board.config));
        if let Err(error) = open() {
            let mut failure = Failure::new(UNAVAILABLE, &error);
            failure.sentence = format!("board `{}`: {}", board.name, failure.sentence);
            failed.get_or_insert(failure);
        }
    }
    failed.map_or(Ok(0), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GATE: &str = "gate = \"g\"\ndata_dir = \"data\"\ntrust_file = \"trust.toml\"\n";

    fn run_with(gpio: &str) -> Result<u8, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gate.toml");
        let lane = "[[lane]]\nname = \"in\"\nbarrier = \"tripod\"\nfail = \"safe\"\ndirections = [\"entry\"]\n\
             [lane.outputs]\nrelease_entry = 17\n[lane.sensors]\nentry_rotor = 5\n";
        fs::write(&config, format!("{GATE}{gpio}\n{lane}")).unwrap();
        run(&Args { config })
    }

    #[test]
    fn boards_that_are_there_are_let_go_of() {
        assert_eq!(
            run_with("[gpio]\ndriver = \"simulated\"\nfolder = \"lines\"").unwrap(),
            0
        );
    }

    #[test]
    fn a_board_that_is_not_there_is_named() {
        let failure =
            run_with("[gpio]\ndriver = \"gpiocdev\"\nchip = \"/dev/gpiochip-none\"").unwrap_err();
        assert_eq!(failure.code, UNAVAILABLE);
        assert!(
            failure
                .sentence
                .starts_with("board `lines`: cannot use the lines of /dev/gpiochip-none"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_config_that_is_refused_touches_no_line() {
        assert_eq!(
            run_with("[gpio]\ndriver = \"magic\"").unwrap_err().code,
            CONFIG
        );
    }
}
