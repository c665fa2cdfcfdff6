# One image for web and worker:
#   docker run -p 8000:8000 -e DATABASE_URL=… -e SAAS_SECRET_KEY=… -e SAAS_BASE_DOMAIN=… IMAGE
#   docker run -e DATABASE_URL=… -e SAAS_SECRET_KEY=… IMAGE saas worker
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/saas
ENV PATH=/opt/saas/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY pyproject.toml README.md ./
COPY saas ./saas
COPY migrations ./migrations
RUN pip install .

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /var/lib/saas --uid 10001 saas
COPY --from=build /opt/saas /opt/saas
ENV PATH=/opt/saas/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SAAS_DATA_DIR=/var/lib/saas/data
USER saas
WORKDIR /var/lib/saas
VOLUME /var/lib/saas
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
# --no-jobs: run `saas worker` as a second container. Migrate first: `saas migrate` waits for the database and is safe to repeat.
CMD ["sh", "-c", "saas migrate && exec saas serve --host 0.0.0.0 --port 8000 --no-jobs"]
