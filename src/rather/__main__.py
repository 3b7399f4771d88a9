"""`python -m rather`."""

from rather.cli import entry

if __name__ == "__main__":
    entry()
