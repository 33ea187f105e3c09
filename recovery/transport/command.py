"""One remote command on one SSH connection: its stdin, stdout and stderr as a channel carries them (RFC 4254)."""

from __future__ import annotations

import paramiko
from paramiko import common
from paramiko.message import Message
from typing_extensions import override

from recovery.transport.connection import Connection
from recovery.transport.deadline import Deadline
from recovery.transport.hostkeys import PinnedKey
from recovery.transport.lines import Incoming
from recovery.transport.packets import Stream

WINDOW_BYTES = 2 * 1024 * 1024
"""How far a unit may run ahead of what is read from it; OpenSSH's own default (CHAN_SES_WINDOW_DEFAULT)."""

_OUR_CHANNEL = 0
_MAX_PACKET_BYTES = 32 * 1024
_STDERR = 1
"""Source: RFC 4254, section 5.2, SSH_EXTENDED_DATA_STDERR."""


class CommandRefusedError(Exception):
    """The server lets us in but starts no command; the text says what it answered."""


class CommandConnection(Connection):
    """A connection that runs one command.

    Attributes:
        incoming: What the command has written and nobody has read yet.
        has_ended: Whether the command will write nothing more.
    """

    def __init__(self, stream: Stream, pinned: PinnedKey, deadline: Deadline) -> None:
        super().__init__(stream, pinned, deadline)
        self.incoming = Incoming()
        self.has_ended = False
        self._is_open = False
        self._is_refused = False
        self._refusal = ""
        self._their_channel = 0
        self._their_window = 0
        self._their_packet = 0
        self._our_window = WINDOW_BYTES

    def begin(self, command: str) -> None:
        """Start the command.

        Returns as soon as it has been asked for; the server's answer is seen with the first thing that is read.

        Raises:
            CommandRefusedError: The server opens no session.
        """
        self.doing = "starting the command"
        message = Message().add_byte(common.cMSG_CHANNEL_OPEN).add_string("session").add_int(_OUR_CHANNEL)
        self.send(message.add_int(WINDOW_BYTES).add_int(_MAX_PACKET_BYTES))
        while not self._is_open:
            self.pump()
            self._check_refused()
        request = Message().add_byte(common.cMSG_CHANNEL_REQUEST).add_int(self._their_channel)
        self.send(request.add_string("exec").add_boolean(True).add_string(command))

    def receive(self) -> None:
        """Take one packet, after letting the command write on as far as what it wrote has been read.

        Raises:
            CommandRefusedError: The packet said that the command was not started.
        """
        self._acknowledge()
        self.pump()
        self._check_refused()

    def receive_what_is_here(self) -> None:
        """Take the packets that have arrived, without waiting for more."""
        while not self.has_ended and self.packetizer.has_arrived():
            self.receive()

    def write(self, data: bytes) -> int:
        """Send a part of `data` to the command's stdin, and return how much.

        A command that has ended reads nothing more: all of it counts as sent, as it would with a pipe that takes what
        nobody will read. What the command answered before it ended is still there to be read.
        """
        while self._their_window == 0 and not self.has_ended:
            self.receive()
        if self.has_ended:
            return len(data)
        size_bytes = min(len(data), self._their_window, self._their_packet)
        self._their_window -= size_bytes
        message = Message().add_byte(common.cMSG_CHANNEL_DATA).add_int(self._their_channel)
        self.send(message.add_string(data[:size_bytes]))
        return size_bytes

    @override
    def on_channel(self, kind: int, message: Message) -> None:
        if message.get_int() != _OUR_CHANNEL:
            raise paramiko.SSHException(f"it sent packet {kind} for a channel that nobody opened")
        match kind:
            case common.MSG_CHANNEL_OPEN_SUCCESS:
                self._their_channel = message.get_int()
                self._their_window = message.get_int()
                self._their_packet = min(message.get_int(), _MAX_PACKET_BYTES)
                self._is_open = True
            case common.MSG_CHANNEL_OPEN_FAILURE:
                message.get_int()
                self._refuse(f"the server opened no session ({message.get_text()})")
            case common.MSG_CHANNEL_FAILURE:
                self._refuse("the server refused to start a command")
            case common.MSG_CHANNEL_WINDOW_ADJUST:
                self._their_window += message.get_int()
            case common.MSG_CHANNEL_DATA:
                self.incoming.feed(self._take(message))
            case common.MSG_CHANNEL_EXTENDED_DATA:
                if message.get_int() == _STDERR:
                    self.incoming.feed_error(self._take(message))
            case common.MSG_CHANNEL_EOF | common.MSG_CHANNEL_CLOSE:
                self.has_ended = True
            case common.MSG_CHANNEL_REQUEST:
                message.get_text()
                if message.get_boolean():
                    # such as keepalive@openssh.com, whose sender hangs up when nobody answers
                    answer = Message().add_byte(common.cMSG_CHANNEL_FAILURE).add_int(self._their_channel)
                    self.answer(answer)
            case _:
                pass

    def _acknowledge(self) -> None:
        read_bytes = WINDOW_BYTES - self._our_window - len(self.incoming)
        if read_bytes > WINDOW_BYTES // 2 and not self.has_ended:
            self._our_window += read_bytes
            message = Message().add_byte(common.cMSG_CHANNEL_WINDOW_ADJUST).add_int(self._their_channel)
            self.send(message.add_int(read_bytes))

    def _take(self, message: Message) -> bytes:
        data = message.get_binary()
        self._our_window -= len(data)
        if self._our_window < 0:
            raise paramiko.SSHException("it sent more than it was allowed to")
        return data

    def _refuse(self, answer: str) -> None:
        self._refusal = answer
        self._is_refused = True

    def _check_refused(self) -> None:
        if self._is_refused:
            raise CommandRefusedError(self._refusal)
