# SPDX-License-Identifier: MIT
"""The figures of the runs in results.ndjson as a Markdown table: the measures of I7 and I8, over all long runs of a trial."""
import statistics

COLUMNS = (("gap_s", max), ("p99_base_ms", statistics.median), ("p99_faults_ms", statistics.median), ("p99_after_ms", statistics.median),
           ("recovery_s", max), ("drain_s", max))


def cell(rows, name, summary):
    values = [row[name] for row in rows if row.get(name) is not None]
    return f"{summary(values):g}" if values else "–"


def rss(rows, kind):
    """The largest process of a kind at the end of a run, MiB."""
    values = [size for row in rows for name, size in row.get("rss_mib", {}).items() if name.startswith(kind)]
    return f"{max(values):.0f}" if values else "–"


def table(results):
    """Lines. Only long runs count; the last run of a seed stands for that seed."""
    runs = {}
    for row in results:
        if not row["short"]:
            runs.setdefault(row["trial"], {})[row["seed"]] = row
    yield "| trial | seeds that hold | operations | faults | gap s | p99 ms before / during / after | back to speed s | drained s | RSS MiB g / b / w |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, by_seed in runs.items():
        rows = [row for row in by_seed.values() if "error" not in row]
        gap, base, faults, after, recovery, drain = (cell(rows, *column) for column in COLUMNS)
        yield (f"| {name} | {sum(row['holds'] for row in by_seed.values())} of {len(by_seed)} | {sum(row['operations'] for row in rows)} "
               f"| {sum(row['faults'] for row in rows)} | {gap} | {base} / {faults} / {after} | {recovery} | {drain} "
               f"| {rss(rows, 'gateway')} / {rss(rows, 'broker')} / {rss(rows, 'worker')} |")
