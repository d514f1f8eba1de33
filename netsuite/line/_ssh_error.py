"""What goes wrong before there is an SSH server."""


class SSHError(Exception):
    """A key or a file cannot be used, or a package is missing; one line for a person."""
