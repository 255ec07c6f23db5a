# The service, as `docker build -t vcc-sync .` makes it: compiled, without build tools, not as root.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Scripts are left out: the package's own would build before its sources are there.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && chmod +x dist/cli/main.js

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional ones are the binaries of an embedded Postgres, which only `vcc-sync demo` needs.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-bookworm-slim
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /opt/yarn-* /usr/local/bin/yarn /usr/local/bin/yarnpkg \
    && ln -s /app/dist/cli/main.js /usr/local/bin/vcc-sync
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json .env.example LICENSE ./
COPY migrations migrations
# Read in their place: the address tree of the simulator, and what pages load.
COPY src/simulator/addresses.psv src/simulator/
COPY src/web/assets src/web/assets
COPY --from=build /app/dist dist
ENV NODE_ENV=production PROBES_LISTEN=0.0.0.0:9464
# Nothing is written but to stdout, stderr and the network: the root file system may be read-only.
USER node
EXPOSE 8080 9464
# Whether the process lives. Whether it is ready (/readyz) is no reason to restart it: it waits by itself.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["vcc-sync"]
CMD ["start"]
