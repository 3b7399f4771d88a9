"""Demonstrations: a real model, the whole line, in minutes."""
