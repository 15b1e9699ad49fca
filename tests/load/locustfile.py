# SPDX-License-Identifier: MIT
"""Mixes of regimes in bursts; fails when an objective is missed. Needs locust and nothing of this tree:

PCS_HMAC_KEY=... locust -f tests/load/locustfile.py --headless --host http://127.0.0.1:8080 --run-time 60s

BASE and BURST are users between bursts and in them, PERIOD the seconds from one burst to the next. Without PCS_HMAC_KEY nothing is
signed.
"""
import base64
import hashlib
import hmac
import json
import math
import os
import random
import secrets

from locust import FastHttpUser, LoadTestShape, between, events, task

KEY = os.environ.get("PCS_HMAC_KEY", "")
BASE, BURST = int(os.environ.get("BASE", "10")), int(os.environ.get("BURST", "60"))
PERIOD = int(os.environ.get("PERIOD", "20"))
SIGNED = ("D_hat", "budget", "coh_star", "epoch", "merkle_root", "pcs_id", "r", "shard_id")
FLOATS = ("D_hat", "budget", "coh_star", "r")
P95_MS, ESCALATED, ERRORS = 200, 0.02, 0.01
SCALES = (2, 4, 8, 16, 32)
counts = {"first": 0, "escalated": 0}


def round9(value):
    return round(float(value), 9) + 0.0


def sign(pcs):
    subset = {name: round9(pcs[name]) if name in FLOATS else pcs[name] for name in SIGNED}
    digest = hashlib.sha256(json.dumps(subset, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.b64encode(hmac.new(KEY.encode(), digest, hashlib.sha256).digest()).decode()


def theil_sen(n_j):
    points = [(math.log2(scale), math.log2(n_j[str(scale)])) for scale in SCALES]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:])
    middle = len(slopes) // 2
    return round9(slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2)


def make(shard, epoch, steep, coh_star, off=0.0):
    """One PCS whose counts grow with that slope; `off` is the error of D_hat."""
    n_j = {str(scale): max(1, round(64 * scale ** steep)) for scale in SCALES}
    d_hat, coh_star, r = round9(theil_sen(n_j) + off), round9(coh_star), round9(random.uniform(0.1, 0.9))
    regime = "sticky" if coh_star >= 0.70 and d_hat <= 1.5 else "non_sticky" if d_hat >= 2.6 else "mixed"
    raw = 0.10 + 0.30 * (1 - r) + 0.50 * max(0.0, d_hat - 2.2) + 0.20 * coh_star
    root = secrets.token_hex(32)
    pcs = dict(pcs_id=hashlib.sha256(f"{root}|{epoch}|{shard}".encode()).hexdigest(), schema="fractal-lba-kakeya", version="0.1",
               shard_id=shard, epoch=epoch, scales=list(SCALES), N_j=n_j, coh_star=coh_star, D_hat=d_hat, r=r, regime=regime,
               budget=round9(min(1.0, max(0.0, raw))), merkle_root=root)
    if KEY:
        pcs["sig"] = sign(pcs)
    return pcs


class Agent(FastHttpUser):
    """An agent of many shards: mostly sticky windows, some of the other regimes, replays, and now and then a wrong D_hat."""

    wait_time = between(0.05, 0.2)

    def on_start(self):
        self.shard, self.epoch, self.sent = f"locust-{secrets.token_hex(4)}", 0, []

    def submit(self, name, pcs, expected, duplicate=False):
        with self.client.post("/v1/pcs/submit", json=pcs, name=name, catch_response=True) as answer:
            if answer.status_code != expected:
                answer.failure(f"{answer.status_code} instead of {expected}: {answer.text}")
            elif duplicate and not answer.json()["duplicate"]:
                answer.failure("answered as if it were new")
            else:
                answer.success()
                return True
        return False

    def first(self, name, steep, coh_star, off=0.0):
        self.epoch += 1
        pcs, expected = make(self.shard, self.epoch, steep, coh_star, off), 202 if off else 200
        if self.submit(name, pcs, expected):
            counts["first"] += 1
            counts["escalated"] += expected == 202
            self.sent = [*self.sent[-50:], (pcs, expected)]

    @task(30)
    def sticky(self):
        self.first("sticky", random.uniform(0.3, 1.4), random.uniform(0.75, 0.99))

    @task(15)
    def mixed(self):
        self.first("mixed", random.uniform(1.6, 2.4), random.uniform(0.1, 0.6))

    @task(5)
    def non_sticky(self):
        self.first("non_sticky", random.uniform(2.65, 3.0), random.uniform(0.05, 0.5))

    @task(40)
    def replay(self):
        if self.sent:
            self.submit("replay", *random.choice(self.sent), duplicate=True)

    @task(1)
    def wrong(self):
        if random.random() < 0.5:
            self.first("wrong", 1.0, 0.5, off=1.0)


class Bursts(LoadTestShape):
    """BASE users; for a quarter of each PERIOD, BURST."""

    def tick(self):
        limit = self.runner.environment.parsed_options.run_time if self.runner else None
        if limit and self.get_run_time() > limit:
            return None
        bursting = self.get_run_time() % PERIOD > PERIOD * 0.75
        return (BURST if bursting else BASE, max(BASE, BURST))


@events.quitting.add_listener
def judge(environment, **_):
    """The exit status tells whether the objectives were met."""
    total = environment.stats.total
    missed = []
    if total.num_requests == 0:
        missed.append("nothing was submitted")
    elif total.get_response_time_percentile(0.95) > P95_MS:
        missed.append(f"p95 {total.get_response_time_percentile(0.95):.0f} ms, over {P95_MS} ms")
    if total.fail_ratio > ERRORS:
        missed.append(f"{total.fail_ratio:.2%} failed, over {ERRORS:.0%}")
    if counts["first"] and counts["escalated"] / counts["first"] > ESCALATED:
        missed.append(f"{counts['escalated']} of {counts['first']} escalated, over {ESCALATED:.0%}")
    for line in missed:
        print(f"objective missed: {line}")
    environment.process_exit_code = 1 if missed else 0
