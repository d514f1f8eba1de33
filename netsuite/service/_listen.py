"""What ``--listen``, ``--port`` and ``--interface`` come to."""

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage

from netsuite.net.endpoints import EndpointError, server_endpoint, tcp_description
from netsuite.service._config import PlacedError
from netsuite.service._settings import INTERFACE, LISTEN, PORT_SETTING, Setting
from netsuite.service._sources import Layer

#: The settings that come to endpoints.
LISTENING_NAMES = (LISTEN.name, PORT_SETTING.name, INTERFACE.name)


class ListenOptions:
    """What ``--listen``, ``--port`` and ``--interface`` said, in the order given."""

    def __init__(self) -> None:
        self._given: list[str | int] = []
        self._interfaces: list[str] = []
        #: How many stronger sources there were before the one that these come from.
        self._given_rank = self._interfaces_rank = self._rank = 0
        self._interfaces_place = INTERFACE.flag
        #: Where the endpoints or ports were said; empty for nowhere.
        self.place = ""

    @property
    def said(self) -> bool:
        """Whether there was anything of it."""
        return bool(self._given or self._interfaces)

    def add_endpoint(self, description: str) -> None:
        """``--listen``: an endpoint string."""
        self._given.append(str(_parse(LISTEN, description)))
        self.place = LISTEN.flag

    def add_port(self, text: str) -> None:
        """``--port``.

        :raises usage.UsageError: if it is no port number.
        """
        self._given.append(_parse(PORT_SETTING, text))
        self.place = PORT_SETTING.flag

    def add_interface(self, text: str) -> None:
        """``--interface``.

        :raises usage.UsageError: if it is no address.
        """
        self._interfaces.append(str(_parse(INTERFACE, text)))

    def inherit(self, layer: Layer, *, ports: bool = True) -> None:
        """Take over what was not said yet from a weaker source.

        Endpoints and ports are one thing here: a flag for one replaces both of a file.

        :param ports: whether to take over those, and not the interfaces alone.
        """
        self._rank += 1
        if ports and not self._given:
            for name in layer:  # in the order of a file's lines
                if name in {LISTEN.name, PORT_SETTING.name}:
                    self._given += layer[name].value
                    self._given_rank = self._rank
                    self.place = layer[name].place
        if not self._interfaces and INTERFACE.name in layer:
            self._interfaces = list(layer[INTERFACE.name].value)
            self._interfaces_rank = self._rank
            self._interfaces_place = layer[INTERFACE.name].place

    def endpoints(self, default_port: int | None) -> tuple[str, ...]:
        """The endpoint strings that they come to.

        :param default_port: used where neither ``--listen`` nor ``--port`` was given.
        :raises usage.UsageError: if there is nothing to listen on.
        """
        given = self._given or ([] if default_port is None else [default_port])
        if not given:
            raise usage.UsageError("expected --port NUMBER or --listen ENDPOINT")
        # Interfaces of a weaker source went with its ports.
        if (
            self._interfaces
            and self._interfaces_rank <= self._given_rank
            and not any(isinstance(each, int) for each in given)
        ):
            raise PlacedError(
                f"{self._interfaces_place} goes with --port: expected --port NUMBER too"
            )
        return tuple(
            description
            for each in given
            for description in (
                [each]
                if isinstance(each, str)
                else [tcp_description(each, interface) for interface in self._interfaces or [""]]
            )
        )


def _parse(setting: Setting, text: str) -> str | int:
    try:
        value: str | int = setting.parse(text)
    except ValueError as error:
        raise PlacedError(f"{setting.flag}: {error}") from None
    return value


def check_endpoints(layer: Layer) -> None:
    """Refuse endpoint strings that cannot work, where they are written.

    :raises ConfigError: for the first of them.
    """
    if LISTEN.name not in layer:
        return
    given = layer[LISTEN.name]
    for description in given.value:
        try:
            server_endpoint(MemoryReactorClock(), description)
        except EndpointError as error:
            raise PlacedError(f"{given.place}: cannot listen on {error}") from None
