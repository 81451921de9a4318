"""Run the command as ``python -m deepmersion``."""

from deepmersion.cli import main

if __name__ == "__main__":
    main(prog_name="deepmersion")
