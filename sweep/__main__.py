"""`sweep`, and `python -m sweep`."""

import sys

from sweep.installation import put_last

__all__ = ["main"]


def main() -> int:
    """Run the command line; also a Ctrl-C before it is loaded is answered with a line, and code 130."""
    put_last()
    try:
        from sweep.cli import main as command_line

        return command_line()
    except KeyboardInterrupt:
        sys.stderr.write("sweep: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
