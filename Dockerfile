# The API, and the three one-off commands that a new database needs; and, as a target of its own, the pretend bank of the
# demonstration. Built in one stage, run in another: no image holds a compiler or tests, and the API's holds nothing that
# could be told to fail.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
RUN npm ci --ignore-scripts --workspaces=false
COPY . .
RUN node_modules/.bin/nest build && npm prune --omit=dev --ignore-scripts --workspaces=false

# docker build --target bank: needs nothing but Node. Its books are in /books, to be mounted.
FROM node:24-slim AS bank
ENV NODE_ENV=production BANK_HOST=0.0.0.0 BANK_PORT=3001 BANK_BOOKS=/books/bank.db
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/dist/bank dist/bank
RUN mkdir /books && chown node:node /books
USER node
EXPOSE 3001
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.BANK_PORT + '/health').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/bank/main.js"]

FROM node:24-slim AS api
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist/src dist/src
COPY --from=build /app/dist/migrations dist/migrations
COPY --from=build /app/dist/start/seed.js /app/dist/start/seed-demo.js dist/start/
COPY --from=build /app/dist/start/api-role.js /app/dist/start/admit-api.js dist/start/
USER node
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health/ready').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The flags and their reason: start/node-flags.ts
CMD ["node", "--max-semi-space-size=32", "--min-semi-space-size=16", "--max-old-space-size=256", "dist/src/main.js"]
