# syntax=docker/dockerfile:1
# One image for the API, for the workers and for `grader database upgrade`; docker-compose.yml says which is which.
# The Debian release is the one that the tests run on.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
# For TORCH_INDEX_URL only; tests/deploy/test_deployment.py compares them with pyproject.toml.
ARG TORCH=2.14.1
ARG TORCHVISION=0.29.1
# Empty: PyTorch as in requirements/torch.txt, which runs on CPUs and on CUDA. It is the build that thresholds were
# calibrated with and that developers and CI have, so CPU and GPU workers share it. If there will never be a GPU,
# PyTorch's index of CPU builds makes the image several GB smaller; those files have other hashes, so none are checked:
#     docker compose build --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/grader
# A layer of its own: it is by far the largest and changes least.
COPY requirements/torch.txt requirements/
# hadolint ignore=DL3013
RUN if [ -n "$TORCH_INDEX_URL" ]; then \
        pip install --index-url "$TORCH_INDEX_URL" "torch==$TORCH" "torchvision==$TORCHVISION"; \
    else \
        pip install --no-deps --require-hashes --requirement requirements/torch.txt; \
    fi
# d2l pins an old stack; what it imports is in the extra `course`, which server.txt holds beside `colab`: what notebooks
# import besides.
COPY requirements/server.txt requirements/d2l.txt requirements/
RUN pip install --no-deps --require-hashes --requirement requirements/server.txt --requirement requirements/d2l.txt
COPY pyproject.toml README.md LICENSE ./
COPY grader grader
COPY reference reference
COPY rubrics rubrics
# Editable, so that the sandbox, which shows Python's own folders to students, does not show the grader.
RUN pip install --no-deps --no-build-isolation --editable . && python -m compileall -q grader reference rubrics

FROM ${BASE}
# libseccomp2: the sandbox's system-call filter. dataset-fashion-mnist: data for trainings; workers need no network.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libseccomp2 dataset-fashion-mnist \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin grader \
    # A new named volume takes its owner from here.
    && install --directory --owner=grader --group=grader --mode=0700 \
        /var/lib/grader /var/lib/grader/blobs /var/lib/grader/uploads \
    # The sandbox shows a folder of it to students, who run as another user.
    && install --directory --owner=grader --group=grader --mode=0755 /var/cache/grader
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/grader /opt/grader
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRADER_BLOBS=file:///var/lib/grader/blobs \
    GRADER_CACHE=/var/cache/grader
WORKDIR /var/lib/grader
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["grader", "serve", "--host", "0.0.0.0", "--port", "8000"]
