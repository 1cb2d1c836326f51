# One image for every process: engine, reconciler, sandbox provider, migrations.
# Debian 13, not 12 and not Alpine: the HTTP library's binary for Node 24 needs glibc 2.38.
FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

# What runs in production: no compiler, no Postgres of our own, and of the HTTP library only the binary of this machine.
FROM node:24-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional \
  && keep="uws_linux_$(node -p 'process.arch')_$(node -p 'process.versions.modules').node" \
  && test -f "node_modules/uWebSockets.js/$keep" \
  && find node_modules/uWebSockets.js -name '*.node' ! -name "$keep" -delete

FROM node:24-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
# The sandbox provider keeps its journal there; the volume takes over this owner.
RUN mkdir /data && chown node:node /data
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
USER node
EXPOSE 3000 3001 3002
# Asks the process that runs here: each has /livez on a port of its own.
ENV HEALTH_URL=http://127.0.0.1:3000/livez
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/engine/main.js"]
