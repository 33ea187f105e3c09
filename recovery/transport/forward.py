"""What a bastion's connection can do: have the bastion connect onwards, and read for everybody who goes through it."""

# paramiko's stubs leave out what its subclasses live on.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportPrivateUsage=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from paramiko import common
from paramiko.channel import Channel
from paramiko.message import Message
from typing_extensions import override

from recovery.transport.connection import BROKEN, Connection
from recovery.transport.deadline import Deadline
from recovery.transport.hostkeys import PinnedKey
from recovery.transport.interrupt import Interrupt
from recovery.transport.packets import Stream

SILENT_S = 30
"""A bastion that acknowledges nothing for so long is given up, seconds."""


class ForwardRefusedError(Exception):
    """The bastion made no connection; the text is its own."""


class ForwardedStream:
    """A connection that a bastion made for us; stands for a socket."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.recv: Callable[[int], bytes] = channel.recv
        self.send: Callable[[bytes], int] = channel.send
        self.settimeout: Callable[[float | None], None] = channel.settimeout

    def close(self) -> None:
        """Close it, and tell the bastion."""
        with suppress(*BROKEN):
            self._channel.close()

    def wake(self) -> None:
        """Make whoever waits for it see its end at once, without sending anything: another thread calls this."""
        self._channel.in_buffer.close()
        with self._channel.lock:
            self._channel.eof_sent = True
            self._channel.out_buffer_cv.notify_all()


class BastionConnection(Connection):
    """A connection whose packets a thread of its own reads, once it is logged in."""

    def __init__(self, stream: Stream, pinned: PinnedKey, deadline: Deadline) -> None:
        super().__init__(stream, pinned, deadline)
        self._refusals: dict[int, str] = {}

    def share(self) -> None:
        """Let other threads send from now on: the deadline of whoever opened the connection is not theirs."""
        self.packetizer.deadline = None

    def serve(self) -> None:
        """Read packets for everybody until the connection is over."""
        with suppress(*BROKEN):
            while True:
                self.pump()

    def forward(self, address: str, port: int, interrupt: Interrupt, wait_s: float) -> Channel:
        """Have the bastion connect to a host.

        Args:
            address: Of the host.
            port: Of the host.
            interrupt: Ends the wait early.
            wait_s: Limit, seconds.

        Raises:
            ForwardRefusedError: The bastion could not, or may not.
            TimeoutError: It has not said within the limit.
            EOFError: Its connection is over.
            InterruptedVisitError: The wait was ended early.
        """
        answered = threading.Event()
        with self.lock:
            number = self._next_channel()
            channel = Channel(number)
            self._channels.put(number, channel)
            self.channel_events[number] = answered
            channel._set_transport(self)
            channel._set_window(self.default_window_size, self.default_max_packet_size)
        try:
            # looked at after the event is where `end` finds it
            if not self.active:
                raise EOFError
            message = Message().add_byte(common.cMSG_CHANNEL_OPEN).add_string("direct-tcpip").add_int(number)
            message.add_int(self.default_window_size).add_int(self.default_max_packet_size)
            message.add_string(address).add_int(port).add_string("127.0.0.1").add_int(0)
            interrupt.guard(answered.set)
            self._send_user_message(message)
            is_answered = answered.wait(wait_s)
            interrupt.check()
            if number in self._refusals:
                raise ForwardRefusedError(self._refusals.pop(number))
            if not is_answered:
                raise TimeoutError
            if not channel.active:
                raise EOFError
        except BaseException:
            self._channels.delete(number)
            raise
        finally:
            self.channel_events.pop(number, None)
        return channel

    def is_open(self) -> bool:
        """Whether it can be used."""
        return bool(self.active)

    @override
    def end(self, *, politely: bool = False) -> None:
        super().end(politely=politely)
        with self.lock:
            waiting = list(self.channel_events.copy().values())
        for channel in list(self._channels.values()):
            channel._unlink()
        for opened in waiting:
            opened.set()

    @override
    def on_channel(self, kind: int, message: Message) -> None:
        number = message.get_int()
        channel = self._channels.get(number)
        if kind == common.MSG_CHANNEL_OPEN_FAILURE:
            code, text = message.get_int(), message.get_text()
            self._refusals[number] = text or common.CONNECTION_FAILED_CODE.get(code, f"code {code}")
            if number in self.channel_events:
                self.channel_events[number].set()
        elif kind == common.MSG_CHANNEL_OPEN_SUCCESS:
            if channel is None:
                # whoever wanted it has given up; the bastion would hold it open for as long as this connection
                their_number = message.get_int()
                self.answer(Message().add_byte(common.cMSG_CHANNEL_CLOSE).add_int(their_number))
            else:
                message.rewind()
                self._handler_table[kind](message)
        elif channel is not None:
            self._channel_handler_table[kind](channel, message)


def keep_watch(connected: socket.socket) -> None:
    """Have the kernel notice a bastion that fell silent: while its connection idles, nobody else would.

    Source: tcp(7).
    """
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_S // 2)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_S // 6)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000)
