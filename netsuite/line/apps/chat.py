"""A chat: people with names, rooms, and what is said in them.

A room is a channel (:mod:`netsuite.line.channels`), there while somebody is in it. Whoever is reads
``* MESSAGE room text``, the text being ``<ann> hello`` for what is said, ``* ann waves`` for what
is done, and ``-- ann joins`` for what happens. What is for one person alone comes on the channel
``@ann``. Whoever has logged in is known by the user's name at once, if it is free and will do.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from netsuite.line._arguments import Rest
from netsuite.line._errors import CommandError
from netsuite.line._session import Session
from netsuite.line.app import LineApp
from netsuite.line.channels import Channels

_WORD = re.compile(r"[^\W_][\w-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # all but the tab


class Chat:
    """The commands of a chat, for any application.

    :param rooms: how many there may be.
    :param people: how many may have a name.
    :param name_length: characters of a name, of people and of rooms.
    :param rate: how often each client network may give one command that others hear of, a second.
    """

    def __init__(
        self, *, rooms: int = 100, people: int = 10_000, name_length: int = 20, rate: float = 5.0
    ) -> None:
        self._rooms = Channels(max_channels=rooms, name_length=name_length)
        self._alone = Channels(max_channels=people, name_length=name_length + 1)
        self._people: dict[str, Session] = {}
        self._name_length = name_length
        self._rate = rate

    def install(self, app: LineApp) -> None:
        """Add the commands."""
        for heard in (self.nick, self.join, self.say, self.me, self.msg):
            app.command(rate=self._rate)(heard)
        for quiet in (self.leave, self.rooms, self.who):
            app.command()(quiet)
        app.on_connect.append(self._welcome)

    def nick(self, session: Session, name: str) -> None:
        """Be known by a name."""
        self._check("name", name)
        if self._people.get(name.casefold(), session) is not session:
            raise CommandError("name-taken", f"{name}: somebody has it")
        old = session.state.get("nick")
        if old == name:
            return
        if old is None:
            self._alone.subscribe(session, f"@{name}")
            session.state["rooms"] = set()
            session.on_logout(lambda: self._gone(session))
        else:
            self._alone.unsubscribe(session, f"@{old}")
            self._alone.subscribe(session, f"@{name}")
            del self._people[old.casefold()]
        self._people[name.casefold()] = session
        session.state["nick"] = name
        for room in session.state["rooms"]:
            self._rooms.publish(room, f"-- {old} is now {name}")

    def join(self, session: Session, room: str) -> None:
        """Enter a room, and hear what is said there from now on."""
        nick, room = self._nick(session), room.lower()
        self._check("room", room)
        if room not in session.state["rooms"]:
            self._rooms.subscribe(session, room)
            self._rooms.publish(room, f"-- {nick} joins")
            session.state["rooms"].add(room)

    def leave(self, session: Session, room: str) -> None:
        """Leave a room."""
        nick, room = self._nick(session, room), room.lower()
        self._rooms.unsubscribe(session, room)
        session.state["rooms"].remove(room)
        self._rooms.publish(room, f"-- {nick} leaves")

    def say(self, session: Session, room: str, text: Rest) -> None:
        """Say something in a room."""
        self._rooms.publish(room.lower(), f"<{self._nick(session, room)}> {_clean(text)}")

    def me(self, session: Session, room: str, text: Rest) -> None:
        """Say what you do: ME kitchen makes tea."""
        self._rooms.publish(room.lower(), f"* {self._nick(session, room)} {_clean(text)}")

    def msg(self, session: Session, nick: str, text: Rest) -> None:
        """Say something to one person alone."""
        sender, other = self._nick(session), self._people.get(nick.casefold())
        if other is None:
            raise CommandError("nobody", f"{nick} is not here")
        self._alone.publish(f"@{other.state['nick']}", f"<{sender}> {_clean(text)}")

    def rooms(self) -> Iterator[str]:
        """List the rooms and how many are in each."""
        for room, count in sorted(self._rooms.counts().items()):
            yield f"{room} {count}"

    def who(self, room: str) -> list[str]:
        """List who is in a room."""
        return sorted(each.state["nick"] for each in self._rooms.subscribers(room.lower()))

    def _nick(self, session: Session, room: str | None = None) -> str:
        """The name of somebody who has one, and is in the room if there is to be one."""
        self._welcome(session)
        if "nick" not in session.state:
            raise CommandError("no-name", "expected NICK first")
        if room is not None and room.lower() not in session.state["rooms"]:
            raise CommandError("not-there", f"{room}: expected JOIN first")
        nick: str = session.state["nick"]
        return nick

    def _welcome(self, session: Session) -> None:
        """Have somebody who has logged in be known by the user's name, if it will do."""
        if session.user is not None and "nick" not in session.state:
            with suppress(CommandError):
                self.nick(session, session.user)

    def _check(self, what: str, name: str) -> None:
        if len(name) > self._name_length or not _WORD.fullmatch(name):
            text = f"expected 1 to {self._name_length} letters, digits, hyphens and underscores"
            raise CommandError("bad-argument", f"{what}: {text}")

    def _gone(self, session: Session) -> None:
        nick = session.state.pop("nick")
        del self._people[nick.casefold()]
        self._rooms.unsubscribe(session)
        self._alone.unsubscribe(session)
        for room in session.state.pop("rooms"):
            self._rooms.publish(room, f"-- {nick} leaves")


def _clean(text: str) -> str:
    if _CONTROL.search(text):
        raise CommandError("bad-argument", "text: expected no control characters")
    return text


def chat_app(
    *,
    rooms: int = 100,
    people: int = 10_000,
    name_length: int = 20,
    rate: float = 5.0,
    **options: Any,
) -> LineApp:
    """A chat.

    :param rooms: how many there may be; for this and what follows see :class:`Chat`.
    :param options: of the application (:class:`~netsuite.line.LineApp`).
    """
    options.setdefault("greeting", "chat: NICK name, JOIN room, SAY room text; HELP says more")
    app = LineApp("chat", **options)
    app.add(Chat(rooms=rooms, people=people, name_length=name_length, rate=rate))
    return app
