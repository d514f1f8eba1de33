"""Every setting once: its name, how it is written, and what it means.

A :class:`Setting` is a flag, an environment variable and a key of a TOML file at the same
time. The command line, the variables, the files, the help and the documentation are made of
these tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from netsuite.ip import IPRange
from netsuite.net.endpoints import parse_port
from netsuite.service import _quantities
from netsuite.service._quantities import (
    parse_boolean,
    parse_byte_rate,
    parse_number,
    parse_seconds,
    parse_size,
    parse_whole,
)

#: Says that an optional setting has no value, where a weaker source gives it one.
NONE = "none"


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a setting are written.

    :ivar metavar: what stands for a value in the help.
    :ivar parse: makes a value of a text; raises ValueError with a message for people.
    :ivar toml: the TOML types that a value may be written in.
    :ivar expected: what to write in TOML, for messages.
    :ivar choices: the only texts there are, if they can be listed.
    """

    metavar: str
    parse: Callable[[str], Any]
    toml: tuple[type, ...] = (str,)
    expected: str = "a text, in quotes"
    choices: tuple[str, ...] = ()


def _endpoint(text: str) -> str:
    if not text.strip():
        raise ValueError(f"{text!r}: expected an endpoint, such as tcp:9000 or unix:/run/x.sock")
    return text


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an IP address: expected for example 127.0.0.1 or ::1"
        ) from None
    return text


def _network(text: str) -> str:
    IPRange.parse(text)
    return text


def _file(text: str) -> Path:
    if not text:
        raise ValueError(f"{text!r}: expected the name of a file")
    return Path(text)


def _text(text: str) -> str:
    return text


_NUMERIC = (int, float)

BOOLEAN = Kind("", parse_boolean, (bool,), "true or false, without quotes")
SECONDS = Kind("SECONDS", parse_seconds, (*_NUMERIC, str), _quantities.SECONDS)
BYTE_RATE = Kind("BYTES", parse_byte_rate, (*_NUMERIC, str), _quantities.BYTES)
SIZE = Kind("BYTES", parse_size, (int, str), _quantities.SIZE)
NUMBER = Kind("NUMBER", parse_number, _NUMERIC, _quantities.NUMBER)
WHOLE = Kind("NUMBER", parse_whole, (int,), _quantities.WHOLE)
PORT = Kind("NUMBER", parse_port, (int,), "a number from 0 to 65535")
TEXT = Kind("TEXT", _text)
FILE = Kind("FILE", _file)
ENDPOINT = Kind("ENDPOINT", _endpoint)
ADDRESS = Kind("ADDRESS", _address)
NETWORK = Kind("NETWORK", _network)


def choice(choices: tuple[str, ...], metavar: str = "WORD") -> Kind:
    """The kind of a setting with a fixed set of values."""
    few = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
    return Kind(metavar, _text, (str,), f"{few}, in quotes", choices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that a service can be told.

    :ivar name: of the flag, without its dashes; the variable and the key come from it.
    :ivar group: the heading in the help and in the documentation.
    :ivar repeatable: whether there may be several values; then the value is a tuple.
    :ivar short: one letter, for a flag with one dash.
    :ivar reload: whether a change takes effect without a restart.
    :ivar writes: whether it is a file that the service writes: one that is only to be checked
        does not.
    :ivar process: whether it is about the whole process, so that the services of a suite
        share it.
    """

    name: str
    kind: Kind
    help: str
    group: str
    default: Any = None
    repeatable: bool = False
    short: str = ""
    reload: bool = False
    process: bool = False
    writes: bool = False

    @property
    def flag(self) -> str:
        """On the command line: ``--max-per-client``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """In the environment: ``NETSUITE_MAX_PER_CLIENT``."""
        return f"{VARIABLE_PREFIX}{self.name.replace('-', '_').upper()}"

    @property
    def field(self) -> str:
        """In the configuration: ``max_per_client``."""
        return self.name.replace("-", "_")

    @property
    def optional(self) -> bool:
        """Whether it may have no value, which is written ``none``."""
        return self.default is None and not self.repeatable

    def parse(self, text: str) -> Any:
        """The value that a text stands for; one of several, if it is repeatable.

        :raises ValueError: if it stands for none, with a message for people.
        """
        if self.optional and text == NONE:
            return None
        return self.kind.parse(text)


VARIABLE_PREFIX = "NETSUITE_"

LISTENING = "Listening"
ADMISSION = "Admission"
TIMES = "Timeouts and rates"
TLS = "TLS"
PROXY = "PROXY protocol"
OBSERVABILITY = "Observability"
PROCESS = "Process"

LISTEN = Setting(
    name="listen",
    kind=ENDPOINT,
    help="Listen on a Twisted endpoint string. May be given again.",
    group=LISTENING,
    default=(),
    repeatable=True,
)
PORT_SETTING = Setting(
    name="port",
    kind=PORT,
    help="Listen on a TCP port, 0 for any that is free. May be given again.",
    group=LISTENING,
    default=(),
    repeatable=True,
    short="p",
)
INTERFACE = Setting(
    name="interface",
    kind=ADDRESS,
    help="Address for --port instead of all, IPv4 or IPv6. May be given again.",
    group=LISTENING,
    default=(),
    repeatable=True,
)
CONFIG = Setting(
    name="config",
    kind=FILE,
    help="Read settings from this TOML file. Flags and variables win over it.",
    group=PROCESS,
)

#: Where a service listens. What they come to is :class:`~netsuite.service.ListenOptions`.
LISTEN_SETTINGS = (LISTEN, PORT_SETTING, INTERFACE)
