# SPDX-License-Identifier: MIT
"""Segments that a log gives up while a trial runs are kept for the judge: they must have settled like the rest."""
import threading


class Archive(threading.Thread):
    """Keeps a second name of each segment, so that the judge sees those that the log gave up: they must have settled."""

    def __init__(self, inbox, kept):
        super().__init__(daemon=True)
        self.inbox, self.kept, self.over = inbox, kept, threading.Event()
        kept.mkdir()

    def run(self):
        while not self.over.wait(0.01):
            for path in self.inbox.glob("wal-*.seg"):
                try:
                    (self.kept / path.name).hardlink_to(path)
                except (FileExistsError, FileNotFoundError):
                    pass  # kept before, or gone by now

    def give_back(self):
        """The names of those that were given up."""
        self.over.set()
        self.join()
        gone = [path for path in self.kept.glob("wal-*.seg") if not (self.inbox / path.name).exists()]
        for path in gone:
            (self.inbox / path.name).hardlink_to(path)
        return [path.name for path in gone]
