"""The one error of this package."""


class AddressError(ValueError):
    """A text that is not the address, network or rule that was expected.

    :ivar text: what was given.
    :ivar expected: what would have been right.
    """

    def __init__(self, text: object, expected: str) -> None:
        super().__init__(f"{text!r}: expected {expected}")
        self.text = text
        self.expected = expected
