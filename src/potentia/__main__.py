"""`python -m potentia`: the command line, by the interpreter that one chooses."""

from potentia.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
