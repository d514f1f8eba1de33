"""A person gives up what a command is at."""

from netsuite.line._errors import CommandError
from netsuite.line._machine import Conversation
from netsuite.line._steps import LOOPING


def interrupt(conversation: Conversation) -> bool:
    """Give up the commands that are being carried out, as if the connection were lost.

    They are answered with ``ERR interrupted``, or their lines end with it.

    :returns: whether there were any.
    """
    given_up = [each for each in conversation._slots if each.reply is None]
    if not given_up:
        return False
    conversation._state |= LOOPING
    try:
        for slot in given_up:
            slot.pending = False
            slot.reply = b""  # what it says all the same is nothing any more
            conversation._break_off(slot, CommandError("interrupted", f"{slot.name} was given up"))
    finally:
        conversation._state &= ~LOOPING
    conversation._work()
    return True
