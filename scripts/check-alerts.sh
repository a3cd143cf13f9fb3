#!/usr/bin/env bash
# The alert rules as Prometheus sees them: they parse, and every one fires and is silent when it should. Needs promtool,
# which comes with Prometheus (on Debian: apt-get install prometheus).
set -euo pipefail
cd "$(dirname "$0")/../grafana/prometheus"
promtool check rules --lint=all --lint-fatal alerts.yml
promtool test rules alerts.test.yml
