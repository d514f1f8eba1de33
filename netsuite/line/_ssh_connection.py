"""The channels of one SSH connection (RFC 4254): sessions, so many at a time, and nothing else."""

from typing import Any

from twisted.conch.error import ConchError
from twisted.conch.ssh.connection import (
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
    SSHConnection,
)

from netsuite.line._ssh_channel import MIN_PACKET, SessionChannel
from netsuite.line._ssh_log import PeersLogger


class Connection(SSHConnection):
    """The channels of one peer that has come in.

    :ivar is_draining: whether no new sessions are begun.
    """

    _log = PeersLogger()
    transport: Any
    channels: dict[int, SessionChannel]

    def __init__(self) -> None:
        super().__init__()
        self.is_draining = False

    def serviceStarted(self) -> None:
        """The peer has come in."""
        super().serviceStarted()
        self.transport.channel_closed(0)

    def getChannel(
        self, channelType: bytes, windowSize: int, maxPacket: int, data: bytes
    ) -> SessionChannel:
        """A channel for a session.

        :raises ConchError: for other channels, for one too many, and for one that takes too
            small packets.
        """
        if channelType != b"session" or self.is_draining:
            raise ConchError("sessions only", OPEN_ADMINISTRATIVELY_PROHIBITED)
        if len(self.channels) >= self.transport.factory.channels:
            raise ConchError("too many sessions", OPEN_RESOURCE_SHORTAGE)
        if maxPacket < MIN_PACKET:
            raise ConchError("packets too small", OPEN_RESOURCE_SHORTAGE)
        channel = SessionChannel(self, windowSize, maxPacket)
        self.transport.channel_opened()
        return channel

    def gotGlobalRequest(self, requestType: bytes, data: bytes) -> int:
        """Nothing is forwarded."""
        return 0

    def adjustWindow(self, channel: SessionChannel, bytesToAdd: int) -> None:
        """Give the peer a new window, unless what it has sent is still here."""
        if not channel.holds:
            super().adjustWindow(channel, bytesToAdd)

    def renew_window(self, channel: SessionChannel) -> None:
        """Give the peer a new window, if it has used half of it."""
        used = channel.localWindowSize - channel.localWindowLeft
        if used > channel.localWindowSize // 2:
            self.adjustWindow(channel, used)

    def channelClosed(self, channel: SessionChannel) -> None:
        """A channel is gone."""
        super().channelClosed(channel)
        self.transport.channel_closed(len(self.channels))

    def send_on(self) -> None:
        """The transport takes more, or no more."""
        for channel in list(self.channels.values()):
            channel.send_on()
