# One image for all roles; the command says which: start --role scheduler | worker | console.

FROM node:24-bookworm-slim AS web
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package's install script runs: what is native comes built inside its package.
RUN npm ci --ignore-scripts
COPY vite.config.ts tsconfig.json ./
COPY src ./src
RUN node node_modules/vite/bin/vite.js build

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional is the Node of the lock file, for machines that have an older one; here it is the image's.
RUN npm ci --ignore-scripts --omit=dev --omit=optional

FROM node:24-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production BELLWETHER_CONFIG=/config BELLWETHER_DATA=/data
COPY --from=packages /app/node_modules ./node_modules
COPY --from=web /app/dist ./dist
COPY package.json LICENSE ./
COPY src ./src
COPY deploy/healthcheck.mjs ./deploy/
# A new named volume takes over whom the folder belongs to.
RUN mkdir /data /config && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "deploy/healthcheck.mjs"]
ENTRYPOINT ["node", "src/main.ts"]
CMD ["start"]
