# SPDX-License-Identifier: MIT
"""Reads /metrics strictly: Prometheus text format 0.0.4, as a scraper that accepts no slip would."""
import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+0-9.eE]+|NaN|[-+]Inf)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


class Metrics:
    def __init__(self, text):
        self.help, self.type, self.samples = {}, {}, {}
        assert text.endswith("\n"), "the last line has no newline"
        current, seen = None, set()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, words = line[7:].split(" ", 1)
                assert name not in self.help and words.strip(), f"HELP twice or empty: {line}"
                self.help[name] = words
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.type and kind in ("counter", "gauge", "histogram", "summary", "untyped"), line
                self.type[name] = kind
                assert name not in seen, f"{name} is not in one group"
                current = name
                seen.add(name)
            else:
                assert not line.startswith("#") and line, f"not a sample: {line!r}"
                name, labels, value = self._sample(line)
                family = self.family(name)
                assert family == current, f"sample {name} outside its family's group"
                assert (name, labels) not in self.samples, f"sample twice: {line}"
                self.samples[name, labels] = value
        for name in self.type:
            assert name in self.help, f"{name} has no HELP"

    @staticmethod
    def _sample(line):
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        name, labels, value = match.groups()
        pairs, at = [], 0
        while labels and at < len(labels):
            pair = LABEL.match(labels, at)
            assert pair, f"bad labels: {line!r}"
            pairs.append(pair.groups())
            at = pair.end()
        return name, tuple(sorted(pairs)), float(value)

    def family(self, name):
        if name in self.type:
            return name
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert self.type.get(base) in ("histogram", "summary"), f"{name} has no TYPE"
        return base

    def names(self):
        return set(self.type)

    def total(self, name, **labels):
        """Sum over all samples of that name that carry these labels; 0 when there is none."""
        want = set(labels.items())
        return sum(value for (sample, pairs), value in self.samples.items() if sample == name and want <= set(pairs))
