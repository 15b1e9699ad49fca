# SPDX-License-Identifier: MIT
"""The disk shim's journal, and the files as a power cut at some instant may have left them.

Only a sync's promise is certain: the bytes and the size of a file that was synced after they were written, the names of a
directory that was synced after they were given. Of everything later, any 512-byte sector of a write may be there or not, a size may
be the old or the new one, and of the names the first few changes.
"""
import pathlib
import struct

ENTRY = struct.Struct("<QQQQQII")
CALLS = ("open", "pwritev", "fdatasync", "fsync", "ftruncate", "fallocate", "rename", "link", "unlink", "statvfs")
SECTOR = 512


class Entry:
    __slots__ = ("began", "ended", "inode", "offset", "size", "call", "name", "other", "data", "failed")


def read(path):
    """The entries of every process that wrote to the journal, in the order in which they happened."""
    parts = [list(read_one(part)) for part in path.parent.glob(f"{path.name}.*")]
    for part in sorted((part for part in parts if part), key=lambda part: part[0].began):
        yield from part


def read_one(path):
    """Of one process; the last entry is half there when it was killed, and left out."""
    raw, at = memoryview(pathlib.Path(path).read_bytes()), 0
    while at + ENTRY.size <= len(raw):
        entry = Entry()
        entry.began, entry.ended, entry.inode, entry.offset, entry.size, call, name_bytes = ENTRY.unpack_from(raw, at)
        at += ENTRY.size
        entry.call = CALLS[call]
        names = bytes(raw[at:at + name_bytes]).decode().split("\0")
        at += name_bytes
        entry.name, entry.other = names[0], names[1] if len(names) > 1 else None
        entry.data, entry.failed = None, "sync" in entry.call and entry.size > 0  # a failed sync has its errno there
        if entry.call == "pwritev":
            entry.data = raw[at:at + entry.size]
            at += entry.size
        if at <= len(raw):
            yield entry


class File:
    def __init__(self):
        self.synced, self.synced_size, self.size, self.pending = bytearray(), 0, 0, []

    def write(self, entry):
        self.pending.append(entry)
        self.size = max(self.size, entry.offset + len(entry.data))

    def sync(self, began):
        """Bytes that had been written when the sync began are certain."""
        for entry in self.pending:
            if entry.ended <= began:
                put(self.synced, entry.offset, entry.data)
        self.pending = [entry for entry in self.pending if entry.ended > began]
        self.synced_size = self.size
        del self.synced[self.size:]

    def image(self, chance, random):
        """Each unsynced sector is there with that chance."""
        content = bytearray(self.synced)
        for entry in self.pending:
            if chance == 1:
                put(content, entry.offset, entry.data)
            elif chance > 0:
                for sector in range(entry.offset // SECTOR, (entry.offset + len(entry.data) - 1) // SECTOR + 1):
                    if random.random() < chance:
                        begin, end = max(sector * SECTOR, entry.offset), min((sector + 1) * SECTOR, entry.offset + len(entry.data))
                        put(content, begin, entry.data[begin - entry.offset:end - entry.offset])
        size = self.size if chance == 1 or (chance > 0 and random.random() < 0.5) else self.synced_size
        return bytes(content[:size]), size


def put(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


class Disk:
    """Follows the journal; `without` names calls that the disk is to take for nothing (a sync that lies)."""

    def __init__(self, without=()):
        self.files, self.names, self.synced_names, self.name_changes, self.without = {}, {}, {}, [], without

    def follow(self, entry):
        if entry.call in self.without or entry.failed:
            return
        if entry.call == "open":
            self.files[entry.inode] = File()
            self.change({entry.name: entry.inode})
        elif entry.call in ("rename", "link"):
            self.change({entry.other: self.names[entry.name], **({entry.name: None} if entry.call == "rename" else {})})
        elif entry.call == "unlink":
            self.change({entry.name: None})
        elif entry.call == "fsync" and entry.inode not in self.files:
            self.sync_names()
        else:
            self.follow_file(entry)

    def follow_file(self, entry):
        file = self.files[entry.inode]
        if entry.call == "pwritev":
            file.write(entry)
        elif entry.call in ("fdatasync", "fsync"):
            file.sync(entry.began)
        elif entry.call == "fallocate":
            file.size = max(file.size, entry.offset)
        elif entry.call == "ftruncate":
            file.size = entry.offset

    def change(self, names):
        self.name_changes.append(names)
        apply(self.names, names)

    def sync_names(self):
        self.synced_names, self.name_changes = dict(self.names), []

    def image(self, directory, chance, random):
        """Writes the files as the cut may have left them."""
        names, changes = dict(self.synced_names), self.name_changes
        for change in changes[:len(changes) if chance == 1 else random.randint(0, len(changes)) if chance > 0 else 0]:
            apply(names, change)
        for name, inode in names.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content, size = self.files[inode].image(chance, random)
            with open(path, "wb") as file:
                file.write(content)
                file.truncate(size)


def apply(names, change):
    for name, inode in change.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode
