"""The command, also as ``python -m deepmersion``."""

import signal


def main() -> None:
    """Run the command."""
    # From here on the system itself ends the program on Ctrl-C, as it does on other signals. What
    # Python's handler raises would be lost if it happened to run inside an import or a destructor.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from deepmersion.cli import main as command

    command(prog_name="deepmersion")


if __name__ == "__main__":
    main()
