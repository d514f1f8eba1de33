"""Replies as people read them, and shells: the text itself, without what is for programs."""

from netsuite.line._errors import CommandError
from netsuite.line._replies import Replies


class ShownReplies(Replies):
    """An application's replies on one connection, which can be shown as text.

    Shown as text, no line has a dot in front that the application has not put there, and there
    is no line with a dot behind several lines. Errors and pushes are marked as ever.

    :param replies: the application's; its count of errors is kept.
    :ivar errors: how many were said on this connection.
    """

    def __init__(self, replies: Replies) -> None:
        super().__init__(replies.line_end, replies.error)
        self._replies = replies
        self._as_text = False

    def show_as_text(self, line_end: bytes) -> None:
        """Show text from now on, its lines ended like this."""
        self._begin(line_end)
        self._as_text = True
        self.end = b""

    def show_as_sent(self) -> None:
        """Say all again as programs read it."""
        self._begin(self._replies.line_end)
        self._as_text = False

    def _begin(self, line_end: bytes) -> None:
        errors = self.errors
        super().__init__(line_end, self._replies.error)
        self.errors = errors

    def text(self, text: str) -> bytes:
        """A line of text."""
        data = super().text(text)
        return data.removeprefix(b".") if self._as_text else data

    def error(self, error: CommandError) -> bytes:
        """What is said instead of a result."""
        return self._ended(super().error(error))

    def broken_off(self, error: CommandError) -> bytes:
        """The end of several lines that were to be more."""
        if self._as_text:
            return self.error(error)
        self.errors += 1
        return self._replies.broken_off(error)

    def _ended(self, data: bytes) -> bytes:
        if not self._as_text or not data.endswith(self._replies.line_end):
            return data
        return data.removesuffix(self._replies.line_end) + self.line_end
