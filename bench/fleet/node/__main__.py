"""``python -m torchduet.bench.fleet.node``: reads orders from its standard input, writes replies to its output.

It ends when its input does: its driver, or the process that has started it, is gone then.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from queue import SimpleQueue
from typing import BinaryIO

from torchduet.bench.fleet.messages import Message, MessageError, Order, Problem, Stop, encode, order_of
from torchduet.bench.host import temporary
from torchduet.bench.host.signals import StopRequest

LOST = 1  # exit code: there is nobody to report to


class Channel:
    """The orders that come in, and the replies that go out; of everything that is printed here, nothing gets there."""

    def __init__(self, orders: BinaryIO, replies: BinaryIO, stop_request: StopRequest) -> None:
        self._orders, self._replies, self._stop_request = orders, replies, stop_request
        self._queue: SimpleQueue[Order] = SimpleQueue()
        self._writing = threading.Lock()

    def listen(self) -> None:
        """Read orders in a thread: a stop request takes effect while another order is carried out."""
        threading.Thread(target=self._listen, name="reads orders", daemon=True).start()

    def next(self) -> Order:
        """The next order."""
        return self._queue.get()

    def send(self, message: Message) -> None:
        """Send a message; a driver that is gone ends this process."""
        with self._writing:
            try:
                self._replies.write(encode(message))
                self._replies.flush()
            except OSError:
                self._leave()

    def _listen(self) -> None:
        for line in self._orders:
            try:
                order = order_of(line)
            except MessageError as error:
                self.send(Problem(text=f"an order that cannot be read: {error}"))
                break
            if isinstance(order, Stop):
                self._stop_request.number = self._stop_request.number or order.number
            self._queue.put(order)
        self._leave()

    def _leave(self) -> None:
        """End at once, with all processes of this one; the driver's journal has what was measured."""
        for action in reversed(self._stop_request.at_end):
            action()
        os._exit(LOST)


def main() -> int:
    """Carry out orders until the last; returns the exit code."""
    channel_in, channel_out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed here is for the log
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    stop_request = StopRequest(in_time=True)
    stop_request.at_end.append(temporary.remove_all)
    channel = Channel(channel_in, channel_out, stop_request)
    channel.listen()
    stop_request.listen()
    with ExitStack() as at_end:
        at_end.callback(stop_request.restore)
        try:
            return _carry_out(channel, stop_request, at_end)
        except KeyboardInterrupt:
            return 128 + (stop_request.number or signal.SIGINT)
        finally:
            stop_request.ends = True


def _carry_out(channel: Channel, stop_request: StopRequest, at_end: ExitStack) -> int:
    from torchduet.bench.fleet.node.measurer import Measurer
    from torchduet.bench.plan.options import OptionError
    from torchduet.bench.record.journal import JournalError
    from torchduet.suites.workload import SuiteError

    measurer = Measurer(channel.send, stop_request, at_end)
    try:
        while measurer.carry_out(channel.next()):
            pass
    except (OptionError, SuiteError, JournalError) as error:
        channel.send(Problem(text=str(error)))
    except OSError as error:
        place = f"{str(error.filename)[:200]}: " if error.filename else ""
        channel.send(Problem(text=f"{place}{error.strerror or error}"))
    except ModuleNotFoundError as error:
        channel.send(Problem(text=f"{error.name} is not installed there: pip install {error.name}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
