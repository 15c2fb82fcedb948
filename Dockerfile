# keywright: one image for the scheduler, the workers and every other command.

ARG PYTHON_VERSION=3.13

# The lock (requirements.txt) needs no compiler: all of it comes as wheels. This stage is the full
# image all the same, so that its tools never reach the runtime image: it builds keywright's own
# wheel, and its compiler builds whatever has no wheel for a machine, such as twofish, which pyjks
# asks for when it is installed without the lock.
FROM python:${PYTHON_VERSION}-trixie AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

RUN python -m venv --without-pip /opt/keywright
WORKDIR /build

COPY requirements.txt ./
RUN pip --python /opt/keywright/bin/python install --require-hashes --no-deps -r requirements.txt

COPY pyproject.toml README.md LICENSE schema.sql ./
COPY templates ./templates
COPY workers ./workers
COPY scheduler ./scheduler
RUN pip --python /opt/keywright/bin/python install --no-deps .


# The same Debian as above: what was compiled there finds the same libraries here.
FROM python:${PYTHON_VERSION}-slim-trixie

LABEL org.opencontainers.image.title="keywright" \
      org.opencontainers.image.description="Keeps an organisation's certificates, keys and encrypted fields in order" \
      org.opencontainers.image.licenses="Apache-2.0"

# Numbers, so that an orchestrator can see that it is not root. The home is writable for the
# embedded default (`keywright demo`); a deployment on servers runs with a read-only file system.
RUN groupadd --gid 10001 keywright \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/keywright \
            --shell /usr/sbin/nologin keywright \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/keywright

COPY --from=builder /opt/keywright /opt/keywright

ENV PATH=/opt/keywright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    KEYWRIGHT_DATA_DIR=/var/lib/keywright

WORKDIR /var/lib/keywright
USER 10001:10001

# No HEALTHCHECK: what health means depends on the command, so compose.yaml says it per service.
CMD ["keywright", "--help"]
