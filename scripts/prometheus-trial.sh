#!/usr/bin/env bash
# Prometheus for real beside `pgfollow demo`: with our scrape settings and rules it loads all of them, finds the target
# up, and no alert fires. Needs prometheus and curl; everything is gone at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }
port="$(free_port)" prometheus_port="$(free_port)"
PGFOLLOW_API_TOKEN="$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
export PGFOLLOW_API_TOKEN PGFOLLOW_HTTP_PORT="$port"
pids=()
finish() {
  for pid in "${pids[@]}"; do kill -INT -- "-$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap finish EXIT

printf %s "$PGFOLLOW_API_TOKEN" >"$folder/api_token"
cp grafana/prometheus/alerts.yml "$folder"
# Here instead of in containers; versions before 3 take retention from flags only.
sed -e "s#/run/secrets/prometheus/api_token#$folder/api_token#" -e "s#replicator:5884#127.0.0.1:$port#" \
  -e '/^# What is reached first/,/^$/d' grafana/prometheus/prometheus.yml >"$folder/prometheus.yml"
promtool check config "$folder/prometheus.yml"

setsid node dist/cli/main.js demo >"$folder/demo.log" 2>&1 &
pids+=($!)
setsid prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
  --web.listen-address="127.0.0.1:$prometheus_port" >"$folder/prometheus.log" 2>&1 &
pids+=($!)

# The value of an instant query, empty where there is none.
query() { curl -fsS "http://127.0.0.1:$prometheus_port/api/v1/query" --data-urlencode "query=$1" | node -p \
  'const { data } = JSON.parse(require("fs").readFileSync(0)); data.result.map(({ metric, value }) => `${metric.alertname ?? metric.state ?? ""} ${value[1]}`.trim()).join("\n")'; }
for _ in $(seq 1 120); do
  [ "$(query 'pgfollow_pipeline_state == 1' 2>/dev/null || true)" = 'streaming 1' ] && break
  sleep 1
done
fail() { echo "$1"; tail -n 20 "$folder"/*.log; exit 1; }
[ "$(query 'up{job="pgfollow"}')" = 1 ] || fail 'the target is not up'
[ "$(query 'pgfollow_pipeline_state == 1')" = 'streaming 1' ] || fail 'no pipeline that streams is seen'
sleep 15
[ -n "$(query 'sum(rate(pgfollow_rows_applied_total[30s])) > 0')" ] || fail 'the traffic of the demo is not seen'
[ -z "$(query 'ALERTS{alertstate="firing"}')" ] || fail "alerts fire: $(query 'ALERTS{alertstate="firing"}')"
rules="$(curl -fsS "http://127.0.0.1:$prometheus_port/api/v1/rules" | node -p \
  'JSON.parse(require("fs").readFileSync(0)).data.groups.flatMap(({ rules }) => rules).map(({ name, health }) => `${name} ${health}`).join("\n")')"
wanted="$(grep -c -- '- alert:' grafana/prometheus/alerts.yml)"
[ "$(grep -c ' ok$' <<<"$rules")" = "$wanted" ] || fail "rules that are not ok: $(grep -v ' ok$' <<<"$rules")"

# Every expression of every dashboard is one that Prometheus takes; what it finds is another matter.
node -e '
  const { readdirSync, readFileSync } = require("fs");
  const panels = (list) => list.flatMap((panel) => [panel, ...panels(panel.panels ?? [])]);
  for (const name of readdirSync("grafana/dashboards"))
    for (const { title, targets = [] } of panels(JSON.parse(readFileSync(`grafana/dashboards/${name}`)).panels))
      for (const { expr } of targets)
        console.log(`${name}: ${title}\t${expr.replaceAll("$instance", ".*").replaceAll("$table", ".*").replaceAll("$__rate_interval", "30s").replaceAll("$__range", "5m")}`);
' >"$folder/expressions"
empty=0
while IFS=$'\t' read -r panel expression; do
  found="$(query "$expression")" || fail "$panel: Prometheus refuses $expression"
  [ -n "$found" ] || { empty=$((empty + 1)); echo "nothing yet: $panel"; }
done <"$folder/expressions"
echo "Prometheus: target up, $wanted rules ok, none fires; $(wc -l <"$folder/expressions") expressions taken, $empty with nothing to show in a demo"
