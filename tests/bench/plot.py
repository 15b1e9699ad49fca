# SPDX-License-Identifier: MIT
"""Draws the measurements of the last run, by gnuplot, as SVG beside results.json."""
import json
import subprocess

STYLE = """set terminal svg size 760,420 font 'sans,12' background 'white'
set grid lc rgb '#dddddd'
set key left top
set rmargin 6
set border 3
set tics nomirror
"""


def points(rows):
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in rows) + "e\n"


def latency(data):
    doors = data.get("latency", {})
    if not doors:
        return None
    curves = {f"{name}, {door['rate']:,.0f} PCS/s": [(1 / (1 - q), us / 1000) for q, us in door["us"] if q < 1]
              for name, door in doors.items()}
    return ("set title 'Latency at 70 % of the highest rate, open loop'\nset logscale xy\nset ylabel 'ms'\n"
            "set xtics ('50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1000, '99.99 %%' 10000)\n", curves, "linespoints")


def workers(data):
    if not data.get("workers"):
        return None
    measured = [(int(count), rate) for count, rate in data["workers"].items()]
    linear = [(count, count * measured[0][1]) for count, _ in measured]
    return ("set title 'Worker threads with 2 ms of work a PCS'\nset logscale xy 2\nset xlabel 'threads'\nset ylabel 'PCS/s'\n",
            {"linear": linear, "measured": measured}, "linespoints")


def queue(data):
    if not data.get("broker"):
        return None
    broker, step = data["broker"], data["broker"]["depth"] / 10
    fill = [(step * (i + 0.5), us) for i, us in enumerate(broker["fill_us"])]
    drain = [(broker["depth"] - step * (i + 0.5), us) for i, us in enumerate(broker["drain_us"])]
    return ("set title 'Broker: CPU time a delivery by queue depth'\nset xlabel 'deliveries queued'\nset ylabel 'µs'\nset yrange [0:*]\n",
            {"coming in": fill, "going out": drain}, "linespoints")


def outstanding(data):
    if not data.get("outstanding"):
        return None
    return ("set title 'Rate by number outstanding'\nset logscale xy 2\nset xlabel 'outstanding'\nset ylabel 'PCS/s'\n",
            {name + " door": curve for name, curve in data["outstanding"].items()}, "linespoints")


def log(data):
    if not data.get("wal"):
        return None
    return ("set title 'Group commit: records a second by number outstanding'\nset logscale xy 2\nset xlabel 'outstanding'\n"
            "set ylabel 'records/s'\n", {"bare loop": [(n, bare) for n, bare, _ in data["wal"]], "log": [(n, ours) for n, _, ours in data["wal"]]},
            "linespoints")


def draw(results, directory):
    if not results.exists():
        raise SystemExit(f"{results} is not there; ./run bench makes it")
    data = json.loads(results.read_text())["data"]
    for figure in (latency, workers, queue, outstanding, log):
        drawing = figure(data)
        if drawing is None:
            continue
        path = directory / f"{figure.__name__}.svg"
        settings, curves, style = drawing
        plots = ", ".join(f"'-' with {style} pt 7 ps 0.5 lw 2 title '{title}'" for title in curves)
        script = STYLE + f"set output '{path}'\n" + settings + f"plot {plots}\n" + "".join(points(rows) for rows in curves.values())
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
        print(path)
    return 0
