"""The command line's application: commands hang themselves on it, each in the module that holds it."""

from __future__ import annotations

from cyclopts import App

from rather import __version__

app = App(
    name="rather",
    help="Turn people's preferences between answers into a language model that holds them.",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    help_epilogue="Every command takes --config FILE: TOML that holds its options under their names; flags win over it.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says what Ctrl-C leaves
)
