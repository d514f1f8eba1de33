"""The one error of this package."""

_LONGEST = 200  # characters of a text that is shown


class AddressError(ValueError):
    """A text that is not the address, network or rule that was expected.

    :ivar text: what was given, cut short if it is very long.
    :ivar expected: what would have been right.
    """

    def __init__(self, text: object, expected: str) -> None:
        if isinstance(text, str) and len(text) > _LONGEST:
            text = text[:_LONGEST] + "..."
        super().__init__(f"{text!r}: expected {expected}")
        self.text = text
        self.expected = expected
