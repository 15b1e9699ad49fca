# SPDX-License-Identifier: MIT
"""A program on a terminal of so many columns, as a person sees it."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from .process import BIN_DIR, SLOW, environment

ESCAPES = re.compile(r"\033\[[0-9;]*[A-Za-z]")


class Seen:
    """`lines`: the texts of a line at any time, without colours; a line that was drawn again counts each time."""

    def __init__(self, status, raw):
        self.status, self.raw = status, raw
        self.lines = [line for line in re.split(r"[\r\n]+", ESCAPES.sub("", raw)) if line]

    def widest(self):
        return max(map(len, self.lines))

    def redrawn(self):
        """Lines that were drawn over."""
        return [ESCAPES.sub("", line) for line in re.findall(r"(?:^|\r)([^\r\n]+)(?=\r[^\n])", self.raw)]


def show(columns, program, *args, env=None, seconds=30):
    """Runs it to its end with all three streams on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([str(BIN_DIR / program), *map(str, args)], env=environment({"TERM": "xterm", **(env or {})}), stdin=slave,
                             stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    raw = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the last one has closed it
            break
        if not part:
            break
        raw += part
    os.close(master)
    return Seen(child.wait(seconds * SLOW), raw.decode())
