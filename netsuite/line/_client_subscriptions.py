"""Channels that a client listens to, whatever becomes of its connections."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from netsuite.line._client_calls import LineCall
from netsuite.line._client_errors import (
    LineArgumentError,
    LineClosedError,
    LineError,
    LineTimeoutError,
    in_seconds,
)

#: Messages that are kept for who does not take them.
KEPT = 1000


class Message(NamedTuple):
    """What was published to a channel."""

    channel: str
    text: str


class Subscription:
    """A channel that is listened to: messages go to a callback, or wait to be taken.

    ``async for message in subscription`` takes them, and ends when the subscription or the
    client is closed. The newest ``kept`` messages wait for who does not take them.

    :ivar channel: which one.
    :ivar missed: messages that were lost on the way, as far as that is known: those that the
        server has dropped, and older ones that nobody has taken. What was published while
        there was no connection is not in it.
    """

    _log = Logger()

    def __init__(
        self,
        channel: str,
        callback: Callable[[Message], object] | None,
        kept: int,
        leave: Callable[["Subscription"], Deferred[None]],
    ) -> None:
        self.channel = channel
        self.missed = 0
        self._callback = callback
        self._leave = leave
        self._messages: deque[Message] = deque(maxlen=kept)
        self._waiting: Deferred[None] | None = None
        self._over = False
        self._error: Exception | None = None
        #: Fires when the server has agreed.
        self.begun: Deferred[Subscription] | None = None
        self.timer: IDelayedCall | None = None

    def __repr__(self) -> str:
        return f"<Subscription to {self.channel}>"

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._over:
                raise StopAsyncIteration
            if self._waiting is not None:
                raise RuntimeError("somebody is waiting for the next message already")
            self._waiting = Deferred()
            try:
                await self._waiting
            except CancelledError:
                self._waiting = None
                raise
        return self._messages.popleft()

    async def __aenter__(self) -> "Subscription":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def close(self) -> Deferred[None]:
        """Get no more messages; fires when the server knows, or cannot be told."""
        self.end(None)
        return self._leave(self)

    # For the client.

    def deliver(self, message: Message) -> None:
        """A message has come."""
        if self._over:
            return
        if self._callback is not None:
            try:
                self._callback(message)
            except Exception:  # noqa: BLE001 - the program's own mistake
                self._log.failure("the callback for {channel} failed", channel=self.channel)
            return
        if len(self._messages) == self._messages.maxlen:
            self.missed += 1
        self._messages.append(message)
        self._wake()

    def start(self) -> None:
        """The server has agreed."""
        begun = self._stop_waiting()
        if begun is not None:
            begun.callback(self)

    def end(self, error: Exception | None) -> None:
        """There will be no more messages."""
        if self._over:
            return
        self._over = True
        begun = self._stop_waiting()
        if begun is not None:
            begun.errback(error or LineClosedError("the subscription is closed"))
        else:
            self._error = error
            if error is not None and self._callback is not None:
                self._log.warn(
                    "no more messages of {channel}: {error}", channel=self.channel, error=error
                )
        self._wake()

    def _stop_waiting(self) -> "Deferred[Subscription] | None":
        begun, self.begun = self.begun, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        return begun

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


class Speaker(Protocol):
    """How subscriptions reach the server."""

    def speak(self, name: str, channel: str) -> LineCall | None:
        """Send a command about a channel, if there is a connection for it now."""


class Subscriptions:
    """All subscriptions of a client.

    The server knows a channel once, however many there are of it here.
    """

    def __init__(self, speaker: Speaker, clock: IReactorTime, timeout: float | None) -> None:
        self._speaker = speaker
        self._clock = clock
        self._timeout = timeout
        self._by_channel: dict[str, list[Subscription]] = {}
        #: Channels that the server has agreed to on this connection.
        self._agreed: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_channel)

    def subscribe(
        self, channel: str, callback: Callable[[Message], object] | None, kept: int
    ) -> Deferred[Subscription]:
        """Listen to a channel."""
        if not channel or not channel.isprintable() or " " in channel:
            raise LineArgumentError(f"channel {channel!r}: expected a word")
        subscription = Subscription(channel, callback, kept, self._leave)
        begun: Deferred[Subscription] = Deferred(lambda _: self._give_up(subscription))
        subscription.begun = begun
        others = self._by_channel.setdefault(channel, [])
        others.append(subscription)
        if channel in self._agreed:
            subscription.start()
            return begun
        if self._timeout is not None:
            subscription.timer = self._clock.callLater(self._timeout, self._expire, subscription)
        if len(others) == 1:
            self._ask(channel)
        return begun

    def connected(self) -> None:
        """There is a new connection: the server knows nothing."""
        for channel in tuple(self._by_channel):
            self._ask(channel)

    def disconnected(self) -> None:
        """There is no connection."""
        self._agreed.clear()

    def end(self, error: Exception) -> None:
        """The client is closed."""
        self._agreed.clear()
        by_channel, self._by_channel = self._by_channel, {}
        for subscriptions in by_channel.values():
            for each in subscriptions:
                each.end(error if each.begun is not None else None)

    def take(self, text: str) -> bool:
        """Give a push to those that it is for; whether it was for any."""
        kind, _, rest = text.partition(" ")
        if kind not in {"MESSAGE", "DROPPED"}:
            return False
        channel, _, body = rest.partition(" ")
        subscriptions = self._by_channel.get(channel)
        if subscriptions is None:
            return False
        if kind == "MESSAGE":
            message = Message(channel, body)
            for each in tuple(subscriptions):
                each.deliver(message)
        elif body.isascii() and body.isdigit():
            for each in subscriptions:
                each.missed += int(body)
        else:
            return False
        return True

    def _ask(self, channel: str) -> None:
        call = self._speaker.speak("SUBSCRIBE", channel)
        if call is not None:
            call.result.addCallbacks(
                lambda _: self._agree(channel), lambda failure: self._refuse(channel, failure.value)
            )

    def _agree(self, channel: str) -> None:
        if channel in self._by_channel:
            self._agreed.add(channel)
        for each in tuple(self._by_channel.get(channel, ())):
            each.start()

    def _refuse(self, channel: str, error: Exception) -> None:
        # Without a connection there is nothing to say yet: it is asked for again on the next.
        if isinstance(error, LineError | LineArgumentError):
            for each in self._by_channel.pop(channel, ()):
                each.end(error)

    def _leave(self, subscription: Subscription) -> Deferred[None]:
        told: Deferred[None] = Deferred()
        channel = subscription.channel
        others = self._by_channel.get(channel, [])
        call = None
        if subscription in others:
            others.remove(subscription)
            if not others:
                del self._by_channel[channel]
                self._agreed.discard(channel)
                call = self._speaker.speak("UNSUBSCRIBE", channel)
        if call is None:
            told.callback(None)
        else:
            # Whatever comes of it, there are no more messages.
            call.result.addBoth(lambda _: told.callback(None))
        return told

    def _give_up(self, subscription: Subscription) -> None:
        """Who waited for the server to agree does not any more."""
        subscription.begun = None
        subscription.close().addErrback(_ignore)

    def _expire(self, subscription: Subscription) -> None:
        subscription.timer = None
        within = in_seconds(self._timeout)
        error = f"SUBSCRIBE {subscription.channel}: no reply within {within}"
        subscription.end(LineTimeoutError(error))
        self._leave(subscription).addErrback(_ignore)


def _ignore(_: object) -> None:
    pass
