# SPDX-License-Identifier: MIT
"""No verdict without a synced record: the system calls of a running gateway, in the order in which they happened."""
import re

import pytest

from harness.audit import STRACE, audit
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import sanitized

pytestmark = pytest.mark.skipif(sanitized(), reason="LeakSanitizer does not run under ptrace")


@pytest.fixture(scope="module")
def traced():
    """A few hundred submissions by 6 HTTP connections and the ZeroMQ door, and the lines of strace meanwhile."""
    cluster = Cluster(workers=2, threads=1)
    trace = cluster.directory / "gateway.strace"
    cluster.gateway.wrap = [*STRACE, str(trace)]
    with cluster:
        submissions = Load(cluster, 19, http=6, zmq=1, window=16, count=60, seconds=30).start().join()
        assert set(statuses(submissions)) == {200, 202}, statuses(submissions)
        cluster.stop()
        lines = trace.read_text(errors="replace").splitlines()
        ports = (cluster.gateway.http[1], int(cluster.gateway.zmq.rsplit(":", 1)[1]))
        yield lines, set(first_answers(submissions)), str(cluster.directory / "gateway-0"), ports


# Each 200 and 202, over both doors, was sent after its record had been written and a later fdatasync of that file had succeeded.
def test_every_reply_follows_its_sync(traced):
    lines, ids, directory, ports = traced
    replied, violations = audit(lines, ids, directory, ports)
    assert len(ids) > 300 and replied == ids, f"{len(ids - replied)} of {len(ids)} replies were not seen in the trace"
    assert not violations, violations[:5]


# The checker is red on the same trace without its syncs, with failed ones, with syncs of another file, and without the writes.
@pytest.mark.parametrize("spoil", [
    lambda line: None if "sync" in line else line,
    lambda line: re.sub(r"= 0$", "= -1 EIO (Input/output error)", line) if "sync" in line else line,
    lambda line: re.sub(r"(fdatasync|fsync)\(\d+<", r"\1(99</elsewhere", line),
    lambda line: None if re.search(r"\d+ +(pwritev2?|writev|write|pwrite64)\(\d+</", line) else line,
], ids=["none", "failed", "other-file", "no-writes"])
def test_the_checker_can_be_red(traced, spoil):
    lines, ids, directory, ports = traced
    spoiled = [line for line in map(spoil, lines) if line is not None]
    replied, violations = audit(spoiled, ids, directory, ports)
    assert replied == ids and len(violations) == len(ids)
