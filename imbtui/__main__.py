"""`python -m imbtui` and the `imbtui` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from imbtui.cli.entry import run

    run()


if __name__ == "__main__":
    main()
