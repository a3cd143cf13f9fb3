# pgfollow as a container. Stand-alone:
#
#   docker build -t pgfollow .
#   docker run --read-only --tmpfs /tmp -v pgfollow-spill:/var/tmp -e PGFOLLOW_SOURCE_URL=… -e PGFOLLOW_TARGET_URL=… \
#     -e PGFOLLOW_API_TOKEN=… -p 127.0.0.1:5884:5884 pgfollow
#
# It listens on all addresses of its container and therefore refuses to start without a token. Every secret may come
# from a file instead (PGFOLLOW_SOURCE_URL_FILE and so on). Other commands: `docker run … pgfollow doctor`.

FROM node:24.19.0-trixie-slim AS base
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

# Scripts are off in both installs: `prepare` would build before the sources are there. The compiler's own binary is an
# optional dependency, so the build needs those; the image does not (they are the servers of `pgfollow demo`).
FROM base AS build
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig*.json ./
COPY scripts scripts
COPY db db
COPY replicator replicator
RUN npm run build

FROM base AS dependencies
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM node:24.19.0-trixie-slim
LABEL org.opencontainers.image.title="pgfollow" \
      org.opencontainers.image.description="Keeps one PostgreSQL database a faithful, continuous copy of another" \
      org.opencontainers.image.licenses="PostgreSQL"
WORKDIR /app
# Everything belongs to root: the process cannot change its own program.
COPY package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY db db
COPY --from=build /app/dist dist
RUN ln -s /app/dist/cli/main.js /usr/local/bin/pgfollow
ENV NODE_ENV=production \
    PGFOLLOW_HTTP_HOST=0.0.0.0
USER node
# Parts of large transactions go to files in /var/tmp: on a disk, also where the container is read-only.
VOLUME /var/tmp
EXPOSE 5884
# Life, not readiness: a database that is down is no reason to replace the replicator.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PGFOLLOW_HTTP_PORT ?? 5884}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/cli/main.js"]
CMD ["run"]
