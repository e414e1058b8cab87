# The image that clusters/kuberay-rayjob.yaml names, for all nodes of a cluster: a Ray of the version that was tested, TVM,
# compilers for x86-64 and AArch64. For x86-64, as constraints.txt is. From the repository:
#
#   docker build -t registry.example.com/tvm-sweep:0.1.0 .
#   docker push registry.example.com/tvm-sweep:0.1.0
#   docker run --rm registry.example.com/tvm-sweep:0.1.0 sweep doctor
#
# Everything goes into /usr/local: KubeRay starts Ray in a login shell, which forgets any PATH that an image sets.
FROM python:3.11-slim-bookworm AS tools
# g++ links what TVM compiles; wget is what KubeRay's probes of head and workers call
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ g++-aarch64-linux-gnu git make wget \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home sweep

FROM tools AS image
WORKDIR /opt/tvm-sweep
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY sweep sweep
RUN pip install --no-cache-dir -c constraints.txt setuptools \
    && pip install --no-cache-dir -c constraints.txt --no-build-isolation '.[cluster]' \
    && rm -rf build ./*.egg-info
USER sweep
WORKDIR /home/sweep
CMD ["sweep", "--help"]
