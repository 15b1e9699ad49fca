# SPDX-License-Identifier: MIT
"""The tracked files of the tree, or of a copy into which a fault was planted."""
import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Tree:
    def __init__(self, root, build_dir, files):
        self.root, self.build_dir, self.files = root, build_dir, sorted(files)
        self.bin_dir = build_dir / "bin"

    @classmethod
    def tracked(cls, build_dir):
        listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True)
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return cls(ROOT, build_dir, [name for name in names if (ROOT / name).exists()])

    def copy_to(self, target):
        """The same files under another root; a fault planted there never touches the tree itself."""
        for name in self.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.root / name, target / name)
        return Tree(target, self.build_dir, self.files)

    def ending(self, *suffixes):
        return [name for name in self.files if name.endswith(suffixes)]

    def read(self, name):
        return (self.root / name).read_bytes().decode("utf-8", "replace")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.files = sorted({*self.files, name})

    def replace(self, name, old, new):
        text = self.read(name)
        assert old in text, f"{old!r} is not in {name}: the planted fault needs another place"
        self.write(name, text.replace(old, new, 1))

    def compile_commands(self):
        """name -> entry of the build's compile_commands.json, for sources of the tree."""
        entries = json.loads((self.build_dir / "compile_commands.json").read_text())
        named = {pathlib.Path(entry["file"]): entry for entry in entries}
        return {str(path.relative_to(ROOT)): entry for path, entry in named.items() if path.is_relative_to(ROOT)}
