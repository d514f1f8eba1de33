"""Which telnet options are on, by the Q method of RFC 1143: no loops, whatever the peer says."""

from collections.abc import Collection
from enum import Enum, auto

from netsuite.line._telnet_wire import DO, DONT, WILL, WONT, negotiation


class Side(Enum):
    """Who does what an option is about."""

    OURS = auto()
    THEIRS = auto()


class _State(Enum):
    NO = auto()
    YES = auto()
    WANT_NO = auto()
    WANT_YES = auto()


#: What the peer's verbs say: of which side, and whether it is to be on.
_HEARD = {
    WILL: (Side.THEIRS, True),
    WONT: (Side.THEIRS, False),
    DO: (Side.OURS, True),
    DONT: (Side.OURS, False),
}
_SAID = {
    (Side.THEIRS, True): DO,
    (Side.THEIRS, False): DONT,
    (Side.OURS, True): WILL,
    (Side.OURS, False): WONT,
}


class Options:
    """The options of one connection; those that nobody agrees to take no room.

    :param ours: those that we do when we are asked.
    :param theirs: those that the peer may do.
    """

    def __init__(self, ours: Collection[int], theirs: Collection[int]) -> None:
        self._agreed = {Side.OURS: frozenset(ours), Side.THEIRS: frozenset(theirs)}
        self._states: dict[tuple[Side, int], _State] = {}
        #: Those about which we have changed our mind since we asked.
        self._opposite: set[tuple[Side, int]] = set()

    def on(self, side: Side, option: int) -> bool:
        """Whether both agree that it is on."""
        return self._states.get((side, option)) is _State.YES

    def settled(self, side: Side, option: int) -> bool:
        """Whether no answer is missing."""
        return self._states.get((side, option)) not in {_State.WANT_NO, _State.WANT_YES}

    def ask(self, side: Side, option: int, on: bool) -> bytes:
        """What has to be said for an option to become on, or off.

        :param option: one that we agree to.
        """
        key = side, option
        state = self._states.get(key, _State.NO)
        if state is (_State.NO if on else _State.YES):
            self._states[key] = _State.WANT_YES if on else _State.WANT_NO
            return negotiation(_SAID[side, on], option)
        if state is (_State.WANT_NO if on else _State.WANT_YES):
            self._opposite.add(key)
        else:
            self._opposite.discard(key)
        return b""

    def hear(self, verb: int, option: int) -> bytes:
        """What the peer says of an option.

        :returns: what we say to that, if anything.
        """
        side, on = _HEARD[verb]
        key = side, option
        if option not in self._agreed[side]:
            return negotiation(_SAID[side, False], option) if on else b""
        state = self._states.get(key, _State.NO)
        opposite = key in self._opposite
        self._opposite.discard(key)
        state, says = _next_state(state, on, opposite)
        self._states[key] = state
        return b"" if says is None else negotiation(_SAID[side, says], option)


def _next_state(state: _State, on: bool, opposite: bool) -> tuple[_State, bool | None]:
    """The state after the peer has said yes or no, and what we say to that."""
    if state is _State.NO:
        return (_State.YES, True) if on else (_State.NO, None)
    if state is _State.YES:
        return (_State.YES, None) if on else (_State.NO, False)
    if state is _State.WANT_YES:
        if on:
            return (_State.WANT_NO, False) if opposite else (_State.YES, None)
        return _State.NO, None
    if on:  # it says yes to our no, which is an error
        return (_State.YES if opposite else _State.NO), None
    return (_State.WANT_YES, True) if opposite else (_State.NO, None)
