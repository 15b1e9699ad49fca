#!/bin/sh
# SPDX-License-Identifier: MIT
# Watches the canary's share of escalated verdicts and of unanswered deliveries for WATCH_SECONDS, by the recordings of flk.rules.yml.
# Fails at once when either is over its budget, and at the end when the canary had less than MIN_VERDICTS to be judged by.
# Needs promtool. PROMETHEUS is an address; ESCALATED_MAX and UNAVAILABLE_MAX are shares; PERIOD is in seconds.
set -eu

canary="{namespace=\"$NAMESPACE\",track=\"canary\"}"
stable="{namespace=\"$NAMESPACE\",track=\"stable\"}"
escalated=flk:track_escalated:ratio_increase10m
over_escalated="$escalated$canary > $ESCALATED_MAX unless on (namespace) $escalated$canary <= on (namespace) 1.5 * $escalated$stable"
over_unavailable="flk:track_unavailable:ratio_increase10m$canary > $UNAVAILABLE_MAX"
enough="flk:track_verdicts:increase10m$canary >= $MIN_VERDICTS"

# Prints what the expression gives; nothing where it holds for nobody. Fails when Prometheus does not answer.
ask() {
    promtool query instant "$PROMETHEUS" "$1"
}

judged=no
until=$(($(date +%s) + WATCH_SECONDS))
while [ "$(date +%s)" -lt "$until" ]; do
    if found=$(ask "$enough") && [ -n "$found" ]; then
        judged=yes
        for over in "$over_escalated" "$over_unavailable"; do
            if found=$(ask "$over") && [ -n "$found" ]; then
                echo "the canary is over its error budget: $found"
                exit 1
            fi
        done
    fi
    sleep "$PERIOD"
done
if [ "$judged" = no ]; then
    echo "the canary had fewer than $MIN_VERDICTS verdicts in ten minutes: it cannot be judged"
    exit 1
fi
echo "the canary kept its error budget for $WATCH_SECONDS s"
