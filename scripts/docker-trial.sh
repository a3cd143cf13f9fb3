#!/usr/bin/env bash
# Tries docker-compose.yml for real, as a project of its own on other ports: builds, starts, follows a row from pg_x to
# pg_y, asks Prometheus, Grafana and pgAdmin, goes down and up again, and removes everything. Needs Docker with Compose 2.24 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
export PG_X_PORT=25432 PG_Y_PORT=25433 PGFOLLOW_PORT=25884 PROMETHEUS_PORT=29090 GRAFANA_PORT=23000 PGADMIN_PORT=26543
compose() { docker compose --project-name pgfollow-trial --env-file /dev/null "$@"; }
step() { printf '\n== %s\n' "$*"; }
sql() { compose exec -T "$1" psql -U postgres -Atq -v ON_ERROR_STOP=1 app -c "$2"; }
get() { compose exec -T replicator node -e 'fetch(process.argv[1]).then(async (r) => console.log(r.status, await r.text()))' "$1"; }
# Volumes that an image asks for and nobody has named: they stay behind.
unnamed() { docker volume ls --quiet | grep -cE '^[0-9a-f]{64}$' || true; }
finish() {
  code=$?
  [ "$code" = 0 ] || compose logs --tail 30 >&2
  compose down --volumes --timeout 20 >/dev/null 2>&1
  exit "$code"
}
trap finish EXIT

unnamed_before="$(unnamed)"

step 'build and start; every health check passes'
compose up --build --detach --wait --wait-timeout 300 --quiet-pull

step 'rows arrive'
sql pg_x 'INSERT INTO tb_trx_src (creation_date, sale_value) VALUES (now(), 424242)'
compose exec -T replicator pgfollow wait --timeout 60
compose exec -T replicator pgfollow tables
test "$(sql pg_y 'SELECT count(*) FROM tb_trx_dest WHERE sale_value = 424242')" = 1
for table in customers orders order_items; do
  rows="SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM shop.$table t"
  test "$(sql pg_x "$rows")" = "$(sql pg_y "$rows")"
done

step 'the replicator may write nowhere and has no privileges'
test "$(compose exec -T replicator sh -c 'id -u; touch /app/x /etc/x 2>/dev/null; grep CapEff /proc/self/status | tr -d "\t"')" = $'1000\nCapEff:0000000000000000'

step 'Prometheus: configuration, rules and their tests, and it reads the replicator'
compose exec -T prometheus promtool check config /etc/prometheus/prometheus.yml
compose exec -T prometheus promtool test rules /etc/prometheus/alerts.test.yml
for _ in $(seq 1 30); do
  up="$(get 'http://prometheus:9090/api/v1/query?query=up%7Bjob%3D%22pgfollow%22%7D')"
  case "$up" in *',"1"]'*) break ;; esac
  sleep 1
done
case "$up" in *',"1"]'*) ;; *) printf '%s\n' "$up"; exit 1 ;; esac

step 'Grafana: the dashboards are there without a login, and their data source answers'
for uid in overview tables snapshot runtime; do
  case "$(get "http://grafana:3000/api/dashboards/uid/pgfollow-$uid")" in '200 '*) ;; *) exit 1 ;; esac
done
case "$(get 'http://grafana:3000/api/datasources/proxy/uid/pgfollow-prom/api/v1/query?query=pgfollow_build_info')" in '200 '*) ;; *) exit 1 ;; esac

step 'pgAdmin: answers, and has its password file'
compose exec -T pgadmin sh -c 'test -s /var/lib/pgadmin/storage/admin_example.com/.pgpass'
case "$(get http://pgadmin:8080/misc/ping)" in '200 '*) ;; *) exit 1 ;; esac

step 'down and up again: the same passwords and rows, it goes on from where it was, and no volume without a name is left'
passwords="$(compose run --rm prepare show)"
compose down >/dev/null 2>&1
test "$(unnamed)" = "$unnamed_before"
compose up --detach --wait --wait-timeout 300
test "$(compose run --rm prepare show)" = "$passwords"
sql pg_x 'INSERT INTO tb_trx_src (creation_date, sale_value) VALUES (now(), 434343)'
compose exec -T replicator pgfollow wait --timeout 60
test "$(sql pg_y 'SELECT count(*) FROM tb_trx_dest WHERE sale_value IN (424242, 434343)')" = 2
log="$(compose logs --no-log-prefix replicator)"
case "$log" in *'streaming from the checkpoint'*) ;; *) exit 1 ;; esac
case "$log" in *COPY_FINISHED*) exit 1 ;; esac

step 'stops cleanly'
compose stop replicator >/dev/null 2>&1
test "$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet replicator)")" = 0
printf '\nall is well\n'
