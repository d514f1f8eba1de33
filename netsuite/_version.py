"""The version, in one place: setup.cfg reads it as text, the programs import it."""

__version__ = "0.1.0"
